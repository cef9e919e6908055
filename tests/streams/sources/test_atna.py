"""Audit messages of DICOM PS3.15 and RFC 3881 become drafts: what happened, who acted from where, about whom."""

from __future__ import annotations

from base64 import b64encode
from zoneinfo import ZoneInfo

import pytest
from atna_records import coded, message, participant, patient, query, record, rfc3881, syslog

from detectors.rules import starter_rules
from streams.privacy import Pseudonyms
from streams.reading import parse
from streams.sources.atna import ATNA, Atna
from streams.sources.base import BadRecord, Draft
from streams.sources.catalog import recognise

CX = "syn-0001^^^&1.2.3&ISO"


def read(text: str) -> Draft:
    return ATNA.normalise(record(text))


@pytest.mark.parametrize(
    ("event", "kind", "action", "word", "category", "type_"),
    [
        ("110100", "110120", "E", "application-start", "process", "start"),
        ("110100", "110121", "E", "application-stop", "process", "end"),
        ("110101", "", "R", "audit-log-used", "database", "access"),
        ("110102", "", "E", "dicom-transfer-begin", "network", "start"),
        ("110103", "", "R", "dicom-access", "database", "access"),
        ("110105", "", "D", "dicom-study-delete", "file", "deletion"),
        ("110106", "", "R", "export", "database", "access"),
        ("110106", "disclose", "R", "disclose", "database", "access"),
        ("110107", "", "C", "import", "database", "change"),
        ("110109", "", "U", "order-record", "database", "change"),
        ("110110", "", "R", "patient-record", "database", "access"),
        ("110110", "", "C", "patient-record", "database", "change"),
        ("110110", "", "D", "patient-record", "database", "change"),
        ("110112", "ITI-18", "E", "query", "database", "access"),
        ("110113", "110127", "E", "emergency-override-start", "iam", "admin"),
        ("110113", "110133", "E", "audit-stop", "configuration", "change"),
        ("110113", "110137", "E", "user-security-change", "iam", "user"),
        ("110114", "110122", "E", "login", "authentication", "start"),
        ("110114", "110123", "E", "logout", "authentication", "end"),
        ("of-a-vendor", "", "U", "of-a-vendor", "api", "change"),
    ],
)
@pytest.mark.parametrize("older", [False, True], ids=["DICOM", "RFC 3881"])
def test_what_happened(event: str, kind: str, action: str, word: str, category: str, type_: str, older: bool) -> None:
    text = message(event, kind, action=action)
    fields = read(rfc3881(text) if older else text).fields
    found = (fields["event.action"], fields["event.category"][0], fields["event.type"][0])
    assert found == (word, category, type_)


@pytest.mark.parametrize(
    ("indicator", "outcome"),
    [("0", "success"), ("4", "failure"), ("8", "failure"), ("12", "failure"), ("", "unknown")],
)
def test_outcome(indicator: str, outcome: str) -> None:
    assert read(message(outcome=indicator)).fields["event.outcome"] == outcome


# -- who ---------------------------------------------------------------------------------------------------------------

_NETWORK = 'NetworkAccessPointID="192.0.2.7" NetworkAccessPointTypeCode="2"'
_SOURCE = participant("app|facility", "110153", more=_NETWORK)
_DESTINATION = participant("registry", "110152", requestor="false", more='NetworkAccessPointID="registry.example"')


@pytest.mark.parametrize(
    ("people", "actor", "address"),
    [
        # An IHE query: application, its user, and who was asked.
        (_SOURCE + participant("nurse") + _DESTINATION, "user:nurse", "address:192.0.2.7"),
        (_SOURCE + _DESTINATION, "user:app|facility", "address:192.0.2.7"),
        # The side that was asked reports it, and knows no user.
        (_SOURCE.replace("true", "false") + _DESTINATION, "user:app|facility", "address:192.0.2.7"),
        (participant("nurse", requestor="1", more=_NETWORK), "user:nurse", "address:192.0.2.7"),
        # RFC 3881: who is not said to have been asked for it, asked.
        (_DESTINATION + participant("nurse", "HCP", requestor=""), "user:nurse", ""),
        (participant("nurse", requestor="false") + _SOURCE, "user:app|facility", "address:192.0.2.7"),
        (participant("app", requestor="true", more='UserTypeCode="2"') + participant("nurse"), "user:nurse", ""),
        (participant("", more='AlternativeUserID="n7"'), "user:n7", ""),
        (participant("nurse", more='NetworkAccessPointID="/192.0.2.9:5104"'), "user:nurse", "address:192.0.2.9"),
        (participant("nurse", more='NetworkAccessPointID="Desk7.Example"'), "user:nurse", "address:desk7.example"),
        (participant("nurse", more='NetworkAccessPointID="555-0100" NetworkAccessPointTypeCode="3"'), "user:nurse", ""),
        (participant(""), "user:unnamed of synthetic-pacs", ""),
        (participant("mrn-000123", "PAT", more=_NETWORK), "patient:mrn-000123", "address:192.0.2.7"),
    ],
)
def test_who_acted_and_from_where(people: str, actor: str, address: str) -> None:
    draft = read(message("110112", people=people, action="E"))
    assert (draft.actor, draft.address) == (actor, address)


