"""Dead letters by the thousand: what is sent again keeps its key, its headers and its id, and is answered once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from topic_reading import read_topic

from detectors.base import digest
from streams import topics
from streams.admin import create_topics
from streams.commands import letters
from streams.commands.letters import Envelope, envelopes, replay
from streams.deadletters import DeadLetters, open_letter
from streams.embedded.kafka import EmbeddedKafka
from streams.keys import Keys, load_keys
from streams.notify import Delivery, letter
from streams.pipeline import Ingest, Reader
from streams.records import Output, RawRecord
from streams.settings import Settings

MANY = 3000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    one = EmbeddedKafka(tmp_path_factory.mktemp("letters") / "kafka", port=0)
    one.start()
    yield one.bootstrap
    one.stop()


@pytest.fixture
def settings(broker: str, tmp_path: Path) -> Settings:
    """Topics without a record: what was there is deleted."""
    made = Settings(kafka=broker, data_dir=tmp_path / "home", partitions=2)
    create_topics(made)
    admin = KafkaAdminClient(bootstrap_servers=broker)
    partitions = [TopicPartition(name, n) for name in (topics.DEAD_LETTERS, *topics.INPUTS) for n in range(2)]
    admin.delete_records(dict.fromkeys(partitions, -1))  # all there are
    admin.close()
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return load_keys(tmp_path / "home")


def raw(number: int, *, topic: str = "audit.ehr", headers: dict[str, bytes] | None = None) -> RawRecord:
    value = b'{"resourceType": "AuditEvent", "of": "Patient/synthetic-%d"}' % number
    return RawRecord(topic, number % 2, number, 1, value, headers or {}, key=b"Patient/synthetic-%d" % number)


def write(settings: Settings, keys: Keys, records: list[RawRecord], *, stage: str = "ingest") -> None:
    made = DeadLetters(keys.dead_letter_public)
    send(settings, [made.output(r, stage=stage, reason=f"synthetic reason {r.offset % 2}") for r in records])


def send(settings: Settings, written: list[Output]) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka, max_request_size=4_000_000)
    for output in written:
        producer.send(output.topic, output.value, key=output.key)
    producer.flush()
    producer.close()


def lying_in(settings: Settings, topic: str) -> list[Any]:
    return [record for records in read_topic(settings.kafka, topic).values() for record in records]


def every(envelope: Envelope) -> bool:
    return not envelope.replayed


@pytest.mark.kafka
def test_thousands_are_sent_again_whole_and_answered(settings: Settings, keys: Keys) -> None:
    with_id = {"event-id": b"own-7", "producer": b"tests", "source": b"fhir"}
    records = [raw(n, headers=with_id if n == 7 else None) for n in range(MANY)]
    write(settings, keys, records)
    write(settings, keys, [records[3]])  # a step that was killed wrote it twice
    assert sum(1 for _ in envelopes(settings)) == MANY

    done = replay(settings, keys.dead_letter_private(), every)
    assert len(done.sent) == MANY
    assert not done.kept
    arrived = {record.value: record for record in lying_in(settings, "audit.ehr")}
    assert len(arrived) == MANY
    for record in records:
        again = arrived[record.value]
        assert (again.key, again.partition) == (record.key, record.partition)
        own = digest(record.topic, record.partition, record.offset).encode()
        assert dict(again.headers) == (dict(record.headers) or {"event-id": own})

    assert not any(every(envelope) for envelope in envelopes(settings))
    assert not replay(settings, keys.dead_letter_private(), every).sent
    assert len(replay(settings, keys.dead_letter_private(), lambda e: e.name == "audit.ehr/1/7").sent) == 1


@pytest.mark.kafka
def test_what_cannot_be_sent_is_told_and_stays_open(settings: Settings, keys: Keys, tmp_path: Path) -> None:
    large, largest = (RawRecord("audit.ehr", 0, n, 1, b"x" * n, {}) for n in (1_100_000, 1_048_300))
    write(settings, keys, [raw(0), large, largest])
    write(settings, load_keys(tmp_path / "another installation"), [raw(1)])
    write(settings, keys, [raw(4, topic=topics.ALERTS)], stage="index")
    sealed = DeadLetters(keys.dead_letter_public)
    given_up = [Delivery("oncall", name, b"{}") for name in ("msg_1", "msg_2")]
    send(settings, [letter(sealed, delivery, "synthetic reason", received=1) for delivery in given_up])
    assert {"msg_1", "msg_2"} < {envelope.name for envelope in envelopes(settings)}
    done = replay(settings, keys.dead_letter_private(), every)
    assert done.sent == {"audit.ehr/0/0", "audit.ehr/0/1048300"}
    assert sorted(done.kept.values()) == [1, 1, 1, 2]
    assert sum(map(every, envelopes(settings))) == 5


@pytest.mark.kafka
def test_a_replay_cut_short_answers_nothing_it_did_not_send(
    settings: Settings, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between what it sends and what it answers, it sends again: the id is the same, so it counts once."""
    monkeypatch.setattr(letters, "_BATCH", 10)
    write(settings, keys, [raw(n) for n in range(40)])
    opened = 0

    def cut(value: bytes, private_key: bytes) -> Any:
        nonlocal opened
        opened += 1
        if opened > 25:
            raise KeyboardInterrupt
        return open_letter(value, private_key)

    monkeypatch.setattr(letters, "open_letter", cut)
    with pytest.raises(KeyboardInterrupt):
        replay(settings, keys.dead_letter_private(), every)
    monkeypatch.undo()
    assert sum(envelope.replayed for envelope in envelopes(settings)) == 20
    assert len(replay(settings, keys.dead_letter_private(), every).sent) == 20
    arrived = lying_in(settings, "audit.ehr")
    assert len({dict(record.headers)["event-id"] for record in arrived}) == 40


def test_the_clear_part_names_no_patient_of_the_key(keys: Keys) -> None:
    record = raw(1)
    letter = DeadLetters(keys.dead_letter_public).output(record, stage="ingest", reason="synthetic")
    assert b"synthetic-1" not in letter.value
    opened = open_letter(letter.value, keys.dead_letter_private())
    assert (opened.key, opened.value) == (record.key, record.value)
    before = {name: value for name, value in orjson.loads(letter.value).items() if name != "sealed_key"}
    assert open_letter(orjson.dumps(before), keys.dead_letter_private()).key is None


def test_a_header_without_a_value_makes_a_letter_like_any_other(keys: Keys) -> None:
    """Kafka allows null there; a record that cannot be read must not stop its partition for it."""
    reader = Reader.__new__(Reader)
    ingest = Ingest(reader, DeadLetters(keys.dead_letter_public))
    headers: Any = {"trace": None}
    (output,) = ingest.derive(RawRecord("audit.ehr", 0, 1, 1, b"{", headers)).outputs
    assert open_letter(output.value, keys.dead_letter_private()).headers == {"trace": ""}
