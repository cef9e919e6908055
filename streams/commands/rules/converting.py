"""``rules convert``: a rule as a query over ``wardwatch-events-*``, for hunting in Kibana, by pySigma's own backend.

Kept events hold the ECS fields that their source releases and nothing else of a record. So a field of the vendor's is
put in ECS's words where both say the very same, and else the rule is refused: a query on a field that is not there
finds nothing and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

from detectors.rules import Rule
from streams.commands.rules.fields import asked_names, fitting
from streams.commands.rules.papers import paper_of
from streams.sinks.event_index import EVENTS
from streams.sources.base import Source
from streams.sources.known import Sources
from streams.sources.table import Table

__all__ = ["SAME", "Converted", "NotConverted", "convert"]

Language = Literal["esql", "lucene"]

#: Vendor's fields whose value a source gives to a field of ECS as it is; the tests hold each to its source.
SAME: Final[Mapping[str, Mapping[str, str]]] = {
    "cloudtrail": {
        "awsRegion": "cloud.region",
        "errorCode": "error.code",
        "eventName": "event.action",
        "eventSource": "event.provider",
        "recipientAccountId": "cloud.account.id",
        "requestParameters.bucketName": "wardwatch.bucket",
        "userAgent": "user_agent.original",
    },
    "device": {
        "action": "event.action",
        "device.firmware": "wardwatch.firmware",
        "device.model": "device.model.name",
        "device.vendor": "device.manufacturer",
    },
    "wardwatch": {"action": "event.action"},
}
#: Fields of ECS that hold lists, of which ES|QL compares none.
_LISTS: Final = frozenset(
    {"event.category", "event.type", "wardwatch.patient", "wardwatch.purpose", "wardwatch.resource"}
)
#: Fields that a refusal names.
_NAMED: Final = 4


class NotConverted(ValueError):
    """Why a rule is no query. One sentence."""


class Converted(NamedTuple):
    """A query, and what its reader should know."""

    rule: Rule
    query: str
    notes: tuple[str, ...]


def convert(rule: Rule, language: Language, sources: Sources) -> Converted:
    """``rule`` in ``language``. Raises NotConverted."""
    backend = _backend(language)
    found = fitting(rule, sources)
    if not found:
        raise NotConverted("no source here sends its log source, so no event of it is kept")
    named = {name: _ecs(name, found) for name in asked_names(rule)}
    if lacking := sorted(name for name, ecs in named.items() if not ecs):
        told = ", ".join(lacking[:_NAMED]) + (f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else "")
        raise NotConverted(f"kept events of {_sources(found)} do not have {told}: ask about fields they release")
    notes = ["Elasticsearch compares these fields by case, and rules do not."]
    if language == "esql" and (lists := sorted(_LISTS & set(named.values()))):
        raise NotConverted(f"{', '.join(lists)} may hold several values, which ES|QL does not compare: use lucene")
    paper = paper_of(rule)
    if paper is None:
        raise NotConverted(f"{rule.path} is not there any more")
    return Converted(rule, _query(backend, paper.document, named, [source.name for source in found]), tuple(notes))


def _sources(found: list[Source]) -> str:
    return found[0].name if len(found) == 1 else f"{len(found)} sources"


def _ecs(name: str, sources: Iterable[Source]) -> str:
    """The field of a kept event that says what ``name`` says, of every one of ``sources``; "" where there is none.

    A source that does not have ``name`` must not have that field either: there the rule finds nothing, and so must the
    query.
    """
    own = [(source, _own(source, name)) for source in sources]
    found = {ecs for _, ecs in own} - {""}
    if len(found) != 1:
        return ""
    (ecs,) = found
    return ecs if all(said or ecs not in source.released for source, said in own) else ""


def _own(source: Source, name: str) -> str:
    if name in source.released:
        return name
    if isinstance(source, Table):
        for ecs, column in source.file.fields.items():
            plain = column.values is None and not column.separator and column.type in (None, "text")
            if column.column == name and plain and ecs in source.released:
                return ecs
    return SAME.get(source.name, {}).get(name, "")


def _backend(language: Language) -> type[Any]:
    try:
        elasticsearch = import_module("sigma.backends.elasticsearch")
    except ImportError:
        raise NotConverted(
            "pySigma's Elasticsearch backend is not installed: pip install --no-deps pysigma-backend-elasticsearch"
        ) from None
    backend: type[Any] = elasticsearch.ESQLBackend if language == "esql" else elasticsearch.LuceneBackend
    return backend


def _query(backend: type[Any], document: Mapping[str, Any], named: Mapping[str, str], sources: list[str]) -> str:
    from sigma.collection import SigmaCollection  # noqa: PLC0415  # with the backend
    from sigma.exceptions import SigmaError  # noqa: PLC0415
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline  # noqa: PLC0415
    from sigma.processing.transformations import (  # noqa: PLC0415
        AddConditionTransformation,
        FieldMappingTransformation,
        SetStateTransformation,
    )

    pipeline = ProcessingPipeline(
        name="wardwatch",
        items=[
            ProcessingItem(FieldMappingTransformation({name: ecs for name, ecs in named.items() if name != ecs})),
            ProcessingItem(AddConditionTransformation({"wardwatch.source": sources})),
            ProcessingItem(SetStateTransformation("index", f"{EVENTS}-*")),
        ],
    )
    own = {name: value for name, value in document.items() if name != "wardwatch"}
    try:
        queries = backend(processing_pipeline=pipeline).convert(SigmaCollection.from_dicts([own]))
    except (SigmaError, NotImplementedError) as exc:
        raise NotConverted(f"pySigma's backend does not say it in this language: {exc}") from exc
    return "\n".join(map(str, queries))
