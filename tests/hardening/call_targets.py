"""Every public call with odd values: nothing is raised, what it returns is the application's, all of it is exported.

``ENTRIES`` names a target for each name of ``otelml.__all__``, or says why there is none.
"""

import asyncio
import contextlib
import logging
import os
from unittest.mock import patch

import numpy as np
from fuzzing import ANYTHING, NAMES, TEXTS, draw, keywords, target
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

import otelml
from otelml import _sdk_metrics, config, runtime, testing
from otelml._drops import Drops
from otelml.drift import Reference
from otelml.export import BatchQueue, Outage
from otelml.integrations.logging import Bridge
from otelml.otlp import maker, takes_encoded
from otelml.pipeline import Pipeline
from otelml.processors import LogQueueProcessor, SpanQueueProcessor
from otelml.prometheus import PrometheusReader
from otelml.viewer.receiver import Receiver

RESULTS = ("predictions", "classes", "confidence", "values", "inputs")
UNSENT = {"export", "queue", "shutdown", "rejected", "size"}
"""Where telemetry is lost that was made, but could not be encoded or was refused."""


class Exported:
    """otelml on providers of its own that send to a real receiver, encoded by us where that is possible."""

    def __init__(self, receiver, capture):
        settings = {
            "exporter_otlp_endpoint": receiver.http_endpoint,
            "exporter_otlp_timeout": 10,
            "capture": capture,
            "slices": "carrier",
        }
        self.drops, self.receiver = Drops(), receiver
        made = config.load(settings, {})
        self.queues = []
        tracers, loggers = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
        spans, logs = (self._queue(made, *pair) for pair in (("span", "traces"), ("log", "logs")))
        tracers.add_span_processor(SpanQueueProcessor(spans, takes_encoded=takes_encoded(spans.exporter)))
        loggers.add_log_record_processor(LogQueueProcessor(logs, takes_encoded=takes_encoded(logs.exporter)))
        self.loggers = loggers
        self.reader, self.scraped = InMemoryMetricReader(), PrometheusReader()
        views = (_sdk_metrics.BATCH_VIEW, _sdk_metrics.FEATURES_VIEW)
        meters = MeterProvider([self.reader, self.scraped], shutdown_on_exit=False, views=views)
        self.runtime = runtime._assemble(made, Pipeline(tracers, meters, loggers), self.drops)
        features = {"x": np.arange(50.0), "y": ["a", "b"] * 25}
        with self.active():
            otelml.watch_drift("features", Reference.fit(features))

    def _queue(self, made, what, signal):
        make = maker(made, signal, "otlp", self.drops.add)
        self.queues.append(BatchQueue(what, make, self.drops.add, Outage(), delay=60_000.0))
        return self.queues[-1]

    @contextlib.contextmanager
    def active(self):
        """Make it the runtime that predictions go to."""
        with patch.object(runtime, "active", self.runtime):
            yield

    def check(self):
        """Export everything; raise where something could not be encoded, or the receiver refused it."""
        self.runtime.recorder.drain()
        if (data := self.reader.get_metrics_data()) is not None:
            encode_metrics(data).SerializeToString()
        for queue in self.queues:
            assert queue.force_flush(30.0), "what was made can't be exported"
        unsent = {place: n for place, n in self.drops.counts().items() if place[1] in UNSENT}
        assert not unsent, unsent
        assert not self.receiver.rejected, self.receiver.rejected

    def close(self):
        """Scrape once, and end its threads."""
        self.scraped.render()
        self.scraped.render("application/openmetrics-text")
        for queue in self.queues:
            queue.shutdown(1.0)


@contextlib.contextmanager
def exported(capture="stats"):
    """Give otelml that exports to a receiver."""
    with Receiver() as receiver:
        made = Exported(receiver, capture)
        try:
            with made.active():
                yield made
        finally:
            made.close()


@contextlib.contextmanager
def recorded():
    """Give otelml that exports the SDK's objects into memory."""
    with testing.recording(slices="carrier", capture="payload", event_started=True) as seen:
        seen.check = lambda: (seen.drain(), seen.metrics(), seen.clear())
        yield seen


@contextlib.contextmanager
def off():
    """Give otelml before ``auto_instrument()``."""
    with patch.object(runtime, "active", None):
        yield type("Off", (), {"check": staticmethod(lambda: None)})


def payload():
    """Give otelml that keeps inputs and outputs."""
    return exported("payload")


# Predictions ----------------------------------------------------------------------------------------------------


class Theirs(Exception):  # noqa: N818 - the application's
    """What the application raises."""


def predict(data, ready):
    """Make a prediction with anything, and do anything with it; the application's exception passes, and no other."""
    given = keywords(data, "request_id", "prediction_id", "members", "variant", "operation", "framework")
    model = draw(data, st.one_of(st.sampled_from([None, "m", "features"]), NAMES))
    fails = draw(data, st.booleans())
    error = Theirs(*draw(data, st.lists(ANYTHING, max_size=2)))
    try:
        with otelml.prediction(model, draw(data, NAMES), **given) as p:
            for step in draw(data, st.lists(st.sampled_from(STEPS), max_size=4)):
                step(data, p)
            assert type(p.id) is str or ready.__name__ == "Off"
            if fails:
                raise error
    except Theirs as caught:
        assert caught is error  # noqa: PT017 - whether it is raised is drawn
    ready.check()


