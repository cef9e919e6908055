"""What any version ever wrote is read by this one, and what a later one writes stops it with a sentence."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from format_samples import FILES, FOLDER, KEY, PRIVATE, RULES, Sample, events, hits, load, samples, steps
from synthetic_alerts import alert

from streams import crashes, topics
from streams.admin import SetupError
from streams.blocks import unpack
from streams.codecs import decode_alert, decode_event, decode_finding
from streams.crashes import CrashJournal
from streams.deadletters import open_letter
from streams.epochs import Agreement, Epoch
from streams.hits import decode_hit
from streams.installation import Installation
from streams.lineage import SCHEMA, NewerSchema
from streams.records import WATERMARK
from streams.rule_topic import RuleTopic
from streams.seen import PREFIX
from streams.settings import Settings
from streams.sinks.database import StoreError
from streams.sinks.event_store import EventStore
from streams.sinks.store import AlertStore
from streams.spool import Spool, SpoolError
from streams.state import PARTITION, PartitionState
from streams.vault import open_identity
from streams.watermarks import Watermarks

NOW = 1_772_323_200_000
TOPIC = b"\x07" * 16
STEPS = steps()
WRITTEN = [topic.name for topic in topics.ALL if topic.name not in topics.INPUTS]
VERSIONS = range(1, SCHEMA + 1)
LATER = SCHEMA + 1


def of(topic: str, version: int) -> list[Sample]:
    return load(FOLDER / f"v{version}" / f"{topic}.json")


def file(name: str, version: int, folder: Path) -> Path:
    """A copy, for a reader that writes."""
    return Path(shutil.copy(FOLDER / f"v{version}" / name, folder / name))


def test_there_is_one_of_each_version_for_each_topic_and_each_kind_of_file() -> None:
    """Where this fails after a version was raised: python tests/format_samples.py, and commit what it makes."""
    wanted = {f"v{version}/{topic}.json" for version in VERSIONS for topic in WRITTEN}
    wanted |= {f"v{version}/{name}" for name, last in FILES.items() for version in range(1, last + 1)}
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()} == wanted


@pytest.mark.parametrize("topic", [*sorted(topics.BLOCKS), topics.FINDINGS, topics.ALERTS, topics.NOTIFICATIONS])
def test_a_form_that_changes_takes_another_version(topic: str) -> None:
    """Byte by byte what the first of this version wrote: older workers beside this one read it."""
    assert samples()[topic] == of(topic, SCHEMA), "raise SCHEMA, read both, and keep a sample of each"


@pytest.mark.parametrize("topic", [topics.VAULT, topics.DEAD_LETTERS, topics.INSTALLATION, topics.RULES, *STEPS])
def test_a_shape_that_changes_takes_another_version(topic: str) -> None:
    """What is sealed differs each time, and what detectors keep is theirs; around it nothing may."""
    now, then = ([(s.key, shape(s)) for s in found] for found in (samples()[topic], of(topic, SCHEMA)))
    assert now == then, "raise SCHEMA, read both, and keep a sample of each"


def shape(sample: Sample) -> Any:
    assert sample.key is not None
    if sample.key.startswith(PREFIX):
        return sample.value
    value = orjson.loads(sample.value or b"null")
    return sorted(value) if isinstance(value, dict) else [type(part).__name__ for part in value]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_lies_in_topics_is_read(version: int) -> None:
    for topic in topics.BLOCKS:
        block, watermark = (unpack(sample) for sample in of(topic, version))
        told = [decode_hit(r.value) if topic == topics.MATCHES else decode_event(r.value) for r in block.records]
        assert told == (hits() if topic == topics.MATCHES else events())
        assert block.lineage is not None
        assert (block.lineage.topic, block.positions[-1]) == (TOPIC, (19, 0))
        heard = Watermarks()
        assert watermark.control == WATERMARK
        heard.take(watermark.records[0].value)
        assert heard.current == NOW
    for topic in (topics.ALERTS, topics.NOTIFICATIONS):
        (sample,) = of(topic, version)
        assert decode_alert(sample.value or b"") == alert(time=NOW)
    (sample,) = of(topics.FINDINGS, version)
    assert decode_finding(sample.value or b"") == alert(time=NOW).findings[0]
    (sample,) = of(topics.DEAD_LETTERS, version)
    letter = open_letter(sample.value or b"", PRIVATE)
    assert (letter.value, letter.key, letter.headers) == (b'{"synthetic": true}', b"k", {"source": "fhir"})
    (sample,) = of(topics.VAULT, version)
    identity = open_identity((sample.key or b"").decode(), sample.value or b"", PRIVATE)
    assert identity == ("Patient/synthetic-1", ("patient:4567cdef.00",))
    assert agreed(of(topics.INSTALLATION, version)) == Agreement(
        (Epoch("0123abcd", 0), Epoch("89abef01", NOW + 300_000, 3_600_000)), frozenset({"0123abcd"})
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_published_rules_are_run(version: int) -> None:
    topic = RuleTopic(Settings())
    for sample in of(topics.RULES, version):
        topic._take((sample.key or b"").decode(), orjson.loads(sample.value or b""))
    held = {f"file/{name}": file for name, file in topic._files.items()}
    held |= {f"quarantine/{rule}": why for rule, why in topic._quarantined.items()}
    held |= {f"worker/{name}": rules for name, rules in topic._workers.items()}
    assert held == RULES


def agreed(log: list[Sample]) -> Agreement:
    """As a worker reads it."""
    installation = Installation(Settings())
    for sample in log:
        installation._take(orjson.loads(sample.value or b""), NOW)
    return installation._agreed()


def restored(log: list[Sample], topic: str) -> PartitionState:
    state = PartitionState(STEPS[topic][1])
    for sample in log:
        state.restore(sample.key or b"", sample.value)
    state.restored()
    return state


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("topic", STEPS)
def test_state_is_taken_up_where_it_was_left(topic: str, version: int) -> None:
    """Read, and all records folded once more: nothing of them counts twice, and a later one goes on from there."""
    log = [unpack(sample) for sample in of(STEPS[topic][0], version)]
    state = restored(of(topic, version), topic)
    assert state.topic == TOPIC
    assert state.position == log[-1].offset + 1
    before = Counter(state.counts), len(state.values)
    assert all(value is not None for _, value in state.values.items()), "each is read by its step"
    assert state.fold(log, {}) == []
    again = [block._replace(offset=block.offset + 5) for block in log]
    assert state.fold(again, {}) == [], "its marks know them at other offsets too"
    repeated = sum(len(block.records) for block in log if block.lineage)
    assert (Counter(state.counts) - before[0]).total() == repeated
    assert len(state.values) == before[1]


@pytest.mark.parametrize("version", range(1, FILES["spool"] + 1))
def test_a_spool_is_delivered(version: int, tmp_path: Path) -> None:
    spool = Spool(tmp_path, key=KEY)
    file("spool", version, tmp_path).rename(tmp_path / "000000000001.spool")
    spool.open()
    found = spool.oldest()
    assert found is not None
    assert spool.read(found) == [b"record 0", b"record 1", b"record 2"]
    spool.close()


@pytest.mark.parametrize("version", range(1, FILES["alerts.sqlite"] + 1))
def test_alerts_are_shown_and_written_on(version: int, tmp_path: Path) -> None:
    store = AlertStore(file("alerts.sqlite", version, tmp_path))
    store.write([alert(name, time=NOW) for name in "bc"], now=NOW)
    assert [found["title"][-1] for found in store.alerts()] == ["c", "b", "a"]
    assert store.facts() == {"worker.synthetic.1": {"time": NOW}}
    store.close()


@pytest.mark.parametrize("version", range(1, FILES["events.sqlite"] + 1))
def test_events_are_found(version: int, tmp_path: Path) -> None:
    store = EventStore(file("events.sqlite", version, tmp_path))
    found = [one["wardwatch"]["id"] for one in store.about(["address:192.0.2.7"], since=0, until=1 << 60, limit=100)]
    assert found == [event.id for event in reversed(events())]
    store.close()


def test_a_journal_tells_what_its_process_died_of(tmp_path: Path) -> None:
    journal = CrashJournal(file(crashes.FOLDER, 1, tmp_path))
    journal.open(TOPIC)
    assert journal.condemned == {3, 7}
    journal.close()


# What a later version writes

UPGRADE = "upgrade (it|this one)$"


def later(sample: Sample) -> Sample:
    """The same of the next version, which this one cannot know more of than its number."""
    value = orjson.loads((sample.value or b"").partition(b"\n")[0])
    if isinstance(value, dict):
        return sample._replace(value=orjson.dumps({"v": LATER, "other": 1}))
    return sample._replace(value=orjson.dumps([LATER, "other"]))


def later_header(sample: Sample) -> Sample:
    ((name, value),) = sample.headers
    return sample._replace(headers=((name, bytes((LATER,)) + value[1:-4]),))


@pytest.mark.parametrize("change", [later, later_header])
@pytest.mark.parametrize("topic", [topic for topic, _ in STEPS.values()])
def test_a_later_record_stops_its_partition_and_none_is_passed_over(
    topic: str, change: Callable[[Sample], Sample]
) -> None:
    """Its position stays before it, so an upgraded worker takes it first."""
    (state_topic,) = [name for name, (read, _) in STEPS.items() if read == topic]
    first = of(topic, SCHEMA)[0]
    state = restored([], state_topic)
    with pytest.raises(NewerSchema, match=UPGRADE):
        state.fold([unpack(change(first)), unpack(first._replace(offset=7))], {})
    assert state.position == 0


def test_a_later_watermark_stops_its_partition_too() -> None:
    for topic in topics.BLOCKS:
        with pytest.raises(NewerSchema, match=UPGRADE):
            Watermarks().take(later(of(topic, SCHEMA)[1]).value or b"")


@pytest.mark.parametrize("topic", STEPS)
def test_later_state_is_not_taken_up(topic: str) -> None:
    """Nor is any of it, wherever in the log the record lies that says so."""
    log = of(topic, SCHEMA)
    (mark,) = [number for number, sample in enumerate(log) if sample.key == PARTITION]
    other = Sample(PREFIX + b"of another form", b"")
    for place in (0, len(log) - 1):
        changed = [*log[:mark], *log[mark + 1 :]]
        changed.insert(place, later(log[mark]))
        with pytest.raises(NewerSchema, match=UPGRADE):
            restored([other, *changed], topic)
    with pytest.raises(ValueError, match="of another form"):
        restored([other, *log], topic)
    for number, sample in enumerate(log):
        if sample.key != PARTITION and not (sample.key or b"").startswith(PREFIX):
            with pytest.raises(NewerSchema, match=UPGRADE):
                list(restored([*log[:number], later(sample), *log[number + 1 :]], topic).values.items())


def test_later_letters_identities_and_agreements_are_told() -> None:
    with pytest.raises(ValueError, match=UPGRADE):
        open_letter(later(of(topics.DEAD_LETTERS, SCHEMA)[0]).value or b"", PRIVATE)
    with pytest.raises(ValueError, match=UPGRADE):
        open_identity("patient:0123abcd.00", later(of(topics.VAULT, SCHEMA)[0]).value or b"", PRIVATE)
    for number in range(3):
        log = of(topics.INSTALLATION, SCHEMA)
        log[number] = later(log[number])
        with pytest.raises(SetupError, match=UPGRADE):
            agreed(log)


def test_later_files_are_left_as_they_are(tmp_path: Path) -> None:
    raw = (FOLDER / f"v{FILES['spool']}" / "spool").read_bytes()
    path = tmp_path / "000000000001.spool"
    path.write_bytes(raw[:7] + bytes((FILES["spool"] + 1,)) + b"of another form" * 9)
    spool = Spool(tmp_path, key=KEY)
    spool.open()
    with pytest.raises(SpoolError, match=UPGRADE):
        spool.read(path)
    assert path.exists()
    spool.close()
    for name, opened in (("alerts.sqlite", AlertStore), ("events.sqlite", EventStore)):
        path = tmp_path / name
        database = sqlite3.connect(path)
        database.execute(f"pragma user_version = {FILES[name] + 1}")
        database.close()
        before = path.read_bytes()
        for read_only in (False, True):
            with pytest.raises(StoreError, match=UPGRADE):
                opened(path, read_only=read_only)
        assert path.read_bytes() == before