def test_roles_and_purposes() -> None:
    people = participant("nurse", "HCP", more='UserName="A nurse"')
    purpose = coded("PurposeOfUse", "ETREAT", "2.16.840.1.113883.1.11.20448")
    fields = read(message(people=people, event_inner=purpose)).fields
    assert (fields["user.name"], fields["user.roles"]) == ("A nurse", ["HCP"])
    assert fields["wardwatch.purpose"] == ["ETREAT"]


def test_an_application_that_stops_its_audit_is_the_device() -> None:
    assert read(message("110113", "110133")).device == "device:synthetic-pacs"


# -- about whom --------------------------------------------------------------------------------------------------------


def test_everything_of_a_patient_is_listed() -> None:
    detail = f'<ParticipantObjectDetail type="alias" value="{b64encode(b"Ada the Third").decode()}"/>'
    draft = read(message(objects=patient(name="Synthetic^Ada^B", inner=detail)))
    assert draft.patients == [CX]
    assert draft.identifiers == {
        *(CX, "syn-0001", "Synthetic^Ada^B", "Synthetic", "Ada", "Ada Synthetic", "Synthetic Ada", "Synthetic, Ada"),
        *("Synthetic^Ada", "Ada B Synthetic", "Synthetic, Ada B"),
        *("Ada the Third", b64encode(b"Ada the Third").decode()),
    }


@pytest.mark.parametrize(
    ("objects", "patients", "listed", "resource"),
    [
        (patient("Patient/s-1"), ["Patient/s-1"], {"s-1"}, ["Patient"]),
        (patient("7^^^HOSP") + patient("8^^^HOSP"), ["7^^^HOSP", "8^^^HOSP"], {"7", "8"}, ["Patient"]),
        (patient("11-A^^^&amp;1.2&amp;ISO~22-B^^^X"), ["11-A^^^&1.2&ISO~22-B^^^X"], {"11-A", "22-B"}, ["Patient"]),
        (patient(name="Guarantor^G", role="10"), [], {"syn-0001", "G Guarantor"}, ["Patient"]),
    ],
)
def test_patients(objects: str, patients: list[str], listed: set[str], resource: list[str]) -> None:
    draft = read(message(objects=objects))
    assert draft.patients == patients
    assert draft.identifiers >= listed
    assert draft.fields["wardwatch.resource"] == resource


def test_a_study_gives_away_its_patient_by_its_numbers() -> None:
    study = (
        '<ParticipantObjectIdentification ParticipantObjectID="1.2.840.99.1" ParticipantObjectTypeCode="2" '
        f'ParticipantObjectTypeCodeRole="3">{coded("ParticipantObjectIDTypeCode", "110180")}'
        '<ParticipantObjectDescription><Accession Number="ACC-2026-1"/></ParticipantObjectDescription>'
        "</ParticipantObjectIdentification>"
    )
    draft = read(message("110103", objects=study + patient()))
    assert draft.patients == [CX]
    assert draft.identifiers >= {"1.2.840.99.1", "ACC-2026-1"}
    assert draft.fields["wardwatch.resource"] == ["ImagingStudy"]


@pytest.mark.parametrize(
    ("asked", "patients", "listed"),
    [
        (
            '<AdhocQuery id="urn:uuid:14d4debf"><Slot name="$XDSDocumentEntryPatientId"><ValueList><Value>'
            "'syn-0001^^^&amp;1.2.3&amp;ISO'</Value></ValueList></Slot></AdhocQuery>",
            [CX],
            {"syn-0001"},
        ),
        (
            '<q:queryByParameter xmlns:q="urn:hl7-org:v3"><q:livingSubjectName><q:value><q:given>Ada</q:given>'
            "<q:family>Syntheticus</q:family></q:value></q:livingSubjectName><q:livingSubjectId>"
            '<q:value root="1.2.3" extension="syn-0001"/></q:livingSubjectId>'
            '<q:livingSubjectBirthTime><q:value value="19700102"/></q:livingSubjectBirthTime></q:queryByParameter>',
            [],
            {"Ada", "Syntheticus", "syn-0001", "19700102"},
        ),
        (
            "MSH|^~\\&|A|B|C|D|20260105||QBP^Q23|1|P|2.5\rQPD|IHE PIX Query|tag|syn-0001^^^&1.2.3&ISO^PI|\rRCP|I|",
            [CX],
            {"syn-0001"},
        ),
        ("GET /Patient?identifier=urn:oid:1.2.3|syn-0001&family=Syntheticus", [], {"syn-0001", "Syntheticus"}),
    ],
    ids=["ITI-18", "ITI-55", "ITI-9", "URL"],
)
def test_whom_a_query_is_about(asked: str, patients: list[str], listed: set[str]) -> None:
    draft = read(message("110112", "ITI-18", action="E", objects=query(asked)))
    assert draft.patients == patients
    assert draft.identifiers >= {*listed, b64encode(asked.encode()).decode()}
    assert read(message("110112", action="E", objects=query(asked) + patient("other^^^X"))).patients == ["other^^^X"]


