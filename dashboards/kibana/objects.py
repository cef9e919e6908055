"""Kibana's saved objects: of alerts and of events a data view, a saved search and a dashboard each.

Ids are made of names, so that loading them again replaces them, and a space has ids of its own: Kibana takes an id
once for all spaces. Each object carries the oldest migration version that has its shape, so every Kibana from 8.15 to
the end of 9 takes it, and brings it up to its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from dashboards.kibana import lens
from dashboards.kibana.access_panels import ACCESSES
from dashboards.kibana.boards import TIME, Board, Grid, Search
from dashboards.kibana.panels import OVERVIEW

__all__ = ["BOARDS", "OLDEST_KIBANA", "ndjson", "saved_objects"]

#: Every dashboard, the one to begin with last.
BOARDS = (ACCESSES, OVERVIEW)
#: The first version that knows every migration version below.
OLDEST_KIBANA = (8, 15)

#: Of what all types have in common, and of each type. A later Kibana takes an earlier one, never the other way round.
_CORE = "8.8.0"
_TYPES = {"index-pattern": "8.0.0", "search": "10.2.0", "dashboard": "10.2.0"}


def saved_objects(*, public_url: str = "", space: str = "") -> list[dict[str, Any]]:
    """All of them, what is referred to before what refers to it.

    ``public_url``: where the web page is, so that alerts link to it; without one they do not. ``space``: the id of the
    space they are for; empty for the default one.
    """
    suffix = f"-{space}" if space not in ("", "default") else ""
    views, searches, dashboards = [], [], []
    for board in BOARDS:
        view, search = f"{board.indices}{suffix}", f"{board.search.id}{suffix}"
        formats = _links(public_url) if board is OVERVIEW else {}
        views.append(_data_view(view, board, formats))
        searches.append(_search(search, view, board.search, board.query))
        dashboards.append(_dashboard(f"{board.id}{suffix}", view, search, board))
    return [*views, *searches, *dashboards]


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


def _data_view(name: str, board: Board, formats: dict[str, Any]) -> dict[str, Any]:
    labels = {field: {"customLabel": label} for field, label in board.search.columns.items()}
    attributes = {
        "title": f"{board.indices}-*",
        "name": board.indices.capitalize().replace("-", " "),
        "timeFieldName": TIME,
        "allowNoIndex": True,  # before the first document there is no index, and that is no error
        "fields": "[]",
        "fieldAttrs": _json(labels),
        "fieldFormatMap": _json(formats),
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "typeMeta": "{}",
    }
    return _object("index-pattern", name, attributes, [])


def _search(name: str, data_view: str, search: Search, query: str) -> dict[str, Any]:
    reference = "kibanaSavedObjectMeta.searchSourceJSON.index"
    attributes = {
        "title": search.title,
        "description": search.description,
        "columns": list(search.columns),
        "sort": [[TIME, "desc"]],
        "grid": {"columns": {field: {"width": width} for field, width in search.widths.items()}},
        "hideChart": True,
        "isTextBasedQuery": False,
        "timeRestore": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _json({**_source(query), "indexRefName": reference})},
    }
    return _object("search", name, attributes, [{"type": "index-pattern", "id": data_view, "name": reference}])


def _source(query: str) -> dict[str, Any]:
    return {"query": {"query": query, "language": "kuery"}, "filter": []}


def _dashboard(name: str, view: str, search: str, board: Board) -> dict[str, Any]:
    panels = [
        _placed(panel.id, panel.grid, "lens", panel.title, {"attributes": lens.attributes(panel, view)})
        for panel in board.panels
    ]
    title = board.search.title.removeprefix("Wardwatch: ").capitalize()
    below = _placed("latest", board.search.grid, "search", title, {}) | {"panelRefName": "panel_latest"}
    attributes = {
        "title": board.title,
        "description": board.description,
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
        "controlGroupInput": _controls(view, board.controls),
        "timeRestore": True,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 60_000},
        "kibanaSavedObjectMeta": {"searchSourceJSON": _json(_source(board.query))},
        "version": 3,
    }
    references = [
        *(lens.layer_reference(view, panel.id) for panel in board.panels),
        {"type": "search", "id": search, "name": "latest:panel_latest"},
        *(
            {"type": "index-pattern", "id": view, "name": f"controlGroup_{_control(field)}:optionsListDataView"}
            for field in board.controls
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


def _controls(data_view: str, fields: Mapping[str, str]) -> dict[str, Any]:
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
        for order, (field, title) in enumerate(fields.items())
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
