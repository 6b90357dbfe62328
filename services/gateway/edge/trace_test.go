package main

import (
	"context"
	"net"
	"net/http"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

// collector is an OTLP endpoint.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	received chan *collectorv1.ExportTraceServiceRequest
}

func (c *collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.received <- r
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func TestSpansAreExported(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	sink := &collector{received: make(chan *collectorv1.ExportTraceServiceRequest, 16)}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, sink)
	go server.Serve(listener)
	t.Cleanup(server.Stop)

	edge := start(t, func(c *config) { c.otlp, c.serviceVersion = listener.Addr().String(), "1.2.3" })
	edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	edge.gateway.chat = func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		return &gatewayv1.ChatResponse{}, nil
	}
	edge.send(t, "POST", "/v1/chat/completions", `{}`)
	edge.send(t, "POST", "/api/v1/chat", `{}`)
	edge.send(t, "GET", "/nowhere/else", "")
	edge.send(t, "GET", "/readyz", "")
	edge.drain(context.Background())

	codes := map[string]tracev1.Status_StatusCode{}
	for len(codes) < 3 {
		request := soon(t, "the export", sink.received, patience)
		for _, span := range request.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans() {
			codes[span.GetName()] = span.GetStatus().GetCode()
			equal(t, "kind", span.GetKind(), tracev1.Span_SPAN_KIND_SERVER)
		}
	}
	equal(t, "spans", len(codes), 3)
	equal(t, "an error", codes["POST /v1/chat/completions"], tracev1.Status_STATUS_CODE_ERROR)
	for _, name := range []string{"POST /api/v1/chat", "GET unknown"} {
		code, ok := codes[name]
		equal(t, name, ok, true)
		equal(t, name, code, tracev1.Status_STATUS_CODE_UNSET)
	}
}
