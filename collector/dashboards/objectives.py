"""For who answers for the service: are promises kept, and what is it worth?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from . import panels as p
from . import queries as q
from . import variables

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

PROMISE = 'sloth_service=~"$promise"'
LEGEND = "{{sloth_service}}: {{sloth_slo}}"
VALUE, UNIT = "ml_prediction_business_value", "ml_business_value_unit"
LEFT = p.high_is_good(0, 0.25)


def build() -> Dashboard:
    """Return the dashboard."""
    about = "Objectives kept or broken, the error budget that is left, and the business value of predictions."
    promise = variables.labels("promise", "Objectives of", "label_values(slo:objective:ratio, sloth_service)")
    chosen = (variables.METRIC_SOURCE, promise, *variables.OF_A_MODEL[2:6])
    board = p.board("otelml-objectives", "Objectives and value", about, chosen).time("now-24h", "now")
    _promises(board)
    _trend(board)
    _worth(board)
    return board


def _promises(board: Dashboard) -> None:
    board.with_row(Row("Are promises kept?"))
    left = f"slo:period_error_budget_remaining:ratio{{{PROMISE}}}"
    board.with_panel(
        p.figure(
            "Error budget left",
            "Share of the failures that the objective allows in its period and that have not happened yet. "
            "Under 0 the objective is broken.",
            "percentunit",
            p.metric(left, LEGEND),
            steps=LEFT,
            width=p.FULL,
        ).height(5)
    )
    asked = (
        f"slo:objective:ratio{{{PROMISE}}}",
        f"1 - slo:sli_error:ratio_rate30d{{{PROMISE}}}",
        left,
        f"slo:current_burn_rate:ratio{{{PROMISE}}}",
    )
    by = "sloth_service, sloth_slo"
    columns = {
        "sloth_service": ("Service", "string"),
        "sloth_slo": ("Objective", "string"),
        "Value #A": ("Promised", "percentunit"),
        "Value #B": ("Kept over 30 days", "percentunit"),
        "Value #C": ("Budget left", "percentunit"),
        "Value #D": ("Burn rate now", "short"),
    }
    now = (p.metric(f"max by ({by})({query})", now=True, form="table") for query in asked)
    about = "A burn rate of 1 uses the budget up exactly at the end of the period; 10 in a tenth of it."
    board.with_panel(p.rows("Objectives", about, columns, *now))


def _trend(board: Dashboard) -> None:
    board.with_row(Row("Since when?"))
    kept = p.metric(f"1 - slo:sli_error:ratio_rate1h{{{PROMISE}}}", LEGEND)
    promised = p.metric(f"slo:objective:ratio{{{PROMISE}}}", f"promised, {LEGEND}")
    graph = p.graph("Kept, over an hour", "In grey what is promised.", "percentunit", kept, promised, width=p.THIRD)
    grey = DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": p.REFERENCE})
    burn = p.metric(f"slo:current_burn_rate:ratio{{{PROMISE}}}", LEGEND)
    left = p.metric(f"slo:period_error_budget_remaining:ratio{{{PROMISE}}}", LEGEND)
    about = "A slope down is budget being used; a step is an incident."
    for panel in (
        graph.override_by_regexp("/^promised/", [grey]).min(None).max(1),
        p.graph("Budget left over time", about, "percentunit", left, width=p.THIRD).min(None).max(1),
        p.graph("Burn rate", "Over 1: faster than the budget lasts.", "short", burn, width=p.THIRD),
    ):
        board.with_panel(panel)


def _worth(board: Dashboard) -> None:
    board.with_row(Row("What is it worth?"))
    rows = p.metric(q.increase("ml_predictions_total"), now=True)
    total = p.metric(q.increase(f"{VALUE}_sum", UNIT), f"{{{{{UNIT}}}}}", now=True)
    each = f"{q.increase(f'{VALUE}_sum', UNIT)} / ({q.increase(f'{VALUE}_count', UNIT)} > 0)"
    hourly = f"3600 * {q.rate(f'{VALUE}_sum', f'{q.BY_VERSION}, {UNIT}')}"
    legend = f"{{{{ml_model_name}}}} {{{{ml_model_version}}}}, {{{{{UNIT}}}}}"
    caution = "Right where no single value is negative; else see it by prediction in the traces."
    for panel in (
        p.figure("Predictions", "Predicted rows in the range shown.", "short", rows, width=p.THIRD),
        p.figure("Value", f"Business value in the range shown. {caution}", "short", total, width=p.THIRD),
        p.figure(
            "Value per prediction",
            "Mean over the predictions that have a value.",
            "short",
            p.metric(each, f"{{{{{UNIT}}}}}", now=True),
            width=p.THIRD,
        ),
        p.graph("Value per hour", f"By model and version. {caution}", "short", p.metric(hourly, legend), width=p.FULL),
    ):
        board.with_panel(panel)
