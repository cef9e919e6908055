"""``acls``: gives Kafka the permissions that a file says each role has. Safe to repeat; takes nothing away."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import ClusterAuthorizationFailedError, KafkaError, SecurityDisabledError

from streams.admin import SetupError, connect
from streams.permissions import Acl
from streams.refusals import not_allowed
from streams.settings import Settings

__all__ = ["read_acls", "run"]

#: Types of resource, as the file and people write them, and as Kafka's client does.
_TYPES = {
    "Topic": ResourceType.TOPIC,
    "Group": ResourceType.GROUP,
    "TransactionalId": ResourceType.TRANSACTIONAL_ID,
    "Cluster": ResourceType.CLUSTER,
}
_OPERATIONS = {"".join(word.capitalize() for word in op.name.split("_")): op for op in ACLOperation if op.value > 2}


def read_acls(file: Path) -> dict[str, tuple[list[str], list[Acl]]]:
    """Each role's principals and permissions. Raises SetupError on a file that says something else."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SetupError(f"{file} cannot be read ({getattr(exc, 'strerror', None) or exc}): mend it") from exc
    return {role: _role(f"{file}, role {role}", table) for role, table in document.items()}


def _role(where: str, table: Any) -> tuple[list[str], list[Acl]]:
    if not isinstance(table, Mapping) or not all(isinstance(value, list) for value in table.values()):
        raise SetupError(f"{where}: write principals and operations, each with a list")
    principals = [str(principal) for principal in table.get("principals", [])]
    if wrong := [principal for principal in principals if not principal.startswith("User:")]:
        raise SetupError(f"{where}: principal {wrong[0]} does not begin with User:, as Kafka's own do")
    acls = []
    for operation, resources in table.items():
        if operation == "principals":
            continue
        if operation not in _OPERATIONS:
            raise SetupError(f"{where}: {operation} is none of {', '.join(_OPERATIONS)}")
        for resource in resources:
            kind, _, name = str(resource).partition(" ")
            if kind not in _TYPES or not name:
                raise SetupError(f"{where}: {resource!r} is no resource: write {' or '.join(_TYPES)}, and a name")
            acls.append(Acl(operation, kind, name))
    return principals, acls


def run(settings: Settings, file: Path, *, only_look: bool = False) -> tuple[list[str], bool]:
    """Give what is missing, or ``only_look``. What to tell, a line each, and whether Kafka is now as the file says.

    What a principal of the file may do beyond it is told, and left. Raises SetupError.
    """
    wanted = read_acls(file)
    admin = connect(settings)
    try:
        held = {p: _held(admin, p) for principals, _ in wanted.values() for p in principals}
        missing = [
            (role, p, acl) for role, (ps, acls) in wanted.items() for p in ps for acl in acls if acl not in held[p]
        ]
        may = {p: {acl for ps, acls in wanted.values() if p in ps for acl in acls} for p in held}
        beyond = [(p, acl) for p in held for acl in sorted(held[p] - may[p])]
        if missing and not only_look:
            _give(admin, [(principal, acl) for _, principal, acl in missing])
    except ClusterAuthorizationFailedError as exc:
        operation = "Describe" if only_look else "Alter"
        name = settings.security.kafka_python().get("sasl_plain_username")
        raise SetupError(not_allowed(name, [f"{operation} Cluster kafka-cluster"])) from exc
    except SecurityDisabledError as exc:
        raise SetupError(
            f"Kafka at {settings.kafka} has no authorizer, so that everybody may do everything: set "
            "authorizer.class.name and super.users there first"
        ) from exc
    finally:
        admin.close()
    return list(_lines(wanted, missing, beyond, only_look=only_look)), not (only_look and (missing or beyond))


def _lines(
    wanted: Mapping[str, tuple[list[str], list[Acl]]],
    missing: Sequence[tuple[str, str, Acl]],
    beyond: Sequence[tuple[str, Acl]],
    *,
    only_look: bool,
) -> Iterator[str]:
    for role, (principals, acls) in wanted.items():
        given = [f"{principal} {acl}" for r, principal, acl in missing if r == role]
        done = "missing" if only_look else "given"
        names = ", ".join(principals) or "nobody"
        yield f"{role:<15} {len(acls)} permissions for {names}; {len(given)} {done}"
        yield from (f"{'':<15} {done}: {line}" for line in given)
    yield from (f"beyond the file: {principal} {acl}" for principal, acl in beyond)


def _held(admin: Any, principal: str) -> set[Acl]:
    anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    found, _ = admin.describe_acls(ACLFilter(principal, None, ACLOperation.ANY, ACLPermissionType.ALLOW, anything))
    types = {value: name for name, value in _TYPES.items()}
    names = {value: name for name, value in _OPERATIONS.items()}
    return {
        Acl(
            names.get(acl.operation, acl.operation.name.capitalize()),
            types.get(acl.resource_pattern.resource_type, acl.resource_pattern.resource_type.name),
            acl.resource_pattern.resource_name
            + ("*" if acl.resource_pattern.pattern_type == ACLResourcePatternType.PREFIXED else ""),
        )
        for acl in found
    }


def _give(admin: Any, acls: Sequence[tuple[str, Acl]]) -> None:
    made = admin.create_acls([_kafka(principal, acl) for principal, acl in acls])
    for failed in made["failed"]:
        error: type[KafkaError] = failed
        raise error()


def _kafka(principal: str, acl: Acl) -> ACL:
    prefixed = acl.name.endswith("*") and acl.name != "*"
    pattern = ResourcePattern(
        _TYPES[acl.resource],
        acl.name[:-1] if prefixed else acl.name,
        ACLResourcePatternType.PREFIXED if prefixed else ACLResourcePatternType.LITERAL,
    )
    return ACL(principal, "*", _OPERATIONS[acl.operation], ACLPermissionType.ALLOW, pattern)
