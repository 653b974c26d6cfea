"""Every name otelml emits, one row each: metrics, attributes, spans, events.

``ml.*`` names facts about models, ``otelml.*`` facts about otelml itself; everything else is taken from the
OpenTelemetry semantic conventions (schema 1.44). A name holds no unit and no ``_total``: the Prometheus
translation adds both. Durations are in seconds, sizes in bytes.

``otelml semconv`` prints these rows and ``docs/metrics.md`` is generated from them.
"""

from __future__ import annotations

from otelml._rows.calls import *  # noqa: F403 - every row is a name of this module
from otelml._rows.calls import CALL_ATTRIBUTES
from otelml._rows.drift import *  # noqa: F403 - every row is a name of this module
from otelml._rows.drift import DRIFT_ATTRIBUTES, DRIFT_EVENTS, DRIFT_METRICS
from otelml._rows.generation import *  # noqa: F403 - the same
from otelml._rows.generation import GENERATION_ATTRIBUTES, GENERATION_METRICS
from otelml._rows.health import *  # noqa: F403 - the same
from otelml._rows.health import HEALTH_ATTRIBUTES, HEALTH_METRICS
from otelml._rows.kinds import Attribute, Event, Metric, SpanName
from otelml._rows.models import *  # noqa: F403 - every row is a name of this module
from otelml._rows.models import MODEL_ATTRIBUTES, MODEL_EVENTS, MODEL_METRICS
from otelml._rows.outcomes import *  # noqa: F403 - every row is a name of this module
from otelml._rows.outcomes import OUTCOME_ATTRIBUTES, OUTCOME_EVENTS, OUTCOME_METRICS, OUTCOME_SPANS
from otelml._rows.profiling import *  # noqa: F403 - the same
from otelml._rows.profiling import PROFILE_ATTRIBUTES, PROFILE_EVENTS
from otelml._rows.retrieval import *  # noqa: F403 - the same
from otelml._rows.retrieval import RETRIEVAL_ATTRIBUTES, RETRIEVAL_METRICS
from otelml._rows.windows import *  # noqa: F403 - the same
from otelml._rows.windows import WINDOW_ATTRIBUTES, WINDOW_EVENTS, WINDOW_METRICS

__all__ = ["Attribute", "Event", "Metric", "SpanName"]  # the classes of the rows, for those who read them

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SCOPE = "otelml"

# Attributes -----------------------------------------------------------------------------------------------------

