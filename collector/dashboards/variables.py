"""The variables on top of a dashboard. Each works over OTLP and over a scrape alike."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from .panels import METRICS
from .queries import NOT_STACK


def source(name: str, label: str, kind: str, uid: str) -> Any:
    """Return the choice of a data source; the provisioned one is the default."""
    return dashboard.DatasourceVariable(name).label(label).type(kind).current(model.VariableOption(text=uid, value=uid))


def labels(name: str, label: str, query: str, *, everything: str = ".+", hide: bool = False) -> Any:
    """Return a choice among a label's values; ``everything`` is what All stands for."""
    variable = dashboard.QueryVariable(name).label(label).query(query).datasource(METRICS)
    variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
    variable.multi(multi=True).include_all(include_all=True).all_value(everything).current(
        model.VariableOption(text="All", value="$__all")
    )
    return variable.hide(model.VariableHide.HIDE_VARIABLE) if hide else variable


ANY = ".*"
"""Also takes series without the label: a version that is unknown, a sender without an instance id."""
METRIC_SOURCE = source("datasource", "Metrics", "prometheus", "prometheus")
LOG_SOURCE = source("logs", "Logs", "loki", "loki")
JOB = labels("job", "Service", f"label_values(target_info{{{NOT_STACK}}}, job)")
INSTANCE = labels("instance", "Instance", 'label_values(target_info{job=~"$job"}, instance)', everything=ANY)
MODEL = labels("model", "Model", 'label_values(ml_requests_total{job=~"$job"}, ml_model_name)')
VERSION = labels(
    "version",
    "Version",
    'label_values(ml_requests_total{job=~"$job", ml_model_name=~"$model"}, ml_model_version)',
    everything=ANY,
)
SERVICE = labels("service", "Service name", 'label_values(target_info{job=~"$job"}, service_name)', hide=True)
"""Loki knows a service by its name alone; `job` is `namespace/name`."""
OF_A_MODEL = (METRIC_SOURCE, LOG_SOURCE, JOB, INSTANCE, MODEL, VERSION, SERVICE)
OF_A_MACHINE = (METRIC_SOURCE, JOB, INSTANCE)
