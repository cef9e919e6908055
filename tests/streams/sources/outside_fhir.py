"""What public R4 AuditEvents must become, by their id; worked out from each record and IHE BALP 1.1 by hand.

Patients and the rest are the example names of the public files. ``address`` is where the act came from.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

__all__ = ["EXPECTED", "Expected"]

_MACHINE: Final = "2001:db8:85a3::8a2e:370:7334"
_PATIENT: Final = "Patient/ex-patient"


class Expected(NamedTuple):
    """One record's draft, in the words of an analyst."""

    actor: str
    action: str
    type: str
    category: str = "api"
    outcome: str = "success"
    address: str = ""
    patients: tuple[str, ...] = (_PATIENT,)
    resource: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()
    device: str = ""
    others: dict[str, Any] = {}  # noqa: RUF012  # read, never written


def _rest(actor: str, action: str, type_: str, resource: str, **over: Any) -> Expected:
    return Expected(actor, action, type_, **({"address": f"address:{_MACHINE}", "resource": (resource,)} | over))


EXPECTED: Final = {
    # HL7's own examples. A disclosure for marketing: who disclosed, from where, whose record.
    "example-disclosure": Expected(
        "user:SomeIdiot@nowhere",
        "disclose",
        "access",
        "database",
        address="address:custodian.net",
        patients=("Patient/example",),
        resource=("Patient",),
        purpose=("HMARKT",),
        others={"user.name": "That guy everyone wishes would be caught"},
    ),
    "example-login": Expected("user:95", "login", "start", "authentication", address="address:127.0.0.1", patients=()),
    "example-media": Expected(
        "user:95",
        "export",
        "access",
        "database",
        patients=("e3cdfc81a0d24bd^^^&2.16.840.1.113883.4.2&ISO",),
        resource=("DocumentManifest",),
    ),
    "example-rest": Expected("user:95", "vread", "access", patients=("Patient/example",), resource=("Patient",)),
    "example": Expected(
        "user:Grahame",
        "application-start",
        "start",
        "process",
        address="address:127.0.0.1",
        patients=(),
        device="device:Grahame's Laptop",
    ),
    # IHE BALP: a consent that denies.
    "ex-auditAuthZconsent-deny": Expected(
        "user:Practitioner/ex-practitioner",
        "consent-decision",
        "denied",
        outcome="failure",
        resource=("Consent",),
        purpose=("PATRQT",),
        others={"organization.id": "Organization/ex-organization", "observer.name": "Device/ex-authz"},
    ),
    "ex-auditBasicCreate1": _rest("user:Betty Jones", "create", "creation", "List"),
    "ex-auditBasicCreateClient": _rest("user:John Smith", "create", "creation", "List"),
    # Nobody is named: the client acted, which is the source of what is created or updated, and of a deletion.
    "ex-auditBasicCreateNoUser": _rest("user:myMachine.example.org", "create", "creation", "List"),
    "ex-auditBasicCreateNoUserReport": _rest("user:myMachine.example.org", "create", "creation", "DocumentReference"),
    "ex-auditBasicDelete2": _rest("user:Charley Miller", "delete", "deletion", "List"),
    "ex-auditBasicDeleteInformant": _rest("user:Betty Jones", "delete", "deletion", "List"),
    "ex-auditBasicDeleteNoUser": _rest("user:myMachine.example.org", "delete", "deletion", "List"),
    "ex-auditBasicDeleteNoUserReport": _rest("user:myMachine.example.org", "delete", "deletion", "DocumentReference"),
    "ex-auditBasicPatch": _rest("user:John Smith", "patch", "change", "List"),
    "ex-auditBasicQueryGetNoPatient": _rest(
        "user:John Smith",
        "search",
        "access",
        "MeasureReport",
        patients=(),
        others={"http.request.id": "4a8dca3c-2205-4dc7-90e1-db877781d7cc"},
    ),
    "ex-auditBasicQueryPost": _rest("user:John Smith", "search", "access", "Observation"),
    # BALP turns the roles round for a read: the client is the destination.
    "ex-auditBasicReadNoPatient": _rest("user:John Smith", "read", "access", "MeasureReport", patients=()),
    "ex-auditBasicReadOClient": _rest(
        "user:JohnSmith",
        "read",
        "access",
        "List",
        others={"http.request.id": "76d148b6-586d-11ec-bf63-0242ac130002"},
    ),
    # The user is an opaque token: what is known is the client that brought it.
    "ex-auditBasicReadOServerMin": _rest("user:myMachine.example.org", "read", "access", "List"),
    "ex-auditBasicUpdate1": _rest("user:Betty Jones", "update", "change", "List"),
    "ex-auditBasicUpdateNoPatient": _rest(
        "user:myMachine.example.org", "update", "change", "DocumentReference", patients=()
    ),
    "ex-auditBasicUpdateNoUserJob": _rest("user:myMachine.example.org", "update", "change", "DocumentReference"),
    # Users known by SAML: identity provider and subject together.
    "ex-auditPoke-SAML-Comp": Expected(
        "user:https://sts.sykehuspartner.no|05086900124",
        "application-activity",
        "info",
        "process",
        patients=(),
        resource=("Consent",),
        purpose=("PATRQT",),
        others={
            "organization.name": "St. Mary of Examples",
            "organization.id": "1234567@myOrganizationRegistry.example.org",
        },
    ),
    "ex-auditPoke-SAML-Min2": Expected(
        "user:https://carequality.org|JoeL",
        "application-activity",
        "info",
        "process",
        patients=(),
        purpose=("TREAT", "ETREAT", "HPAYMT", "HOPERAT"),
    ),
    "ex-auditPoke-SAML-QDI-Min": Expected(
        "user:ldap:///CN%3DSAML%20User%2COU%3DHarris%2CO%3DHITS%2CL%3DMelbourne%2CST%3DFL%2CC%3DUS|UID=kskagerb",
        "application-activity",
        "info",
        "process",
        patients=(),
        purpose=("PUBLICHEALTH",),
    ),
    # Disclosures that the patient asked for: the patient acts, and the address is of the side that gave.
    "ex-auditPrivacyDisclosure-recipient-minCodes": Expected(
        "patient:Patient/ex-patient",
        "disclose",
        "access",
        "database",
        address=f"address:{_MACHINE}",
        resource=("DocumentReference",),
        purpose=("PATRQT",),
    ),
    "ex-auditPrivacyDisclosure-source": Expected(
        "patient:Patient/ex-patient",
        "disclose",
        "access",
        "database",
        address="address:mydevice.example.com",
        resource=("DocumentReference",),
        purpose=("PATRQT",),
    ),
}
