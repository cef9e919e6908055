"""AWS CloudTrail: who did what to the cloud that holds the records.

Reads API calls, console sign-ins and service events, of every kind of identity. Request parameters and responses may
name patients (an object's key is free text), so rules may read them and of all of them only a bucket's name is
released.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from streams.sources.base import ALWAYS, BadRecord, Draft, LogSource
from streams.sources.cloudtrail_identity import Identities
from streams.sources.cloudtrail_plain import PLAIN
from streams.sources.times import milliseconds

__all__ = ["CLOUDTRAIL", "CloudTrail"]

_KEPT: Final = 16_384
_NONE: Final[dict[str, Any]] = {}
#: Services whose events are people signing in.
_SIGN_IN: Final = frozenset({"signin.amazonaws.com", "sso.amazonaws.com"})
#: ``eventType`` of what CloudTrail itself noticed, which neither succeeds nor fails.
_INSIGHT: Final = "AwsCloudTrailInsight"

#: Beginning of an API call's name, after ``Batch`` or ``Admin``, to ECS type; the first that fits. For any other call
#: ``readOnly`` tells.
_TYPES: Final = (
    (("Get", "List", "Describe", "Lookup", "Search", "Head", "Query", "Scan", "Select", "View"), "access"),
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
#: What ECS expects beside a category, where that is not what the call's name says.
_TYPES_OF: Final = {
    "iam": {"access": "info", "start": "info"},
    "authentication": dict.fromkeys(("access", "creation", "deletion", "change"), "info"),
    "host": {"creation": "start", "deletion": "end"},
    "database": {"creation": "change", "deletion": "change", "start": "access"},
    "process": {"creation": "change", "deletion": "change", "start": "access"},
    "file": {"start": "access"},
    "configuration": {"start": "access"},
}


class CloudTrail:
    """The source ``cloudtrail``; see :class:`streams.sources.base.Source`."""

    name = "cloudtrail"
    topic = "audit.cloud"
    logsource = LogSource(product="aws", service="cloudtrail")
    lateness = 900_000
    subject = "actor"
    plain = PLAIN
    released = ALWAYS | {
        "cloud.account.id",
        "cloud.provider",
        "cloud.region",
        "cloud.service.name",
        "error.code",
        "source.domain",
        "source.ip",
        "user.id",
        "user.name",
        "user_agent.original",
        "wardwatch.bucket",
        "wardwatch.identity",
    }

    def __init__(self) -> None:
        self._meanings: dict[tuple[str, str, bool], tuple[list[str], list[str]]] = {}
        self._addresses: dict[str, tuple[str, str]] = {}
        self._identities = Identities()

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return "eventName" in record and ("eventSource" in record or "awsRegion" in record)

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        get = record.get
        name, source = get("eventName"), get("eventSource")
        if type(name) is not str or type(source) is not str or not name or not source:
            name, source = _text(record, "eventName"), _text(record, "eventSource")
        category, type_ = self._meaning(source, name, get("readOnly") is True)
        error = get("errorCode")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": category,
            "event.type": type_,
            "event.action": name,
            "event.provider": source,
            "event.outcome": "failure" if error else _outcome(record, source),
            "cloud.provider": "aws",
            "cloud.service.name": source.partition(".")[0],
        }
        if error:
            fields["error.code"] = _text(record, "errorCode")
        if region := get("awsRegion"):
            fields["cloud.region"] = region if type(region) is str else _text(record, "awsRegion")
        if agent := get("userAgent"):
            fields["user_agent.original"] = agent if type(agent) is str else _text(record, "userAgent")
        identity = get("userIdentity")
        if identity is None:
            identity = _NONE
        elif not isinstance(identity, dict):
            raise BadRecord("userIdentity is no object")
        actor = self._identities.read(identity, source, region, fields)
        account = get("recipientAccountId") or identity.get("accountId")
        if isinstance(account, str):
            fields["cloud.account.id"] = account
        request = get("requestParameters")
        if isinstance(request, dict) and isinstance(request.get("bucketName"), str):
            fields["wardwatch.bucket"] = request["bucketName"]
        given = get("eventID") or ""
        draft = Draft(
            id=given if type(given) is str else _text(record, "eventID"),
            time=milliseconds(get("eventTime"), "eventTime", utc=True),
            actor=actor,
            fields=fields,
        )
        if address := get("sourceIPAddress"):
            if type(address) is not str:
                _text(record, "sourceIPAddress")
            field, address = self._addresses.get(address) or self._address(address)
            if field:
                fields[field] = address
                draft.address = f"address:{address}"
        return draft

    def _meaning(self, source: str, name: str, read: bool) -> tuple[list[str], list[str]]:
        known = self._meanings.get((source, name, read))
        if known is None:
            if len(self._meanings) >= _KEPT:
                self._meanings.clear()
            verb = name.removeprefix("Batch").removeprefix("Admin")
            other = "access" if read else "change"
            type_ = next((kind for prefixes, kind in _TYPES if verb.startswith(prefixes)), other)
            category = _SERVICES.get(source, "configuration")
            if category == "host" and "Instance" not in name:
                category = "configuration"  # networks, disks and images are no hosts
            known = self._meanings[source, name, read] = ([category], [_TYPES_OF[category].get(type_, type_)])
        return known

    def _address(self, address: str) -> tuple[str, str]:
        """The ECS field of an address, and its one spelling; ("", "") for ``AWS Internal``, which is no address."""
        if len(self._addresses) >= _KEPT:
            self._addresses.clear()
        try:
            known = "source.ip", str(ip_address(address))
        except ValueError:  # a service of AWS calls under its own name
            known = ("", "") if " " in address else ("source.domain", address.lower())
        self._addresses[address] = known
        return known


def _outcome(record: Mapping[str, Any], source: str) -> str:
    """How a call without an error code went. A sign-in that failed has none: its answer, or the event, says so."""
    if record.get("errorMessage"):
        return "failure"
    if source in _SIGN_IN:
        for name in ("responseElements", "serviceEventDetails"):
            said = record.get(name)
            if isinstance(said, dict) and "Failure" in said.values():
                return "failure"
    return "unknown" if record.get("eventType") == _INSIGHT else "success"


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise BadRecord(f"{name} is missing" if value is None else f"{name} is no text")
    return value


CLOUDTRAIL: Final = CloudTrail()