def test_a_query_in_wrapped_base64_is_read() -> None:
    coded_query = b64encode(b"GET /Observation?patient=synthetic-0001").decode()
    wrapped = f"{coded_query[:20]}\n  {coded_query[20:]}\n"
    draft = read(message("110112", objects=query("x").replace(b64encode(b"x").decode(), wrapped)))
    assert "synthetic-0001" in draft.identifiers


def test_one_patient_has_one_pseudonym_whatever_names_the_number() -> None:
    """DICOM, RFC 3881 and HL7 v2 write CX, FHIR an identifier: all of the same system and value."""
    pseudonym = Pseudonyms(bytes(range(32)), "k1").patient
    fhir = pseudonym("urn:oid:1.2.3|syn-0001")
    assert {pseudonym(raw) for raw in read(message(objects=patient())).patients} == {fhir}
    assert {pseudonym(raw) for raw in read(rfc3881(message(objects=patient()))).patients} == {fhir}
    assert pseudonym("syn-0001^^^HOSP&1.2.3&ISO^MR") == fhir
    assert pseudonym("syn-0001^^^HOSP") == pseudonym("HOSP|syn-0001") != fhir
    assert pseudonym("syn-0001^^^&1.2.4&ISO") != fhir


# -- when, and how it came ---------------------------------------------------------------------------------------------


def test_in_syslog_as_by_itself() -> None:
    framed = dict(parse(syslog(message(objects=patient()))))
    assert recognise(framed, "audit.ehr") is ATNA
    assert ATNA.normalise(framed) == read(message(objects=patient()))


@pytest.mark.parametrize("name", ["message", "msg", "log"])
def test_in_the_json_of_a_shipper_as_by_itself(name: str) -> None:
    for text in (message(objects=patient()), syslog(message(objects=patient())).decode()):
        shipped = {"@timestamp": "2026-01-05T08:00:01Z", "host": {"name": "relay"}, name: text}
        assert recognise(shipped, "audit.ehr") is ATNA
        draft = ATNA.normalise(shipped)
        assert draft.shown is not None
        assert draft.shown["AuditMessage"] == record(text)["AuditMessage"]
        draft.shown = None
        assert draft == read(text)
    assert not ATNA.recognises({name: "an AuditMessage of some kind"})
    with pytest.raises(BadRecord, match="document type declaration"):
        ATNA.normalise({name: "<!DOCTYPE a><AuditMessage/>"})


@pytest.mark.parametrize(
    ("stamp", "zone", "time"),
    [
        ("2026-01-05T08:00:00Z", None, 1_767_600_000_000),
        ("2026-01-05T09:00:00.5+01:00", "America/New_York", 1_767_600_000_500),
        ("2026-07-05T09:00:00", "Europe/Berlin", 1_783_234_800_000),
        ("2026-01-05T09:00:00", "Europe/Berlin", 1_767_600_000_000),
        # The hour that autumn has twice is taken for the first.
        ("2026-10-25T02:30:00", "Europe/Berlin", 1_792_888_200_000),
    ],
)
def test_when(stamp: str, zone: str | None, time: int) -> None:
    source = Atna()
    source.zone = ZoneInfo(zone) if zone else None
    assert source.normalise(record(message(time=stamp))).time == time


def test_a_time_without_offset_is_in_the_one_of_the_syslog_header() -> None:
    framed = dict(parse(syslog(message(time="2026-01-05T09:00:00"), "2026-01-05T09:00:01+01:00")))
    assert ATNA.normalise(framed).time == 1_767_600_000_000
    with pytest.raises(BadRecord, match=r"EventDateTime has no offset from UTC: .*WARDWATCH_EHR_ZONE"):
        read(message(time="2026-01-05T09:00:00"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (message(outcome="3"), "EventOutcomeIndicator: not one of"),
        (message(action="X"), "EventActionCode: not one of"),
        (message(time="yesterday"), "EventDateTime is no RFC 3339"),
        (message().replace(' EventDateTime="2026-01-05T08:00:00.000Z"', ""), "EventDateTime is missing"),
        (message(people=""), "ActiveParticipant: missing"),
        (message().replace(coded("EventID", "110110"), ""), "EventID: has no code"),
        (
            message().replace("AuditSourceID", "Other").replace("AuditEnterpriseSiteID", "More"),
            "AuditSourceID: missing",
        ),
        ("<AuditMessage>text</AuditMessage>", "AuditMessage: missing"),
        ("<AuditMessage><ActiveParticipant/></AuditMessage>", "EventIdentification: missing"),
    ],
)
def test_a_malformed_message_is_refused_with_its_element(text: str, reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        read(text)


def test_rules_see_the_vendors_elements() -> None:
    found = starter_rules().match(record(message("110106")), {"event.outcome": "success"}, ATNA.logsource)
    assert "Patient data disclosed or exported" in [match.rule.title for match in found]
