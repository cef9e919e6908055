"""What leaves ingest for correlations: no patient, nothing that its event does not show, a group under one name."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from detectors.registry import registered
from detectors.rules import RuleSet, load
from streams.commands.files import detect
from streams.deadletters import DeadLetters
from streams.demo.records import audit_event, device_event
from streams.epochs import Agreement, Epoch, Epochs
from streams.hits import decode_hit
from streams.keys import load_keys
from streams.pipeline import Ingest, Reader
from streams.pseudonyms import Pseudonyms
from streams.records import Output, RawRecord
from streams.topics import MATCHES

NOW = 1_767_600_000_000
KEYS = {name: name.encode() * 16 for name in ("k1", "k2")}
RULES = """\
title: Any read
id: synthetic-read
name: read
logsource: {category: ehr}
detection: {selection: {event.action: '*'}, condition: selection}
---
title: One patient's record by its own name for it
correlation:
    type: value_count
    rules: [read]
    group-by: [wardwatch.patient, user.id]
    timespan: 1h
    condition: {field: source.ip, gte: 1}
---
title: By what a vendor calls the patient
correlation:
    type: event_count
    rules: [read]
    group-by: [entity.what.reference]
    timespan: 1h
    condition: {gte: 3}
"""


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    found = load([path])
    assert found.problems == ()
    return found


def record(number: int = 1, patient: str = "synthetic-987654") -> bytes:
    read = audit_event(
        id=f"synthetic-{number}",
        time=NOW + number,
        interaction="read",
        staff="synthetic-p1",
        address="192.0.2.7",
        patient=patient,
    )
    return json.dumps(read).encode()


def matches(rules: RuleSet, pseudonyms: Pseudonyms | Epochs, tmp_path: Path, value: bytes) -> list[Output]:
    ingest = Ingest(Reader(rules, pseudonyms), DeadLetters(load_keys(tmp_path / "keys").dead_letter_public))
    raw = RawRecord("audit.ehr", 0, 1, NOW, value, {})
    return [output for output in ingest.derive(raw).outputs if output.topic == MATCHES]


def test_what_leaves_names_no_patient_and_groups_alike(rules: RuleSet, tmp_path: Path) -> None:
    pseudonyms = Pseudonyms(KEYS["k1"], "k1")
    outputs = matches(rules, pseudonyms, tmp_path, record())
    hits = [decode_hit(output.value) for output in outputs]
    told = b"".join(output.key + output.value for output in outputs)
    assert b"987654" not in told
    assert b"192.0.2.7" not in hits[0].group.encode()
    named, *vendor = hits
    patient = pseudonyms.patient("Patient/synthetic-987654")
    assert named.shown[0] == patient
    groups = [hit.shown for hit in vendor]
    assert (patient,) in groups, "the vendor's field names the patient too, so it is the same pseudonym"
    assert len(groups) == 2, "and the data that was read, which is a group of its own"
    assert isinstance(named.value, int), "what is counted is a fingerprint"
    assert [output.key for output in matches(rules, pseudonyms, tmp_path, record(2))] == [o.key for o in outputs]
    others = matches(rules, pseudonyms, tmp_path, record(3, "synthetic-123456"))
    assert not {output.key for output in others} & {output.key for output in outputs}


def test_a_value_that_may_not_leave_is_a_token(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(RULES.replace("entity.what.reference", "agent.who.display").replace("wardwatch.patient, ", ""))
    shown = json.loads(record())
    shown["agent"][0].setdefault("who", {})["display"] = "Dr Synthetic Name"
    outputs = matches(load([path]), Pseudonyms(KEYS["k1"], "k1"), tmp_path, json.dumps(shown).encode())
    (hit,) = [decode_hit(o.value) for o in outputs if b"Any" not in o.value and decode_hit(o.value).value is None]
    assert hit.shown[0] is not None
    assert hit.shown[0].startswith("k1.")
    assert not any(b"Synthetic Name" in output.value for output in outputs)


def test_while_keys_overlap_a_group_goes_on_under_its_earlier_name(rules: RuleSet, tmp_path: Path) -> None:
    agreement = Agreement((Epoch("k1", 0), Epoch("k2", NOW - 1000, overlap=3_600_000)))
    outputs = matches(rules, Epochs(agreement, KEYS), tmp_path, record())
    hits = [decode_hit(output.value) for output in outputs]
    before = {output.key for output in matches(rules, Pseudonyms(KEYS["k1"], "k1"), tmp_path, record())}
    after = {output.key for output in matches(rules, Pseudonyms(KEYS["k2"], "k2"), tmp_path, record())}
    assert {o.key for o, hit in zip(outputs, hits, strict=True) if not hit.quiet} == before, "which reports"
    assert {o.key for o, hit in zip(outputs, hits, strict=True) if hit.quiet} == after, "which learns in silence"


REMEMBERED = """\
title: Any read
id: synthetic-read
name: read
logsource: {category: ehr}
detection: {selection: {event.action: '*'}, condition: selection}
---
title: New
correlation:
    type: new_term
    rules: [read]
    group-by: [user.id]
    field: [source.ip, %s]
    timespan: 30d
    learning: 0s