MODEL_NAME = "ml.model.name"
MODEL_VERSION = "ml.model.version"
OPERATION = "ml.operation"
STAGE = "ml.stage"
PREDICTION_CLASS = "ml.prediction.class"
PREDICTION_ID = "ml.prediction.id"
PREDICTION_CONFIDENCE = "ml.prediction.confidence"
PREDICTION_VALUE = "ml.prediction.value"
REQUEST_ID = "ml.request.id"
BATCH_SIZE = "ml.batch.size"
BATCH_WAIT = "ml.batch.wait"
INPUT_SHAPE = "ml.input.shape"
INPUT_DTYPE = "ml.input.dtype"
INPUT_MISSING = "ml.input.missing"
OUTPUT_SHAPE = "ml.output.shape"
OUTPUT_DTYPE = "ml.output.dtype"
DURATION = "ml.prediction.duration"
TIME_TO_FIRST_ITEM = "ml.prediction.time_to_first_item"
ITEMS = "ml.prediction.items"
BUSINESS_VALUE = "ml.prediction.business_value"
BUSINESS_VALUE_UNIT = "ml.business_value.unit"
INPUT_PAYLOAD = "ml.input.payload"
OUTPUT_PAYLOAD = "ml.output.payload"
ERROR_TYPE = "error.type"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
DROPPED_WHAT = "otelml.what"
DROPPED_WHERE = "otelml.where"
HW_ID = "hw.id"
HW_TYPE = "hw.type"
HW_NAME = "hw.name"
HW_PARENT = "hw.parent"
HW_MODEL = "hw.model"
HW_VENDOR = "hw.vendor"
HW_DRIVER_VERSION = "hw.driver_version"
HW_GPU_TASK = "hw.gpu.task"
HW_GPU_THROTTLE_REASON = "hw.gpu.throttle.reason"
CPU_MODE = "cpu.mode"
MEMORY_STATE = "system.memory.state"
FILESYSTEM_STATE = "system.filesystem.state"
FILESYSTEM_MOUNTPOINT = "system.filesystem.mountpoint"
DISK_DIRECTION = "disk.io.direction"
NETWORK_DIRECTION = "network.io.direction"
CONTEXT_SWITCH_TYPE = "process.context_switch.type"
PRESSURE_RESOURCE = "otelml.resource"
SLICE_PREFIX = "ml.slice."
SLICE = f"{SLICE_PREFIX}<name>"
"""A template, as the conventions have them: `ml.slice.carrier` is one of its attributes."""

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(MODEL_NAME, "string", "Name of the model that predicts.", limit=50),
    Attribute(MODEL_VERSION, "string", "Version of the model; absent when unknown.", limit=50),
    Attribute(OPERATION, "string", "Method that was called, such as `predict` or `predict_proba`.", limit=20),
    Attribute(
        STAGE,
        "string",
        "`feature_retrieval`, `preprocessing`, `inference`, `postprocessing`, or a name of the application's own.",
        limit=20,
    ),
    Attribute(PREDICTION_CLASS, "string", "Predicted class.", limit=20),
    Attribute(PREDICTION_ID, "string", "Identifies one prediction; outcomes that arrive later refer to it."),
    Attribute(PREDICTION_CONFIDENCE, "double", "Confidence of a one-row prediction, from 0 to 1."),
    Attribute(PREDICTION_VALUE, "double", "Predicted value of a one-row regression."),
    Attribute(REQUEST_ID, "string", "Request id taken from `X-Request-ID`, or made by otelml."),
    Attribute(BATCH_SIZE, "int", "Rows in the call; requests in the batch, on the span of one of them."),
    Attribute(BATCH_WAIT, "double", "Seconds that a request waited for its batch to begin."),
    Attribute(INPUT_SHAPE, "int[]", "Shape of the input."),
    Attribute(INPUT_DTYPE, "string", "Data type of the input."),
    Attribute(INPUT_MISSING, "int", "Missing values (NaN or None) in the input."),
    Attribute(OUTPUT_SHAPE, "int[]", "Shape of the predictions."),
    Attribute(OUTPUT_DTYPE, "string", "Data type of the predictions."),
    Attribute(DURATION, "double", "Duration of the prediction, in seconds (on the event)."),
    Attribute(TIME_TO_FIRST_ITEM, "double", "Seconds from the start of a streaming prediction to its first item."),
    Attribute(ITEMS, "int", "Items that a streaming prediction gave."),
    Attribute(BUSINESS_VALUE, "double", "Business value of the prediction, in the unit the application names."),
    Attribute(BUSINESS_VALUE_UNIT, "string", "Unit of the business value, such as `EUR`.", limit=10),
    Attribute(INPUT_PAYLOAD, "string", "The inputs themselves; only with `OTELML_CAPTURE=payload`."),
    Attribute(OUTPUT_PAYLOAD, "string", "The predictions themselves; only with `OTELML_CAPTURE=payload`."),
    Attribute(ERROR_TYPE, "string", "Class of the exception that ended the prediction.", limit=30),
    Attribute(EXCEPTION_TYPE, "string", "Class of the exception, with its module."),
    Attribute(EXCEPTION_MESSAGE, "string", "Message of the exception with raw values removed."),
    Attribute(EXCEPTION_STACKTRACE, "string", "Stack trace of the exception, file and line only."),
    Attribute(DROPPED_WHAT, "string", "What was dropped or failed: `span`, `log`, `value`, ...", limit=20),
    Attribute(
        DROPPED_WHERE,
        "string",
        "Where: `buffer`, `queue`, `size`, `export`, `rejected`, or the place in otelml.",
        limit=50,
    ),
    Attribute(HW_ID, "string", "UUID of the GPU or MIG device.", limit=100),
    Attribute(HW_TYPE, "string", "`gpu`.", limit=1),
    Attribute(HW_NAME, "string", "Name to read, such as `GPU 0` or `GPU 0 MIG 1`.", limit=100),
    Attribute(HW_PARENT, "string", "UUID of the GPU that a MIG device is part of.", limit=100),
    Attribute(HW_MODEL, "string", "Product name of the GPU.", limit=20),
    Attribute(HW_VENDOR, "string", "Maker of the GPU.", limit=1),
    Attribute(HW_DRIVER_VERSION, "string", "Version of the GPU driver.", limit=1),
    Attribute(HW_GPU_TASK, "string", "`general`, `encoder` or `decoder`.", limit=3),
    Attribute(HW_GPU_THROTTLE_REASON, "string", "Why clocks are held back, such as `sw_power_cap`.", limit=6),
    Attribute(CPU_MODE, "string", "`user`, `system`, `idle`, `iowait`, ...", limit=7),
    Attribute(MEMORY_STATE, "string", "`used`, `free`, `buffers` or `cached`.", limit=4),
    Attribute(FILESYSTEM_STATE, "string", "`used`, `free` or `reserved`.", limit=3),
    Attribute(FILESYSTEM_MOUNTPOINT, "string", "Where the file system is mounted; the root only.", limit=1),
    Attribute(DISK_DIRECTION, "string", "`read` or `write`.", limit=2),
    Attribute(NETWORK_DIRECTION, "string", "`receive` or `transmit`.", limit=2),
    Attribute(CONTEXT_SWITCH_TYPE, "string", "`voluntary` or `involuntary`.", limit=2),
    Attribute(PRESSURE_RESOURCE, "string", "`cpu`, `memory` or `io`.", limit=3),
    Attribute(
        SLICE,
        "string",
        "A slice that the application named (`OTELML_SLICES`): on `ml.requests`, `ml.predictions`, "
        "`ml.prediction.duration`, `ml.prediction.confidence`, `ml.prediction.low_confidence`, `ml.outcomes`, "
        "`ml.outcome.confidence`, `ml.outcome.error`, `ml.outcome.squared_error`, spans and events.",
        limit=20,
    ),
    *MODEL_ATTRIBUTES,
    *DRIFT_ATTRIBUTES,
    *OUTCOME_ATTRIBUTES,
    *WINDOW_ATTRIBUTES,
    *HEALTH_ATTRIBUTES,
    *PROFILE_ATTRIBUTES,
    *CALL_ATTRIBUTES,
    *GENERATION_ATTRIBUTES,
    *RETRIEVAL_ATTRIBUTES,
)

