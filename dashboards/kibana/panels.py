"""The overview dashboard: which alerts there were, how severe, of what and about whom."""

from __future__ import annotations

from typing import Final

from dashboards.kibana.boards import TIME, Board, Grid, Panel, Search
from dashboards.kibana.columns import Count, Latest, Terms, Time, Unique
from streams.sinks.elasticsearch import ALERTS

__all__ = ["OVERVIEW"]

SEVERITY = "wardwatch.severity"
SOURCE = "wardwatch.source"
DETECTOR = "wardwatch.detector"
ENTITY = "wardwatch.entity.key"

#: Columns of the latest alerts. The last one links to the web page, where ``public_url`` says where it is.
_LATEST = {
    SEVERITY: "Severity",
    "rule.name": "Alert",
    ENTITY: "Entity",
    SOURCE: "Source",
    DETECTOR: "Detector",
    "event.reason": "Reason",
    "wardwatch.alert": "Open",
}


def _alerts(query: str = "", label: str = "Alerts", name: str = "alerts") -> Count:
    return Count(name, label, query=query)


_SERIOUS = f'{SEVERITY}: "high" or {SEVERITY}: "critical"'

_PANELS = (
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

OVERVIEW: Final = Board(
    id="wardwatch-overview",
    title="Wardwatch: overview",
    description="Alerts over time, by severity, source, detector and technique; who has most; the latest.",
    indices=ALERTS,
    panels=_PANELS,
    controls={SEVERITY: "Severity", SOURCE: "Source", DETECTOR: "Detector", "wardwatch.entity.kind": "Kind of entity"},
    search=Search(
        id=f"{ALERTS}-latest",
        title="Wardwatch: latest alerts",
        description="Every alert, the latest first.",
        columns=_LATEST,
        widths={SEVERITY: 110, "wardwatch.alert": 300},
        grid=Grid(0, 50, 48, 24),
    ),
)
