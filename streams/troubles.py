"""The kinds of trouble that the pipeline alerts of itself: how grave they are, what they mean, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from detectors.base import Severity

__all__ = ["KINDS", "Kind"]


class Kind(NamedTuple):
    """One kind of trouble: what it means and what to do about it."""

    severity: Severity
    title: str
    meaning: str
    response: str


KINDS: Final[Mapping[str, Kind]] = {
    "kafka": Kind(
        "critical",
        "Kafka cannot be used",
        "No event is processed and no other alert can be made until it does. What services send meanwhile is kept by "
        "them, as long as their buffers last.",
        "Start the brokers, or mend the network between them and the worker. The worker goes on by itself; if it is "
        "restarted before Kafka answers, it ends at once.",
    ),
    "stuck": Kind(
        "high",
        "A step of the pipeline is stuck",
        "Records of this topic wait: what they say is not checked, or not told, until the step goes on. Nothing is "
        "lost as long as the topic keeps them.",
        "The worker's log and wardwatch status say why it stopped. Mend that: it tries again by itself every 15 "
        "seconds.",
    ),
    "store": Kind(
        "high",
        "A store does not take alerts",
        "Alerts are made and sent to receivers, and cannot be searched or seen until the store takes them. They wait "
        "in Kafka, for as long as its topic keeps them.",
        "Look whether the store runs, has disk left and takes this worker's key. What waits is written by itself.",
    ),
    "vault": Kind(
        "high",
        "Ingest waits for the vault",
        "No record goes on whose patient is new: who a pseudonym is must be durable before anything that it names "
        "leaves. Nothing is lost as long as the topics of input keep it.",
        "Look at the topic vault: whether its brokers are in sync, and let this worker write to it. It tries again by "
        "itself every 15 seconds.",
    ),
    "key": Kind(
        "high",
        "A pseudonym key is missing",
        "This host takes no record that the key is for: a patient would get a second name. Nothing is lost as long as "
        "the topics of input keep it.",
        "Copy the key's file from the host that made it into this one's folder of keys, or let "
        "WARDWATCH_PSEUDONYM_KEY_COMMAND print it. The worker goes on by itself.",
    ),
    "rotation": Kind(
        "high",
        "A host lacks the pseudonym key that comes next",
        "Once that key names patients, this host takes no record until it has it.",
        "Copy the key's file from the host that announced it, before that time: wardwatch keys list says when, and "
        "there is no way to take an announcement back.",
    ),
    "unkept": Kind(
        "medium",
        "Events are not kept",
        "Alerts are not late. Who opened a record is not answered for this time until the events are kept, and never "
        "for those that their topic no longer holds by then.",
        "Look whether wardwatch worker --only events runs, and whether its store answers and has disk left; its log "
        "says more. If this installation is to keep none, set events_store and events_index to false.",
    ),
    "lost_events": Kind(
        "high",
        "Events were deleted before they were kept",
        "They were checked, and alerts were made of them. Who opened a record does not know of them and never will.",
        "Keep the topic events longer than the worker that keeps them may be away (retention.ms, retention.bytes), or "
        "get the period from the services' own logs.",
    ),
    "lag": Kind(
        "medium",
        "A step of the pipeline is far behind",
        "More arrives than is taken, so alerts come late; once it lies longer than the topic keeps it, it is lost.",
        "Start more workers, up to the number of partitions, or find out which service sends so much more than usual.",
    ),
    "lost": Kind(
        "critical",
        "Records were deleted before they were processed",
        "What they said was not checked and never will be: an attack in it goes unseen.",
        "Keep topics longer than workers may be away (retention.ms, retention.bytes), and get the period from the "
        "services' own logs: wardwatch emit takes it.",
    ),
    "dead_letters": Kind(
        "medium",
        "Many records cannot be processed",
        "What they say is not checked until they are sent again. Usually a service changed the form of its events; it "
        "may also be somebody who sends what nobody should read.",
        "wardwatch dead-letters list --count says which service and why. Once that is mended, wardwatch dead-letters "
        "replay sends them again.",
    ),
    "quiet": Kind(
        "medium",
        "A source has gone quiet",
        "Nothing that happens there is seen. Recording that was switched off looks the same as a broken connection.",
        "Ask those who run the source whether it records and sends. If it is quiet by nature, raise quiet_after.",
    ),
    "skew": Kind(
        "medium",
        "A source's clock is off",
        "Events get the wrong time. Those dated too far ahead open and close no window, so the models do not see them; "
        "late ones may be too late for theirs.",
        "Set the sender's clock by NTP. If events are late because something held them back, this ends by itself.",
    ),
    "quarantine": Kind(
        "high",
        "A rule is in quarantine",
        "It matched or cost so much that it was kept from alerting, in every worker. What it looks for goes unseen "
        "until it is mended or released.",
        "wardwatch rules status says why. Narrow the rule, try it with wardwatch backtest and publish it again: "
        "another version of it is free at once. wardwatch rules release lets this one alert again.",
    ),
    "rules": Kind(
        "high",
        "A worker cannot read what is published for it",
        "A later version of the product published rules, or put one into quarantine, in a format that this worker does "
        "not know. It does without: rules do not run here, or alert here and nowhere else.",
        "wardwatch rules status says what is not read, and by which worker. Upgrade that worker; if others are older "
        "too, publish again from their version.",
    ),
    "clock": Kind(
        "medium",
        "A worker's clock is off",
        "Receivers that look at the time of a webhook may refuse it; it is sent again until they take it. Events, "
        "windows and alerts are right: their time is the events' and the broker's.",
        "Set the clocks of the worker's host and of the brokers by NTP. Where every worker and every source is off by "
        "as much, it is the broker's.",
    ),
}
