"""Kibana's saved objects: two data views, the latest alerts as a saved search, and the overview dashboard.

Ids are made of names, so that loading them again replaces them, and a space has ids of its own: Kibana takes an id
once for all spaces. Each object carries the oldest migration version that has its shape, so every Kibana from 8.15 to
the end of 9 takes it, and brings it up to its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from dashboards.kibana import lens
from dashboards.kibana.panels import CONTROLS, LATEST, LATEST_GRID, PANELS, TIME, Grid
from streams.sinks.elasticsearch import ALERTS

__all__ = ["EVENTS", "OLDEST_KIBANA", "ndjson", "saved_objects"]

#: Prefix of the indices of events, as that of alerts.
EVENTS = "wardwatch-events"
#: The first version that knows every migration version below.
OLDEST_KIBANA = (8, 15)

#: Of what all types have in common, and of each type. A later Kibana takes an earlier one, never the other way round.
_CORE = "8.8.0"
_TYPES = {"index-pattern": "8.0.0", "search": "10.2.0", "dashboard": "10.2.0"}

_NO_QUERY = {"query": {"query": "", "language": "kuery"}, "filter": []}


def saved_objects(*, public_url: str = "", space: str = "") -> list[dict[str, Any]]:
    """All of them, what is referred to before what refers to it.

    ``public_url``: where the web page is, so that alerts link to it; without one they do not. ``space``: the id of the
    space they are for; empty for the default one.
    """
    suffix = f"-{space}" if space not in ("", "default") else ""
    alerts, latest = f"{ALERTS}{suffix}", f"{ALERTS}-latest{suffix}"
    return [
        _data_view(alerts, "Wardwatch alerts", ALERTS, _links(public_url), LATEST),
        _data_view(f"{EVENTS}{suffix}", "Wardwatch events", EVENTS, {}, {}),
        _latest(latest, alerts),
        _dashboard(f"wardwatch-overview{suffix}", alerts, latest),
    ]


def ndjson(objects: Sequence[dict[str, Any]]) -> bytes:
    """As Kibana's import takes them: one JSON document a line."""
    return b"".join(orjson.dumps(each) + b"\n" for each in objects)


def _links(public_url: str) -> dict[str, Any]:
    if not public_url:
        return {}
    params = {
        "type": "a",
        "urlTemplate": f"{public_url.rstrip('/')}/#{{{{value}}}}",
        "labelTemplate": "open",
        "openLinkInCurrentTab": False,
    }
    return {"wardwatch.alert": {"id": "url", "params": params}}


def _object(kind: str, name: str, attributes: dict[str, Any], references: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "attributes": attributes,
        "references": references,
        "coreMigrationVersion": _CORE,
        "typeMigrationVersion": _TYPES[kind],
        "managed": False,
    }


def _data_view(name: str, title: str, prefix: str, formats: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    attributes = {
        "title": f"{prefix}-*",
        "name": title,
        "timeFieldName": TIME,
        "allowNoIndex": True,  # before the first alert there is no index, and that is no error
        "fields": "[]",
        "fieldAttrs": _json({field: {"customLabel": label} for field, label in labels.items()}),
        "fieldFormatMap": _json(formats),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "typeMeta": "{}",
    }
    return _object("index-pattern", name, attributes, [])


def _latest(name: str, data_view: str) -> dict[str, Any]:
    reference = "kibanaSavedObjectMeta.searchSourceJSON.index"
    attributes = {
        "title": "Wardwatch: latest alerts",
        "description": "Every alert, the latest first.",
        "columns": list(LATEST),
        "sort": [[TIME, "desc"]],
        "grid": {"columns": {"wardwatch.severity": {"width": 110}, "wardwatch.alert": {"width": 300}}},
        "hideChart": True,
        "isTextBasedQuery": False,
        "timeRestore": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _json({**_NO_QUERY, "indexRefName": reference})},
    }
    return _object("search", name, attributes, [{"type": "index-pattern", "id": data_view, "name": reference}])


def _dashboard(name: str, alerts: str, latest: str) -> dict[str, Any]:
    panels = [
        _placed(panel.id, panel.grid, "lens", panel.title, {"attributes": lens.attributes(panel, alerts)})
        for panel in PANELS
    ]
    below = _placed("latest", LATEST_GRID, "search", "Latest alerts", {}) | {"panelRefName": "panel_latest"}
    attributes = {
        "title": "Wardwatch: overview",
        "description": "Alerts over time, by severity, source, detector and technique; who has most; the latest.",
        "panelsJSON": _json([*panels, below]),
        "optionsJSON": _json(
            {
                "useMargins": True,
                "syncColors": False,
                "syncCursor": True,
                "syncTooltips": False,
                "hidePanelTitles": False,
            }
        ),
        "controlGroupInput": _controls(alerts),
        "timeRestore": True,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 60_000},
        "kibanaSavedObjectMeta": {"searchSourceJSON": _json(_NO_QUERY)},
        "version": 3,
    }
    references = [
        *(lens.layer_reference(alerts, panel.id) for panel in PANELS),
        {"type": "search", "id": latest, "name": "latest:panel_latest"},
        *(
            {"type": "index-pattern", "id": alerts, "name": f"controlGroup_{_control(field)}:optionsListDataView"}
            for field in CONTROLS
        ),
    ]
    return _object("dashboard", name, attributes, references)


def _placed(name: str, grid: Grid, kind: str, title: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "title": title,
        "panelIndex": name,
        "gridData": {"x": grid.x, "y": grid.y, "w": grid.w, "h": grid.h, "i": name},
        "embeddableConfig": {"enhancements": {}, **config},
    }


def _controls(data_view: str) -> dict[str, Any]:
    ignored = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    controls = {
        _control(field): {
            "type": "optionsListControl",
            "order": order,
            "width": "medium",
            "grow": True,
            "explicitInput": {
                "id": _control(field),
                "dataViewId": data_view,
                "fieldName": field,
                "title": title,
                "searchTechnique": "prefix",
                "selectedOptions": [],
                "sort": {"by": "_count", "direction": "desc"},
            },
        }
        for order, (field, title) in enumerate(CONTROLS.items())
    }
    return {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "showApplySelections": False,
        "ignoreParentSettingsJSON": _json(ignored),
        "panelsJSON": _json(controls),
    }


def _control(field: str) -> str:
    return field.removeprefix("wardwatch.").replace(".", "-")


def _json(value: Any) -> str:
    """Kibana keeps many values as text."""
    return orjson.dumps(value).decode()
