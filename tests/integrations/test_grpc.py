"""Real gRPC calls of every kind, sync and asyncio, between real servers and channels on loopback."""

import asyncio
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import grpc.aio
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from web_servers import Telemetry

from otelml import context
from otelml.integrations.grpc import GrpcInstrumentor
from otelml.integrations.logging import Bridge

CANARY = "canary7f3a"
log = logging.getLogger("service")


def seen(request):
    """Answer with what a method sees of its call."""
    log.warning("flight looked up")
    found = trace.get_current_span().get_span_context()
    return f"{request.decode()} {context.request_id()} {found.trace_id:032x}".encode()


def known(context):
    """Tell whether all metadata of a call can be read by name, as grpcio's own can; MLServer does."""
    found = {each.key: each.value for each in context.invocation_metadata() + context.trailing_metadata()}
    return "1" if "x-request-id" in found else "0"


# The service, sync ----------------------------------------------------------------------------------------------


def predict(request, context):
    """Answer one with one."""
    return seen(request)


def each(request, context):
    """Answer one with three."""
    for _ in range(3):
        yield seen(request)


def all_of(requests, context):
    """Answer many with one."""
    return seen(b"+".join(requests))


def echo(requests, context):
    """Answer each."""
    for request in requests:
        yield seen(request)


def refuse(request, context):
    """Refuse."""
    context.abort(grpc.StatusCode.NOT_FOUND, CANARY)


def boom(request, context):
    """Fail."""
    return float(CANARY)


def own(request, context):
    """Answer with trailing metadata of its own."""
    context.set_trailing_metadata((("x-own", known(context)),))
    return b""


# The service, asyncio -------------------------------------------------------------------------------------------


async def async_predict(request, context):
    """Answer one with one."""
    await asyncio.sleep(0)
    return seen(request)


async def async_each(request, context):
    """Answer one with three."""
    for _ in range(3):
        yield seen(request)


async def async_all_of(requests, context):
    """Answer many with one."""
    return seen(b"+".join([request async for request in requests]))


async def async_echo(requests, context):
    """Answer each, by writing."""
    async for request in requests:
        await context.write(seen(request))


async def async_refuse(request, context):
    """Refuse."""
    await context.abort(grpc.StatusCode.NOT_FOUND, CANARY)


async def async_boom(request, context):
    """Fail."""
    return float(CANARY)


async def async_own(request, context):
    """Answer with trailing metadata of its own."""
    context.set_trailing_metadata((("x-own", known(context)),))
    return b""


def handlers(*, asynchronous):
    """Return the service."""
    names = ("predict", "each", "all_of", "echo", "refuse", "boom", "own")
    one = {name: globals()[f"async_{name}" if asynchronous else name] for name in names}
    methods = {
        "Predict": grpc.unary_unary_rpc_method_handler(one["predict"]),
        "Each": grpc.unary_stream_rpc_method_handler(one["each"]),
        "All": grpc.stream_unary_rpc_method_handler(one["all_of"]),
        "Echo": grpc.stream_stream_rpc_method_handler(one["echo"]),
        "Refuse": grpc.unary_unary_rpc_method_handler(one["refuse"]),
        "Boom": grpc.unary_unary_rpc_method_handler(one["boom"]),
        "Own": grpc.unary_unary_rpc_method_handler(one["own"]),
    }
    health = {"Check": grpc.unary_unary_rpc_method_handler(one["predict"])}
    return (
        grpc.method_handlers_generic_handler("flights.Delays", methods),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
    )


