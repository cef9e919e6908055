"""One key takes over from another: a patient's windows count as if there had been one key all along."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey

from detectors.base import Detector, Event, Finding, digest
from detectors.registry import registered
from detectors.rules import load
from streams import topics
from streams.blocks import Block
from streams.codecs import decode_finding
from streams.deadletters import DeadLetters
from streams.demo.records import audit_event
from streams.epochs import Agreement, Epoch, Epochs
from streams.lineage import NO_POSITION, Lineage, Position
from streams.pipeline import Behave, Ingest, Reader
from streams.pseudonyms import Pseudonyms
from streams.records import RawRecord, Record
from streams.sources.base import BadRecord
from streams.state import PartitionState

HOUR = 3_600_000
BEGIN = 1_790_000_000_000 - 1_790_000_000_000 % HOUR
OLD, NEW = bytes(32), bytes(range(32))
PATIENT = "Patient/synthetic-000001"
NO_RULES = load([])
LETTERS = DeadLetters(bytes(PrivateKey.generate().public_key))


def epochs(start: int, overlap: int) -> Epochs:
    return Epochs(Agreement((Epoch("old0", 0), Epoch("new0", start, overlap))), {"old0": OLD, "new0": NEW})


class Threes:
    """Fires at the third event of an hour about one patient."""

    name = "threes"
    entity = "patient"

    def new(self) -> dict[int, int]:
        return {}

    def inspect(self, event: Event, key: str, state: dict[int, int], watermark: int) -> list[Finding]:
        hour = event.time // HOUR
        state[hour] = state.get(hour, 0) + 1
        if state[hour] != 3:
            return []
        return [
            Finding(digest(self.name, key, hour), self.name, key, event.time, "low", "Three", "Three.", event.source)
        ]

    def save(self, state: dict[int, int]) -> list[Any]:
        return [list(pair) for pair in state.items()]

    def load(self, saved: list[Any]) -> dict[int, int]:
        return dict(saved)


def raw(number: int, time: int, *, event_id: str = "", actor: str = "") -> RawRecord:
    record = audit_event(
        id=event_id or f"synthetic-{number}",
        time=time,
        interaction="read",
        staff=f"synthetic-p{number % 7}",
        address="192.0.2.7",
        patient=PATIENT.removeprefix("Patient/"),
    )
    if actor:
        record["agent"][1]["who"] = {"reference": actor}
        record["agent"][1]["requestor"] = True
        record["agent"][0]["requestor"] = False
    return RawRecord("audit.ehr", 0, number, time, json.dumps(record).encode(), {})


def run(
    pseudonyms: Epochs | Pseudonyms, records: Sequence[RawRecord], detectors: Sequence[Detector[Any]]
) -> list[Finding]:
    """What detectors of patients and actors find; both readings of an event lie in one partition."""
    ingest = Ingest(Reader(NO_RULES, pseudonyms), LETTERS, views=["patient"])
    found: list[Finding] = []
    for topic, kind in ((topics.VIEWS, "patient"), (topics.EVENTS, "actor")):
        state = PartitionState(Behave(detectors, kinds=[kind]))  # type: ignore[list-item]
        place = 0
        for record in records:
            outputs = ingest.derive(record).outputs
            assert not [o for o in outputs if o.topic == topics.DEAD_LETTERS]
            for index, out in enumerate(outputs):
                if out.topic == topic:
                    position = Position(record.offset, index)
                    taken = Record(place, out.key, out.value, out.event, out.time)
                    block = Block(place, Lineage(bytes(16), 0, position, NO_POSITION, 0), (position,), (taken,))
                    for _, derived in state.fold([block], {}):
                        found += [decode_finding(o.value) for o in derived if o.topic == topics.FINDINGS]
                    place += 1
    return found


def told(findings: Sequence[Finding]) -> list[tuple[str, int, str, float]]:
    return [(f.detector, f.time, f.reason, f.score) for f in findings]


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.integers(0, 8 * HOUR), min_size=1, max_size=40),
    start=st.integers(-HOUR, 9 * HOUR),
    overlap=st.integers(HOUR, 4 * HOUR),
    again=st.sets(st.integers(0, 39), max_size=5),
)
def test_windows_count_as_under_one_key(times: list[int], start: int, overlap: int, again: set[int]) -> None:
    """Wherever the rotation falls, an overlap as long as the window finds the same, once; repeats count once."""
    times.sort()
    records = [raw(n, BEGIN + time) for n, time in enumerate(times)]
    records = [r for n, r in enumerate(records) for r in ([r, r._replace(offset=1000 + n)] if n in again else [r])]
    one_key = run(Pseudonyms(OLD, "old0"), records, [Threes()])  # type: ignore[list-item]
    rotated = run(epochs(BEGIN + start, overlap), records, [Threes()])  # type: ignore[list-item]
    assert told(rotated) == told(one_key)
    names = {"old0": Pseudonyms(OLD, "old0").patient(PATIENT), "new0": Pseudonyms(NEW, "new0").patient(PATIENT)}
    for finding in rotated:
        assert finding.entity == names["old0" if finding.time < BEGIN + start + overlap else "new0"]


@pytest.mark.parametrize("actor", ["", PATIENT])
@pytest.mark.parametrize(("start", "overlap"), [(24, 48), (0, 24), (25, 0)])
def test_the_product_s_own_detectors_find_a_burst_once(actor: str, start: int, overlap: int) -> None:
    """In windows of five minutes: the key changes in the middle of a burst, or the overlap ends there."""
    window = 300_000
    times = [BEGIN + n * window // 3 for n in range(72)] + [BEGIN + 24 * window + n * 1500 for n in range(120)]
    records = [raw(n, time, actor=actor) for n, time in enumerate(times)]
    half = window // 3
    one_key = run(Pseudonyms(OLD, "old0"), records, registered())
    rotated = run(
        epochs(BEGIN + start * window + (half if start == 24 else 0), overlap * window + (half if start == 0 else 0)),
        records,
        registered(),
    )
    assert [f for f in one_key if f.detector == "rate.patient"]
    assert told(rotated) == told(one_key)


def test_a_patient_s_two_names_share_a_partition_and_each_is_seen_once() -> None:
    ingest = Ingest(Reader(NO_RULES, epochs(BEGIN, HOUR)), LETTERS, views=["patient"])
    views = [o for o in ingest.derive(raw(1, BEGIN)).outputs if o.topic == topics.VIEWS]
    assert len({o.key for o in views}) == 2
    assert len({o.event for o in views}) == 2
    after = [o for o in ingest.derive(raw(1, BEGIN + HOUR)).outputs if o.topic == topics.VIEWS]
    assert [(o.key, o.event) for o in after] == [(views[0].key, views[0].event)], "the same event again is the same"


def test_what_nobody_s_pseudonym_is_in_stays_one_event() -> None:
    """Staff have no pseudonym: their events are there once, under the new key, and detectors speak of them."""
    ingest = Ingest(Reader(NO_RULES, epochs(BEGIN, HOUR)), LETTERS, views=["patient"])
    (event,) = [o for o in ingest.derive(raw(1, BEGIN)).outputs if o.topic == topics.EVENTS]
    value = json.loads(event.value)
    assert "overlap" not in value
    assert value["patients"] == [Pseudonyms(NEW, "new0").patient(PATIENT)]


def test_each_time_has_its_key() -> None:
    made = Epochs(
        Agreement((Epoch("k1", 0), Epoch("k2", 100, 50), Epoch("k3", 1000, 10)), frozenset({"k1"})),
        {"k1": bytes(32), "k2": b"2" * 32, "k3": b"3" * 32},
    )

    def at(time: int) -> tuple[str, str | None]:
        now, before = made.at(time)
        names = [one and one.patient("Patient/1").split(":")[1][:2] for one in (now, before)]
        return str(names[0]), names[1]

    for _ in range(2):  # whatever was asked before
        assert [at(time) for time in (100, 149, 150, 999)] == [("k2", None)] * 4, "k1 is destroyed"
        assert at(1000) == ("k3", "k2")
        assert at(1009) == ("k3", "k2")
        assert at(1010) == ("k3", None)
        with pytest.raises(BadRecord, match="pseudonym key k1 was destroyed"):
            made.at(99)


def test_a_record_of_a_destroyed_key_is_a_letter_that_says_so() -> None:
    made = Epochs(Agreement((Epoch("old0", 0), Epoch("new0", BEGIN)), frozenset({"old0"})), {"new0": NEW})
    (output,) = Ingest(Reader(NO_RULES, made), LETTERS).derive(raw(1, BEGIN - 1)).outputs
    assert json.loads(output.value)["reason"] == "its pseudonym key old0 was destroyed before it was read"
