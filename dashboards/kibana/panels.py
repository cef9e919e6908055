"""The overview dashboard: what it shows, and where. The grid is 48 columns wide, as Kibana's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from dashboards.kibana.columns import Bucket, Column, Count, Latest, Metric, Terms, Time, Unique, aggregations
from detectors.base import Severity

__all__ = ["COLOURS", "CONTROLS", "LATEST", "PANELS", "Grid", "Panel"]

TIME = "@timestamp"
SEVERITY = "wardwatch.severity"
SOURCE = "wardwatch.source"
DETECTOR = "wardwatch.detector"
ENTITY = "wardwatch.entity.key"

#: From red to grey, wherever a severity is shown.
COLOURS: dict[Severity, str] = {
    "critical": "#bd271e",
    "high": "#e7664c",
    "medium": "#d6bf57",
    "low": "#6092c0",
    "informational": "#98a2b3",
}

#: Fields that narrow the whole dashboard, and their labels.
CONTROLS = {SEVERITY: "Severity", SOURCE: "Source", DETECTOR: "Detector", "wardwatch.entity.kind": "Kind of entity"}

#: Columns of the latest alerts. The last one links to the web page, where ``public_url`` says where it is.
LATEST = {
    SEVERITY: "Severity",
    "rule.name": "Alert",
    ENTITY: "Entity",
    SOURCE: "Source",
    DETECTOR: "Detector",
    "event.reason": "Reason",
    "wardwatch.alert": "Open",
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
    """One chart over the alerts of the time and filters chosen."""

    id: str
    title: str
    kind: Literal["number", "time", "bar", "donut", "table"]
    grid: Grid
    metrics: tuple[Metric, ...]
    buckets: tuple[Bucket, ...] = ()  #: the outer one first

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.buckets, *self.metrics)

    def query(self, begin: str, end: str) -> dict[str, Any]:
        """The search that the chart stands for, between two ISO 8601 times, as Kibana sends it."""
        between = {"gte": begin, "lte": end, "format": "strict_date_optional_time"}
        return {
            "size": 0,
            "track_total_hits": True,
            "query": {"bool": {"filter": [{"range": {TIME: between}}]}},
            "aggs": aggregations(self.buckets, self.metrics),
        }


def _alerts(query: str = "", label: str = "Alerts", name: str = "alerts") -> Count:
    return Count(name, label, query=query)


_SERIOUS = f'{SEVERITY}: "high" or {SEVERITY}: "critical"'

PANELS = (
    Panel("count", "Alerts", "number", Grid(0, 0, 12, 6), (_alerts(),)),
    Panel(
        "count-serious", "High and critical", "number", Grid(12, 0, 12, 6), (_alerts(_SERIOUS, "High and critical"),)
    ),
    Panel(
        "count-entities",
        "Entities with alerts",
        "number",
        Grid(24, 0, 12, 6),
        (Unique("entities", "Entities", ENTITY),),
    ),
    Panel("last", "Last alert", "number", Grid(36, 0, 12, 6), (Latest("latest", "Last alert", TIME),)),
    Panel(
        "over-time",
        "Alerts over time",
        "time",
        Grid(0, 6, 36, 14),
        (_alerts(),),
        (Terms("severity", "Severity", SEVERITY, size=5), Time("time", "Time", TIME)),
    ),
    Panel(
        "by-severity",
        "By severity",
        "donut",
        Grid(36, 6, 12, 14),
        (_alerts(),),
        (Terms("severity", "Severity", SEVERITY, size=5),),
    ),
    Panel("by-source", "By source", "bar", Grid(0, 20, 16, 14), (_alerts(),), (Terms("source", "Source", SOURCE),)),
    Panel(
        "by-detector",
        "By detector",
        "bar",
        Grid(16, 20, 16, 14),
        (_alerts(),),
        (Terms("detector", "Detector", DETECTOR),),
    ),
    Panel(
        "by-technique",
        "By ATT&CK technique",
        "bar",
        Grid(32, 20, 16, 14),
        (_alerts(),),
        (Terms("technique", "Technique", "threat.technique.id"),),
    ),
    Panel(
        "top-entities",
        "Entities with the most alerts",
        "table",
        Grid(0, 34, 24, 16),
        (_alerts(), _alerts(_SERIOUS, "High and critical", "serious"), Latest("latest", "Last", TIME)),
        (Terms("entity", "Entity", ENTITY, size=20),),
    ),
    Panel(
        "top-rules",
        "Rules and models with the most alerts",
        "table",
        Grid(24, 34, 24, 16),
        (_alerts(), Unique("entities", "Entities", ENTITY), Latest("latest", "Last", TIME)),
        (Terms("rule", "Alert", "rule.name.keyword", size=20),),
    ),
)

#: Where the latest alerts stand, below the panels.
LATEST_GRID = Grid(0, 50, 48, 24)
