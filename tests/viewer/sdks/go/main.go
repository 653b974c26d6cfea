// Sends what test_sdks.py expects with the OpenTelemetry SDK for Go. Argument: grpc or http/protobuf.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type exporters struct {
	spans   *otlptrace.Exporter
	metrics sdkmetric.Exporter
	logs    sdklog.Exporter
}

func overGRPC(ctx context.Context) (made exporters, err error) {
	var failed [3]error
	made.spans, failed[0] = otlptracegrpc.New(ctx)
	made.metrics, failed[1] = otlpmetricgrpc.New(ctx)
	made.logs, failed[2] = otlploggrpc.New(ctx)
	return made, errors.Join(failed[:]...)
}

func overHTTP(ctx context.Context) (made exporters, err error) {
	var failed [3]error
	made.spans, failed[0] = otlptracehttp.New(ctx)
	made.metrics, failed[1] = otlpmetrichttp.New(ctx)
	made.logs, failed[2] = otlploghttp.New(ctx)
	return made, errors.Join(failed[:]...)
}

func send(ctx context.Context, out exporters) error {
	tracing := sdktrace.NewTracerProvider(sdktrace.WithBatcher(out.spans))
	metering := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(out.metrics)))
	logging := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(out.logs)))

	tracer := tracing.Tracer("sender", trace.WithInstrumentationVersion("1.2"))
	within, parent := tracer.Start(ctx, "parent", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("text", "Zürich ✈"),
		attribute.Int64("whole", 1<<53-1),
		attribute.Float64("half", 0.5),
		attribute.Bool("yes", true),
		attribute.StringSlice("texts", []string{"a", "b"}),
	))
	_, child := tracer.Start(within, "child", trace.WithLinks(trace.LinkFromContext(within)))
	child.AddEvent("happened", trace.WithAttributes(attribute.Int("count", 3)))
	child.SetStatus(codes.Error, "went wrong")
	child.End()

	meter := metering.Meter("sender")
	items, err := meter.Int64Counter("sent.items", metric.WithUnit("{item}"))
	if err != nil {
		return err
	}
	items.Add(within, 3, metric.WithAttributes(attribute.String("kind", "a")))
	took, err := meter.Float64Histogram("sent.time", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 2))
	if err != nil {
		return err
	}
	took.Record(within, 0.5)
	took.Record(within, 1.5)

	var record log.Record
	record.SetBody(attribute.StringValue("hello"))
	record.SetSeverity(log.SeverityError)
	record.SetSeverityText("ERROR")
	record.AddAttributes(attribute.Int("row", 7))
	logging.Logger("sender").Emit(within, record)
	parent.End()
	return errors.Join(tracing.Shutdown(ctx), metering.Shutdown(ctx), logging.Shutdown(ctx))
}

func main() {
	over := map[string]func(context.Context) (exporters, error){"grpc": overGRPC, "http/protobuf": overHTTP}
	out, err := over[os.Args[1]](context.Background())
	if err == nil {
		err = send(context.Background(), out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