STAGES = ("feature_retrieval", "preprocessing", "inference", "postprocessing")

# Metrics --------------------------------------------------------------------------------------------------------

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.5, 2.5, 5.5, 10.5, 30.5)
"""Bounds for durations. None is a whole number, so that ``le`` reads the same over OTLP and over a scrape."""
CONFIDENCE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
VALUES = (
    *(-1e6 - 0.5, -1e5 - 0.5, -1e4 - 0.5, -1000.5, -100.5, -10.5, -1.5, -0.5, -0.1, 0.1),
    *(0.5, 1.5, 10.5, 100.5, 1000.5, 1e4 + 0.5, 1e5 + 0.5, 1e6 + 0.5),
)
_MODEL = (MODEL_NAME, MODEL_VERSION)

REQUESTS = Metric("ml.requests", "counter", "{request}", "Prediction calls.", (*_MODEL, OPERATION, ERROR_TYPE))
PREDICTIONS = Metric("ml.predictions", "counter", "{prediction}", "Predicted rows.", (*_MODEL, PREDICTION_CLASS))
REQUESTS_ACTIVE = Metric("ml.requests.active", "observable_updown", "{request}", "Prediction calls in flight.", _MODEL)
PREDICTION_DURATION = Metric(
    "ml.prediction.duration", "histogram", "s", "Duration of a prediction call.", (*_MODEL, ERROR_TYPE), SECONDS
)
PREDICTION_DEVICE_DURATION = Metric(
    "ml.prediction.device.duration",
    "histogram",
    "s",
    "Time that a device took for a call of a model, from its first work to its last (`OTELML_DEVICE_TIME`).",
    _MODEL,
    SECONDS,
)
PREDICTION_TIME_TO_FIRST_ITEM = Metric(
    TIME_TO_FIRST_ITEM, "histogram", "s", "Time to the first item of a streaming prediction.", _MODEL, SECONDS
)
STAGE_DURATION = Metric(
    "ml.stage.duration",
    "histogram",
    "s",
    "Duration of one stage of a prediction.",
    (*_MODEL, STAGE, ERROR_TYPE),
    SECONDS,
)
CONFIDENCE_HISTOGRAM = Metric(
    "ml.prediction.confidence",
    "histogram",
    "1",
    "Confidence per predicted row.",
    (*_MODEL, PREDICTION_CLASS),
    CONFIDENCE,
)
LOW_CONFIDENCE = Metric(
    "ml.prediction.low_confidence",
    "counter",
    "{prediction}",
    "Predicted rows whose confidence is under `OTELML_LOW_CONFIDENCE`.",
    (*_MODEL, PREDICTION_CLASS),
)
VALUE_HISTOGRAM = Metric(
    "ml.prediction.value",
    "histogram",
    "",
    "Predicted value per row, for regression.",
    (*_MODEL, PREDICTION_CLASS),
    VALUES,
)
BUSINESS_VALUE_HISTOGRAM = Metric(
    "ml.prediction.business_value",
    "histogram",
    "",
    "Business value of a prediction, in the unit the application names.",
    (*_MODEL, BUSINESS_VALUE_UNIT),
    VALUES,
)
INPUT_MISSING_VALUES = Metric(
    "ml.input.missing_values", "counter", "{value}", "Missing values (NaN or None) in prediction inputs.", _MODEL
)
DROPPED = Metric(
    "otelml.dropped", "observable_counter", "{item}", "Telemetry that was dropped.", (DROPPED_WHAT, DROPPED_WHERE)
)
ERRORS = Metric(
    "otelml.errors",
    "observable_counter",
    "{error}",
    "Errors inside otelml, none of which reached the application.",
    (DROPPED_WHERE,),
)
LABELS_FOLDED = Metric(
    "otelml.labels.folded", "observable_counter", "{value}", "Label values folded into `other`.", (DROPPED_WHAT,)
)
FLUSH_DURATION = Metric(
    "otelml.flush.duration", "histogram", "s", "Time to turn one batch of records into telemetry.", (), SECONDS
)

