"""Identifiers planted in every string of whole records of every source, in every promised spelling; nothing leaves.

What leaves is all that ingest makes of a raw record: keys and values of events, views and findings, and of a dead
letter all but what is sealed.
"""

from __future__ import annotations

import copy
import json
import tomllib
from functools import cache
from typing import Any
from unicodedata import normalize

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey
from planted import PLACES, RECORDS
from spellings import FRAMES, SPELLINGS
from whole_records import NAME, NOW, NUMBER, PATIENT, SECRETS, SHORT, TABLE, device_record, fhir_record

from detectors.rules import starter_rules
from streams.deadletters import DeadLetters
from streams.demo.hospital import Hospital
from streams.demo.stories import STORIES
from streams.pipeline import Ingest, Reader
from streams.pseudonyms import Pseudonyms
from streams.records import RawRecord
from streams.sources.known import Sources
from streams.sources.table import Table
from streams.sources.table_file import TableFile
from streams.topics import DEAD_LETTERS


@cache
def _ingest() -> Ingest:
    reader = Reader(starter_rules(), Pseudonyms(bytes(range(32)), "k1"))
    letters = DeadLetters(bytes(PrivateKey.generate().public_key))
    sources = Sources([Table(TableFile.model_validate(tomllib.loads(TABLE)))])
    return Ingest(reader, letters, views=("patient", "device", "address"), sources=sources)


def _out(topic: str, value: bytes, headers: dict[str, bytes] | None = None) -> str:
    """All that one raw record puts outside, in clear."""
    shown = []
    for output in _ingest().derive(RawRecord(topic, 0, 7, NOW, value, headers or {})).outputs:
        content = orjson.loads(output.value)
        if output.topic == DEAD_LETTERS:
            content = {name: part for name, part in content.items() if not name.startswith("sealed")}
        shown += [output.key.decode(), json.dumps(content, ensure_ascii=False), str(content)]
    assert shown
    return "\n".join(shown)


def _planted(record: dict[str, Any], path: tuple[Any, ...], text: str) -> bytes:
    record = copy.deepcopy(record)
    node: Any = record
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = text
    return orjson.dumps(record)


def _assert_absent(out: str, *texts: str) -> None:
    folded = normalize("NFKC", out).casefold()
    for text in texts:
        assert text not in out
        assert normalize("NFKC", text).casefold() not in folded


@settings(max_examples=1500, deadline=None)  # the first one loads the rules
@given(st.sampled_from(PLACES), st.sampled_from(SECRETS), st.sampled_from(sorted(SPELLINGS)), st.sampled_from(FRAMES))
@example(("fhir", ("id",)), PATIENT, "base64", "{}")
@example(("fhir", ("agent", 1, "who", "reference")), PATIENT, "plain", "{}")
@example(("fhir", ("source", "observer", "display")), NAME, "url twice", "{}")
@example(("device", ("device", "id")), PATIENT, "hexadecimal", "x-{}")
@example(("cloudtrail", ("requestParameters", "key")), NAME, "plain", "{}")
@example(("atna", ("AuditMessage", "ActiveParticipant", 0, "UserID")), NUMBER, "plain", "{}")
@example(("hl7v2", ("EVN", "5", "1")), SHORT, "plain", "{}")
def test_an_identifier_planted_anywhere_leaves_nowhere(
    place: tuple[str, tuple[Any, ...]], secret: str, spelling: str, frame: str
) -> None:
    source, path = place
    topic, make, known, _ = RECORDS[source]
    if secret not in known:
        secret = known[0]
    planted = SPELLINGS[spelling](secret)
    out = _out(topic, _planted(make(), path, frame.format(planted)))
    _assert_absent(out, planted, secret)


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
@pytest.mark.parametrize("secret", SECRETS)
def test_every_spelling_of_every_identifier_is_found_where_it_would_leave(spelling: str, secret: str) -> None:
    """The observer's name leaves as it is: so nothing but the gate keeps these in."""
    planted = f"x {SPELLINGS[spelling](secret)} y"
    clean = _out("audit.ehr", _planted(fhir_record(), ("source", "observer", "display"), "x nobody y"))
    assert "x nobody y" in clean
    out = _out("audit.ehr", _planted(fhir_record(), ("source", "observer", "display"), planted))
    _assert_absent(out, SPELLINGS[spelling](secret))
    assert '"observer.name"' not in out


@pytest.mark.parametrize("spelling", ["plain", "url twice", "base64", "hexadecimal"])
@pytest.mark.parametrize("header", ["event-id", "source", "producer", "patient"])
@pytest.mark.parametrize("broken", [False, True])
def test_a_header_takes_nothing_out(header: str, spelling: str, broken: bool) -> None:
    record = fhir_record()
    del record["id"], record["entity"][0]  # so that the header's id is the event's
    value = b"{" if broken else orjson.dumps(record)
    _assert_absent(_out("audit.ehr", value, {header: SPELLINGS[spelling](PATIENT).encode()}), PATIENT)


def test_a_header_that_names_no_source_is_told_as_that() -> None:
    out = _out("audit.ehr", orjson.dumps(fhir_record()), {"source": b"fhri"})
    assert "header source: there is no source of that name" in out
    record = fhir_record()
    del record["id"], record["entity"][0]
    out = _out("audit.ehr", orjson.dumps(record), {"event-id": b"\xff"})
    assert "header event-id: is not UTF-8" in out


@pytest.mark.parametrize("source", sorted(RECORDS.keys() - {"cloudtrail"}))
def test_no_refusal_says_who_it_was_about(source: str) -> None:
    """Every place taken by something strange: refused or not, nothing of the patient is in clear."""
    topic, make, known, _ = RECORDS[source]
    for path in [path for name, path in PLACES if name == source]:
        for value in (None, 7, [], {}, "", "\ud800", True):
            record: Any = make()
            node = record
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = value
            _assert_absent(_out(topic, json.dumps(record).encode()), *known)


def test_a_record_number_that_is_a_number_is_one() -> None:
    record = device_record()
    record["patient"], record["network"]["port"] = "48213", 48213
    out = _out("audit.iot", orjson.dumps(record))
    assert "48213" not in out
    record["network"]["port"] = 48214
    assert "48214" in _out("audit.iot", orjson.dumps(record))


def test_ordinary_traffic_keeps_every_word() -> None:
    """The gate takes nothing out of a day of the synthetic hospital, attacks included, but patients themselves."""
    hospital = Hospital(seed=5, staff=40, patients=120)
    emissions = [emission for emission, _ in zip(hospital.traffic(NOW, per_second=20), range(3000), strict=False)]
    for story in STORIES:
        emissions.extend(story.tell(hospital, NOW))
    names = {"fhir": "observer.name user.id source.ip http.request.id", "device": "device.id source.ip device.type"}
    names["cloudtrail"] = "user.id cloud.account.id"
    for emission in emissions:
        outputs = (
            _ingest()
            .derive(
                RawRecord(
                    emission.topic,
                    0,
                    1,
                    emission.time,
                    orjson.dumps(emission.record),
                    {"source": emission.source.encode()},
                )
            )
            .outputs
        )
        event = orjson.loads(outputs[0].value)
        assert event["id"] == emission.record.get("id", emission.record.get("eventID"))
        assert ":k1." not in event["actor"] + event["device"] + event["address"]
        assert set(names[emission.source].split()) <= event["fields"].keys()
