# ruff: noqa: N815  # names are Kibana's
"""What Kibana 8.19 publishes of a Lens panel; see ``kibana_published``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LensAttributes", "Published", "Query", "Reference"]


class Published(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Reference(Published):
    type: Literal["index-pattern", "search"]
    id: str = Field(min_length=1)
    name: str = Field(min_length=1)


class Query(Published):
    query: str
    language: Literal["kuery", "lucene"]


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
