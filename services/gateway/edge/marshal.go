package main

import (
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// jsonOptions write the names of the contract and leave out what is unset.
var jsonOptions = protojson.MarshalOptions{UseProtoNames: true}

// framing marshals the typed API. Whole answers are plain JSON; a stream's messages
// and its error are framed by the four affixes.
type framing struct {
	runtime.Marshaler
	streamType               string
	messageStart, messageEnd string
	errorStart, errorEnd     string
	delimiter                []byte
}

var (
	// An unknown field is an error: dropped in silence, it would be a setting that does nothing.
	plainJSON = &runtime.JSONPb{MarshalOptions: jsonOptions, UnmarshalOptions: protojson.UnmarshalOptions{}}

	// ndjson is grpc-gateway's own form of a stream.
	ndjson = &framing{
		Marshaler: plainJSON, streamType: mimeNDJSON, delimiter: []byte("\n"),
		messageStart: `{"result":`, messageEnd: "}", errorStart: `{"error":`, errorEnd: "}",
	}
	// eventStream is the form that browsers read; protojson writes no line breaks, so one data line is enough.
	eventStream = &framing{
		Marshaler: plainJSON, streamType: mimeEventStream, delimiter: []byte("\n\n"),
		messageStart: "data: ", errorStart: "event: error\ndata: ",
	}
)

// Marshal writes a message, or what grpc-gateway wraps a stream's message or error in.
func (f *framing) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any:
		message, ok := v["result"].(proto.Message)
		if !ok {
			return nil, fmt.Errorf("a stream carried a %T", v["result"])
		}
		buffer, err := jsonOptions.MarshalAppend([]byte(f.messageStart), message)
		return append(buffer, f.messageEnd...), err
	case map[string]proto.Message:
		failed, ok := v["error"].(*spb.Status)
		if !ok {
			failed = status.New(codes.Internal, "Internal error.").Proto()
		}
		buffer := append([]byte(f.errorStart), marshalStatus(status.FromProto(failed))...)
		return append(buffer, f.errorEnd...), nil
	}
	return f.Marshaler.Marshal(v)
}

// NewDecoder reads the body to its end, so that whatever stops it is seen and
// nothing may follow the message.
func (f *framing) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		body, err := bytesOf(r)
		if err != nil {
			return err
		}
		if len(body) == 0 {
			return io.EOF
		}
		message, ok := messageIn(v)
		if !ok {
			return errors.New("the body is not a message")
		}
		if protojson.Unmarshal(body, message) != nil {
			return explain(body, message.ProtoReflect().Descriptor())
		}
		return nil
	})
}

// bytesOf gives what is left of a body, without a copy where all of it is in memory.
func bytesOf(r io.Reader) ([]byte, error) {
	if whole, ok := r.(*wholeBody); ok {
		rest := whole.data[len(whole.data)-whole.Len():]
		_, _ = whole.Seek(0, io.SeekEnd)
		return rest, nil
	}
	return io.ReadAll(r)
}

// messageIn gives the message to decode into. The body of a PATCH is a field of
// the request, so v may point to a field that holds no message yet.
func messageIn(v any) (proto.Message, bool) {
	if message, ok := v.(proto.Message); ok {
		return message, true
	}
	field := reflect.ValueOf(v)
	if field.Kind() != reflect.Pointer || field.Elem().Kind() != reflect.Pointer {
		return nil, false
	}
	if field.Elem().IsNil() {
		field.Elem().Set(reflect.New(field.Elem().Type().Elem()))
	}
	message, ok := field.Elem().Interface().(proto.Message)
	return message, ok
}

// Delimiter ends each message of a stream.
func (f *framing) Delimiter() []byte { return f.delimiter }

// StreamContentType is the content type of a stream.
func (f *framing) StreamContentType(any) string { return f.streamType }
