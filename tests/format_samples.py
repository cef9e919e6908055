"""What each format looks like as this version writes it: one sample for each topic of ours and each kind of file.

``python tests/format_samples.py`` writes those that are missing into the folder of their version, and none that is
there: what an earlier version wrote is never written again. Run it after a version was raised, and commit what it
makes. The keys in it were made for it and are nobody's; every patient is synthetic.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from nacl.public import PrivateKey
from synthetic_alerts import alert

from detectors.base import Event
from detectors.registry import registered
from detectors.rules import RuleSet
from detectors.rules import load as load_rules
from detectors.rules.correlation import Hit
from streams import crashes, spool, topics
from streams.alerting import Alerting
from streams.blocks import pack, unpack
from streams.codecs import encode_alert, encode_event, encode_finding
from streams.correlate import Correlate
from streams.deadletters import DeadLetters
from streams.hits import hit_output
from streams.lineage import BLOCK, HEADER, NO_POSITION, SCHEMA, Lineage, Position, fingerprint
from streams.notify import Notify
from streams.pipeline import Behave, finding_output
from streams.receivers import WebhookReceiver
from streams.records import WATERMARK, RawRecord
from streams.rule_topic import File, Quarantine, Running, encoded
from streams.sinks import event_store, store
from streams.sinks.event_store import EventStore, Limits
from streams.sinks.store import AlertStore
from streams.state import KeyedStep, PartitionState
from streams.vault import Identity, seal
from streams.watermarks import InputClocks

__all__ = ["FILES", "FOLDER", "KEY", "PRIVATE", "RULES", "Sample", "events", "hits", "load", "samples", "steps"]

FOLDER = Path(__file__).with_name("fixtures")
#: 2026-03-01, and the id of a topic.
NOW = 1_772_323_200_000
TOPIC = b"\x07" * 16
PRIVATE = hashlib.sha256(b"a key of these fixtures").digest()
KEY = base64.b64encode(PRIVATE).decode()

#: Every kind of file that a worker, an emitter or a command keeps, and its version.
FILES = {
    "spool": spool.VERSION,
    "alerts.sqlite": store.VERSION,
    "events.sqlite": event_store.VERSION,
    crashes.FOLDER: 1,
}


#: What lies in ``rules``, by its key.
RULES: Mapping[str, File | Quarantine | Running] = {
    "file/synthetic.yml": File("title: Synthetic", True, "synthetic-analyst"),
    "quarantine/synthetic-rule": Quarantine("0123abcd", "Synthetic", "it alerts too often"),
    "worker/synthetic.1": Running("0123abcd", 21, 1, 2, NOW),
}


class Sample(NamedTuple):
    """One Kafka record."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = 0


def events() -> list[Event]:
    """Twenty reads of one person, of whom the last two are of another day."""
    patients = tuple(f"patient:0123abcd.{number:024x}" for number in range(2))
    return [
        Event(
            f"synthetic-{number}",
            NOW + number * 1000,
            "fhir",
            "user:Practitioner/synthetic-p1",
            patients[: number % 3],
            "",
            "address:192.0.2.7",
            number < 19,
            {"event.action": "read", "event.outcome": "success", "source.ip": "192.0.2.7"},
        )
        for number in range(20)
    ]


def _block(topic: str) -> Sample:
    rows, values = [], []
    for number, event in enumerate(events()):
        key = event.actor if topic == topics.EVENTS else event.address
        rows.append((number, 0, fingerprint(event.id), event.time if event.timely else 0, key))
        values.append(encode_event(event))
    lineage = Lineage(TOPIC, 0, Position(len(rows) - 1, 0), NO_POSITION, 0)
    return Sample(None, pack(rows, values), ((BLOCK, lineage.pack()),))


CORRELATED = """
title: Synthetic reads of many
id: 00000000-0000-4000-8000-000000000001
correlation:
    type: event_count
    rules: [synthetic_read]
    group-by: [user.id]
    timespan: 10m
    condition: {gte: 3}
---
title: Synthetic read
id: 00000000-0000-4000-8000-000000000002
name: synthetic_read
logsource: {category: ehr}
detection: {selection: {event.action: read}, condition: selection}
"""


def hits() -> list[Hit]:
    """What a correlation is told of twenty reads of one person."""
    (plan,) = correlated().correlations.plans
    person = "Practitioner/synthetic-p1"
    return [
        Hit(plan.key, "0123abcd", (person,), 0, event.time, event.id, None, event.actor, event.source)
        for event in events()
    ]


def correlated() -> RuleSet:
    return load_rules([], published={"synthetic.yml": CORRELATED})


def _hits() -> Sample:
    outputs = [hit_output(hit) for hit in hits()]
    rows = [(number, 0, one.event, one.time, one.key.decode()) for number, one in enumerate(outputs)]
    lineage = Lineage(TOPIC, 0, Position(len(rows) - 1, 0), NO_POSITION, 0)
    return Sample(None, pack(rows, [one.value for one in outputs]), ((BLOCK, lineage.pack()),))


def _watermark() -> Sample:
    clocks = InputClocks(inputs=1, idle_after=5)
    clocks.assigned("audit.ehr/0", TOPIC, 0)
    clocks.taken("audit.ehr/0", 20, {"fhir": NOW}, received=NOW + 500, now=1)
    return Sample(None, clocks.record(2, lambda _: None), ((WATERMARK, b""),), 1)


def _by_itself(key: str, value: bytes, event: str, offset: int = 0) -> Sample:
    lineage = Lineage(TOPIC, 0, Position(offset, 0), NO_POSITION, fingerprint(event))
    return Sample(key.encode(), value, ((HEADER, lineage.pack()),), offset)