_GPU = (HW_ID, HW_TYPE, HW_NAME, HW_PARENT)
_GPU_MODEL = (*_GPU, HW_MODEL, HW_VENDOR, HW_DRIVER_VERSION)
GPU_UTILIZATION = Metric(
    "hw.gpu.utilization", "observable_gauge", "1", "Share of time the GPU was busy.", (*_GPU, HW_GPU_TASK)
)
GPU_MEMORY_USAGE = Metric("hw.gpu.memory.usage", "observable_updown", "By", "GPU memory used.", _GPU)
GPU_MEMORY_LIMIT = Metric("hw.gpu.memory.limit", "observable_updown", "By", "GPU memory in all.", _GPU_MODEL)
GPU_MEMORY_UTILIZATION = Metric("hw.gpu.memory.utilization", "observable_gauge", "1", "Share of GPU memory used.", _GPU)
GPU_TEMPERATURE = Metric("hw.temperature", "observable_gauge", "Cel", "Temperature of the GPU.", _GPU)
GPU_POWER = Metric("hw.power", "observable_gauge", "W", "Power drawn by the GPU.", _GPU)
GPU_ENERGY = Metric("hw.energy", "observable_counter", "J", "Energy used by the GPU since its driver was loaded.", _GPU)
GPU_THROTTLED = Metric(
    "hw.gpu.throttled",
    "observable_gauge",
    "",
    "1 while the GPU's clocks are held back, by reason.",
    (*_GPU, HW_GPU_THROTTLE_REASON),
)
HW_ERRORS = Metric("hw.errors", "observable_counter", "{error}", "Xid errors the driver reported.", (*_GPU, ERROR_TYPE))
PROCESS_GPU_MEMORY = Metric(
    "process.gpu.memory.usage", "observable_updown", "By", "GPU memory used by this process.", _GPU
)

