"""Attacks that are told by what follows on what: single steps of them happen every day."""

from __future__ import annotations

from collections.abc import Iterator

from streams.demo.hospital import Emission, Hospital
from streams.demo.story import DCM, cloud, device, ehr

__all__ = ["exported_store", "guessed_password", "silenced_ward", "sold_record"]

_DISCLOSURE = ("http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "disclose", "Disclose")


def sold_record(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """Somebody breaks the glass of one patient and exports that record a little later."""
    name, staff, patient = "sold record", hospital.staff[-4], hospital.patients[-20]
    override = (DCM, "110127", "Emergency Override Started")
    yield ehr(hospital, name, begin, staff, patient, type_code="110113", subtype=override, purpose="ETREAT")
    yield ehr(hospital, name, begin + 3000, staff, patient)
    yield ehr(hospital, name, begin + 9000, staff, patient, type_code="110106", subtype=_DISCLOSURE)


def guessed_password(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """A password is guessed at the fifth attempt, and the record of a patient exported with it."""
    name, staff, patient = "guessed password", hospital.staff[-6], hospital.patients[-30]
    login = (DCM, "110122", "Login")
    for number in range(5):
        yield ehr(
            hospital,
            name,
            begin + number * 1000,
            staff,
            patient,
            type_code="110114",
            subtype=login,
            outcome="0" if number == 4 else "8",
            address="10.99.0.67",
        )
    yield ehr(
        hospital, name, begin + 9000, staff, patient, type_code="110106", subtype=_DISCLOSURE, address="10.99.0.67"
    )


def silenced_ward(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """The alarms of four monitors are switched off from one place."""
    monitors = [(name, type_) for name, type_ in hospital.devices if type_ == "patient-monitor"]
    for number, (monitor, type_) in enumerate(monitors[-4:]):
        yield device(
            hospital,
            "silenced ward",
            begin + number * 3000,
            monitor,
            type_,
            event="configuration",
            action="alarm_disabled",
            address="10.99.0.68",
        )


def exported_store(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """An administrator's stolen password signs in without a second factor, makes a key and exports the FHIR store."""
    name, user = "exported store", hospital.admins[-1]
    yield cloud(
        hospital,
        name,
        begin,
        user,
        "ConsoleLogin",
        "signin",
        extra={"responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "No"}},
    )
    yield cloud(
        hospital,
        name,
        begin + 5000,
        user,
        "CreateAccessKey",
        "iam",
        request={"userName": user},
        extra={"responseElements": {"accessKey": {"accessKeyId": "AKIASYNTHETIC0000002", "userName": user}}},
    )
    yield cloud(hospital, name, begin + 9000, user, "StartFHIRExportJob", "healthlake", request={"datastoreId": "main"})
