package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

const (
	// strangersBytes of a body may be transcoded before the gateway knows its caller: too little to be felt.
	strangersBytes = 16 << 10
	// intakeStep is how much memory a body takes at a time, as it comes: a length alone takes none.
	intakeStep = 256 << 10
)

// reasonAddress is how the gateway refuses a key that is not accepted from where it comes from.
const reasonAddress = "ADDRESS_NOT_PERMITTED"

// intake reads the bodies of the typed API before they are transcoded: a large one only once the gateway knows whose
// it is, within the memory that all of them and those of one address have, and with no more in it than may be there.
type intake struct {
	gateway *gatewayConns
	models  gatewayv1.ModelServiceClient
	bodies  *shares
	bounds  jsonBounds
}

func newIntake(cfg *config, gateway *gatewayConns) *intake {
	return &intake{
		gateway: gateway, models: gatewayv1.NewModelServiceClient(gateway),
		bodies: newShares(cfg.maxTypedBytes, cfg.maxTypedBytesOf),
		bounds: jsonBounds{maxElements: cfg.maxJSONElements, maxDepth: cfg.maxJSONDepth},
	}
}

// wholeBody is a body that is in memory.
type wholeBody struct {
	bytes.Reader
	data []byte
}

// Close implements io.Closer.
func (*wholeBody) Close() error { return nil }

// read puts the whole body in place of the request's, and gives what to call when it is not needed any more; or the
// error that refuses the request.
func (in *intake) read(r *http.Request) (release func(), err error) {
	release = func() {}
	if r.Body == nil || r.Body == http.NoBody {
		return release, nil
	}
	held := &share{of: in.bodies, site: siteOf(r.Header.Get(headerClientAddress))}
	data, err := in.collect(r, held)
	if err != nil {
		held.release()
		return release, err
	}
	body := &wholeBody{data: data}
	body.Reset(data)
	r.Body = body
	return held.release, nil
}

func (in *intake) collect(r *http.Request, held *share) ([]byte, error) {
	look := jsonLook{bounds: in.bounds}
	if r.ContentLength >= 0 && r.ContentLength <= strangersBytes {
		data, err := io.ReadAll(r.Body)
		if err == nil {
			err = look.more(data)
		}
		return data, err
	}
	data, err := readUpTo(r.Body, nil, strangersBytes)
	if err == nil {
		err = in.authenticate(r)
	}
	looked := 0
	for err == nil {
		if err := look.more(data[looked:]); err != nil {
			return nil, err
		}
		looked = len(data)
		if !held.take(intakeStep) {
			return nil, failureBodies.status().Err()
		}
		data, err = readUpTo(r.Body, data, intakeStep)
	}
	if errors.Is(err, io.EOF) {
		return data, look.more(data[looked:])
	}
	return nil, err
}

// readUpTo adds up to so many bytes; io.EOF where the body has ended.
func readUpTo(body io.Reader, data []byte, most int) ([]byte, error) {
	for end := len(data) + most; len(data) < end; {
		data = slices.Grow(data, min(end-len(data), max(len(data), 512)))
		n, err := body.Read(data[len(data):min(cap(data), end)])
		data = data[:len(data)+n]
		if err != nil {
			return data, err
		}
	}
	return data, nil
}

// authenticate asks the gateway whether it knows the caller: for the models, which every key for inference may see, and
// which cost next to nothing. A key that is for something else is refused there, and known all the same.
func (in *intake) authenticate(r *http.Request) error {
	// Not the exchange's own: what comes back is about another call.
	ctx := context.WithValue(r.Context(), exchangeKey{}, &exchange{})
	_, err := in.models.ListModels(metadata.NewOutgoingContext(ctx, callMetadata(r.Header)), &gatewayv1.ListModelsRequest{})
	switch s := status.Convert(err); s.Code() {
	case codes.OK, codes.Unimplemented:
		return nil
	case codes.PermissionDenied:
		if reasonIn(s) == reasonAddress {
			return err
		}
		return nil
	}
	return err
}

// callMetadata is what grpc-gateway makes of a request's headers.
func callMetadata(header http.Header) metadata.MD {
	md := metadata.MD{}
	for name, values := range header {
		if key, ok := requestMetadata(name); ok {
			md.Append(key, values...)
		}
	}
	md.Append(strings.ToLower("Authorization"), header["Authorization"]...)
	return md
}

func reasonIn(s *status.Status) string {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