def result(data, p):
    """Give a result of anything."""
    more = keywords(data, "business_value", "business_value_unit")
    p.result(**keywords(data, *RESULTS), **more)


def seen(data, p):
    """Do as a library does."""
    p.observe(**keywords(data, *RESULTS))


def named_stage(data, p):
    """Open a stage of any name."""
    with p.stage(draw(data, NAMES)), otelml.stage(draw(data, NAMES)):
        pass


def failed_stage(data, p):
    """Fail inside a stage with anything in the exception."""
    error = Theirs(draw(data, ANYTHING))
    error.__notes__ = draw(data, st.lists(TEXTS, max_size=2))
    with contextlib.suppress(Theirs), p.stage("inference"):
        raise error


def of_slice(data, p):
    """Say any slice."""
    p.slice(carrier=draw(data, ANYTHING), other=draw(data, ANYTHING))


def item(_, p):
    """Stream an item."""
    with p.attached():
        p.item()


STEPS = (result, result, seen, named_stage, failed_stage, of_slice, item)

for _how in (exported, recorded, payload, off):
    target(f"prediction, {_how.__name__}", _how)(predict)


@target("track_prediction", exported)
def tracked(data, ready):
    """What a function, coroutine or generator is given and gives is the very same object as without the decorator."""
    value, argument = draw(data, ANYTHING), draw(data, ANYTHING)
    decorate = otelml.track_prediction(**keywords(data, "model", "version", "variant"))
    taken = []

    def plain(given):
        taken.append(given)
        return value

    async def coroutine(given):
        return plain(given)

    def generator(given):
        yield plain(given)

    async def asynchronous(given):
        yield plain(given)

    async def collected():
        return [each async for each in decorate(asynchronous)(argument)]

    assert decorate(plain)(argument) is value
    assert asyncio.run(decorate(coroutine)(argument)) is value
    (given,), (later,) = decorate(generator)(argument), asyncio.run(collected())
    assert given is value
    assert later is value
    assert all(one is argument for one in taken)
    ready.check()


@target("track_prediction of anything", off)
def decorated(data, _):
    """Whatever is decorated is not called by it, and nothing is raised."""
    otelml.track_prediction(draw(data, ANYTHING))


# The other calls ------------------------------------------------------------------------------------------------


@target("event", exported)
def event(data, ready):
    """Emit an event of anything."""
    attributes = {f"a.{name}": draw(data, ANYTHING) for name in draw(data, st.sets(TEXTS, max_size=4))}
    otelml.event(draw(data, NAMES), draw(data, NAMES), draw(data, NAMES), **attributes)
    ready.check()


@target("record_outcome", exported)
def outcome(data, ready):
    """Tell any truth of anything, without a database."""
    otelml.record_outcome(draw(data, NAMES), draw(data, ANYTHING), at=draw(data, ANYTHING))
    ready.check()


@contextlib.contextmanager
def with_database():
    """Give otelml with a database of outcomes that is used at every check."""
    import tempfile  # noqa: PLC0415 - used here alone

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "outcomes.db")  # noqa: PTH118 - a text, as settings have it
        with testing.recording(outcomes_database=path, outcomes_spool=folder) as made:

            def check():
                made.drain()
                assert made.runtime.outcomes.turn(now=True)
                assert not made.runtime.outcomes.unwritten

            made.check = check
            yield made
            made.runtime.outcomes.stop(5.0)


@target("record_outcome, database", with_database)
def stored(data, ready):
    """Tell the truth of a prediction; both are in the database."""
    with otelml.prediction("m", prediction_id=draw(data, NAMES)) as p:
        p.result(predictions=draw(data, ANYTHING), confidence=draw(data, ANYTHING))
    otelml.record_outcome(draw(data, st.one_of(st.just(p.id), NAMES)), draw(data, ANYTHING), at=draw(data, ANYTHING))
    ready.check()


@target("window", exported)
def window(data, _):
    """Look at a window of any name."""
    assert isinstance(otelml.window(draw(data, NAMES), draw(data, NAMES)), otelml.Window)


@target("watch", exported)
def watch(data, ready):
    """Watch anything; it is given back."""
    model = draw(data, ANYTHING)
    given = keywords(data, "device", "artifact")
    assert otelml.watch(model, draw(data, NAMES), draw(data, NAMES), **given) is model
    ready.runtime.models.turn(final=True)
    ready.check()
    otelml.unwatch(model)
    otelml.unwatch(draw(data, ANYTHING))


