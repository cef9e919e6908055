"""Alerts and findings in Elasticsearch, written so that writing them again changes nothing.

- A finding never changes: it is created, and a 409 means that it is there.
- An alert changes: it is written with its revision as external version, and a 409 means that a newer one is there.
- Both go to the index of the alert's first month, since an ``_id`` is unique per index only; what has no trustworthy
  date goes to one index that says so.
- 429 and 5xx are told as :class:`StoreUnavailable` and tried again by the caller; a document that cannot be mapped is
  refused for good and given back with its reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

from elasticsearch import ApiError, AsyncElasticsearch, BadRequestError, TransportError

from detectors.base import SEVERITIES, Alert, Event, Finding

__all__ = [
    "ALERTS",
    "FINDINGS",
    "Elasticsearch",
    "Refused",
    "StoreUnavailable",
    "alert_source",
    "index_of",
    "templates",
    "without_password",
]

ALERTS = "wardwatch-alerts"
FINDINGS = "wardwatch-findings"

_RETRIED = frozenset({429, 500, 502, 503, 504})
_TOO_LARGE = 413
#: Errors with status 400 that say nothing of the document: the cluster has all the shards it may have.
_NOT_OF_THE_DOCUMENT = frozenset({"validation_exception"})
#: Bytes of one bulk request, far below what servers accept.
_BULK_BYTES = 4_000_000


class StoreUnavailable(Exception):
    """The store did not take a write, and may later."""


class Dated(Protocol):
    """What goes to the index of its month."""

    @property
    def id(self) -> str: ...

    @property
    def time(self) -> int: ...

    @property
    def timely(self) -> bool: ...


#: An alert or an event.
Written = TypeVar("Written", Alert, Event)


class Refused(NamedTuple, Generic[Written]):
    """What the store will never take, and why."""

    written: Written
    reason: str


class Elasticsearch:
    """The store of one worker."""

    def __init__(
        self, url: str, *, api_key: str = "", username: str = "", password: str = "", timeout: float = 30
    ) -> None:
        """``api_key`` wins over ``username``. ``timeout``: seconds for one request."""
        # Retries are the caller's: a failed batch holds its partition, and says so.
        self._client = AsyncElasticsearch(
            url,
            api_key=api_key or None,
            basic_auth=(username, password) if username and not api_key else None,
            request_timeout=timeout,
            max_retries=0,
        )
        self._url = without_password(url)

    async def write(self, alerts: Sequence[Alert]) -> list[Refused[Alert]]:
        """Write alerts and their findings; those that can never be mapped are given back. Raises StoreUnavailable."""
        by_line: list[Alert] = []
        lines: list[Mapping[str, Any]] = []
        refused: list[Refused[Alert]] = []
        size = 0
        for alert in alerts:
            for action, document in _actions(alert):
                lines += (action, document)
                by_line.append(alert)
                size += 400 + len(str(document))
            if size > _BULK_BYTES:
                refused += await self.bulk(lines, by_line)
                lines, by_line, size = [], [], 0
        if lines:
            refused += await self.bulk(lines, by_line)
        return refused

    async def bulk(self, lines: Sequence[Mapping[str, Any]], written: Sequence[Written]) -> list[Refused[Written]]:
        """``written`` names what is behind each action, of which there are two ``lines``. Raises StoreUnavailable."""
        try:
            response = await self._client.bulk(operations=lines)
        except ApiError as exc:
            if exc.status_code == _TOO_LARGE:
                return await self._halves(lines, written)
            raise self._unavailable(exc) from exc
        except TransportError as exc:
            raise self._unavailable(exc) from exc
        refused: dict[str, Refused[Written]] = {}
        for item, one in zip(response["items"], written, strict=True):
            result = next(iter(item.values()))
            status = result["status"]
            if status < 300 or status == 409:
                continue
            error = result.get("error", {})
            if status == 400 and error.get("type") not in _NOT_OF_THE_DOCUMENT:
                refused[one.id] = Refused(one, f"{error.get('type')} in {result['_index']}")
            else:
                what = f"{status} {error.get('type')} in {result['_index']}"
                hint = "" if status in _RETRIED else ": check the index, its settings and this worker's privileges"
                raise StoreUnavailable(f"Elasticsearch at {self._url}: {what}{hint}")
        return list(refused.values())

    async def _halves(self, lines: Sequence[Mapping[str, Any]], written: Sequence[Written]) -> list[Refused[Written]]:
        """Something on the way takes only smaller requests: each half by itself, down to one document."""
        if len(written) == 1:
            return [Refused(written[0], "413: larger than the server, or a proxy before it, takes")]
        middle = len(written) // 2
        first = await self.bulk(lines[: 2 * middle], written[:middle])
        refused = {r.written.id: r for r in first + await self.bulk(lines[2 * middle :], written[middle:])}
        return list(refused.values())

    def _unavailable(self, exc: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"Elasticsearch at {self._url}: {type(exc).__name__}: {_cause(exc)}")

    async def check(self) -> None:
        """Raise StoreUnavailable where no server answers. One that refuses this question may take alerts still."""
        try:
            await self._client.info()
        except ApiError as exc:
            if exc.status_code >= 500:
                raise self._unavailable(exc) from exc
        except TransportError as exc:
            raise self._unavailable(exc) from exc

    async def set_up(self, more: Mapping[str, Any] = MappingProxyType({})) -> list[str]:
        """Put the index templates, and ``more`` of them; give their names. Raises StoreUnavailable.

        Indices that are there get the fields that are new in ours, so that their month goes on.
        """
        wanted = {**templates(), **more}
        try:
            for name, body in wanted.items():
                await self._client.indices.put_index_template(name=name, **body)
            for name, body in templates().items():
                for index in await self._client.indices.get_mapping(index=f"{name}-*"):
                    await self._add_fields(index, body["template"]["mappings"]["properties"])
        except (TransportError, ApiError) as exc:
            raise self._unavailable(exc) from exc
        return list(wanted)

    async def _add_fields(self, index: str, properties: Mapping[str, Any]) -> None:
        # One that our template did not make may refuse: wardwatch doctor says so, and how it differs.
        with contextlib.suppress(BadRequestError):
            await self._client.indices.put_mapping(index=index, properties=properties)

    async def search(self, index: str, **body: Any) -> list[dict[str, Any]]:
        """Documents that a search gives; none where there is no such index yet. Raises StoreUnavailable."""
        try:
            found = await self._client.search(
                index=index, ignore_unavailable=True, allow_no_indices=True, source=True, **body
            )
        except (TransportError, ApiError) as exc:
            raise self._unavailable(exc) from exc
        return [{**hit["_source"], "sort": hit.get("sort")} for hit in found["hits"]["hits"]]

    async def close(self) -> None:
        await self._client.close()


def without_password(url: str) -> str:
    """``url`` as it may be told."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _cause(exc: Exception) -> str:
    return str(exc).splitlines()[0][:200]


