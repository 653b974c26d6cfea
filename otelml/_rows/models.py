"""Rows of ``semconv`` about a model's life: loaded, on which device, from which file, and dropped again."""

from __future__ import annotations

from otelml._rows.kinds import Attribute, Event, Metric

_NAME = "ml.model.name"
_MODEL = (_NAME, "ml.model.version")

MODEL_FRAMEWORK = "ml.model.framework"
MODEL_ARTIFACT_HASH = "ml.model.artifact.hash"
MODEL_MEMORY_GROWTH = "ml.model.memory"
MODEL_LOAD_SECONDS = "ml.model.load.duration"
DEVICE_REQUESTED = "ml.device.requested"
DEVICE_USED = "ml.device.used"
_ARTIFACT = (MODEL_FRAMEWORK, MODEL_ARTIFACT_HASH)
_DEVICES = (DEVICE_REQUESTED, DEVICE_USED)

MODEL_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(MODEL_FRAMEWORK, "string", "Library that runs the model, such as `scikit-learn`.", limit=15),
    Attribute(MODEL_ARTIFACT_HASH, "string", "`sha256:` and the digest of the file it was loaded from.", limit=50),
    Attribute(MODEL_MEMORY_GROWTH, "int", "Bytes by which the process's resident memory grew while it loaded."),
    Attribute(MODEL_LOAD_SECONDS, "double", "Seconds that loading took."),
    Attribute(DEVICE_REQUESTED, "string", "Device that was asked for, such as `cuda`.", limit=10),
    Attribute(DEVICE_USED, "string", "Device that the model runs on, such as `cpu`.", limit=10),
)

MODEL_LOADED = Metric(
    "ml.model.loaded", "observable_gauge", "", "1 while a model is loaded in this process.", (*_MODEL, *_ARTIFACT)
)
MODEL_EXPECTED = Metric(
    "ml.model.expected",
    "observable_gauge",
    "",
    "1 for a model that the process says it serves, by a setting or `otelml.watch()`; 0 after `otelml.unwatch()`.",
    (_NAME,),
)
MODEL_LOAD_DURATION = Metric(MODEL_LOAD_SECONDS, "observable_gauge", "s", "Time that the model took to load.", _MODEL)
MODEL_LOAD_TIME = Metric(
    "ml.model.load.time", "observable_gauge", "s", "When it was loaded, or first seen: seconds since the epoch.", _MODEL
)
MODEL_MEMORY = Metric(
    MODEL_MEMORY_GROWTH,
    "observable_gauge",
    "By",
    "Growth of the process's resident memory while the model loaded; absent where it did not grow.",
    _MODEL,
)
MODEL_DEVICE_FALLBACK = Metric(
    "ml.model.device.fallback",
    "observable_gauge",
    "",
    "1 while a model that was to run on another device runs on the CPU.",
    (*_MODEL, *_DEVICES),
)
MODEL_METRICS: tuple[Metric, ...] = (
    MODEL_LOADED,
    MODEL_EXPECTED,
    MODEL_LOAD_DURATION,
    MODEL_LOAD_TIME,
    MODEL_MEMORY,
    MODEL_DEVICE_FALLBACK,
)

EVENT_MODEL_LOADED = Event(
    "ml.model.loaded",
    "A model was loaded.",
    (*_MODEL, *_ARTIFACT, MODEL_LOAD_SECONDS, MODEL_MEMORY_GROWTH, DEVICE_USED),
)
EVENT_MODEL_UNLOADED = Event(
    "ml.model.unloaded", "A model was dropped, or `otelml.unwatch()` was called.", (*_MODEL, *_ARTIFACT)
)
EVENT_DEVICE_FALLBACK = Event(
    "ml.model.device.fallback",
    "A model that was to run on another device runs on the CPU (severity WARN).",
    (*_MODEL, *_DEVICES),
)
MODEL_EVENTS: tuple[Event, ...] = (EVENT_MODEL_LOADED, EVENT_MODEL_UNLOADED, EVENT_DEVICE_FALLBACK)