@contextmanager
def served_sync():
    """Serve with threads; give the port."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(handlers(asynchronous=False))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextmanager
def served_async():
    """Serve with asyncio, in a thread of its own; give the port."""
    loop, made = asyncio.new_event_loop(), []
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start():
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(handlers(asynchronous=True))
        made.extend([server, server.add_insecure_port("127.0.0.1:0")])
        await server.start()

    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield made[1]
    finally:
        asyncio.run_coroutine_threadsafe(made[0].stop(None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


SERVED = {"threads": served_sync, "asyncio": served_async}


@pytest.fixture(params=SERVED)
def serve(request):
    """Serve, in both ways."""
    return SERVED[request.param]


@pytest.fixture
def telemetry():
    """Fresh providers."""
    return Telemetry()


@pytest.fixture
def on(telemetry):
    """Switch the integration on for one test."""
    one = GrpcInstrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


def sync_calls(port, **options):
    """Make a call of each kind, in two ways where there are two; return the answers."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answers = [channel.unary_unary("/flights.Delays/Predict")(b"a", **options)]
        answers.append(channel.unary_unary("/flights.Delays/Predict").future(b"b", **options).result(5))
        answers += list(channel.unary_stream("/flights.Delays/Each")(b"c", **options))
        answers.append(channel.stream_unary("/flights.Delays/All")(iter([b"d", b"e"]), **options))
        answers += list(channel.stream_stream("/flights.Delays/Echo")(iter([b"f", b"g"]), **options))
    return answers


def async_calls(port, **options):
    """Make a call of each kind with asyncio; return the answers."""

    async def call():
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            answers = [await channel.unary_unary("/flights.Delays/Predict")(b"a", **options)]
            answers.append(await channel.unary_unary("/flights.Delays/Predict")(b"b", **options))
            answers += [one async for one in channel.unary_stream("/flights.Delays/Each")(b"c", **options)]
            answers.append(await channel.stream_unary("/flights.Delays/All")(iter([b"d", b"e"]), **options))
            echo = channel.stream_stream("/flights.Delays/Echo")(iter([b"f", b"g"]), **options)
            answers += [one async for one in echo]
        return answers

    return asyncio.run(call())


CALLS = {"sync": sync_calls, "asyncio": async_calls}
METHODS = ["flights.Delays/All", "flights.Delays/Each", "flights.Delays/Echo", *["flights.Delays/Predict"] * 2]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_kind_of_call(telemetry, on, serve, call):
    """Each call is a client span and below it a server span, one duration each; the request id goes along."""
    with serve() as port:
        with context.with_request_id("r-1"):
            answers = [answer.decode().split() for answer in call(port)]
        spans = telemetry.spans(10)
    assert [answer[0] for answer in answers] == ["a", "b", "c", "c", "c", "d+e", "f", "g"]
    assert {answer[1] for answer in answers} == {"r-1"}
    clients = [span for span in spans if span.kind is trace.SpanKind.CLIENT]
    servers = [span for span in spans if span.kind is trace.SpanKind.SERVER]
    assert sorted(span.name for span in clients) == sorted(span.name for span in servers) == METHODS
    by_id = {span.context.span_id: span for span in clients}
    for span in servers:
        assert by_id[span.parent.span_id].name == span.name
        assert span.attributes["ml.request.id"] == "r-1"
        assert span.attributes["rpc.system.name"] == "grpc"
        assert span.attributes["rpc.method"] == span.name
        assert span.attributes["rpc.response.status_code"] == "OK"
    traces = {f"{span.context.trace_id:032x}" for span in servers}
    assert {answer[2] for answer in answers} == traces
    assert {span.attributes["server.port"] for span in clients} == {port}
    for name in ("rpc.server.call.duration", "rpc.client.call.duration"):
        counts = {point.attributes["rpc.method"]: point.count for point in telemetry.points(name)}
        assert counts == {method: METHODS.count(method) for method in METHODS}
    assert context.request_id() is None


def test_the_request_id(telemetry, on, serve):
    """One is made where none comes, or a bad one; the caller's own goes before; it comes back as trailing metadata."""
    with serve() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        predict = channel.unary_unary("/flights.Delays/Predict")
        answer, call = predict.with_call(b"a", timeout=5)
        made = answer.decode().split()[1]
        assert len(made) == 32
        assert dict(call.trailing_metadata())["x-request-id"] == made
        assert predict(b"a", metadata=(("x-request-id", "a b"),)).decode().split()[1] != "a"
        with context.with_request_id("r-1"):
            given = predict(b"a", metadata=(("x-request-id", "mine"), ("x-other", "1")))
            assert given.decode().split()[1] == "mine"
        _, call = channel.unary_unary("/flights.Delays/Own").with_call(b"")
        assert dict(call.trailing_metadata())["x-own"] == "1"


