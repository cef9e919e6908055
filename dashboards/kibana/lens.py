"""A panel as Lens keeps it: Kibana 8.19's by-value attributes, with a layer of the form-based datasource."""

from __future__ import annotations

from typing import Any

from dashboards.kibana.boards import COLOURS, Panel
from dashboards.kibana.columns import Time

__all__ = ["LAYER", "attributes", "layer_reference"]

#: The one layer of each panel.
LAYER = "wardwatch"

_TYPES = {
    "number": "lnsMetric",
    "time": "lnsXY",
    "bar": "lnsXY",
    "donut": "lnsPie",
    "table": "lnsDatatable",
}


def layer_reference(data_view: str, panel: str = "") -> dict[str, str]:
    """What ties a layer to its data view; with ``panel``, as the dashboard that holds the panel names it."""
    prefix = f"{panel}:" if panel else ""
    return {"type": "index-pattern", "id": data_view, "name": f"{prefix}indexpattern-datasource-layer-{LAYER}"}


def attributes(panel: Panel, data_view: str) -> dict[str, Any]:
    """The attributes of a Lens panel that lives in its dashboard. ``data_view``: the id of the one it reads."""
    metric = panel.metrics[0].id
    layer = {
        "columns": {column.id: column.lens(metric) for column in panel.columns},
        "columnOrder": [column.id for column in panel.columns],
        "incompleteColumns": {},
        "sampling": 1,
    }
    return {
        "title": panel.title,
        "description": "",
        "visualizationType": _TYPES[panel.kind],
        "type": "lens",
        "references": [layer_reference(data_view)],
        "state": {
            "visualization": _visualization(panel),
            "query": {"query": "", "language": "kuery"},
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {LAYER: layer}}, "textBased": {"layers": {}}},
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def _visualization(panel: Panel) -> dict[str, Any]:
    metric = panel.metrics[0].id
    on_layer = {"layerId": LAYER, "layerType": "data"}
    if panel.kind == "number":
        return {**on_layer, "metricAccessor": metric}
    if panel.kind == "table":
        columns = [{"columnId": c.id, "isMetric": not c.bucketed, "isTransposed": False} for c in panel.columns]
        sorting = {"columnId": metric, "direction": "desc"}
        return {**on_layer, "columns": columns, "sorting": sorting, "paging": {"size": 10, "enabled": True}}
    if panel.kind == "donut":
        layer = {
            **on_layer,
            "primaryGroups": [bucket.id for bucket in panel.buckets],
            "metrics": [metric],
            "numberDisplay": "value",
            "categoryDisplay": "default",
            "legendDisplay": "default",
            "nestedLegend": False,
        }
        return {"shape": "donut", "layers": [layer | _colours(panel)]}
    return _chart(panel, on_layer | _colours(panel))


def _chart(panel: Panel, layer: dict[str, Any]) -> dict[str, Any]:
    """Bars over time lie on each other by what splits them; the others lie on their side, for long names."""
    series = "bar_stacked" if panel.kind == "time" else "bar_horizontal"
    across = next((bucket for bucket in panel.buckets if isinstance(bucket, Time)), panel.buckets[-1])
    layer |= {
        "accessors": [panel.metrics[0].id],
        "xAccessor": across.id,
        "seriesType": series,
        "position": "top",
        "showGridlines": False,
    }
    split = [bucket.id for bucket in panel.buckets if bucket is not across]
    if split:
        layer["splitAccessor"] = split[0]
    shown = {"x": True, "yLeft": True, "yRight": True}
    return {
        "legend": {"isVisible": bool(split), "position": "right"},
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": False},
        "tickLabelsVisibilitySettings": shown,
        "labelsOrientation": {"x": 0, "yLeft": 0, "yRight": 0},
        "gridlinesVisibilitySettings": shown,
        "preferredSeriesType": series,
        "layers": [layer],
    }


def _colours(panel: Panel) -> dict[str, Any]:
    """What has a colour of its own wears it; what else there is takes Kibana's."""
    colours = next((COLOURS[bucket.field] for bucket in panel.buckets if bucket.field in COLOURS), None)
    if colours is None:
        return {}
    return {
        "colorMapping": {
            "assignments": [
                {
                    "rule": {"type": "matchExactly", "values": [value]},
                    "color": {"type": "colorCode", "colorCode": colour},
                    "touched": False,
                }
                for value, colour in colours.items()
            ],
            "specialAssignments": [{"rule": {"type": "other"}, "color": {"type": "loop"}, "touched": False}],
            "paletteId": "eui_amsterdam_color_blind",
            "colorMode": {"type": "categorical"},
        }
    }
