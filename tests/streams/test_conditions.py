"""What is worth a page, when, and how often: each kind of trouble, just below its limit and past it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from detectors.base import Finding
from streams.conditions import Conditions, Look
from streams.epochs import Epoch, MissingKey
from streams.lanes import LaneStatus, Loss
from streams.lineage import NewerSchema
from streams.sender import DeliveryFailed
from streams.settings import Settings
from streams.sinks.database import StoreError
from streams.sinks.elasticsearch import StoreUnavailable
from streams.troubles import KINDS
from streams.vault import VaultWaits

#: Seconds between two looks.
STEP = 10
SECRET = "Patient/synthetic-000001"


def told(look: Callable[[int], Look], *, until: int = 300, **limits: Any) -> list[tuple[int, Finding]]:
    """When, and what was said of looks at every STEP seconds."""
    conditions = Conditions(Settings(**limits), "host-7")
    return [(at, finding) for at in range(0, until, STEP) for finding in conditions.judge(look(at), now=1_000_000 + at)]


def lane(
    step: str = "ingest",
    *,
    partition: int = 0,
    position: int = 7,
    cause: type[Exception] | None = DeliveryFailed,
    **more: Any,
) -> LaneStatus:
    return LaneStatus(
        step, "audit.ehr", partition, position=position, cause=cause, **{"stopped": f"Error: {SECRET}", **more}
    )


#: Of each trouble: the looks that show it, and what is said first.
TROUBLES: dict[str, tuple[Callable[[int], Look], str, int]] = {
    "kafka": (lambda _: Look(kafka="no Kafka answers at kafka:9092"), "no Kafka answers at kafka:9092.", 120),
    "stuck": (
        lambda _: Look(lanes=[lane(partition=2), lane(partition=3)]),
        "ingest of audit.ehr, partition 2, 3, comes no further: DeliveryFailed.",
        120,
    ),
    "stuck, trying": (
        # While it tries again it is not stopped, and for half a minute where a server lets it wait.
        lambda at: Look(lanes=[lane(stopped="" if at % 50 else "again", holding=True)]),
        "ingest of audit.ehr, partition 0, comes no further: DeliveryFailed.",
        120,
    ),
    "stuck, hanging": (
        lambda _: Look(lanes=[lane(stopped="", holding=True, cause=None)]),
        "ingest of audit.ehr, partition 0, comes no further: it has not come back from a batch.",
        120,
    ),
    "stuck, in our words": (
        lambda _: Look(lanes=[lane(cause=NewerSchema, stopped="NewerSchema: state of schema 2: upgrade it")]),
        "ingest of audit.ehr, partition 0, comes no further: state of schema 2: upgrade it.",
        120,
    ),
    "store": (lambda _: Look(store="Elasticsearch: StoreUnavailable"), "(Elasticsearch: StoreUnavailable)", 120),
    "store, found by a lane": (
        lambda _: Look(lanes=[lane("index", cause=StoreUnavailable)]),
        "Alerts cannot be written (the worker says why in its log).",
        120,
    ),
    "vault": (
        lambda _: Look(lanes=[lane(cause=VaultWaits), lane(partition=1, cause=VaultWaits)]),
        "ingest of audit.ehr[0], audit.ehr[1] comes no further: VaultWaits.",
        120,
    ),
    "vault, not answering yet": (
        lambda _: Look(lanes=[lane(stopped="", holding=True, cause=None)], vault_waits=True),
        "ingest of audit.ehr[0] comes no further: it has not come back from a batch.",
        120,
    ),
    "key": (
        lambda _: Look(lanes=[lane(cause=MissingKey, stopped="MissingKey: the pseudonym key 0123abcd is not here")]),
        "ingest of audit.ehr[0] at host-7 comes no further: the pseudonym key 0123abcd is not here.",
        120,
    ),
    "rotation": (
        lambda _: Look(lacking=Epoch("0123abcd", 1_772_323_200_000)),
        "host-7 lacks the pseudonym key 0123abcd, which names patients from 2026-03-01 00:00:00 UTC on.",
        0,
    ),
    "quarantine": (
        lambda _: Look(
            quarantined={"r-1": "Synthetic rule: it matched 2,000 times in a minute, and 1,000 are allowed."}
        ),
        "Synthetic rule: it matched 2,000 times in a minute, and 1,000 are allowed.",
        0,
    ),
    "rules": (
        lambda _: Look(unread_rules={"file/team.yml": 9}),
        "file/team.yml of the topic rules is of format 9, which this worker does not read.",
        0,
    ),
    "unkept": (lambda _: Look(unkept="No worker keeps events: 5 wait."), "No worker keeps events: 5 wait.", 120),
    "unkept, its store away": (
        lambda _: Look(lanes=[lane("events", cause=StoreUnavailable)], unkept="Elasticsearch does not answer."),
        "keeping audit.ehr[0] comes no further: StoreUnavailable.",
        120,
    ),
    "unkept, its file full": (
        lambda _: Look(lanes=[lane("events", cause=StoreError)]),
        "keeping audit.ehr[0] comes no further: StoreError.",
        120,
    ),
    "unkept, far behind": (
        lambda _: Look(lag={("events", "events"): 1001}),
        "events is 1,001 records of events behind.",
        120,
    ),
    "lost_events": (
        lambda at: Look(losses=[Loss("events", "events", 1, 40, 25)] if not at else []),
        "25 records of events[1] from offset 40 on were gone before events came.",
        0,
    ),
    "lag": (
        lambda _: Look(lag={("ingest", "audit.ehr"): 1001}),
        "ingest is 1,001 records of audit.ehr behind.",
        120,
    ),
    "lost": (
        lambda at: Look(losses=[Loss("ingest", "audit.ehr", 1, 40, 25)] if not at else []),
        "25 records of audit.ehr[1] from offset 40 on were gone before ingest came.",
        0,
    ),
    "dead_letters": (
        lambda at: Look(dead={("ingest", "audit.ehr"): at}),
        "50 records of audit.ehr became dead letters in ingest within 5 minutes.",
        50,
    ),
    "quiet": (lambda at: Look(silent={"fhir": 3500.0 + at}), "Nothing has come from fhir for 62 minutes.", 220),
    "skew": (
        lambda at: Look(skew={"device": 300.0 if at % 60 else -1.0}),  # other senders are right
        "Events of device are dated 5 minutes after they reached the broker.",
        130,
    ),
    "clock": (
        lambda _: Look(clock={"synthetic-host": 600.0}),
        "The clock of synthetic-host is 10 minutes ahead of the broker's.",
        120,
    ),
    "clock, behind": (
        lambda _: Look(clock={"synthetic-host": -240.0}),
        "The clock of synthetic-host is 4 minutes behind the broker's.",
        120,
    ),
    "skew, behind": (
        lambda at: Look(skew={"device": -900.0}),
        "Events of device are dated 15 minutes before they reached the broker.",
        120,
    ),
}
LIMITS = {"lag_limit": 1000, "dead_letter_limit": 50, "quiet_after": 3600}


@pytest.mark.parametrize("name", TROUBLES)
def test_what_lasts_is_told_in_words_that_quote_nothing(name: str) -> None:
    look, reason, first = TROUBLES[name]
    said = told(look, **LIMITS)
    at, finding = said[0]
    kind = KINDS[name.partition(",")[0]]
    assert (at, finding.severity, finding.title) == (first, kind.severity, kind.title)
    assert reason in finding.reason
    assert finding.rule["description"] == kind.meaning
    assert finding.rule["response"] == kind.response
    assert SECRET not in str(finding)
    assert {finding.rule["id"] for _, finding in said} == {f"pipeline.{name.partition(',')[0]}"}, "and nothing else is"
    times = [at for at, _ in said]
    assert times == [at for at in range(first, 300, 60) if not name.startswith("lost") or at == first], (
        "again every minute"
    )


#: What is nobody's trouble.
CALM: dict[str, Callable[[int], Look]] = {
    "an idle lane": lambda _: Look(lanes=[lane(stopped="", cause=None)]),
    "a lane that goes on": lambda at: Look(lanes=[lane(stopped="", holding=True, position=at)]),
    "one that stops and goes on": lambda at: Look(lanes=[lane(position=at // 100)]),
    "one that was taken away and is back": lambda at: Look(lanes=[lane()] if at % 100 else []),
    "a short outage of a store": lambda at: Look(store="away" if at % 100 else ""),
    "a short outage of Kafka, and its steps": lambda at: Look(kafka="away" if at % 100 else "", lanes=[lane()]),
    "a peak": lambda at: Look(lag={("ingest", "audit.ehr"): 5000 if at % 100 else 0}),
    "lag at its limit": lambda _: Look(lag={("ingest", "audit.ehr"): 1000}),
    "a letter now and then": lambda at: Look(dead={("ingest", "audit.ehr"): at // STEP}),
    "a source within its time": lambda _: Look(silent={"fhir": 3599.0}),
    "people who ask Wardwatch nothing": lambda _: Look(silent={"wardwatch": 3700.0}),
    "a source that is no more": lambda _: Look(silent={"fhir": 8 * 86_400.0}),
    "a backlog": lambda at: Look(skew={"device": -900.0 if at % 100 else 0.0}),
    "one wrong date": lambda at: Look(skew={"device": 9000.0} if at == 50 else {}),
    "a small error": lambda _: Look(skew={"device": 239.0, "fhir": -239.0}, clock={"synthetic-host": -239.0}),
    "a clock that is set": lambda at: Look(clock={"synthetic-host": 600.0 if at < 120 else 0.0}),
}


@pytest.mark.parametrize("name", CALM)
def test_what_passes_or_is_usual_is_not_told(name: str) -> None:
    assert told(CALM[name], **LIMITS) == []


@pytest.mark.parametrize("name", ["lag", "dead_letters", "quiet", "skew", "clock"])
def test_a_limit_of_nothing_is_never_told(name: str) -> None:
    none = {"lag_limit": 0, "dead_letter_limit": 0, "quiet_after": 0, "skew_limit": 0}
    assert told(TROUBLES[name][0], **none) == []


def test_dead_letters_are_counted_over_five_minutes() -> None:
    """Forty-nine, and as many once those are five minutes old, are no burst; one more is."""
    conditions = Conditions(Settings(dead_letter_limit=50))
    key = ("ingest", "audit.ehr")
    counts = [(0, 0), (10, 49), (310, 49), (320, 98), (330, 99)]
    said = [bool(conditions.judge(Look(dead={key: count}), now=at)) for at, count in counts]
    assert said == [False, False, False, False, True]


def test_two_workers_make_the_same_finding_and_two_occasions_make_two() -> None:
    look = TROUBLES["kafka"][0]
    (first, *_), (second, *_) = told(look), told(look)
    assert first[1].id == second[1].id
    later = Conditions(Settings())
    judged = [later.judge(look(0), now=1_000_000 + at) for at in (700, 900)]
    assert judged[1][0].id != first[1].id


def test_a_heartbeat_is_told_what_lasts() -> None:
    conditions = Conditions(Settings())
    for at in (0, 60, 120):
        conditions.judge(Look(store="away"), now=at)
        assert conditions.lasting == ({"store"} if at == 120 else set())
    conditions.judge(Look(), now=130)
    assert conditions.lasting == set()
