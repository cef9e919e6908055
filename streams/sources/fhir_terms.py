"""What the codes of an AuditEvent mean in ECS, as tables made once.

Sources: FHIR R4 ``restful-interaction``, DICOM PS3.16 CID 400 (event types) and CID 401 (subtypes), IHE BALP 1.1, ECS
allowed values of ``event.category`` and ``event.type``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ACTIONS", "CLIENTS", "INTERACTIONS", "LETTERS", "OUTCOMES", "PATIENT_ROLES", "RECORDS", "Meaning"]


class Meaning(NamedTuple):
    """ECS's word for one kind of act: ``event.action``, ``event.category``, ``event.type``."""

    action: str
    category: list[str]
    type: list[str]


def _m(action: str, category: str, type_: str) -> Meaning:
    return Meaning(action, category.split(), type_.split())


#: FHIR's REST interactions, by code of the subtype.
INTERACTIONS: Final = {
    "read": _m("read", "api", "access"),
    "vread": _m("vread", "api", "access"),
    "update": _m("update", "api", "change"),
    "patch": _m("patch", "api", "change"),
    "delete": _m("delete", "api", "deletion"),
    "history": _m("history", "api", "access"),
    "history-instance": _m("history", "api", "access"),
    "history-type": _m("history", "api", "access"),
    "history-system": _m("history", "api", "access"),
    "create": _m("create", "api", "creation"),
    "search": _m("search", "api", "access"),
    "search-type": _m("search", "api", "access"),
    "search-system": _m("search", "api", "access"),
    "capabilities": _m("capabilities", "api", "access"),
    "transaction": _m("transaction", "api", "change"),
    "batch": _m("batch", "api", "change"),
    "operation": _m("operation", "api", "access"),
}

#: Everything else, by code of the subtype, else by code of the type. A subtype says more than a type.
ACTIONS: Final = {
    "110120": _m("application-start", "process", "start"),
    "110121": _m("application-stop", "process", "end"),
    "110122": _m("login", "authentication session", "start"),
    "110123": _m("logout", "authentication session", "end"),
    "110124": _m("attach", "network", "connection start"),
    "110125": _m("detach", "network", "connection end"),
    "110126": _m("node-authentication", "authentication", "start"),
    "110127": _m("emergency-override-start", "iam", "admin change"),
    "110128": _m("network-configuration", "configuration", "change"),
    "110129": _m("security-configuration", "configuration", "change"),
    "110130": _m("hardware-configuration", "configuration", "change"),
    "110131": _m("software-configuration", "configuration", "change"),
    "110132": _m("restricted-function", "iam", "admin"),
    "110133": _m("audit-stop", "configuration", "change"),
    "110134": _m("audit-start", "configuration", "change"),
    "110135": _m("object-security-change", "iam", "admin change"),
    "110136": _m("role-change", "iam", "admin change"),
    "110137": _m("user-security-change", "iam", "user change"),
    "110138": _m("emergency-override-stop", "iam", "admin change"),
    "110139": _m("remote-service-start", "session", "start"),
    "110140": _m("remote-service-stop", "session", "end"),
    "110141": _m("local-service-start", "session", "start"),
    "110142": _m("local-service-stop", "session", "end"),
    "AuthZ-Consent": _m("consent-decision", "api", "access"),
    "disclose": _m("disclose", "database", "access"),
    "Disclosure": _m("disclose", "database", "access"),
    "110100": _m("application-activity", "process", "info"),
    "110101": _m("audit-log-used", "database", "access"),
    "110102": _m("dicom-transfer-begin", "network", "start"),
    "110103": _m("dicom-access", "database", "access"),
    "110104": _m("dicom-transfer", "network", "info"),
    "110105": _m("dicom-study-delete", "file", "deletion"),
    "110106": _m("export", "database", "access"),
    "110107": _m("import", "database", "change"),
    "110108": _m("network-entry", "network", "connection"),
    "110109": _m("order-record", "database", "access"),
    "110110": _m("patient-record", "database", "access"),
    "110111": _m("procedure-record", "database", "access"),
    "110112": _m("query", "database", "access"),
    "110113": _m("security-alert", "configuration", "info"),
    "110114": _m("user-authentication", "authentication", "info"),
}

#: Types that tell what kind of record was touched, and leave to ``action`` whether it was read or changed.
RECORDS: Final = frozenset({"110109", "110110", "110111"})

#: ``AuditEvent.action``, where no code above is known: ECS's category and type.
LETTERS: Final = {
    "C": (["api"], ["creation"]),
    "R": (["api"], ["access"]),
    "U": (["api"], ["change"]),
    "D": (["api"], ["deletion"]),
    "E": (["api"], ["access"]),
    "": (["api"], ["info"]),
}

#: ``AuditEvent.outcome`` (R4: audit-event-outcome). R4 does not require it.
OUTCOMES: Final = {"0": "success", "4": "failure", "8": "failure", "12": "failure", "": "unknown"}

#: BALP: the role of the client, by action: it fetches to itself, or sends from itself.
CLIENTS: Final = {"R": "110152", "C": "110153", "U": "110153", "E": "110153", "D": "110150", "": "110153"}

#: Agent types and roles that say that the agent is the patient: v3 RoleClass, BALP, SNOMED CT.
PATIENT_ROLES: Final = frozenset({"PAT", "PATIENT", "Patient", "patient", "PATSBJ", "116154003"})