HOST_METRICS: tuple[Metric, ...] = (
    Metric("system.cpu.time", "observable_counter", "s", "CPU time of the machine, all CPUs.", (CPU_MODE,)),
    Metric("system.cpu.utilization", "observable_gauge", "1", "Share of the machine's CPU time.", (CPU_MODE,)),
    Metric("system.cpu.logical.count", "observable_updown", "{cpu}", "Logical CPUs of the machine."),
    Metric("system.memory.usage", "observable_updown", "By", "Memory of the machine or container.", (MEMORY_STATE,)),
    Metric("system.memory.utilization", "observable_gauge", "1", "Share of memory.", (MEMORY_STATE,)),
    Metric("system.memory.limit", "observable_updown", "By", "Memory in all; the container's limit where lower."),
    Metric("system.disk.io", "observable_counter", "By", "Bytes read from and written to disks.", (DISK_DIRECTION,)),
    Metric("system.disk.operations", "observable_counter", "{operation}", "Disk operations.", (DISK_DIRECTION,)),
    Metric(
        "system.filesystem.usage",
        "observable_updown",
        "By",
        "Space of the root file system.",
        (FILESYSTEM_MOUNTPOINT, FILESYSTEM_STATE),
    ),
    Metric(
        "system.filesystem.utilization",
        "observable_gauge",
        "1",
        "Share of the root file system.",
        (FILESYSTEM_MOUNTPOINT, FILESYSTEM_STATE),
    ),
    Metric("system.network.io", "observable_counter", "By", "Bytes over the network.", (NETWORK_DIRECTION,)),
    Metric("system.network.packet.count", "observable_counter", "{packet}", "Packets.", (NETWORK_DIRECTION,)),
    Metric("system.network.packet.dropped", "observable_counter", "{packet}", "Dropped.", (NETWORK_DIRECTION,)),
    Metric("system.network.errors", "observable_counter", "{error}", "Network errors.", (NETWORK_DIRECTION,)),
    Metric("otelml.host.pressure", "observable_gauge", "1", "Share of 10 s with a task stalled.", (PRESSURE_RESOURCE,)),
    Metric("process.cpu.time", "observable_counter", "s", "CPU time of the process.", (CPU_MODE,)),
    Metric("process.cpu.utilization", "observable_gauge", "1", "Share of the CPUs it may use.", (CPU_MODE,)),
    Metric("process.memory.usage", "observable_updown", "By", "Physical memory of the process."),
    Metric("process.memory.virtual", "observable_updown", "By", "Virtual memory of the process."),
    Metric("process.thread.count", "observable_updown", "{thread}", "Threads of the process."),
    Metric("process.unix.file_descriptor.count", "observable_updown", "{file_descriptor}", "Open file descriptors."),
    Metric("process.uptime", "observable_gauge", "s", "Time since the process started."),
    Metric(
        "process.context_switches",
        "observable_counter",
        "{context_switch}",
        "Context switches of the process.",
        (CONTEXT_SWITCH_TYPE,),
    ),
)

