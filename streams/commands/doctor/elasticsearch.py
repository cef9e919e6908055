"""Elasticsearch: whether it answers and to whom, its version and health, templates, mappings, blocks, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from elasticsearch import ApiError, AuthenticationException, AuthorizationException, Elasticsearch, TransportError

from streams.commands.doctor.finding import Finding, clock_finding
from streams.settings import Settings
from streams.sinks.elasticsearch import templates, without_password
from streams.sinks.event_index import template

__all__ = ["findings"]

#: The line of versions that the client speaks to, and that everything is tested on.
_LINE = (8, 19)
_TIMEOUT = 10
_ACCESS = "mend WARDWATCH_ELASTICSEARCH_API_KEY, or _USERNAME and _PASSWORD"


def findings(settings: Settings, clock: Callable[[], float], role: str = "") -> Iterator[Finding]:
    """Of everything in Elasticsearch; of less where it does not answer, or not to this user."""
    ours = {} if role == "events" else templates()
    if settings.events_index and role != "worker":
        ours |= template()
    login = settings.elasticsearch_login
    client = Elasticsearch(
        settings.elasticsearch,
        api_key=login["api_key"] or None,
        basic_auth=(login["username"], login["password"]) if login["username"] and not login["api_key"] else None,
        request_timeout=_TIMEOUT,
        max_retries=0,
    )
    told = without_password(settings.elasticsearch)
    try:
        yield _version(client, told)
        yield _health(client)
        yield _clock(client, clock)
        yield from _templates(client, ours)
        yield from _indices(client, ours)
    except AuthenticationException:
        yield Finding("elasticsearch", "error", f"{told} does not know who asks (401)", _ACCESS)
    except AuthorizationException as exc:
        needed = f"give this user cluster privilege monitor, and on {', '.join(f'{name}-*' for name in ours)} "
        needed += "create_index, create, index and "
        yield Finding("elasticsearch", "error", f"{told}: {_cause(exc)}", f"{needed}view_index_metadata")
    except (ApiError, TransportError) as exc:
        mend = "start it, or mend WARDWATCH_ELASTICSEARCH"
        yield Finding("elasticsearch", "error", f"{told}: {_cause(exc)}", mend)
    finally:
        client.close()


def _cause(exc: ApiError | TransportError) -> str:
    """A status and what Elasticsearch calls it, or what kept the request from it."""
    if isinstance(exc, ApiError):
        return f"{exc.status_code} {exc.error}" if isinstance(exc.body, dict) else str(exc.status_code)
    return f"{type(exc).__name__}: {str(exc).splitlines()[0][:200]}"


def _version(client: Elasticsearch, told: str) -> Finding:
    number = str(client.info()["version"]["number"])
    major, minor = (int(part) for part in number.split(".")[:2])
    if (major, minor) == _LINE:
        return Finding("elasticsearch", "ok", f"{number} at {told}")
    line = ".".join(map(str, _LINE))
    if major == _LINE[0]:
        return Finding("elasticsearch", "warning", f"{number} at {told} is tested by nobody", f"upgrade to {line}")
    return Finding("elasticsearch", "error", f"{number} at {told} is not served", f"use one of the {line} line")


def _health(client: Elasticsearch) -> Finding:
    health = client.cluster.health()
    if health["status"] == "red":
        told = f"red: {health['unassigned_shards']} shards are nowhere"
        return Finding("cluster", "error", told, "GET _cluster/allocation/explain says why")
    return Finding("cluster", "ok", f"{health['status']}, {health['number_of_nodes']} nodes")


def _clock(client: Elasticsearch, clock: Callable[[], float]) -> Finding:
    before = clock()
    nodes = client.nodes.stats(metric="os", filter_path="nodes.*.timestamp")["nodes"].values()
    after = clock()
    ours = (before + after) / 2
    farthest = max((node["timestamp"] / 1000 for node in nodes), key=lambda theirs: abs(theirs - ours))
    return clock_finding("elastic clock", farthest, ours)


def _templates(client: Elasticsearch, ours: Mapping[str, Any]) -> Iterator[Finding]:
    there = {each["name"]: each["index_template"] for each in client.indices.get_index_template()["index_templates"]}
    wrong = 0
    for name, wanted in ours.items():
        if name not in there:
            told = "is missing: new indices would guess their types"
        elif there[name]["template"].get("mappings") != wanted["template"]["mappings"]:
            told = "is another version's"
        else:
            continue
        wrong += 1
        yield Finding("templates", "error", f"{name} {told}", "run wardwatch setup")
    if not wrong:
        yield Finding("templates", "ok", ", ".join(ours))


def _indices(client: Elasticsearch, ours: Mapping[str, Any]) -> Iterator[Finding]:
    wrong = 0
    names = list(ours)
    mappings = client.indices.get_mapping(index=[f"{name}-*" for name in names])
    for index, found in sorted(mappings.items()):
        name = next(name for name in names if index.startswith(f"{name}-"))
        wanted = _types(ours[name]["template"]["mappings"])
        there = _types(found["mappings"])
        differ = sorted(field for field, kind in wanted.items() if there.get(field) not in (kind, None))
        lacking = sorted(wanted.keys() - there.keys())
        if differ or lacking:
            wrong += 1
            fields = ", ".join(
                [f"{field} is {there[field]}" for field in differ] + [f"no {field}" for field in lacking]
            )
            mend = "new months are right after setup; reindex this one to have it right too"
            yield Finding("mappings", "error", f"{index} was not made by our template: {fields[:300]}", mend)
    blocks = client.indices.get_settings(
        index=[f"{name}-*" for name in names], name="index.blocks.*", filter_path="*.settings.index.blocks"
    )
    for index, found in sorted(blocks.items()):
        kinds = [
            kind for kind, on in found["settings"]["index"]["blocks"].items() if on == "true" and kind != "metadata"
        ]
        if kinds:
            wrong += 1
            mend = "make room on its disks; it unblocks itself below the flood stage, or set index.blocks.* to null"
            yield Finding("indices", "error", f"{index} takes no writes ({', '.join(kinds)})", mend)
    if not wrong:
        yield Finding("indices", "ok", f"{len(mappings)} of ours, each as its template says")


def _types(mappings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Each field and its type, those within a field included."""
    found: dict[str, str] = {}
    for name, field in mappings.get("properties", {}).items():
        if "type" in field:
            found[f"{prefix}{name}"] = field["type"]
        found |= _types(field, f"{prefix}{name}.")
        found |= _types({"properties": field.get("fields", {})}, f"{prefix}{name}.")
    return found