def index_of(prefix: str, dated: Dated) -> str:
    """``prefix-YYYY.MM`` of the event's month, UTC; ``prefix-undated`` where its date cannot be trusted."""
    if not dated.timely:
        return f"{prefix}-undated"
    return f"{prefix}-{datetime.fromtimestamp(dated.time / 1000, UTC):%Y.%m}"


def _actions(alert: Alert) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    for finding in alert.findings:
        create = {"create": {"_index": index_of(FINDINGS, finding), "_id": finding.id}}
        yield create, finding_source(finding)
    write = {
        "_index": index_of(ALERTS, alert.findings[0]),
        "_id": alert.id,
        "version": alert.revision,
        "version_type": "external",
    }
    yield {"index": write}, alert_source(alert)


#: What ECS has of a rule beside the rest, where the rule says it.
_OF_A_RULE: Final = ("uuid", "version", "ruleset", "license", "reference")


def finding_source(finding: Finding) -> dict[str, Any]:
    """The document of a finding, in ECS."""
    kind, _, name = finding.entity.partition(":")
    return {
        "@timestamp": finding.time,
        "event": {
            "kind": "alert",
            "module": "wardwatch",
            "dataset": f"wardwatch.{finding.source}",
            "severity": SEVERITIES.index(finding.severity),
            "reason": finding.reason,
        },
        "message": f"{finding.title}: {finding.reason}",
        "rule": {
            "id": str(finding.rule.get("id", finding.detector)),
            "name": finding.title,
            "author": _listed(finding.rule.get("author")),
            "category": finding.detector,
            **{name: str(said) for name in _OF_A_RULE if (said := finding.rule.get(name))},
        },
        "threat": {"technique": {"id": list(finding.techniques)}},
        "tags": _listed(finding.rule.get("tags")),
        "wardwatch": {
            "finding": finding.id,
            "detector": finding.detector,
            "severity": finding.severity,
            "score": finding.score,
            "entity": {"key": finding.entity, "kind": kind, "name": name},
            "source": finding.source,
            "events": list(finding.event_ids),
            "timely": finding.timely,
            "evidence": {name: str(value) for name, value in finding.evidence.items()},
        },
    }