@target("feature_retrieval", exported)
def retrieval(data, ready):
    """Fetch anything, by a function and in a block: what is fetched is handed on as it is."""
    value = draw(data, ANYTHING)
    assert otelml.feature_retrieval(source=draw(data, NAMES))(lambda: value)() is value
    with otelml.feature_retrieval() as block:
        block.observe(draw(data, ANYTHING), **keywords(data, "rows", "values", "missing", "updated"))
    otelml.feature_retrieval(draw(data, ANYTHING))
    ready.check()


@target("watch_drift", exported)
def drift(data, ready):
    """Give anything as a reference."""
    otelml.watch_drift(draw(data, NAMES), draw(data, ANYTHING))
    ready.check()


@target("on_alert", off)
def callbacks(data, _):
    """Give and take off any callbacks."""
    with patch("otelml.windows.alerts._callbacks", []):
        removers = [otelml.on_alert(draw(data, ANYTHING)) for _ in range(draw(data, st.integers(0, 5)))]
        for remove in removers:
            remove()


@target("stage, batch_member, current_prediction", exported)
def context(data, ready):
    """Use what finds the prediction by itself."""
    members = [otelml.batch_member(), *draw(data, st.lists(ANYTHING, max_size=2))]
    with otelml.stage(draw(data, NAMES)):
        assert otelml.current_prediction() is None
    with otelml.prediction("m", members=members) as p, otelml.stage(draw(data, NAMES)):
        assert otelml.current_prediction() is p
        p.result(classes=draw(data, ANYTHING))
    ready.check()


@contextlib.contextmanager
def logging_bridged(*, values=False, capture="stats"):
    """Give otelml with one logger bridged; pytest's own handlers would fail on what is logged."""
    logger = logging.getLogger("app.fuzz")
    with exported(capture) as ready:
        bridge = Bridge(logger_provider=ready.loggers, values=values)
        with patch.object(logger, "propagate", new=False):
            logger.addHandler(bridge)
            try:
                yield ready
            finally:
                logger.removeHandler(bridge)


def bridged_values():
    """Give otelml with logging bridged and values let through."""
    return logging_bridged(values=True)


def hand_over(words, arguments, extra, error=None):
    """Log as ``Logger.log`` does, without what that asks of arguments itself."""
    record = logging.LogRecord("app.fuzz", logging.INFO, "f", 1, words, None, None)
    record.args = arguments
    record.exc_info = None if error is None else (type(error), error, error.__traceback__)
    record.__dict__.update(extra)
    logging.getLogger("app.fuzz").handle(record)


def log(data, ready):
    """Log anything, with anything as arguments and extras."""
    words = draw(data, st.one_of(st.sampled_from(["%s", "%d %r", "%(a)s", "%", "%s %s %s"]), NAMES))
    arguments = draw(data, st.one_of(st.lists(ANYTHING, max_size=3).map(tuple), st.just({"a": 1}), st.none()))
    extra = {f"x{name}": draw(data, ANYTHING) for name in draw(data, st.sets(TEXTS, max_size=2))}
    hand_over(words, arguments, extra, Theirs(draw(data, ANYTHING)) if draw(data, st.booleans()) else None)
    ready.check()


target("logging", logging_bridged)(log)
target("logging, OTELML_LOG_VALUES", bridged_values)(log)


@target("logger", off)
def context_logger(data, _):
    """Ask for a logger of any text."""
    otelml.logger(draw(data, TEXTS)).debug("x")


@contextlib.contextmanager
def disabled():
    """Let ``auto_instrument()`` read all settings and start nothing."""
    with off() as ready, patch.dict(os.environ, {"OTEL_SDK_DISABLED": "true"}):
        yield ready


@target("auto_instrument", disabled)
def started(data, _):
    """Start with anything: it does, or says what is wrong."""
    names = ("service_name", "model_name", "model_version", "disabled", "capture", "config")
    mapping = st.dictionaries(st.one_of(st.sampled_from(sorted(config._NAME_OF_KEY)), TEXTS), ANYTHING, max_size=3)
    given = keywords(data, *names, values=st.one_of(ANYTHING, mapping))
    with contextlib.suppress(otelml.ConfigError, otelml.MissingExtraError):
        otelml.auto_instrument(**given)


ENTRIES = {
    **dict.fromkeys(("Prediction", "Stage", "prediction"), "prediction, exported"),
    "NoPrediction": "prediction, off",
    **{name: name for name in ("auto_instrument", "event", "logger", "on_alert", "record_outcome", "track_prediction")},
    **{name: name for name in ("watch", "watch_drift", "window")},
    "unwatch": "watch",
    **dict.fromkeys(("batch_member", "current_prediction", "stage"), "stage, batch_member, current_prediction"),
    **dict.fromkeys(("Alert", "Window"), None),  # records that otelml makes
    **dict.fromkeys(("ConfigError", "MissingExtraError", "OtelmlError"), None),  # exceptions that otelml raises
    **dict.fromkeys(("Profile", "profile"), None),  # never on unasked; tests/profiling
    "feature_retrieval": "feature_retrieval",
    "force_flush": None,  # takes seconds
    "Runtime": None,  # made by auto_instrument(); its methods take seconds
    "__version__": None,
}
