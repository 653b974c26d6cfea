"""How every panel looks: colours that mean one thing, units, legends, variables."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard, heatmap, logs, loki, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from otelml import semconv

STAGE_COLOURS = dict(zip(semconv.STAGES, ("#56b4e9", "#e69f00", "#cc79a7", "#f0e442"), strict=True))
"""The four stages keep their colours in the terminal, the viewer and here; colour-blind readers tell them apart."""
NOW, REFERENCE = "#8ab4f8", "#8e8e8e"
GOOD, FAIR, BAD = "#009e73", "#b58900", "#d55e00"
METRICS = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
LOGS = common.DataSourceRef(type_val="loki", uid="${logs}")
FULL, HALF, THIRD, QUARTER, SIXTH = 24, 12, 8, 6, 4
Steps = tuple[tuple[float, str], ...]
Panel = Any
"""A panel builder of grafana-foundation-sdk: they share their methods, not a class."""


def metric(
    expr: str, legend: str = "", *, exemplars: bool = False, now: bool = False, form: str = "time_series"
) -> Any:
    """Return a Prometheus query; ``now`` asks for one value, at the end of the range."""
    query = prometheus.Dataquery().datasource(METRICS).expr(expr).format(PromQueryFormat(form)).exemplar(exemplars)
    query.legend_format(legend or "__auto")
    return query.instant() if now else query.range()


def graph(
    title: str, about: str, unit: str, *queries: Any, width: int = HALF, stacked: bool = False, whole: bool = False
) -> Panel:
    """Return a line chart; ``stacked`` areas add up, ``whole`` means a share of one: the axis ends at 1."""
    panel = _start(timeseries.Panel(), title, about, unit, *queries, width=width).height(8)
    panel.line_width(1.5).fill_opacity(60 if stacked else 6).show_points(common.VisibilityMode.NEVER)
    panel.legend(_legend()).tooltip(_tooltip()).min(0)
    if stacked:
        panel.stacking(common_builder.StackingConfig().mode(common.StackingMode.NORMAL))
    return panel.max(1) if whole else panel


def figure(title: str, about: str, unit: str, *queries: Any, steps: Steps = (), width: int = SIXTH) -> Panel:
    """Return one number over its sparkline; ``steps`` are the values from which it is fair or bad, in colour."""
    panel = _start(stat.Panel(), title, about, unit, *queries, width=width).height(4)
    panel.graph_mode(common.BigValueGraphMode.AREA).reduce_options(
        common_builder.ReduceDataOptions().calcs(["lastNotNull"])
    )
    panel.no_value("no data").color_scheme(
        dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)
        if steps
        else dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(NOW)
    )
    if steps:
        panel.thresholds(thresholds(steps))
    if steps and steps[0][1] == GOOD:
        none = {"0": model.ValueMappingResult(text="● 0", color=GOOD)}
        panel.mappings([model.ValueMap(options=none)])
    return panel


def heat_map(title: str, about: str, unit: str, query: str, *, width: int = HALF, exemplars: bool = True) -> Panel:
    """Return a heat map of a histogram's buckets over time."""
    panel = _start(heatmap.Panel(), title, about, unit, width=width).height(8)
    panel.with_target(metric(query, "{{le}}", exemplars=exemplars, form="heatmap"))
    scheme = heatmap.HeatmapColorOptions().mode(heatmap_model.HeatmapColorMode.SCHEME).scheme("Cividis").steps(64)
    panel.calculate(calculate=False).color(scheme).y_axis(heatmap.YAxisConfig().unit(unit)).cell_gap(1)
    return panel.exemplars_color(BAD).filter_values(heatmap.FilterValueRange().le(1e-9))


