"""AWS VPC flow logs: which address talked to which, and what security groups and network ACLs made of it.

A record is an object with the names of AWS's fields, or a plain line: of the default format (version 2, 14 fields), or
of any format under a header line with the names of its fields, as flow logs lie in S3. :func:`flow_line` makes an
object of a line.

Anybody may send a packet, from any number of addresses. So a flow acts as an address only where that is one of a
private network; what comes from outside is known by the interface that it came to, and rules see its address.

Source: Amazon VPC user guide, *Flow log records*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import network, number, said, text, when

__all__ = ["VPC_FLOW", "VpcFlow", "flow_header", "flow_line"]

#: The default format, fields in their order.
DEFAULT: Final = (
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
)
_OTHERS: Final = """
vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type sublocation-id
pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path ecs-cluster-arn ecs-cluster-name
ecs-container-instance-arn ecs-container-instance-id ecs-container-id ecs-second-container-id ecs-service-name
ecs-task-definition-arn ecs-task-arn ecs-task-id reject-reason resource-id encryption-status
"""
#: Blocks that are nobody's on the internet: private use, shared, loopback, link-local, and those of documents
#: (IANA's special-purpose address registries).
_INSIDE: Final = tuple(
    map(
        ip_network,
        [
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.2.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
            "::/127",
            "2001:db8::/32",
            "fc00::/7",
            "fe80::/10",
        ],
    )
)
_NAMES: Final = frozenset([*DEFAULT, *_OTHERS.split()])
#: IANA's protocol numbers to their names, those that flows are made of.
_PROTOCOLS: Final = {
    1: "icmp",
    2: "igmp",
    4: "ipv4",
    6: "tcp",
    17: "udp",
    41: "ipv6",
    47: "gre",
    50: "esp",
    58: "ipv6-icmp",
}
_DIRECTIONS: Final = {"ingress": "ingress", "egress": "egress"}


class VpcFlow:
    """The source ``vpc-flow``; see :class:`streams.sources.base.Source`."""

    name = "vpc-flow"
    topic = "audit.cloud"
    logsource = LogSource(product="aws", service="vpcflow")
    lateness = 900_000
    subject = "actor"
    released = frozenset(
        {
            "cloud.account.id",
            "cloud.instance.id",
            "cloud.provider",
            "cloud.region",
            "destination.ip",
            "destination.port",
            "event.action",
            "event.category",
            "event.end",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.reason",
            "event.start",
            "event.type",
            "network.bytes",
            "network.direction",
            "network.iana_number",
            "network.packets",
            "network.transport",
            "source.ip",
            "source.port",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        source = _of(record, "srcaddr", "pkt-srcaddr")
        destination = _of(record, "dstaddr", "pkt-dstaddr")
        if source is None or destination is None:
            return False
        return _of(record, "interface-id", "action", "log-status", "account-id") is not None

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        status = _text(record, "log-status").upper()
        source, _ = network(_of(record, "srcaddr", "pkt-srcaddr"))
        destination, _ = network(_of(record, "dstaddr", "pkt-dstaddr"))
        interface = _text(record, "interface-id")
        action = _text(record, "action").upper()
        idle = status in ("NODATA", "SKIPDATA")
        if not idle and not (source and destination):
            raise BadRecord("srcaddr or dstaddr is no IP address, and log-status does not say that there is no data")
        allowed = {"ACCEPT": "allowed", "REJECT": "denied"}.get(action)
        protocol = _number(record, "protocol")
        begin, end = when(_flat(record), "start"), when(_flat(record), "end")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": ["network"],
            "event.type": ["info"] if idle else ["connection", allowed] if allowed else ["connection"],
            "event.action": action or status or "FLOW",
            "event.provider": "vpc-flow-logs",
            "event.outcome": "success" if allowed == "allowed" else "failure" if allowed else "unknown",
            "event.reason": _text(record, "reject-reason") or (status if idle else ""),
            "event.start": begin or None,
            "event.end": end or None,
            "cloud.provider": "aws",
            "cloud.account.id": _text(record, "account-id"),
            "cloud.instance.id": _text(record, "instance-id"),
            "cloud.region": _text(record, "region"),
            "source.ip": source,
            "source.port": _port(record, "srcport"),
            "destination.ip": destination,
            "destination.port": _port(record, "dstport"),
            "network.transport": _PROTOCOLS.get(-1 if protocol is None else protocol, ""),
            "network.iana_number": "" if protocol is None else str(protocol),
            "network.bytes": _number(record, "bytes"),
            "network.packets": _number(record, "packets"),
            "network.direction": _DIRECTIONS.get(_text(record, "flow-direction").lower(), ""),
            "wardwatch.resource": interface or _text(record, "resource-id"),
        }
        address = f"address:{source}" if source and not _outside(source) else ""
        return Draft(
            id="",
            time=begin or end or when(record, "timestamp", "@timestamp"),
            actor=address or f"device:{fields['wardwatch.resource'] or 'vpc-flow-logs'}",
            fields=said(fields),
            address=address,
        )


@lru_cache(maxsize=16_384)
def _outside(address: str) -> bool:
    """Whether anybody on the internet may send from it."""
    known = ip_address(address)
    return not any(known in block for block in _INSIDE if block.version == known.version)


def flow_header(line: str) -> list[str] | None:
    """The fields that a header line names; None where it is none."""
    names = line.replace("_", "-").split()
    if len(names) < 2 or not _NAMES.issuperset(names) or ("srcaddr" not in names and "pkt-srcaddr" not in names):
        return None
    return names


def flow_line(line: str, names: Sequence[str] = ()) -> dict[str, str] | None:
    """The record of one plain line; None where it is none. Without ``names``, of the default format alone."""
    values = line.split()
    if names:
        return dict(zip(names, values, strict=True)) if len(values) == len(names) else None
    if len(values) != len(DEFAULT) or values[0] != "2" or values[-1] not in ("OK", "NODATA", "SKIPDATA"):
        return None
    return dict(zip(DEFAULT, values, strict=True))


def _spellings(name: str) -> tuple[str, ...]:
    """AWS writes ``log-status``; its tables ``log_status``, and shippers ``logStatus`` or ``logstatus``."""
    first, *rest = name.split("-")
    camel = first + "".join(word.capitalize() for word in rest)
    return tuple(dict.fromkeys((name, name.replace("-", "_"), camel, name.replace("-", ""), *_ODD.get(name, ()))))


#: What two words that AWS writes as one become in camel case.
_ODD: Final[dict[str, tuple[str, ...]]] = {
    "srcaddr": ("srcAddr", "src_addr"),
    "dstaddr": ("dstAddr", "dst_addr"),
    "srcport": ("srcPort", "src_port"),
    "dstport": ("dstPort", "dst_port"),
    "account-id": ("account",),
    "log-status": ("status",),
}
_SPELLED: Final = {name: _spellings(name) for name in _NAMES}


def _of(record: Mapping[str, Any], *names: str) -> Any:
    get = record.get
    for name in names:
        for spelled in _SPELLED[name]:
            value = get(spelled)
            if value is not None:
                return value
    return None


def _text(record: Mapping[str, Any], name: str) -> str:
    return text({name: _of(record, name)}, name)


def _number(record: Mapping[str, Any], name: str) -> int | None:
    found = number({name: _of(record, name)}, name)
    return found if found is not None and 0 <= found < 2**63 else None


def _port(record: Mapping[str, Any], name: str) -> int | None:
    found = _number(record, name)
    return found if found is not None and 0 < found < 65_536 else None


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _of(record, name) for name in ("start", "end")}


VPC_FLOW: Final = VpcFlow()
