# ruff: noqa: N815  # names are Kibana's
"""What Kibana 8.19 publishes of its saved objects, as types that forbid what is not in them.

Written after Kibana's sources: ``dashboard_saved_object/schema/v1`` and ``v2`` (unknown attributes are refused there
too), ``saved_search/server/saved_objects/schema.ts`` (versions 8.8.0, 1 and 2), ``DataViewAttributes``, the persisted
state of Lens' form-based datasource, and the states of its four visualizations that are used here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from kibana_published_lens import LensAttributes, Published, Query, Reference
from pydantic import Field, Json


class SearchSource(Published):
    query: Query
    filter: list[Any]
    indexRefName: str | None = None


class SearchSourceMeta(Published):
    searchSourceJSON: Json[SearchSource]


# -- data view


class UrlParams(Published):
    type: Literal["a", "img", "audio"]
    urlTemplate: str
    labelTemplate: str
    openLinkInCurrentTab: bool


class UrlFormat(Published):
    id: Literal["url"]
    params: UrlParams


class FieldAttributes(Published):
    customLabel: str


class DataView(Published):
    title: str
    name: str
    timeFieldName: str
    allowNoIndex: bool
    fields: Json[list[Any]]
    fieldAttrs: Json[dict[str, FieldAttributes]]
    fieldFormatMap: Json[dict[str, UrlFormat]]
    runtimeFieldMap: Json[dict[str, Any]]
    sourceFilters: Json[list[Any]]
    typeMeta: Json[dict[str, Any]]


# -- saved search


class ColumnWidth(Published):
    width: int


class SearchGrid(Published):
    columns: dict[str, ColumnWidth]


class Search(Published):
    title: str
    description: str
    columns: list[str]
    sort: list[Annotated[list[str], Field(max_length=2)]]
    grid: SearchGrid
    hideChart: bool
    isTextBasedQuery: bool
    timeRestore: bool
    kibanaSavedObjectMeta: SearchSourceMeta


# -- dashboard


class GridData(Published):
    x: int = Field(ge=0, lt=48)
    y: int = Field(ge=0)
    w: int = Field(ge=1, le=48)
    h: int = Field(ge=1)
    i: str


class LensConfig(Published):
    enhancements: dict[str, Any]
    attributes: LensAttributes


class SearchConfig(Published):
    enhancements: dict[str, Any]


class Placed(Published):
    title: str
    panelIndex: str
    gridData: GridData


class LensPanel(Placed):
    type: Literal["lens"]
    embeddableConfig: LensConfig


class SearchPanel(Placed):
    type: Literal["search"]
    panelRefName: str
    embeddableConfig: SearchConfig


class Sort(Published):
    by: Literal["_count", "_key"]
    direction: Literal["asc", "desc"]


class OptionsList(Published):
    id: str
    dataViewId: str
    fieldName: str
    title: str
    searchTechnique: Literal["prefix", "wildcard", "exact"]
    selectedOptions: list[str]
    sort: Sort


class Control(Published):
    type: Literal["optionsListControl"]
    order: int
    width: Literal["small", "medium", "large"]
    grow: bool
    explicitInput: OptionsList


class Ignored(Published):
    ignoreFilters: bool
    ignoreQuery: bool
    ignoreTimerange: bool
    ignoreValidations: bool


class ControlGroup(Published):
    controlStyle: Literal["oneLine", "twoLine"]
    chainingSystem: Literal["HIERARCHICAL", "NONE"]
    showApplySelections: bool
    ignoreParentSettingsJSON: Json[Ignored]
    panelsJSON: Json[dict[str, Control]]


class Options(Published):
    useMargins: bool
    syncColors: bool
    syncCursor: bool
    syncTooltips: bool
    hidePanelTitles: bool


class Refresh(Published):
    pause: bool
    value: int


class Dashboard(Published):
    title: str
    description: str
    panelsJSON: Json[list[Annotated[LensPanel | SearchPanel, Field(discriminator="type")]]]
    optionsJSON: Json[Options]
    controlGroupInput: ControlGroup
    timeRestore: bool
    timeFrom: str
    timeTo: str
    refreshInterval: Refresh
    kibanaSavedObjectMeta: SearchSourceMeta
    version: int


ATTRIBUTES: dict[str, type[Published]] = {"index-pattern": DataView, "search": Search, "dashboard": Dashboard}


class SavedObject(Published):
    id: str = Field(pattern=r"^[a-z0-9_-]+$")
    type: Literal["index-pattern", "search", "dashboard"]
    attributes: dict[str, Any]
    references: list[Reference]
    coreMigrationVersion: Literal["8.8.0"]
    typeMigrationVersion: str
    managed: bool