def steps() -> dict[str, tuple[str, KeyedStep]]:
    """Of each topic of state: the topic that its step reads, and the step."""
    receivers = {"oncall": WebhookReceiver(url="https://oncall.example/hook")}  # type: ignore[call-arg]
    letters = DeadLetters(bytes(PrivateKey(PRIVATE).public_key))
    found: list[tuple[str, str, KeyedStep]] = [
        (topics.EVENTS, "behave", Behave(registered(), kinds=["actor"])),
        (topics.VIEWS, "behave", Behave(registered(), kinds=["patient", "device", "address"])),
        (topics.MATCHES, "correlate", Correlate(correlated())),
        (topics.FINDINGS, "alert", Alerting()),
        (topics.NOTIFICATIONS, "notify", Notify(receivers, letters, public_url="")),
    ]
    return {topics.state_of(topic, step): (topic, made) for topic, step, made in found}


def _state(topic: str, step: KeyedStep, log: Iterable[Sample]) -> list[Sample]:
    state = PartitionState(step)
    state.topic = TOPIC
    state.fold([unpack(record) for record in log], {})
    return [Sample(key, value) for key, value in state.changes().items()]


def samples() -> dict[str, list[Sample]]:
    """Of each topic that a step of ours writes, a few records."""
    one = alert(time=NOW)
    finding = finding_output(one.findings[0])
    letter = DeadLetters(bytes(PrivateKey(PRIVATE).public_key)).output(
        RawRecord("audit.ehr", 1, 7, NOW, b'{"synthetic": true}', {"source": b"fhir"}, 0, b"k"),
        stage="ingest",
        reason="no",
    )
    found = {
        topics.INSTALLATION: [
            Sample(b"keys", orjson.dumps({"v": SCHEMA, "keys": {"pseudonym": "0123abcd", "vault": "4567cdef"}})),
            Sample(
                b"epoch",
                orjson.dumps({"v": SCHEMA, "epoch": {"key": "89abef01", "notice": 300000, "overlap": 3600000}}),
            ),
            Sample(b"destroyed", orjson.dumps({"v": SCHEMA, "destroyed": "0123abcd"})),
        ],
        topics.RULES: [Sample(key.encode(), encoded(told)) for key, told in RULES.items()],
        topics.VAULT: [
            Sample(output.key, output.value)
            for output in seal(
                {"patient:0123abcd.00": Identity("Patient/synthetic-1", ("patient:4567cdef.00",))},
                bytes(PrivateKey(PRIVATE).public_key),
            )
        ],
        topics.DEAD_LETTERS: [Sample(letter.key, letter.value)],
        topics.EVENTS: [_block(topics.EVENTS), _watermark()],
        topics.VIEWS: [_block(topics.VIEWS), _watermark()],
        topics.MATCHES: [_hits(), _watermark()],
        topics.FINDINGS: [_by_itself(one.entity, encode_finding(one.findings[0]), one.findings[0].id)],
        topics.ALERTS: [_by_itself(one.entity, encode_alert(one), one.id)],
        topics.NOTIFICATIONS: [_by_itself("oncall", encode_alert(one), one.id)],
    }
    assert finding.value == found[topics.FINDINGS][0].value
    return found | {name: _state(topic, step, found[topic]) for name, (topic, step) in steps().items()}


def _spool(path: Path) -> None:
    folder = path.with_suffix(".folder")
    spool_ = spool.Spool(folder, key=KEY)
    spool_.open()
    for number in range(3):
        spool_.append(b"record %d" % number)
    spool_.close()
    next(folder.glob("*.spool")).rename(path)
    for rest in folder.iterdir():
        rest.unlink()
    folder.rmdir()


def _alerts(path: Path) -> None:
    made = AlertStore(path)
    made.write([alert(name, time=NOW) for name in "ab"], now=NOW)
    made.set_fact("worker.synthetic.1", {"time": NOW})
    made.close()
    _alone(path)


def _events(path: Path) -> None:
    made = EventStore(path)
    made.write(events(), now=NOW, limits=Limits(1 << 30, 90))
    made.close()
    _alone(path)


def _alone(path: Path) -> None:
    """Without a log beside it."""
    database = sqlite3.connect(path)
    database.execute("pragma journal_mode = delete")
    database.execute("vacuum")
    database.close()


def _journal(path: Path) -> None:
    """Of a process that died of record 7 for the second time; record 3 was condemned before."""
    path.write_bytes(struct.pack("16sqqqq", TOPIC, 0, 20, 7, 2) + struct.pack("q", 3))


_MAKE: Mapping[str, Callable[[Path], None]] = {
    "spool": _spool,
    "alerts.sqlite": _alerts,
    "events.sqlite": _events,
    crashes.FOLDER: _journal,
}


def load(path: Path) -> list[Sample]:
    """What :func:`main` wrote of a topic."""
    return [
        Sample(
            _bytes(record["key"]),
            _bytes(record["value"]),
            tuple((name, base64.b64decode(value)) for name, value in record["headers"]),
            record["offset"],
        )
        for record in json.loads(path.read_text())
    ]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _dump(records: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    for key, value, headers, offset in records:
        told = [[name, _text(content)] for name, content in headers]
        yield {"key": _text(key), "value": _text(value), "headers": told, "offset": offset}


def main() -> None:
    for topic, records in samples().items():
        path = FOLDER / f"v{SCHEMA}" / f"{topic}.json"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_text(json.dumps(list(_dump(records)), indent=1) + "\n")
    for name, version in FILES.items():
        path = FOLDER / f"v{version}" / name
        if not path.exists():
            _MAKE[name](path)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