def test_refusals_and_failures(telemetry, on, serve):
    """The caller gets the code and details of the application; raw values reach no span and no metric."""
    with serve() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/flights.Delays/Refuse")(CANARY.encode(), metadata=(("x-secret", CANARY),))
        with pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary("/flights.Delays/Boom")(b"")
        spans = telemetry.spans(4)
    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.NOT_FOUND, CANARY)
    assert failed.value.code() is grpc.StatusCode.UNKNOWN
    told = {(span.name, span.kind.name): span for span in spans}
    assert len(told) == 4
    assert told["flights.Delays/Refuse", "SERVER"].status.is_unset
    assert told["flights.Delays/Refuse", "SERVER"].attributes["rpc.response.status_code"] == "NOT_FOUND"
    assert told["flights.Delays/Refuse", "CLIENT"].attributes["error.type"] == "NOT_FOUND"
    assert told["flights.Delays/Boom", "SERVER"].attributes["error.type"] == "UNKNOWN"
    assert [event.name for event in told["flights.Delays/Boom", "SERVER"].events] == ["exception"]
    assert told["flights.Delays/Refuse", "SERVER"].events == ()
    assert CANARY not in telemetry.everything()


def test_exceptions_are_the_librarys(telemetry, serve):
    """What a caller catches has the same class with otelml and without."""
    kinds = []
    for _ in range(2):
        with serve() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/flights.Delays/Refuse")(b"")
            kinds.append(type(caught.value))
        one = GrpcInstrumentor()
        if not one.is_instrumented_by_opentelemetry:
            one.instrument(skip_dep_check=True, **telemetry.providers)
    GrpcInstrumentor().uninstrument()
    assert kinds[0] is kinds[1]


def test_probes_are_left_out(telemetry, on, serve):
    """Health checks are answered and counted nowhere."""
    with serve() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"a").startswith(b"a")
    assert telemetry.spans() == ()
    assert telemetry.points("rpc.server.call.duration") == []


def test_concurrent_calls_keep_their_ids(telemetry, on, serve):
    """Each call of eight threads sees its own id, and so do its span and its log line."""
    bridge = Bridge(logger_provider=telemetry.loggers)
    logging.getLogger().addHandler(bridge)
    try:
        with serve() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel, ThreadPoolExecutor(8) as pool:
            predict = channel.unary_unary("/flights.Delays/Predict")

            def one(number):
                with context.with_request_id(f"r-{number}"):
                    return predict(b"a").decode().split()[1:]

            answers = dict(pool.map(one, range(40)))
            telemetry.spans(80)
    finally:
        logging.getLogger().removeHandler(bridge)
    assert sorted(answers) == sorted(f"r-{number}" for number in range(40))
    lines = [record.log_record for record in telemetry.records.get_finished_logs()]
    logged = {one.attributes["ml.request.id"]: f"{one.trace_id:032x}" for one in lines}
    assert logged == answers


def test_a_stream_that_is_cancelled_ends(telemetry, on, serve):
    """A client that stops reading ends both spans."""
    with serve() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answers = channel.unary_stream("/flights.Delays/Each")(b"a")
        next(answers)
        answers.cancel()
        clients = [span for span in telemetry.spans(1) if span.kind is trace.SpanKind.CLIENT]
    assert [span.attributes["rpc.response.status_code"] for span in clients] in (["CANCELLED"], ["OK"])
    assert len([span for span in telemetry.spans(2) if span.kind is trace.SpanKind.SERVER]) == 1


def test_undone(telemetry):
    """The very functions are back, and what was made meanwhile records nothing more."""
    owners = [(grpc, "server"), (grpc, "insecure_channel"), (grpc, "secure_channel"), (grpc.aio, "server"),
              (grpc.aio, "insecure_channel"), (grpc.aio, "secure_channel")]  # fmt: skip
    before = [getattr(owner, name) for owner, name in owners]
    one = GrpcInstrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    assert all(getattr(owner, name) is not was for (owner, name), was in zip(owners, before, strict=True))
    with served_sync() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        predict = channel.unary_unary("/flights.Delays/Predict")
        predict(b"a")
        assert len(telemetry.spans(2)) == 2
        one.uninstrument()
        assert all(getattr(owner, name) is was for (owner, name), was in zip(owners, before, strict=True))
        predict(b"a")
        assert len(telemetry.spans()) == 2