METRICS: tuple[Metric, ...] = (
    REQUESTS,
    PREDICTIONS,
    REQUESTS_ACTIVE,
    PREDICTION_DURATION,
    PREDICTION_DEVICE_DURATION,
    PREDICTION_TIME_TO_FIRST_ITEM,
    STAGE_DURATION,
    CONFIDENCE_HISTOGRAM,
    LOW_CONFIDENCE,
    VALUE_HISTOGRAM,
    BUSINESS_VALUE_HISTOGRAM,
    INPUT_MISSING_VALUES,
    DROPPED,
    ERRORS,
    LABELS_FOLDED,
    FLUSH_DURATION,
    GPU_UTILIZATION,
    GPU_MEMORY_USAGE,
    GPU_MEMORY_LIMIT,
    GPU_MEMORY_UTILIZATION,
    GPU_TEMPERATURE,
    GPU_POWER,
    GPU_ENERGY,
    GPU_THROTTLED,
    HW_ERRORS,
    PROCESS_GPU_MEMORY,
    *HOST_METRICS,
    *MODEL_METRICS,
    *DRIFT_METRICS,
    *OUTCOME_METRICS,
    *WINDOW_METRICS,
    *GENERATION_METRICS,
    *HEALTH_METRICS,
    *RETRIEVAL_METRICS,
)

# Spans and events -----------------------------------------------------------------------------------------------

_FLAG = (FEATURE_FLAG_KEY, FEATURE_FLAG_VARIANT)  # noqa: F405 - a row of outcomes
_RESULT = (PREDICTION_ID, REQUEST_ID, BATCH_SIZE, INPUT_SHAPE, INPUT_DTYPE, INPUT_MISSING, OUTPUT_SHAPE, OUTPUT_DTYPE)
_ROW = (PREDICTION_CLASS, PREDICTION_CONFIDENCE, PREDICTION_VALUE, BUSINESS_VALUE)

SPANS: tuple[SpanName, ...] = (
    SpanName(
        "predict {model}",
        "One prediction call (kind internal).",
        (*_MODEL, *_FLAG, OPERATION, *_RESULT, *_ROW, ERROR_TYPE),
    ),
    *(SpanName(stage, f"The {stage.replace('_', ' ')} stage of a prediction.", (*_MODEL, STAGE)) for stage in STAGES),
    *OUTCOME_SPANS,
)

EVENT_PREDICTION = Event(
    "ml.prediction",
    "A prediction ended; severity ERROR and `error.type` when it raised.",
    (*_MODEL, *_FLAG, OPERATION, *_RESULT, *_ROW, DURATION, TIME_TO_FIRST_ITEM, ITEMS, ERROR_TYPE, EXCEPTION_MESSAGE),
)
EVENT_REQUEST_STARTED = Event(
    "ml.request.started",
    "A prediction started (only with `OTELML_EVENT_STARTED=true`).",
    (*_MODEL, PREDICTION_ID, REQUEST_ID),
)
EVENTS: tuple[Event, ...] = (
    *(EVENT_PREDICTION, EVENT_REQUEST_STARTED),
    *(*MODEL_EVENTS, *DRIFT_EVENTS, *OUTCOME_EVENTS, *WINDOW_EVENTS, *PROFILE_EVENTS),
)


def attribute(name: str) -> Attribute:
    """Return the row of an attribute; KeyError when there is none."""
    row = _ATTRIBUTE_BY_NAME.get(name)
    return _ATTRIBUTE_BY_NAME[SLICE if row is None and name.startswith(SLICE_PREFIX) else name]


_ATTRIBUTE_BY_NAME = {row.name: row for row in ATTRIBUTES}
