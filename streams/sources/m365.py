"""Microsoft 365: the unified audit log of Exchange, SharePoint, OneDrive, Teams, Entra and Defender.

Names of files, folders, subjects and the parameters of commands are free text: rules may read them, and of what was
acted on only a mailbox, an account or a site is released.

Source: Office 365 Management Activity API schema, common schema and ``AuditLogRecordType``.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as regex
from typing import Any, Final

from streams.sources.azure import outcome
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import account, items, number, part, parts, put_address, said, text, when
from streams.sources.verbs import kind, paired

__all__ = ["M365", "Microsoft365"]

#: What Defender and the compliance centre raise: SigmaHQ's rules for it are of this service, and know these names.
_ALERTS: Final = LogSource(product="m365", service="threat_management")
_ALERTING: Final = frozenset({"securitycompliancecenter", "threatintelligence", "airinvestigation"})
_USER_TYPES: Final = {
    0: "Regular",
    1: "Reserved",
    2: "Admin",
    3: "DcAdmin",
    4: "System",
    5: "Application",
    6: "ServicePrincipal",
    7: "CustomPolicy",
    8: "SystemPolicy",
    9: "PartnerTechnician",
    10: "Guest",
}
_FILES: Final = frozenset({"sharepoint", "onedrive"})
#: Commands that an administrator of Exchange runs; what happens in a mailbox has other record types.
_COMMAND: Final = regex(r"[A-Z][a-z]+-[A-Z]\w+")
_SITE: Final = regex(r"https?://[^/]+(?:/(?:sites|personal|teams)/[^/?#]+)?")
_PEOPLE: Final = ("member", "role", "permission", "group", "user", "owner", "guest", "delegat")
#: Lists of names and values that rules search as if each were a text.
_PAIRS: Final = ("Parameters", "OperationProperties", "ExtendedProperties")
#: Type of an entry of ``Actor`` that is a user principal name.
_UPN: Final = 5


class Microsoft365:
    """The source ``m365``; see :class:`streams.sources.base.Source`."""

    name = "m365"
    topic = "audit.cloud"
    logsource = LogSource(product="m365", service="audit")
    lateness = 1_800_000
    subject = "actor"
    released = frozenset(
        {
            "error.code",
            "event.action",
            "event.category",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "organization.id",
            "source.domain",
            "source.ip",
            "source.port",
            "user.id",
            "user.name",
            "user.target.name",
            "user_agent.original",
            "wardwatch.identity",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        if type(part(record, "Operation")) is not str:
            return False
        return part(record, "Workload") is not None or part(record, "RecordType", "CreationTime") is not None

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        operation = text(record, "Operation")
        if not operation:
            raise BadRecord("Operation is missing" if part(record, "Operation") is None else "Operation is no text")
        workload = text(record, "Workload")
        alerting = workload.lower() in _ALERTING and not _COMMAND.fullmatch(operation)
        category, type_ = _meaning(workload.lower(), operation, number(record, "RecordType"))
        who, key, name = _who(record)
        user_type = number(record, "UserType")
        result = _outcome(record, operation, alerting)
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": operation,
            "event.provider": workload or "m365",
            "event.outcome": result,
            "error.code": text(record, "ErrorNumber", "LogonError") if result == "failure" else "",
            "organization.id": text(record, "OrganizationId"),
            "user.id": key or who,
            "user.name": name,
            "user_agent.original": text(record, "UserAgent", "ClientInfoString") or _extended(record, "UserAgent"),
            "wardwatch.identity": _USER_TYPES.get(-1 if user_type is None else user_type, ""),
        }
        _object(record, workload.lower(), fields)
        address = put_address(fields, part(record, "ClientIP", "ClientIPAddress", "ActorIpAddress"))
        return Draft(
            id=text(record, "Id"),
            time=when(record, "CreationTime", "CreationDate", "createdDateTime"),
            actor=f"user:{who}" if who else address or f"user:{fields['event.provider']}",
            fields=said(fields),
            address=address,
            logsource=_ALERTS if alerting else None,
            aliases={
                "eventSource": workload,
                "eventName": (text(record, "Name", "PolicyName") if alerting else "") or operation,
                "status": "success" if result == "success" or alerting else result,
                **{name: _told(record, name) for name in _PAIRS if isinstance(record.get(name), list)},
            },
        )


def _who(record: Mapping[str, Any]) -> tuple[str, str, str]:
    """(actor, id, name). ``UserId`` is the name; where it is none, Entra's list ``Actor`` and the key are asked."""
    name, key = text(record, "UserId"), text(record, "UserKey")
    if name.lower() in ("not available", "unknown", "not specified"):
        name = ""
    if "@" not in name:
        for actor in items(record, "Actor"):
            given = text(actor, "ID")
            if number(actor, "Type") == _UPN and "@" in given:
                name = given
    person = name if "@" in name and not set(name) & set(" /\\") else ""
    if key.lower() in ("not available", "unknown"):
        key = ""
    return person.lower() or name or key, key, person