def test_suppressed_calls_are_left_alone(telemetry, on):
    """Inside suppressed code, as exporters run, a call has neither span nor metadata of ours."""
    with served_sync() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        predict = channel.unary_unary("/flights.Delays/Predict")
        with context.with_request_id("r-1"), suppress_instrumentation():
            answer = predict(b"a").decode().split()
    assert answer[1] != "r-1"
    assert {span.kind for span in telemetry.spans(1)} == {trace.SpanKind.SERVER}


def test_an_otlp_exporter_is_never_observed(telemetry, on):
    """Its channel is grpcio's own, its calls have no span, and neither has the receiver, whoever serves it."""
    got = []

    def export(request, context):
        got.append(dict(context.invocation_metadata()))
        return b""

    server = grpc.server(ThreadPoolExecutor(1))
    method = grpc.unary_unary_rpc_method_handler(export)
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True, timeout=5)
        assert type(exporter._channel).__module__ == "grpc._channel"
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(exporter))
        with context.with_request_id("r-1"):
            tracers.get_tracer("x").start_span("x").end()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:  # somebody else's exporter, on a channel of its own
            channel.unary_unary(f"/{service}/Export")(b"")
        exporter.shutdown()
    finally:
        server.stop(None).wait()
    assert len(got) == 2
    assert not [one for one in got if "traceparent" in one or "x-request-id" in one]
    assert telemetry.spans() == ()


def test_everything_of_otelml_over_grpc_makes_no_span(otlp):
    """A program with otelml on, exporting by gRPC to nobody, observes no call of its own and ends in time."""
    program = (
        "import otelml, grpc\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import SpanProcessor\n"
        "otelml.auto_instrument('x')\n"
        "from otelml.integrations.grpc import GrpcInstrumentor\n"
        "GrpcInstrumentor().is_instrumented_by_opentelemetry or GrpcInstrumentor().instrument(skip_dep_check=True)\n"
        "seen = []\n"
        "class Seen(SpanProcessor):\n"
        "    def on_end(self, span):\n"
        "        seen.append(span.name)\n"
        "trace.get_tracer_provider().add_span_processor(Seen())\n"
        "with otelml.prediction('m'):\n    pass\n"
        "otelml.force_flush(1)\n"
        "assert hasattr(grpc.insecure_channel, '__wrapped__')\n"
        "assert [name for name in seen if 'Export' in name] == [], seen\n"
    )
    environment = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
                   "OTELML_SHUTDOWN_TIMEOUT": "1", "PATH": "/usr/bin"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nothing_is_imported():
    """Switching the integration on imports no grpc."""
    program = (
        "import sys\n"
        "from otelml.integrations.grpc import GrpcInstrumentor\n"
        "GrpcInstrumentor().instrument(skip_dep_check=True)\n"
        "assert 'grpc' not in sys.modules\n"
        "import grpc, grpc.aio\n"
        "assert grpc.server.__wrapped__ and grpc.aio.server.__wrapped__\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_upstream_already_on_gives_one_span(telemetry):
    """Somebody else's instrumentation makes the spans; the request id goes along all the same."""
    module = pytest.importorskip("opentelemetry.instrumentation.grpc")
    upstream = [module.GrpcInstrumentorServer(), module.GrpcInstrumentorClient()]
    for each_one in upstream:
        each_one.instrument(tracer_provider=telemetry.tracers)
    one = GrpcInstrumentor()
    one.instrument(skip_dep_check=True, **telemetry.providers)
    try:
        with served_sync() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            with context.with_request_id("r-1"):
                answer = channel.unary_unary("/flights.Delays/Predict")(b"a").decode().split()
            spans = telemetry.spans(1)
    finally:
        one.uninstrument()
        for each_one in upstream:
            each_one.uninstrument()
    assert answer[1] == "r-1"
    # Upstream's client gives its spans to the global provider, whatever it is told.
    assert [span.instrumentation_scope.name for span in spans] == ["opentelemetry.instrumentation.grpc"]
