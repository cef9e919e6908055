"""What a dashboard is made of: panels over one data view, a saved search below them, and controls that narrow both.

The grid is 48 columns wide, as Kibana's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from dashboards.kibana.columns import Bucket, Column, Metric, aggregations

__all__ = ["COLOURS", "TIME", "Board", "Grid", "Panel", "Search"]

TIME: Final = "@timestamp"

#: Of the values of a field, wherever it is shown.
COLOURS: Final[Mapping[str, Mapping[str, str]]] = {
    "wardwatch.severity": {
        "critical": "#bd271e",
        "high": "#e7664c",
        "medium": "#d6bf57",
        "low": "#6092c0",
        "informational": "#98a2b3",
    },
    "event.outcome": {"failure": "#e7664c", "success": "#6092c0", "unknown": "#98a2b3"},
}


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of 48, rows of 20 pixels."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart over the documents of the time and filters chosen."""

    id: str
    title: str
    kind: Literal["number", "time", "bar", "donut", "table"]
    grid: Grid
    metrics: tuple[Metric, ...]
    buckets: tuple[Bucket, ...] = ()  #: the outer one first

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.buckets, *self.metrics)

    def query(self, begin: str, end: str, kql: str = "") -> dict[str, Any]:
        """The search that the chart stands for, between two ISO 8601 times, as Kibana sends it.

        ``kql``: the dashboard's own query.
        """
        between = {"gte": begin, "lte": end, "format": "strict_date_optional_time"}
        wanted = [{"kql": {"query": kql}}] if kql else []
        return {
            "size": 0,
            "track_total_hits": True,
            "query": {"bool": {"filter": [*wanted, {"range": {TIME: between}}]}},
            "aggs": aggregations(self.buckets, self.metrics),
        }


@dataclass(frozen=True, slots=True)
class Search:
    """A saved search, which stands below the panels."""

    id: str
    title: str
    description: str
    columns: Mapping[str, str]  #: fields, and their labels
    widths: Mapping[str, int]  #: pixels, of some of them
    grid: Grid


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    id: str
    title: str
    description: str
    indices: str  #: prefix of the indices that its data view is over
    panels: tuple[Panel, ...]
    controls: Mapping[str, str]  #: fields that narrow the whole dashboard, and their labels
    search: Search
    query: str = ""  #: KQL: what is shown at all
