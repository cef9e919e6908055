"""What public AuditEvents of STU3 and DSTU2, and R5-like workflow events, must become; worked out from them by hand.

STU3 and DSTU2: by release and id. HL7 wrote the same five acts for each release, so what R4's table says of them holds
here too, but for the parts that one of them leaves out or spells in its own way.
"""

from __future__ import annotations

from typing import Final

from outside_fhir import Expected

__all__ = ["EXPECTED", "WORKFLOW"]

_BOTH: Final = {
    # A disclosure for marketing: who disclosed (its own address is the giver's), whose record, and for what.
    "example-disclosure": Expected(
        "user:SomeIdiot@nowhere.com",
        "disclose",
        "access",
        "database",
        address="address:custodian.net",
        patients=("Patient/example",),
        resource=("Patient",),
        purpose=("HMARKT",),
        others={
            "user.name": "That guy everyone wishes would be caught",
            "observer.name": "Watchers Accounting of Disclosures Application",
        },
    ),
    "example-login": Expected(
        "user:95",
        "login",
        "start",
        "authentication",
        address="address:127.0.0.1",
        patients=(),
        others={"user.name": "Grahame Grieve", "observer.name": "hl7connect.healthintersections.com.au"},
    ),
    # ITI-32, data onto a DVD: the user requested it, the application was the network's source.
    "example-media": Expected(
        "user:95",
        "export",
        "access",
        "database",
        patients=("e3cdfc81a0d24bd^^^&2.16.840.1.113883.4.2&ISO",),
        resource=("DocumentManifest",),
        others={"user.name": "Grahame Grieve"},
    ),
    "example-rest": Expected(
        "user:95",
        "vread",
        "access",
        patients=("Patient/example",),
        resource=("Patient",),
        others={"user.name": "Grahame Grieve"},
    ),
    # Nobody requested; the one that is no machine of the network is the service user who logged on.
    "example": Expected(
        "user:Grahame",
        "application-start",
        "start",
        "process",
        address="address:127.0.0.1",
        patients=(),
        device="device:Grahame's Laptop",
    ),
}
EXPECTED: Final = {(release, name): expected for release in ("STU3", "DSTU2") for name, expected in _BOTH.items()}

#: The workflow file: each record is one step of a mammography, by one practitioner, in one encounter of one care plan.
#: It names no patient, says neither action nor outcome, and what happened by one code, of RadLex or of IHE.
WORKFLOW: Final = {
    "RID45814": "Appointment Time Scheduled",
    "RID45825": "Patient Arrived",
    "RID45845": "CodeCorrection",
    "RID45846": "Coded",
    "RID45853": "CorrelationReview",
    "RID45859": "Report Dictated",
    "RID45897": "Patient In",
    "RID45942": "Talk to patient",
    "SOLE113": "Study Transferred",
}
