"""New Relic's agent in developer mode, which needs no account: it instruments, aggregates, encodes, and sends nothing.

Each call is a transaction, without which the agent records nothing. What arrived is read from the metrics that the
agent hands to its developer-mode client: how often the model's method was called inside one of its traces. Its spans
and events are not counted, as it keeps a sample of them.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

APPLICATION = "benchmark"
os.environ.update(
    NEW_RELIC_DEVELOPER_MODE="true",
    NEW_RELIC_MACHINE_LEARNING_ENABLED="true",
    NEW_RELIC_LICENSE_KEY="0" * 40,
    NEW_RELIC_APP_NAME=APPLICATION,
    NEW_RELIC_LOG="stderr",
    NEW_RELIC_LOG_LEVEL="warning",
)

import newrelic.agent  # noqa: E402 - it reads the environment when it is imported
from newrelic.common.agent_http import DeveloperModeClient  # noqa: E402
from newrelic.core.agent import agent_instance  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from _sklearn_rows.models import Case

__all__ = ["arrived", "call", "expected", "flush", "start"]

_METRIC = "Function/MLModel/Sklearn/Named/"
_traced = {"scaler": "Pipeline", "columns": "Pipeline", "forest": "RandomForestClassifier"}
_sent: Counter[str] = Counter()
_send = DeveloperModeClient.send_request
_application: Any = None


def _counted(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Count the calls in the metrics that are sent."""
    if (kwargs.get("params") or {}).get("method") == "metric_data":
        for metric, values in json.loads(kwargs["payload"])[3]:
            if metric["name"].startswith(_METRIC) and not metric["scope"]:
                _sent[metric["name"].removeprefix(_METRIC)] += values[0]
    return _send(self, *args, **kwargs)


def start() -> None:
    """Start the agent, which replaces the methods of scikit-learn's classes."""
    global _application  # noqa: PLW0603 - one agent in a process
    DeveloperModeClient.send_request = _counted
    newrelic.agent.initialize()
    _application = newrelic.agent.register_application(timeout=20)


def call(case: Case) -> Callable[[Any], Any]:
    """Return a function that asks the model within a transaction."""
    model = case.predict

    def predict(row: Any) -> Any:
        with newrelic.agent.BackgroundTask(_application, name="predict"):
            return model(row)

    return predict


def flush() -> None:
    """Hand over what is there, as the agent does once a minute and, for events, every five seconds."""
    application = agent_instance().application(APPLICATION)
    application.harvest(flexible=True)
    application.harvest()


def expected(name: str) -> dict[str, float]:
    """Return that a call is one call of the model's traced method."""
    return {f"{_traced[name]}.{'predict' if name == 'forest' else 'predict_proba'}": 1}


def arrived() -> dict[str, float] | None:
    """Return how often each traced method was called, by what the agent has sent."""
    return dict(_sent)