def alert_source(alert: Alert) -> dict[str, Any]:
    """The document of an alert, in ECS: that of its first finding, with what is the alert's own."""
    document = finding_source(alert.findings[0])
    document["event"]["severity"] = SEVERITIES.index(alert.severity)
    document["event"] |= {"start": alert.first_seen, "reason": alert.reason}
    if alert.status == "recovered":
        lasted = (alert.last_seen - alert.first_seen) * 1_000_000  # ECS has nanoseconds
        document["event"] |= {"end": alert.last_seen, "duration": lasted}
    document["message"] = f"{alert.title}: {alert.reason}"
    document["wardwatch"] |= {
        "alert": alert.id,
        "revision": alert.revision,
        "severity": alert.severity,
        "status": alert.status,
        "first_seen": alert.first_seen,
        "last_seen": alert.last_seen,
        "findings": [finding.id for finding in alert.findings],
    }
    return document


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def templates() -> dict[str, dict[str, Any]]:
    """Index templates by name: every field has a type, and evidence cannot grow the mapping."""
    keyword = {"type": "keyword", "ignore_above": 1024}
    text = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 512}}}
    date = {"type": "date", "format": "epoch_millis"}
    properties = {
        "@timestamp": date,
        "message": {"type": "text"},
        "tags": keyword,
        "event": {
            "properties": {
                "kind": keyword,
                "module": keyword,
                "dataset": keyword,
                "severity": {"type": "long"},
                "reason": text,
                "start": date,
                "end": date,
                "duration": {"type": "long"},
            }
        },
        "rule": {
            "properties": {
                "name": text,
                **dict.fromkeys(("id", "author", "category", *_OF_A_RULE), keyword),
            }
        },
        "threat": {"properties": {"technique": {"properties": {"id": keyword}}}},
        "wardwatch": {
            "properties": {
                "alert": keyword,
                "finding": keyword,
                "findings": keyword,
                "detector": keyword,
                "severity": keyword,
                "score": {"type": "float"},
                "status": keyword,
                "revision": {"type": "long"},
                "source": keyword,
                "events": keyword,
                "timely": {"type": "boolean"},
                "first_seen": date,
                "last_seen": date,
                "entity": {"properties": {"key": keyword, "kind": keyword, "name": keyword}},
                "evidence": {"type": "flattened", "ignore_above": 1024},
            }
        },
    }
    return {
        prefix: {
            "index_patterns": [f"{prefix}-*"],
            "priority": 200,
            "template": {
                "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
                "mappings": {"dynamic": "strict", "properties": properties},
            },
        }
        for prefix in (ALERTS, FINDINGS)
    }