def _object(record: Mapping[str, Any], workload: str, fields: dict[str, Any]) -> None:
    """The account, mailbox or site that was acted on."""
    target = text(record, "ObjectId")
    mailbox = account(text(record, "MailboxOwnerUPN")) or account(target)
    site = _SITE.match(text(record, "SiteUrl") or target)
    if site and workload in _FILES:
        fields["wardwatch.resource"] = site[0]
    elif mailbox and workload not in _FILES:
        fields["user.target.name"] = mailbox
    elif workload == "microsoftteams":
        fields["wardwatch.resource"] = text(record, "TeamGuid", "ChatThreadId")


def _outcome(record: Mapping[str, Any], operation: str, alerting: bool) -> str:
    if operation.lower().endswith(("failed", "loginfailed")) or text(record, "LogonError"):
        return "failure"
    given = part(record, "ResultStatus", "ResultCode")
    if type(given) is str and given.lower().startswith("partially"):
        return "success"
    if given is None or given == "":
        return "unknown" if alerting else "success"  # what is logged was done, but for what says otherwise
    return outcome(given)


def _meaning(workload: str, operation: str, record_type: int | None) -> tuple[str, str]:
    lower = operation.lower()
    if lower in ("userloggedin", "userloginfailed", "mailboxlogin", "teamssessionstarted", "signinevent"):
        return "authentication", "start"
    if lower in ("userloggedoff", "usersignedout"):
        return "authentication", "end"
    if workload in _ALERTING and not _COMMAND.fullmatch(operation):
        return "intrusion_detection", "info"
    if workload == "azureactivedirectory":
        of_people = any(word in lower for word in ("member", "role", "owner"))
        return "iam", "change" if of_people else paired("iam", kind(operation))
    if workload in _FILES:
        return "file", _of_file(lower, operation)
    if workload == "exchange":
        if record_type == 1 or _COMMAND.fullmatch(operation):
            category = "iam" if any(word in lower for word in _PEOPLE) else "configuration"
            return category, _of_command(category, operation)
        return "email", "info"
    if workload == "microsoftteams" and any(word in lower for word in _PEOPLE):
        return "iam", "change"
    category = "configuration" if _COMMAND.fullmatch(operation) else "api"
    return category, paired(category, kind(operation))


def _of_file(lower: str, operation: str) -> str:
    if any(word in lower for word in ("sharing", "link", "permission", "invitation", "secure", "group", "admin")):
        return "access" if lower.endswith(("used", "viewed")) else "change"
    return paired("file", kind(operation))


def _of_command(category: str, operation: str) -> str:
    """PowerShell's verbs: New- makes something, Add- gives somebody a part in what is there."""
    verb = operation.partition("-")[0].lower()
    return paired(category, {"new": "creation", "remove": "deletion", "get": "access"}.get(verb) or kind(operation))


def _told(record: Mapping[str, Any], name: str) -> list[str]:
    """Names and values of a list of both, one after another: what rules search for may be either."""
    return [found for pair in items(record, name) for key in ("Name", "Value") if (found := text(pair, key))]


def _extended(record: Mapping[str, Any], name: str) -> str:
    for entry in items(record, "ExtendedProperties"):
        if text(entry, "Name") == name:
            return text(entry, "Value")
    return text(parts(record, "AppAccessContext"), name)


M365: Final = Microsoft365()