def rows(title: str, about: str, columns: dict[str, tuple[str, str]], *queries: Any, width: int = FULL) -> Panel:
    """Return a table of instant queries, joined on their labels.

    ``columns`` gives each column, a label or ``Value #A`` and so on, its heading and unit, in order.
    """
    panel = _start(table.Panel(), title, about, "short", *queries, width=width).height(8)
    shown = {name: heading for name, (heading, _) in columns.items()}
    panel.transformations(
        [
            model.DataTransformerConfig(id_val="merge", options={}),
            model.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(shown)}}),
            model.DataTransformerConfig(
                id_val="organize",
                options={"renameByName": shown, "indexByName": {name: i for i, name in enumerate(shown)}},
            ),
        ]
    )
    for heading, unit in columns.values():
        panel.override_by_name(heading, [model.DynamicConfigValue(id_val="unit", value=unit)])
    return panel


def matrix(title: str, about: str, labels: tuple[str, str], query: Any, *, width: int = HALF) -> Panel:
    """Return a table of one instant query: a row for each value of the first label, a column for each of the second."""
    panel = _start(table.Panel(), title, about, "short", query, width=width).height(8)
    row, column = labels
    options = {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "zero"}
    panel.decimals(0)
    return panel.transformations([model.DataTransformerConfig(id_val="groupingToMatrix", options=options)])


def records(title: str, about: str, expr: str, *, width: int = FULL) -> Panel:
    """Return log records; each one's `trace_id` leads to its trace."""
    panel = logs.Panel().title(title).description(about).datasource(LOGS).span(width).height(8)
    panel.with_target(loki.Dataquery().datasource(LOGS).expr(expr).max_lines(200).query_type("range"))
    return (
        panel.show_time(show_time=True)
        .enable_log_details(enable_log_details=True)
        .wrap_log_message(wrap_log_message=True)
    )


def coloured(panel: Panel, colours: dict[str, str]) -> Panel:
    """Fix the colours of series by their names."""
    for name, colour in colours.items():
        fixed = model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
        panel.override_by_name(name, [fixed])
    return panel


def coloured_by_end(panel: Panel, colours: dict[str, str]) -> Panel:
    """Fix the colours of series by what their names end with."""
    for end, colour in colours.items():
        fixed = model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
        panel.override_by_regexp(f"/{end}$/", [fixed])
    return panel


def bars(panel: Panel, *columns: str) -> Panel:
    """Draw columns of a table, shares of one, as bars."""
    drawn = {"custom.cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0, "max": 1}
    for name in columns:
        panel.override_by_name(name, [model.DynamicConfigValue(id_val=key, value=drawn[key]) for key in drawn])
    return panel


def stages(panel: Panel) -> Panel:
    """Give the four stages their colours."""
    return coloured(panel, STAGE_COLOURS)


def thresholds(steps: Steps) -> Any:
    """Return thresholds: the first step stands for everything below the second."""
    first, *rest = steps
    bounds = [model.Threshold(value=None, color=first[1]), *(model.Threshold(value=v, color=c) for v, c in rest)]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(bounds)


def low_is_good(fair: float, bad: float) -> Steps:
    """Return steps for what should be small, such as an error ratio."""
    return ((0, GOOD), (fair, FAIR), (bad, BAD))


def high_is_good(bad: float, fair: float) -> Steps:
    """Return steps for what should be large, such as the error budget that is left."""
    return ((0, BAD), (bad, FAIR), (fair, GOOD))


def board(uid: str, title: str, about: str, variables: tuple[Any, ...]) -> dashboard.Dashboard:
    """Return an empty dashboard with the settings that all of them share."""
    made = dashboard.Dashboard(title).uid(uid).description(about).tags(["otelml"]).readonly()
    made.time("now-1h", "now").refresh("30s").timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR)
    others = dashboard.DashboardLink("otelml").type(model.DashboardLinkType.DASHBOARDS).tags(["otelml"])
    made.link(others.keep_time(keep_time=True).include_vars(include_vars=True))
    return made.variables([*variables])


def _start(panel: Panel, title: str, about: str, unit: str, *queries: Any, width: int) -> Panel:
    panel.title(title).description(about).unit(unit).datasource(METRICS).span(width)
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(query.ref_id(ref))
    return panel


def _legend() -> Any:
    return (
        common_builder.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs([])
    )


def _tooltip() -> Any:
    return common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
