// Sends what test_sdks.py expects with the OpenTelemetry SDK for JavaScript. Argument: grpc, http/protobuf or http/json.
import { ROOT_CONTEXT, SeverityNumber, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const kind = { grpc: "grpc", "http/protobuf": "proto", "http/json": "http" }[process.argv[2]];
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${kind}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${kind}`);

const resource = defaultResource().merge(resourceFromAttributes({ "service.name": process.env.OTEL_SERVICE_NAME }));
const tracing = new TracerProvider({ resource, spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })] });
const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() });
const metering = new MeterProvider({ resource, readers: [reader] });
const logging = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });

const tracer = tracing.getTracer("sender", "1.2");
const attributes = { text: "Zürich ✈", whole: 2 ** 53 - 1, half: 0.5, yes: true, texts: ["a", "b"] };
const parent = tracer.startSpan("parent", { kind: SpanKind.SERVER, attributes });
const within = trace.setSpan(ROOT_CONTEXT, parent);
const child = tracer.startSpan("child", { links: [{ context: parent.spanContext() }] }, within);
child.addEvent("happened", { count: 3 });
child.setStatus({ code: SpanStatusCode.ERROR, message: "went wrong" });
child.end();

const meter = metering.getMeter("sender");
meter.createCounter("sent.items", { unit: "{item}" }).add(3, { kind: "a" });
const took = meter.createHistogram("sent.time", { unit: "s", advice: { explicitBucketBoundaries: [1, 2] } });
took.record(0.5);
took.record(1.5);

const record = { body: "hello", severityNumber: SeverityNumber.ERROR, severityText: "ERROR", attributes: { row: 7 } };
logging.getLogger("sender").emit({ ...record, context: within });
parent.end();
await Promise.all([tracing, metering, logging].map((provider) => provider.shutdown()));
