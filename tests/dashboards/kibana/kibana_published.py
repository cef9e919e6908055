# ruff: noqa: N815  # names are Kibana's
"""What Kibana 8.19 publishes of its saved objects, as types that forbid what is not in them.

Written after Kibana's sources: ``dashboard_saved_object/schema/v1`` and ``v2`` (unknown attributes are refused there
too), ``saved_search/server/saved_objects/schema.ts`` (versions 8.8.0, 1 and 2), ``DataViewAttributes``, the persisted
state of Lens' form-based datasource, and the states of its four visualizations that are used here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Json


class Published(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Reference(Published):
    type: Literal["index-pattern", "search"]
    id: str = Field(min_length=1)
    name: str = Field(min_length=1)


class Query(Published):
    query: str
    language: Literal["kuery", "lucene"]


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


# -- Lens


class OrderBy(Published):
    type: Literal["column"]
    columnId: str


class FormatId(Published):
    id: Literal["terms"]


class TermsParams(Published):
    size: int = Field(ge=1, le=10_000)
    orderBy: OrderBy
    orderDirection: Literal["asc", "desc"]
    otherBucket: bool
    missingBucket: bool
    parentFormat: FormatId
    include: list[str]
    exclude: list[str]
    includeIsRegex: bool
    excludeIsRegex: bool


class TimeParams(Published):
    interval: Literal["auto"]
    includeEmptyRows: bool
    dropPartials: bool


class MetricParams(Published):
    emptyAsNull: bool


class LensColumn(Published):
    label: str
    customLabel: Literal[True]
    sourceField: str


class TermsColumn(LensColumn):
    operationType: Literal["terms"]
    dataType: Literal["string"]
    isBucketed: Literal[True]
    scale: Literal["ordinal"]
    params: TermsParams


class TimeColumn(LensColumn):
    operationType: Literal["date_histogram"]
    dataType: Literal["date"]
    isBucketed: Literal[True]
    scale: Literal["interval"]
    params: TimeParams


class MetricColumn(LensColumn):
    operationType: Literal["count", "unique_count", "max"]
    dataType: Literal["number", "date"]
    isBucketed: Literal[False]
    scale: Literal["ratio"]
    params: MetricParams
    filter: Query | None = None


AnyColumn = Annotated[TermsColumn | TimeColumn | MetricColumn, Field(discriminator="operationType")]


class Layer(Published):
    columns: dict[str, AnyColumn]
    columnOrder: list[str]
    incompleteColumns: dict[str, Any]
    sampling: float


class FormBased(Published):
    layers: dict[str, Layer]


class TextBased(Published):
    layers: dict[str, Any] = Field(max_length=0)


class Datasources(Published):
    formBased: FormBased
    textBased: TextBased


class Rule(Published):
    type: Literal["matchExactly", "other"]
    values: list[str] | None = None


class Colour(Published):
    type: Literal["colorCode", "loop"]
    colorCode: str | None = Field(None, pattern="^#[0-9a-f]{6}$")


class Assignment(Published):
    rule: Rule
    color: Colour
    touched: bool


class ColourMode(Published):
    type: Literal["categorical"]


class ColourMapping(Published):
    assignments: list[Assignment]
    specialAssignments: list[Assignment]
    paletteId: str
    colorMode: ColourMode


class OnLayer(Published):
    layerId: str
    layerType: Literal["data"]


class MetricState(OnLayer):
    metricAccessor: str


class TableColumn(Published):
    columnId: str
    isMetric: bool
    isTransposed: bool


class Sorting(Published):
    columnId: str
    direction: Literal["asc", "desc", "none"]


class Paging(Published):
    size: Literal[10, 20, 30, 50, 100]
    enabled: bool


class TableState(OnLayer):
    columns: list[TableColumn]
    sorting: Sorting
    paging: Paging


class PieLayer(OnLayer):
    primaryGroups: list[str]
    metrics: list[str]
    numberDisplay: Literal["hidden", "percent", "value"]
    categoryDisplay: Literal["default", "inside", "hide"]
    legendDisplay: Literal["default", "show", "hide"]
    nestedLegend: bool
    colorMapping: ColourMapping | None = None


class PieState(Published):
    shape: Literal["donut", "pie", "treemap", "mosaic", "waffle"]
    layers: list[PieLayer] = Field(min_length=1, max_length=1)


Series = Literal["bar", "bar_stacked", "bar_horizontal", "bar_horizontal_stacked", "line", "area", "area_stacked"]


class ChartLayer(OnLayer):
    accessors: list[str]
    xAccessor: str
    splitAccessor: str | None = None
    seriesType: Series
    position: Literal["top"]
    showGridlines: bool
    colorMapping: ColourMapping | None = None


class Legend(Published):
    isVisible: bool
    position: Literal["top", "bottom", "left", "right"]


class ByAxis(Published):
    x: bool | int
    yLeft: bool | int
    yRight: bool | int


class ChartState(Published):
    legend: Legend
    valueLabels: Literal["hide", "show"]
    fittingFunction: Literal["None", "Zero", "Linear", "Carry", "Lookahead"]
    axisTitlesVisibilitySettings: ByAxis
    tickLabelsVisibilitySettings: ByAxis
    labelsOrientation: ByAxis
    gridlinesVisibilitySettings: ByAxis
    preferredSeriesType: Series
    layers: list[ChartLayer] = Field(min_length=1)


class LensState(Published):
    visualization: MetricState | TableState | PieState | ChartState
    query: Query
    filters: list[Any]
    datasourceStates: Datasources
    internalReferences: list[Reference]
    adHocDataViews: dict[str, Any]


class LensAttributes(Published):
    title: str
    description: str
    visualizationType: Literal["lnsMetric", "lnsDatatable", "lnsPie", "lnsXY"]
    type: Literal["lens"]
    references: list[Reference]
    state: LensState


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
