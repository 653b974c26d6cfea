"""The OpenTelemetry SDK by hand: the same telemetry, in the way its documentation shows."""

from __future__ import annotations

from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any

from _contenders import CONFIDENCE_BUCKETS, DURATION_BUCKETS
from _contenders.sdk import flush, start
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
from opentelemetry.metrics import get_meter

from _sklearn_rows import STAGES
from _sklearn_rows import whole as expected
from _sklearn_rows.nothing import arrived

if TYPE_CHECKING:
    from collections.abc import Callable

    from _sklearn_rows.models import Case

__all__ = ["arrived", "call", "expected", "flush", "start"]

tracer, logger, meter = trace.get_tracer("benchmark"), get_logger("benchmark"), get_meter("benchmark")
requests = meter.create_counter("ml.requests", "{request}")
predictions = meter.create_counter("ml.predictions", "{prediction}")
active = meter.create_up_down_counter("ml.requests.active", "{request}")
duration = meter.create_histogram("ml.prediction.duration", "s", explicit_bucket_boundaries_advisory=DURATION_BUCKETS)
stage_duration = meter.create_histogram("ml.stage.duration", "s", explicit_bucket_boundaries_advisory=DURATION_BUCKETS)
confidences = meter.create_histogram(
    "ml.prediction.confidence", "1", explicit_bucket_boundaries_advisory=CONFIDENCE_BUCKETS
)


def call(case: Case) -> Callable[[Any], Any]:
    """Return a function that asks the model and tells about it."""
    model = case.model
    two = len(STAGES[case.name]) > 1
    before, final = (model[:-1].transform, model[-1]) if two else (None, model)
    name = type(final).__name__
    labels = {"ml.model.name": name, "ml.operation": case.method}
    by_stage = {stage: {**labels, "ml.stage": stage} for stage in STAGES[case.name]}
    by_class = {str(label): {**labels, "ml.prediction.class": str(label)} for label in model.classes_}
    last = getattr(final, case.method)

    def staged(stage: str, work: Callable[[Any], Any], given: Any) -> Any:
        started = perf_counter()
        with tracer.start_as_current_span(stage, attributes=by_stage[stage]):
            given = work(given)
        stage_duration.record(perf_counter() - started, by_stage[stage])
        return given

    def predict(row: Any) -> Any:
        active.add(1, labels)
        started = perf_counter()
        with tracer.start_as_current_span(f"predict {name}", attributes=labels) as span:
            answer = staged("inference", last, row if before is None else staged("preprocessing", before, row))
            took = perf_counter() - started
            facts: dict[str, Any] = {"ml.batch.size": 1, "ml.input.shape": row.shape, "ml.duration": took}
            if case.method == "predict_proba":
                confidence = float(answer.max())
                label = str(model.classes_[answer.argmax()])
                facts["ml.prediction.confidence"] = confidence
                confidences.record(confidence, by_class[label])
            else:
                label = str(answer[0])
            facts["ml.prediction.class"] = label
            span.set_attributes(facts)
            tell(f"{name} predicted {label} in {took * 1e3:.3g} ms", {**labels, **facts})
            requests.add(1, labels)
            predictions.add(1, by_class[label])
            duration.record(took, labels)
        active.add(-1, labels)
        return answer

    return predict


def tell(body: str, attributes: dict[str, Any]) -> None:
    """Emit the event of a prediction, correlated by the current span."""
    logger.emit(
        LogRecord(
            timestamp=time_ns(),
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body=body,
            attributes=attributes,
            event_name="ml.prediction",
        )
    )