---
title: Silent
correlation: {type: absence, rules: [read], group-by: [user.id], timespan: 10s}
"""


def remembered(tmp_path: Path, field: str = "wardwatch.patient") -> RuleSet:
    path = tmp_path / "remembered.yml"
    path.write_text(REMEMBERED % field)
    rules = load([path])
    assert rules.problems == ()
    return rules


def test_a_new_term_shows_what_its_event_shows_and_no_more(tmp_path: Path) -> None:
    """The address, the patient's pseudonym, and a token of what the event does not release."""
    pseudonyms = Pseudonyms(KEYS["k1"], "k1")
    patient = pseudonyms.patient("Patient/synthetic-987654")
    for field, shown in (("wardwatch.patient", patient), ("entity.what.reference", patient), ("id", None)):
        outputs = matches(remembered(tmp_path, field), pseudonyms, tmp_path, record())
        hits = [hit for hit in map(decode_hit, (output.value for output in outputs)) if len(hit.shown) == 3]
        assert {hit.shown[1] for hit in hits} == {"192.0.2.7"}
        values = {hit.shown[2] for hit in hits}
        assert shown in values if shown else all(str(value).startswith("k1.") for value in values)
        assert len({hit.value for hit in hits}) == len(hits), "a fingerprint each"
        assert not any(b"987654" in output.value for output in outputs)


def test_while_keys_overlap_an_absence_is_told_under_its_later_name(tmp_path: Path) -> None:
    """Under the earlier one a group falls silent as the key goes, and nobody is absent."""
    rules = remembered(tmp_path)
    agreement = Agreement((Epoch("k1", 0), Epoch("k2", NOW - 1000, overlap=3_600_000)))
    hits = [decode_hit(output.value) for output in matches(rules, Epochs(agreement, KEYS), tmp_path, record())]
    before = {
        decode_hit(output.value).group for output in matches(rules, Pseudonyms(KEYS["k1"], "k1"), tmp_path, record())
    }
    kinds = {plan.key: plan.rule.title for plan in rules.correlations.plans}
    told = {(kinds[hit.plan], hit.group in before) for hit in hits if not hit.quiet}
    silent = {(kinds[hit.plan], hit.group in before) for hit in hits if hit.quiet}
    assert told == {("New", True), ("Silent", False)}
    assert silent == {("New", False), ("Silent", True)}


@pytest.mark.parametrize("learning", [True, False], ids=["with models", "rules alone"])
def test_a_silence_counts_as_far_as_the_file_goes(learning: bool, tmp_path: Path) -> None:
    """Also where the last lines are passed over, because no rule finds anything in them."""
    rules = remembered(tmp_path)
    last = [record(), record(10_000), device(10_001)]
    found = run(tmp_path, last, rules, learning=learning)
    assert [line["line"] for line in found if line["rule.name"] == "Silent"] == []
    last[-1] = device(20_000)
    found = run(tmp_path, last, rules, learning=learning)
    (silent,) = [line for line in found if line["rule.name"] == "Silent"]
    assert (silent["line"], silent["time"]) == (3, NOW + 20_000)


def device(later: int) -> bytes:
    said = {"device": "d", "type": "pump", "event": "lifecycle", "action": "on", "address": "192.0.2.1"}
    return json.dumps(device_event(id="d", time=NOW + later, **said)).encode()


def run(
    folder: Path, records: list[bytes], rules: RuleSet, source: str = "auto", *, learning: bool = True
) -> list[dict[str, object]]:
    path = folder / "events.jsonl"
    path.write_bytes(b"\n".join(records))
    out, errors = io.StringIO(), io.StringIO()
    code = detect(
        [str(path)],
        source=source,
        rules=rules,
        reader=Reader(rules, Pseudonyms(KEYS["k1"], "k1")),
        detectors=registered() if learning else (),
        now=NOW + 10_000,
        out=out,
        errors=errors,
    )
    assert (code, errors.getvalue()) == (0, "")
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_detect_tries_correlations_on_files(rules: RuleSet, tmp_path: Path) -> None:
    found = run(tmp_path, [record(number) for number in range(3)], rules)
    titles = [(line["line"], line["rule.name"]) for line in found if line["detector"] == "sigma"]
    assert titles == [
        (1, "One patient's record by its own name for it"),
        (3, "By what a vendor calls the patient"),
        (3, "By what a vendor calls the patient"),
    ], "of the patient and of the data, and not the rule that they refer to"


def test_detect_raw_goes_by_the_time_that_a_record_says(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(
        "title: Seen\nname: seen\nlogsource: {category: x}\ndetection: {s: {act: go}, condition: s}\n---\n"
        "title: Few\ncorrelation: {type: event_count, rules: [seen], timespan: 10s, condition: {lt: 2}}\n"
    )
    records = [b'{"act":"go","@timestamp":%d}' % (NOW // 1000 + seconds) for seconds in (0, 5, 100)]
    records.append(b'{"act":"go","time":"no time"}')
    found = run(tmp_path, records, load([path]), "raw")
    assert [line["rule.name"] for line in found] == ["Few", "Few"]
    assert found[-1]["line"] == 4, "what waits for time to pass comes with the last record"
    device = json.dumps(
        device_event(id="d", time=NOW, device="d", type="p", event="x", action="y", address="192.0.2.1")
    )
    assert run(tmp_path, [device.encode()], load([path]), "raw") == []
