"""JSON Schema (2020-12) of each typed event, for services in any language: what a record must be to be read.

The models say what the sources of the same name demand, and no more: what else a record holds is there for rules. The
tests hold both to each other; :func:`documents` is what lies in ``deploy/schemas``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, IPvAnyAddress, WithJsonSchema

__all__ = ["EVENTS", "AuditEventRecord", "CloudTrailRecord", "DeviceRecord", "documents"]

Text = Annotated[str, Field(min_length=1)]
Instant = Annotated[
    AwareDatetime,
    WithJsonSchema({"type": "string", "format": "date-time"}),
    Field(description="RFC 3339, with its offset from UTC", examples=["2026-03-01T10:15:00.250+01:00"]),
]
Address = Annotated[
    IPvAnyAddress, WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]})
]


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Device(_Open):
    id: Text = Field(description="which device", examples=["pump-12"])
    type: Text = Field(description="what it is", examples=["infusion-pump"])
    vendor: Text | None = None
    model: Text | None = None
    firmware: Text | None = None


class Network(_Open):
    ip: Address | None = Field(default=None, description="where the device is, or who spoke to it")
    port: int | None = Field(default=None, ge=0, le=65535)
    mac: str | None = Field(
        default=None,
        pattern=r"^(?:[0-9A-Fa-f]{2}(?:[:-]?[0-9A-Fa-f]{2}){5}(?:[:-]?[0-9A-Fa-f]{2}){0,2}"
        r"|(?:[0-9A-Fa-f]{4}\.){2,3}[0-9A-Fa-f]{4})$",
        examples=["00:00:5e:00:53:01"],
    )


class DeviceRecord(_Open):
    """One event of a medical device, its gateway or its fleet manager: docs/device-events.md."""

    model_config = ConfigDict(title="Device event")

    schema_: Literal["wardwatch.device/1"] = Field(alias="schema")
    time: Instant
    device: Device
    event: Literal[
        "telemetry",
        "alarm",
        "authentication",
        "configuration",
        "firmware",
        "command",
        "connection",
        "lifecycle",
        "log",
    ]
    action: Text = Field(description="what happened", examples=["measurement"])
    id: Text | None = Field(default=None, description="the same in every retry")
    outcome: Literal["success", "failure", "unknown"] = "unknown"
    network: Network | None = None
    operator: Text | None = Field(default=None, description="who acted", examples=["Practitioner/synthetic-7"])
    patient: Text | None = Field(default=None, description="who is connected", examples=["Patient/synthetic-123"])
    measurements: list[Any] | None = None
    details: dict[str, Any] | None = None


class Coding(_Open):
    code: Text


class Agent(_Open):
    requestor: bool = Field(description="whether this agent, whom who names, began it")


class Observer(_Open):
    observer: dict[str, Any] = Field(
        description="the system that reports", min_length=1, examples=[{"display": "synthetic-ehr"}]
    )


class AuditEventRecord(_Open):
    """The part of a FHIR R4 AuditEvent that must be there: https://hl7.org/fhir/R4/auditevent.html."""

    model_config = ConfigDict(title="FHIR R4 AuditEvent")

    resourceType: Literal["AuditEvent"]  # noqa: N815  # FHIR's name
    type: Coding
    recorded: Instant
    agent: list[Agent] = Field(min_length=1)
    source: Observer
    action: Literal["C", "R", "U", "D", "E"] | None = None
    outcome: Literal["0", "4", "8", "12"] | None = None


def _utc(text: str) -> str:
    from streams.sources.times import milliseconds  # noqa: PLC0415  # the emitter's install has no sources

    milliseconds(text, "eventTime", utc=True)
    return text


class CloudTrailRecord(_Open):
    """The part of an AWS CloudTrail record that must be there; it is sent as AWS delivered it."""

    model_config = ConfigDict(title="AWS CloudTrail record")

    eventName: Text  # noqa: N815  # CloudTrail's names
    eventSource: Text = Field(examples=["s3.amazonaws.com"])  # noqa: N815
    eventTime: Annotated[  # noqa: N815
        str, AfterValidator(_utc), WithJsonSchema({"type": "string", "format": "date-time"})
    ]


#: Each typed event by the name of its source.
EVENTS: Final[dict[str, type[BaseModel]]] = {
    "device": DeviceRecord,
    "fhir": AuditEventRecord,
    "cloudtrail": CloudTrailRecord,
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one event. A field that may be left out may not be ``null``, as the sources have it."""
    made = EVENTS[name].model_json_schema(mode="validation")
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:wardwatch:schema:{name}"}
    cleaned = _without_null(made)
    assert isinstance(cleaned, dict)
    return {**dialect, **cleaned}


def _without_null(value: Any) -> Any:
    """pydantic's schema without ``null`` beside what may be left out, and without titles that repeat names."""
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: _without_null(item) for name, item in value.items() if name != "default" or item is not None}
    choices = [choice for choice in found.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1 and "anyOf" in found:
        del found["anyOf"]
        found = {**choices[0], **found}
    elif choices:
        found["anyOf"] = choices
    if isinstance(properties := found.get("properties"), dict):
        for field in properties.values():
            if isinstance(field, dict):
                field.pop("title", None)
    return found


def documents() -> dict[str, dict[str, Any]]:
    """File name to content of everything that services in other languages go by."""
    from streams.asyncapi import document  # noqa: PLC0415  # it is made of these schemas

    return {**{f"{name}.schema.json": schema(name) for name in EVENTS}, "asyncapi.json": document()}
