"""AWS CloudTrail: who did what to the cloud that holds the records.

Reads API calls, console sign-ins and service events, of every kind of identity. Request parameters and responses may
name patients (an object's key is free text), so rules may read them and of all of them only a bucket's name is
released.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.times import milliseconds

__all__ = ["CLOUDTRAIL", "CloudTrail"]

_KEPT: Final = 16_384

#: Beginning of an API call's name to ECS type; the first that fits.
_TYPES: Final = (
    (("Get", "List", "Describe", "Lookup", "Search", "Head", "Query", "Scan", "Select", "View", "Batch"), "access"),
    (("Create", "Put", "Run", "Import", "Register", "Issue", "Allocate", "Start", "Launch", "Copy"), "creation"),
    (("Delete", "Remove", "Terminate", "Deregister", "Revoke", "Detach", "Disable", "Stop", "Purge"), "deletion"),
    (("ConsoleLogin", "AssumeRole", "SwitchRole", "SignIn", "Login", "Authenticate"), "start"),
)
_SERVICES: Final = {
    "iam.amazonaws.com": "iam",
    "sts.amazonaws.com": "authentication",
    "signin.amazonaws.com": "authentication",
    "sso.amazonaws.com": "authentication",
    "s3.amazonaws.com": "file",
    "rds.amazonaws.com": "database",
    "dynamodb.amazonaws.com": "database",
    "ec2.amazonaws.com": "host",
    "lambda.amazonaws.com": "process",
    "cloudtrail.amazonaws.com": "configuration",
    "config.amazonaws.com": "configuration",
    "kms.amazonaws.com": "configuration",
    "guardduty.amazonaws.com": "configuration",
}
_IAM_TYPES: Final = {"creation": ["creation"], "deletion": ["deletion"], "access": ["info"], "change": ["change"]}


class CloudTrail:
    """The source ``cloudtrail``; see :class:`streams.sources.base.Source`."""

    name = "cloudtrail"
    topic = "audit.cloud"
    logsource = LogSource(product="aws", service="cloudtrail")
    lateness = 900_000
    subject = "actor"
    released = frozenset(
        {
            "cloud.account.id",
            "cloud.provider",
            "cloud.region",
            "cloud.service.name",
            "error.code",
            "event.action",
            "event.category",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "source.domain",
            "source.ip",
            "user.id",
            "user.name",
            "user_agent.original",
            "wardwatch.bucket",
            "wardwatch.identity",
        }
    )

    def __init__(self) -> None:
        self._meanings: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
        self._addresses: dict[str, str] = {}

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return "eventSource" in record and "eventName" in record and "eventVersion" in record

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        name = _text(record, "eventName")
        source = _text(record, "eventSource")
        category, type_ = self._meaning(source, name)
        error = record.get("errorCode")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": category,
            "event.type": type_,
            "event.action": name,
            "event.provider": source,
            "event.outcome": "failure" if error or _refused(record) else "success",
            "cloud.provider": "aws",
            "cloud.service.name": source.partition(".")[0],
        }
        if error is not None:
            fields["error.code"] = _text(record, "errorCode")
        for key, field in (("awsRegion", "cloud.region"), ("userAgent", "user_agent.original")):
            if record.get(key) is not None:
                fields[field] = _text(record, key)
        identity = record.get("userIdentity")
        if identity is not None and not isinstance(identity, dict):
            raise BadRecord("userIdentity is no object")
        actor = _identity(identity or {}, source, fields)
        account = record.get("recipientAccountId") or (identity or {}).get("accountId")
        if isinstance(account, str):
            fields["cloud.account.id"] = account
        request = record.get("requestParameters")
        if isinstance(request, dict) and isinstance(request.get("bucketName"), str):
            fields["wardwatch.bucket"] = request["bucketName"]
        draft = Draft(
            id=_text(record, "eventID") if record.get("eventID") is not None else "",
            time=milliseconds(record.get("eventTime"), "eventTime"),
            actor=actor,
            fields=fields,
        )
        address = record.get("sourceIPAddress")
        if address is not None:
            field = self._address_field(_text(record, "sourceIPAddress"))
            fields[field] = address
            draft.address = f"address:{address}"
        return draft

    def _meaning(self, source: str, name: str) -> tuple[list[str], list[str]]:
        known = self._meanings.get((source, name))
        if known is None:
            if len(self._meanings) >= _KEPT:
                self._meanings.clear()
            type_ = next((kind for prefixes, kind in _TYPES if name.startswith(prefixes)), "change")
            category = _SERVICES.get(source, "configuration")
            if category == "iam":
                types = _IAM_TYPES.get(type_, ["change"])
            elif category == "authentication":
                types = ["start"] if type_ == "start" else ["info"]
            else:
                types = ["access" if type_ == "start" else type_]
            known = self._meanings[source, name] = ([category], types)
        return known

    def _address_field(self, address: str) -> str:
        field = self._addresses.get(address)
        if field is None:
            if len(self._addresses) >= _KEPT:
                self._addresses.clear()
            try:
                ip_address(address)
                field = "source.ip"
            except ValueError:
                field = "source.domain"  # a service of AWS calls under its own name
            self._addresses[address] = field
        return field


def _identity(identity: Mapping[str, Any], source: str, fields: dict[str, Any]) -> str:
    """Who acted, for every type of ``userIdentity``; an identity without a name is its type."""
    type_ = identity.get("type")
    if isinstance(type_, str):
        fields["wardwatch.identity"] = type_
    for key in ("arn", "principalId", "invokedBy", "accountId", "userName"):
        found = identity.get(key)
        if isinstance(found, str) and found:
            fields["user.id"] = found
            break
    else:
        found = type_ if isinstance(type_, str) and type_ else source
    name = identity.get("userName")
    if not isinstance(name, str):
        session = identity.get("sessionContext")
        issuer = session.get("sessionIssuer") if isinstance(session, dict) else None
        name = issuer.get("userName") if isinstance(issuer, dict) else None
    if isinstance(name, str) and name:
        fields["user.name"] = name
    return f"user:{found}"


def _refused(record: Mapping[str, Any]) -> bool:
    """A console sign-in that failed has no error code; its answer says so."""
    response = record.get("responseElements")
    return isinstance(response, dict) and response.get("ConsoleLogin") == "Failure"


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise BadRecord(f"{name} is missing" if value is None else f"{name} is no text")
    return value


CLOUDTRAIL: Final = CloudTrail()
