"""What a panel counts and by what: each column as Lens keeps it, and as the aggregation that Lens makes of it.

Both come from the same column, so a test on Elasticsearch of the one is a test of the other. The shapes are those of
Lens' form-based datasource in Kibana 8.19.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = ["Bucket", "Column", "Count", "Latest", "Metric", "Terms", "Time", "Unique", "aggregations"]

#: What Lens calls the field of a count.
_RECORDS = "___records___"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a layer."""

    id: str
    label: str
    field: str

    #: Elasticsearch types that the field may have.
    types: ClassVar[frozenset[str]] = frozenset()
    operation: ClassVar[str] = ""
    bucketed: ClassVar[bool] = False
    data_type: ClassVar[str] = "number"
    scale: ClassVar[str] = "ratio"

    def params(self, metric: str) -> dict[str, Any]:
        """Lens' parameters; ``metric``: the id of the layer's first metric, by which buckets are ordered."""
        return {}

    def lens(self, metric: str) -> dict[str, Any]:
        """As Lens keeps it."""
        return {
            "label": self.label,
            "customLabel": True,
            "dataType": self.data_type,
            "operationType": self.operation,
            "isBucketed": self.bucketed,
            "scale": self.scale,
            "sourceField": self.field,
            "params": self.params(metric),
        }


class Metric(Column):
    """A number for each bucket."""

    __slots__ = ()

    def aggregation(self) -> dict[str, Any] | None:
        """None where the bucket's own count is it."""
        raise NotImplementedError


class Bucket(Column):
    """What splits documents into buckets."""

    __slots__ = ()
    bucketed = True

    def aggregation(self, order: str) -> dict[str, Any]:
        """``order``: what its buckets are ordered by, largest first."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Count(Metric):
    """How many documents, or how many of those that ``query`` fits."""

    field: str = _RECORDS
    query: str = ""  #: KQL

    operation = "count"

    def params(self, metric: str) -> dict[str, Any]:
        return {"emptyAsNull": False}

    def lens(self, metric: str) -> dict[str, Any]:
        column = Column.lens(self, metric)
        if self.query:
            column["filter"] = {"language": "kuery", "query": self.query}
        return column

    def aggregation(self) -> dict[str, Any] | None:
        return {"filter": {"kql": {"query": self.query}}} if self.query else None


@dataclass(frozen=True, slots=True)
class Unique(Metric):
    """How many values there are."""

    types = frozenset({"keyword"})
    operation = "unique_count"

    def params(self, metric: str) -> dict[str, Any]:
        return {"emptyAsNull": False}

    def aggregation(self) -> dict[str, Any]:
        return {"cardinality": {"field": self.field}}


@dataclass(frozen=True, slots=True)
class Latest(Metric):
    """The latest of the bucket's dates."""

    types = frozenset({"date"})
    operation = "max"
    data_type = "date"

    def params(self, metric: str) -> dict[str, Any]:
        return {"emptyAsNull": True}

    def aggregation(self) -> dict[str, Any]:
        return {"max": {"field": self.field}}


@dataclass(frozen=True, slots=True)
class Terms(Bucket):
    """A bucket for each of the ``size`` values that the first metric counts most of."""

    size: int = 10

    types = frozenset({"keyword"})
    operation = "terms"
    data_type = "string"
    scale = "ordinal"

    def params(self, metric: str) -> dict[str, Any]:
        return {
            "size": self.size,
            "orderBy": {"type": "column", "columnId": metric},
            "orderDirection": "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
            "include": [],
            "exclude": [],
            "includeIsRegex": False,
            "excludeIsRegex": False,
        }

    def aggregation(self, order: str) -> dict[str, Any]:
        return {"terms": {"field": self.field, "size": self.size, "order": {order: "desc"}}}


@dataclass(frozen=True, slots=True)
class Time(Bucket):
    """A bucket for each span of time; Kibana chooses the span by what the page shows."""

    types = frozenset({"date"})
    operation = "date_histogram"
    data_type = "date"
    scale = "interval"

    def params(self, metric: str) -> dict[str, Any]:
        return {"interval": "auto", "includeEmptyRows": True, "dropPartials": False}

    def aggregation(self, order: str) -> dict[str, Any]:
        return {"date_histogram": {"field": self.field, "fixed_interval": "3h", "min_doc_count": 0}}


def aggregations(buckets: Sequence[Bucket], metrics: Sequence[Metric]) -> Mapping[str, Any]:
    """What Lens asks Elasticsearch for: each bucket within the one before, metrics in the innermost.

    Empty where it needs no more than the number of hits.
    """
    counted = {metric.id: made for metric in metrics if (made := metric.aggregation()) is not None}
    if not buckets:
        return counted
    order = metrics[0].id if metrics[0].id in counted else "_count"
    first, *rest = buckets
    inner = aggregations(rest, metrics)
    # The order of an outer bucket needs its metric beside it, not within the next.
    beside = {order: counted[order]} if rest and order in counted else {}
    made = first.aggregation(order)
    if inner or beside:
        made["aggs"] = {**inner, **beside}
    return {first.id: made}
