package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// tracing makes one SERVER span per request. Without an endpoint the span is made
// all the same and goes nowhere: its identity and its sampling decision still
// travel on, so that the gateway's spans join one trace.
type tracing struct {
	provider   *sdktrace.TracerProvider
	tracer     trace.Tracer
	propagator propagation.TraceContext
	ratio      float64
}

func newTracing(ctx context.Context, cfg *config, logger *slog.Logger) (*tracing, error) {
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.traceSampleRatio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "penstock-edge"),
			attribute.String("service.namespace", "penstock"),
			attribute.String("service.version", cfg.serviceVersion),
		)),
	}
	if cfg.otlp != "" {
		endpoint := cfg.otlp
		if !strings.Contains(endpoint, "://") {
			endpoint = "http://" + endpoint
		}
		exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
		if err != nil {
			return nil, err
		}
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("telemetry", "error", err.Error()) }))
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	provider := sdktrace.NewTracerProvider(options...)
	return &tracing{provider: provider, tracer: provider.Tracer("penstock.dev/edge"), ratio: cfg.traceSampleRatio}, nil
}

// Whose word on whether a trace is sampled counts. A stranger who says so for every request would have all of them
// recorded.
const (
	samplingOfTrusted = "trusted"
	samplingOfAll     = "always"
	samplingOfNobody  = "never"
)

// believesSampling says whether the word of a connection's other end counts.
func (c *config) believesSampling(remote string) bool {
	switch c.parentSampling {
	case samplingOfAll:
		return true
	case samplingOfNobody:
		return false
	}
	return c.clients.trustsPeer(remote)
}

// parent gives the caller's span. Where its word does not count, the trace's identity stays, and it can only decide
// against sampling: what it wants sampled is sampled by chance, and not by the identity, which is its choice, too.
func (t *tracing) parent(ctx context.Context, carrier propagation.TextMapCarrier, believed bool) context.Context {
	ctx = t.propagator.Extract(ctx, carrier)
	given := trace.SpanContextFromContext(ctx)
	if believed || !given.IsSampled() {
		return ctx
	}
	flags := given.TraceFlags().WithSampled(rand.Float64() < t.ratio)
	return trace.ContextWithRemoteSpanContext(ctx, given.WithTraceFlags(flags))
}

// start begins the request's span below the caller's, if the caller sent a valid
// one, and writes its identity into the headers that go on.
func (t *tracing) start(ctx context.Context, forwarded http.Header, believed bool) (context.Context, trace.Span) {
	carrier := propagation.HeaderCarrier(forwarded)
	ctx = t.parent(ctx, carrier, believed)
	ctx, span := t.tracer.Start(ctx, "HTTP", serverSpan)
	forwarded.Del(headerTracestate)
	t.propagator.Inject(ctx, carrier)
	return ctx, span
}

// startSpan does the same for fields that are in no http.Header: what the caller gave, and what goes on.
func (t *tracing) startSpan(given, own propagation.TextMapCarrier, believed bool) trace.Span {
	ctx, span := t.tracer.Start(t.parent(context.Background(), given, believed), "HTTP", serverSpan)
	t.propagator.Inject(ctx, own)
	return span
}

var serverSpan = trace.WithSpanKind(trace.SpanKindServer)

// end names the span by its route: a path would make one name per model.
func (t *tracing) end(span trace.Span, method, route string, status int, requestID string) {
	if span.IsRecording() {
		method = knownMethod(method)
		span.SetName(method + " " + route)
		span.SetAttributes(
			attribute.String("http.request.method", method),
			attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status),
			attribute.String("penstock.request_id", requestID),
		)
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

// knownMethod keeps invented methods from becoming names; "_OTHER" is OpenTelemetry's word for them.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER"
}

func (t *tracing) shutdown() {
	// Spans of the last seconds are worth a short wait, not a hanging exit.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = t.provider.Shutdown(ctx)
}
