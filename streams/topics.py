"""The map of topics: name, key, value, retention, who writes and who reads.

===============  ==================  =========================  =========  ==================  =====================
topic            key                 value                      kept       written by          read by
===============  ==================  =========================  =========  ==================  =====================
audit.ehr        any                 raw bytes, FHIR, ATNA, HL7 3 days     emitters            ingest
audit.iot        device              raw bytes, devices         3 days     emitters            ingest
audit.cloud      any                 raw bytes, cloud audit     3 days     emitters            ingest
dead.letters     source position     sealed bytes, clear reason 30 days    every step          dead-letter commands
events           actor               Events, in blocks          7 days     ingest              behave, events
views            patient, device or  Events, in blocks          7 days     ingest              behave
                 address
matches          correlation, group  Hits, in blocks            7 days     ingest, correlate   correlate
findings         entity              Finding                    30 days    ingest, behave,     alert
                                                                           correlate
alerts           entity              Alert                      30 days    alert               index
notifications    receiver            Alert                      30 days    alert               notify
*.state          entity              state of a step            compacted  the step            the step
installation     keys, epoch         ids of the keys            for ever   workers, keys       every worker
vault            pseudonym           sealed identifier          compacted  ingest              reveal
rules            file, quarantine    rules as text, why not     compacted  rules, workers      every worker
===============  ==================  =========================  =========  ==================  =====================

What Wardwatch's own commands did (``reveal``, ``who``, ``keys``, ``rules``) is told as an event in ``audit.ehr``. A
block (:mod:`streams.blocks`) lies where the keys of all its lines belong. ``notifications`` carries an alert once for
each receiver that wants it, beside ``alerts``, so that a store that is away delays nobody's pager, and all that is for
one receiver lies in one partition. In ``findings`` lies also what workers say of the pipeline itself, which no record
led to (:mod:`streams.watch`). Every topic has the same number of partitions, fixed when ``wardwatch setup`` creates
them. ``audit.*`` carries the broker's own time (LogAppendTime): what "in the future" means must not depend on when a
record is read again. So does ``events``, by which workers know the broker's clock (:mod:`streams.broker_clock`).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALL", "BLOCKS", "INPUTS", "Topic", "state_of"]

_DAY = 24 * 3600 * 1000
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    retention: int  #: ms; -1 for ever; 0 where it is compacted instead
    max_message: int  #: bytes; larger downstream, so that what came in can always go out
    append_time: bool = False
    blocks: bool = False  #: many records lie in one of Kafka's (:mod:`streams.blocks`)

    def config(self) -> dict[str, str]:
        """Kafka's settings for it."""
        config = {"max.message.bytes": str(self.max_message)}
        if self.retention:
            config |= {"cleanup.policy": "delete", "retention.ms": str(self.retention)}
        else:
            config |= {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.3"}
        if self.append_time:
            config["message.timestamp.type"] = "LogAppendTime"
        return config


INPUTS = ("audit.ehr", "audit.iot", "audit.cloud")
EVENTS = "events"
VIEWS = "views"
MATCHES = "matches"
FINDINGS = "findings"
ALERTS = "alerts"
NOTIFICATIONS = "notifications"
DEAD_LETTERS = "dead.letters"
INSTALLATION = "installation"
VAULT = "vault"
RULES = "rules"
#: What the paths of rules begin with that lie there.
PUBLISHED = "published/"


def state_of(topic: str, step: str) -> str:
    """Name of the compacted topic that holds a step's state of ``topic``."""
    return f"{step}.{topic}.state"


ALL: tuple[Topic, ...] = (
    *(Topic(name, 3 * _DAY, _MB, append_time=True) for name in INPUTS),
    Topic(INSTALLATION, -1, _MB, append_time=True),
    Topic(VAULT, 0, _MB),
    Topic(RULES, 0, _MB),
    Topic(DEAD_LETTERS, 30 * _DAY, 4 * _MB),
    Topic(EVENTS, 7 * _DAY, 4 * _MB, append_time=True, blocks=True),
    Topic(VIEWS, 7 * _DAY, 4 * _MB, blocks=True),
    Topic(MATCHES, 7 * _DAY, 4 * _MB, blocks=True),
    Topic(FINDINGS, 30 * _DAY, 4 * _MB),
    Topic(ALERTS, 30 * _DAY, 4 * _MB),
    Topic(NOTIFICATIONS, 30 * _DAY, 4 * _MB),
    Topic(state_of(EVENTS, "behave"), 0, 8 * _MB),
    Topic(state_of(VIEWS, "behave"), 0, 8 * _MB),
    Topic(state_of(MATCHES, "correlate"), 0, 8 * _MB),
    Topic(state_of(FINDINGS, "alert"), 0, 8 * _MB),
    Topic(state_of(NOTIFICATIONS, "notify"), 0, 8 * _MB),
)

#: Names of the topics that carry blocks.
BLOCKS = frozenset(topic.name for topic in ALL if topic.blocks)
