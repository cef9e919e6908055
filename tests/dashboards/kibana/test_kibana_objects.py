"""The saved objects are what Kibana publishes, refer to one another, and replace themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kibana_published import ATTRIBUTES, Dashboard, DataView, LensPanel, SavedObject, Search, SearchPanel
from pydantic import ValidationError

from dashboards.kibana.boards import Board
from dashboards.kibana.objects import BOARDS, ndjson, saved_objects
from streams.sinks.elasticsearch import ALERTS

OBJECTS = saved_objects(public_url="https://wardwatch.hospital.example/")


def named(name: str) -> dict[str, Any]:
    (found,) = (each for each in OBJECTS if each["id"] == name)
    return found


DASHBOARDS = {board.id: Dashboard.model_validate(named(board.id)["attributes"]) for board in BOARDS}
each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)


def lens_of(board: Board) -> list[LensPanel]:
    return [panel for panel in DASHBOARDS[board.id].panelsJSON if isinstance(panel, LensPanel)]


def check(objects: list[dict[str, Any]]) -> None:
    for each in objects:
        found = SavedObject.model_validate(each)
        ATTRIBUTES[found.type].model_validate(found.attributes)


def test_every_object_is_what_kibana_publishes() -> None:
    check(OBJECTS)
    check(saved_objects(space="ward-7"))
    assert [each["type"] for each in OBJECTS] == [
        "index-pattern", "index-pattern", "search", "search", "dashboard", "dashboard",
    ]  # fmt: skip
    assert OBJECTS[-1]["id"] == "wardwatch-overview", "the one that setup names"


def panel(objects: list[dict[str, Any]], change: Callable[[dict[str, Any]], object]) -> None:
    attributes = objects[-1]["attributes"]
    panels = json.loads(attributes["panelsJSON"])
    change(panels[4])
    attributes["panelsJSON"] = json.dumps(panels)


@pytest.mark.parametrize(
    "harm",
    [
        lambda o: o[0].update(id="with space"),
        lambda o: o[-1].update(coreMigrationVersion="9.9.9"),
        lambda o: o[-1]["attributes"].update(sections=1),
        lambda o: o[-1]["attributes"].update(panelsJSON=[]),
        lambda o: o[2]["attributes"].pop("kibanaSavedObjectMeta"),
        lambda o: panel(o, lambda p: p["gridData"].update(x=48)),
        lambda o: panel(o, lambda p: p["embeddableConfig"]["attributes"]["state"].pop("datasourceStates")),
        lambda o: panel(o, lambda p: p["embeddableConfig"]["attributes"].update(visualizationType="lnsGauge")),
    ],
)
def test_the_published_types_refuse_what_is_not_theirs(harm: Callable[[Any], object]) -> None:
    objects = saved_objects()
    harm(objects)
    with pytest.raises(ValidationError):
        check(objects)


@pytest.mark.parametrize("space", ["", "ward-7"])
def test_every_reference_leads_to_an_object_before_it(space: str) -> None:
    there: set[tuple[str, str]] = set()
    for each in saved_objects(space=space):
        for reference in each["references"]:
            assert (reference["type"], reference["id"]) in there, reference
        names = [reference["name"] for reference in each["references"]]
        assert len(set(names)) == len(names)
        there.add((each["type"], each["id"]))
    assert len(there) == 6


@each_board
def test_the_dashboard_names_each_reference_as_kibana_looks_for_it(board: Board) -> None:
    dashboard, found = DASHBOARDS[board.id], named(board.search.id)
    wanted = {
        f"{lens.panelIndex}:{inner.name}": inner.id
        for lens in lens_of(board)
        for inner in lens.embeddableConfig.attributes.references
    }
    controls = dashboard.controlGroupInput.panelsJSON
    assert [control.explicitInput.fieldName for control in controls.values()] == list(board.controls)
    wanted |= {f"controlGroup_{name}:optionsListDataView": board.indices for name in controls}
    (search,) = (panel for panel in dashboard.panelsJSON if isinstance(panel, SearchPanel))
    wanted[f"{search.panelIndex}:{search.panelRefName}"] = board.search.id
    assert {reference["name"]: reference["id"] for reference in named(board.id)["references"]} == wanted
    source = Search.model_validate(found["attributes"]).kibanaSavedObjectMeta.searchSourceJSON
    assert [(one["name"], one["id"]) for one in found["references"]] == [(source.indexRefName, board.indices)]
    asked = dashboard.kibanaSavedObjectMeta.searchSourceJSON.query.query
    assert asked == source.query.query == board.query


@each_board
def test_every_column_that_a_panel_shows_is_in_its_layer(board: Board) -> None:
    assert [lens.panelIndex for lens in lens_of(board)] == [panel.id for panel in board.panels]
    for lens in lens_of(board):
        attributes = lens.embeddableConfig.attributes
        ((name, layer),) = attributes.state.datasourceStates.formBased.layers.items()
        assert [reference.name for reference in attributes.references] == [f"indexpattern-datasource-layer-{name}"]
        assert layer.columnOrder == list(layer.columns)
        bucketed = [layer.columns[column].isBucketed for column in layer.columnOrder]
        assert bucketed == sorted(bucketed, reverse=True), "Lens wants buckets before metrics"
        told = list(leaves(attributes.state.visualization.model_dump()))
        assert {value for key, value in told if key == "layerId"} == {name}
        assert {value for key, value in told if key in ACCESSORS and value} == set(layer.columns), lens.panelIndex


#: Keys of a visualization's state that name columns.
ACCESSORS = ("metricAccessor", "accessors", "xAccessor", "splitAccessor", "columnId", "primaryGroups", "metrics")


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no list or object, with the key it lies under."""
    if isinstance(value, dict):
        for inner, one in value.items():
            yield from leaves(one, inner)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, key)
    else:
        yield key, value


@each_board
def test_no_two_panels_lie_on_each_other(board: Board) -> None:
    taken: dict[tuple[int, int], str] = {}
    for placed in DASHBOARDS[board.id].panelsJSON:
        grid = placed.gridData
        assert grid.i == placed.panelIndex
        assert grid.x + grid.w <= 48
        for x in range(grid.x, grid.x + grid.w):
            for y in range(grid.y, grid.y + grid.h):
                assert taken.setdefault((x, y), grid.i) == grid.i, (grid.i, taken[x, y])


def test_a_second_load_replaces_and_another_space_has_its_own() -> None:
    def ids(space: str = "") -> set[str]:
        return {each["id"] for each in saved_objects(space=space)}

    assert ids() == ids() == ids("default")
    assert not ids() & ids("ward-7")
    assert ndjson(saved_objects()) == ndjson(saved_objects())


def alerts_view(public_url: str = "") -> dict[str, Any]:
    return next(each for each in saved_objects(public_url=public_url) if each["id"] == ALERTS)


@pytest.mark.parametrize("public_url", ["https://w.example/watch", "https://w.example/watch/"])
def test_an_alert_links_to_the_page_where_the_page_is_known(public_url: str) -> None:
    linked = DataView.model_validate(alerts_view(public_url)["attributes"])
    assert linked.fieldFormatMap["wardwatch.alert"].params.urlTemplate == "https://w.example/watch/#{{value}}"
    assert DataView.model_validate(alerts_view()["attributes"]).fieldFormatMap == {}


def test_the_file_is_one_document_a_line() -> None:
    lines = ndjson(OBJECTS).splitlines()
    assert [json.loads(line) for line in lines] == OBJECTS
