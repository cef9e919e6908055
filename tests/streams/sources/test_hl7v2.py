"""HL7 v2 messages become drafts as far as an access can be read from them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hl7v2_records import ADMIT, ANSWER, DEMOGRAPHICS, MERGE, OLD_QUERY, record

from streams.privacy import Pseudonyms
from streams.sources.base import BadRecord, Draft
from streams.sources.hl7v2 import HL7V2, Hl7v2
from streams.vocabulary import WORDS


def read(segments: tuple[str, ...], *changes: tuple[str, str]) -> Draft:
    text = "\r".join(segments)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return HL7V2.normalise(record(tuple(text.split("\r"))))


def test_an_admission() -> None:
    draft = read(ADMIT)
    # EVN-2 has no offset of its own: MSH-7's is the message's.
    assert draft.time == 1_767_599_940_000
    assert (draft.actor, draft.patients) == ("user:urn:oid:1.2.9|op-7", ["syn-0001^^^HOSP&1.2.3&ISO"])
    assert draft.fields == {
        "event.kind": "event",
        "event.action": "admit",
        "event.category": ["api"],
        "event.type": ["change"],
        "event.outcome": "success",
        "event.provider": "hl7v2",
        "event.code": "A01",
        "observer.name": "SYNTH-ADT@SYNTH-HOSP",
        "user.id": "urn:oid:1.2.9|op-7",
        "user.name": "Nora Synthetic",
        "wardwatch.patient": ["syn-0001^^^HOSP&1.2.3&ISO"],
        "wardwatch.resource": ["Patient"],
    }


def test_everything_that_tells_who_the_patient_is_is_listed() -> None:
    identifiers = read(ADMIT).identifiers
    assert identifiers >= {
        *("syn-0001", "syn-0001^^^HOSP&1.2.3&ISO", "555-00-1111", "acc-77881"),
        *("Syntheticus", "Ada", "Ada Syntheticus", "Syntheticus, Ada", "Ada B Syntheticus", "Syntheticus^Ada"),
        *("19700102", "1970-01-02", "1 Synthetic Street", "Nowhere", "00001"),
        *("+1 555 0100", "ada@synthetic.example"),
        *("pre-4711", "visit-90210", "202601050855"),
        *("Bert Syntheticus", "2 Synthetic Street", "555-0101"),
        *("gt-5511", "Synthetic Guarantor", "3 Synthetic Street", "555-0102"),
        *("Carl Syntheticus", "19680304", "4 Synthetic Street", "group-8811", "policy-55512"),
        "own-number-31337",
    }
    # Codes, and whose a number is, tell no patient: as identifiers they would hide the sender.
    assert not identifiers & {"HOSP", "SYNTH-HOSP", "MR", "SS", "USA", "PRN", "F", "dr-9", "WARD-3", "INSURER-1", "SPO"}


def test_a_merge_is_about_both() -> None:
    draft = read(MERGE)
    assert draft.patients == ["syn-0001^^^HOSP&1.2.3&ISO", "syn-0002^^^HOSP&1.2.3&ISO"]
    assert (draft.actor, draft.fields["event.action"]) == ("user:SYNTH-ADT@SYNTH-HOSP", "merge")
    assert draft.identifiers >= {"syn-0002", "Adah Syntheticus"}


@pytest.mark.parametrize(
    ("segments", "patients", "outcome", "listed"),
    [
        (OLD_QUERY, ["syn-0001^^^&1.2.3&ISO"], "unknown", {"syn-0001", "Ada Syntheticus"}),
        (DEMOGRAPHICS, ["syn-0001"], "unknown", {"SYNTHETICUS", "19700102"}),
        (ANSWER, ["syn-0001^^^HOSP&1.2.3&ISO", "syn-0003^^^HOSP&1.2.3&ISO"], "success", {"Adele Syntheticus"}),
    ],
    ids=["QRY", "QBP", "RSP"],
)
def test_queries_and_their_answers(
    segments: tuple[str, ...], patients: list[str], outcome: str, listed: set[str]
) -> None:
    draft = read(segments)
    assert (draft.patients, draft.fields["event.outcome"]) == (patients, outcome)
    assert draft.identifiers >= listed
    assert draft.fields["event.type"] == ["access"]


def test_a_query_says_whose_number_it_asks_for() -> None:
    draft = read(DEMOGRAPHICS, ("@PID.3.1^syn-0001", "@PID.3.1^syn-0001~@PID.3.4.2^1.2.3"))
    pseudonym = Pseudonyms(bytes(range(32)), "k1").patient
    assert [pseudonym(raw) for raw in draft.patients] == [pseudonym("urn:oid:1.2.3|syn-0001")]
    assert [pseudonym(raw) for raw in read(ADMIT).patients] == [pseudonym("urn:oid:1.2.3|syn-0001")]
    assert read(DEMOGRAPHICS, ("@PID.5.1^SYNTHETICUS~@PID.3.1^syn-0001", "syn-9^^^HOSP^MR")).patients == [
        "syn-9^^^HOSP"
    ]


@pytest.mark.parametrize(
    ("trigger", "action", "type_"),
    [
        ("A01", "admit", "change"),
        ("A03", "discharge", "change"),
        ("A08", "update", "change"),
        ("A23", "delete", "deletion"),
        ("A28", "create", "creation"),
        ("A31", "update", "change"),
        ("A34", "merge", "change"),
        ("A47", "change-identifier", "change"),
        ("A99", "A99", "change"),
    ],
)
def test_trigger_events(trigger: str, action: str, type_: str) -> None:
    fields = read(ADMIT, ("ADT^A01^ADT_A01", f"ADT^{trigger}")).fields
    assert (fields["event.action"], fields["event.type"], fields["event.code"]) == (action, [type_], trigger)
    assert action in WORDS or action == trigger


@pytest.mark.parametrize(
    ("changes", "zone", "time"),
    [
        ([("20260105085900", "20260105075900.250+0000")], None, 1_767_599_940_250),
        ([("20260105085900", "202601050859")], None, 1_767_599_940_000),
        ([("20260105085900", "20260105")], None, 1_767_600_000_000),
        ([("|op-7^Synthetic^Nora^^^^^^&1.2.9&ISO", "|op-7|20260105083000")], None, 1_767_598_200_000),
        ([("090000+0100", "090000")], "Europe/Berlin", 1_767_599_940_000),
        ([("090000+0100", "090000"), ("20260105085900", "20260705085900")], "Europe/Berlin", 1_783_234_740_000),
    ],
)
def test_when(changes: list[tuple[str, str]], zone: str | None, time: int) -> None:
    source = Hl7v2()
    source.zone = ZoneInfo(zone) if zone else None
    text = "\r".join(ADMIT)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    assert source.normalise(record(tuple(text.split("\r")))).time == time


def test_a_message_sent_again_is_the_same_event_and_another_is_not() -> None:
    assert read(ADMIT).id == read(ADMIT).id
    ids = {read(ADMIT, change).id for change in (("c-0001", "c-0002"), ("090000+0100", "090001+0100"), ("|P|", "|T|"))}
    assert len(ids | {read(ADMIT).id}) == 3  # the processing id alone makes no other message
    assert read(ADMIT, ("c-0001", "")).id == ""
    assert read(ADMIT).id not in read(ADMIT).identifiers
    told = read(ADMIT, ("c-0001", "ADT-syn-0001"))
    assert told.id in told.identifiers


@pytest.mark.parametrize(
    ("segments", "changes", "reason"),
    [
        (ADMIT, [("ADT^A01^ADT_A01", "ORU^R01")], "MSH-9.1: not ADT, a query"),
        (ADMIT, [("ADT^A01^ADT_A01", "ADT"), ("EVN|A01", "EVN|")], "MSH-9.2: missing"),
        (ADMIT, [("090000+0100", "090000")], "EVN-2 has no offset from UTC: .*WARDWATCH_EHR_ZONE"),
        (ADMIT, [("20260105085900", "20261305085900")], "EVN-2 is no"),
        (ADMIT, [("20260105085900", "yesterday at nine")], "EVN-2 is no HL7 time"),
        (("MSH|^~\\&|A|B|||||QRY^A19|1",), [], "MSH-7: missing"),
        (ADMIT, [("|op-7", "|op-7~op-8|x\rMSH|^~\\&")], "segment 3 .* does not begin"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    segments: tuple[str, ...], changes: list[tuple[str, str]], reason: str
) -> None:
    with pytest.raises(BadRecord, match=reason):
        read(segments, *changes)
