"""What of the Elastic Common Schema (ECS 9) sources are written against: categories with their types, and the fields
that a column of somebody's own table may fill.

Sources: ECS reference, *allowed values of event.category* and *field reference*; the tests compare it with ECS's own
list of fields.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["EXPECTED", "FIELDS", "FieldType"]

FieldType = Literal["text", "integer", "number", "boolean", "ip"]

#: Each category and the types expected beside it
#: (https://www.elastic.co/docs/reference/ecs/ecs-allowed-values-event-category).
EXPECTED: Final = {
    category: frozenset(types.split())
    for category, types in {
        "api": "access admin allowed change creation deletion denied end info start user",
        "authentication": "start end info",
        "configuration": "access change creation deletion info",
        "database": "access change info error",
        "driver": "change end info start",
        "email": "info",
        "file": "access change creation deletion info",
        "host": "access change end info start",
        "iam": "admin change creation deletion group info user",
        "intrusion_detection": "allowed denied info",
        "library": "start",
        "malware": "info",
        "network": "access allowed connection denied end info protocol start",
        "package": "access change deletion info installation start",
        "process": "access change end info start",
        "registry": "access change creation deletion",
        "session": "start end info",
        "threat": "indicator",
        "vulnerability": "info",
        "web": "access error info",
    }.items()
}

_BY_TYPE: Final[dict[FieldType, str]] = {
    "text": """
        client.address client.domain client.mac client.user.id client.user.name
        destination.address destination.domain destination.mac
        device.id device.manufacturer device.model.identifier device.model.name device.serial_number device.type
        error.code error.id error.type
        event.code event.dataset event.hash event.module event.provider event.reason event.reference
        file.extension file.hash.sha256 file.mime_type file.name file.path file.type
        group.domain group.id group.name
        host.hostname host.id host.name host.os.name host.type
        http.request.id http.request.method http.request.referrer http.version
        network.application network.direction network.name network.protocol network.transport network.type
        observer.hostname observer.name observer.product observer.serial_number observer.type observer.vendor
        observer.version organization.id organization.name process.name
        service.address service.environment service.id service.name service.node.name service.type service.version
        source.address source.domain source.mac
        url.domain url.full url.original url.path url.query url.scheme
        user.domain user.effective.id user.effective.name user.email user.full_name user.group.id user.group.name
        user.name user.roles user.target.id user.target.name user_agent.original user_agent.name
    """,
    "integer": """
        client.port destination.bytes destination.port event.duration event.sequence event.severity file.size
        http.request.bytes http.response.bytes http.response.status_code network.bytes process.exit_code process.pid
        source.bytes source.port url.port
    """,
    "number": "event.risk_score event.risk_score_norm",
    "ip": "client.ip destination.ip host.ip observer.ip source.ip",
}

#: Fields of ECS that a column may fill, and of what type each is. ``event.kind``, ``event.category``, ``event.type``,
#: ``event.action``, ``event.outcome`` and ``user.id`` are not among them: a mapping says by other keys what they are.
FIELDS: Final[dict[str, FieldType]] = {name: type_ for type_, names in _BY_TYPE.items() for name in names.split()}
