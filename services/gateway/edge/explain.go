package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// bodyFault says what is wrong with a request on the typed API: with which field, by the contract's name, and why.
// grpc-gateway hands errors on as texts; separator keeps the two apart on the way.
type bodyFault struct{ field, text string }

const separator = "\x1f"

func (f *bodyFault) Error() string { return f.field + separator + f.text }

func fault(field, format string, args ...any) *bodyFault {
	return &bodyFault{field, fmt.Sprintf(format, args...)}
}

// explain finds what protojson refused in a body that should have been the message; it runs on refused bodies alone.
func explain(body []byte, message protoreflect.MessageDescriptor) *bodyFault {
	e := explainer{json.NewDecoder(bytes.NewReader(body))}
	e.UseNumber()
	err := e.value(message, "")
	var found *bodyFault
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &found):
		return found
	case errors.As(err, &syntax):
		line, column := position(body, int(syntax.Offset))
		return fault("", "The body is not valid JSON, near line %d, column %d.", line, column)
	case err != nil:
		return fault("", "The body is not valid JSON: it ends too early.")
	}
	if _, err := e.Token(); !errors.Is(err, io.EOF) {
		return fault("", "The body must be one JSON object and nothing more.")
	}
	return fault("", "The body cannot be read as JSON: it must be UTF-8 text without a byte order mark.")
}

func position(body []byte, offset int) (line, column int) {
	before := body[:max(0, min(offset, len(body)))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

// explainer reads a body along a message's fields and stops at the first that does not fit.
type explainer struct{ *json.Decoder }

// ownJSON are messages that have a JSON form of their own.
var ownJSON = map[protoreflect.FullName]string{
	"google.protobuf.Duration":  `a duration such as "1.5s"`,
	"google.protobuf.Timestamp": `a time such as "2026-01-31T12:00:00Z"`,
	"google.protobuf.FieldMask": `names of fields, separated by commas`,
}

// value reads one message.
func (e explainer) value(message protoreflect.MessageDescriptor, path string) error {
	token, err := e.Token()
	if err != nil {
		return err
	}
	if form, ok := ownJSON[message.FullName()]; ok {
		if _, ok := token.(string); ok {
			return nil
		}
		return e.mismatch(path, form, token)
	}
	if token != json.Delim('{') {
		return e.mismatch(path, "an object", token)
	}
	seen := map[protoreflect.Name]bool{}
	chosen := map[protoreflect.Name]protoreflect.Name{}
	for e.More() {
		field, err := e.field(message, path)
		if err != nil {
			return err
		}
		here := within(path, string(field.Name()))
		if seen[field.Name()] {
			return fault(here, "%s is given twice.", here)
		}
		seen[field.Name()] = true
		if union := field.ContainingOneof(); union != nil && !union.IsSynthetic() {
			if other, ok := chosen[union.Name()]; ok {
				return fault(here, "%s and %s cannot be given together.", here, within(path, string(other)))
			}
			chosen[union.Name()] = field.Name()
		}
		if err := e.content(field, here); err != nil {
			return err
		}
	}
	_, err = e.Token()
	return err
}

// field reads a key.
func (e explainer) field(message protoreflect.MessageDescriptor, path string) (protoreflect.FieldDescriptor, error) {
	token, err := e.Token()
	if err != nil {
		return nil, err
	}
	key, fields := token.(string), message.Fields()
	if field := fields.ByName(protoreflect.Name(key)); field != nil {
		return field, nil
	}
	if field := fields.ByJSONName(key); field != nil {
		return field, nil
	}
	names := make([]string, fields.Len())
	for i := range names {
		names[i] = string(fields.Get(i).Name())
	}
	here := within(path, shortened(key))
	return nil, fault(here, "There is no field %s%s", here, insteadOf(key, path, names))
}

// content reads what stands behind a key.
func (e explainer) content(field protoreflect.FieldDescriptor, path string) error {
	switch {
	case field.IsMap():
		return e.entries(field, path)
	case field.IsList():
		return e.items(field, path)
	}
	return e.single(field, path)
}

func (e explainer) items(field protoreflect.FieldDescriptor, path string) error {
	token, err := e.Token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('[') {
		return e.mismatch(path, "a list", token)
	}
	for i := 0; e.More(); i++ {
		if err := e.single(field, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	_, err = e.Token()
	return err
}

func (e explainer) entries(field protoreflect.FieldDescriptor, path string) error {
	token, err := e.Token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('{') {
		return e.mismatch(path, "an object", token)
	}
	for e.More() {
		key, err := e.Token()
		if err != nil {
			return err
		}
		if err := e.single(field.MapValue(), within(path, shortened(key.(string)))); err != nil {
			return err
		}
	}
	_, err = e.Token()
	return err
}

func (e explainer) single(field protoreflect.FieldDescriptor, path string) error {
	if field.Message() != nil {
		return e.value(field.Message(), path)
	}
	token, err := e.Token()
	if err != nil || token == nil {
		return err
	}
	if want := scalar(field, token); want != "" {
		return e.mismatch(path, want, token)
	}
	return nil
}

// scalar gives what a field would have taken; empty where it takes the token.
func scalar(field protoreflect.FieldDescriptor, token json.Token) string {
	text, isText := token.(string)
	switch field.Kind() {
	case protoreflect.StringKind:
		return unless(isText, "a string")
	case protoreflect.BytesKind:
		_, err := base64.StdEncoding.DecodeString(text)
		return unless(isText && err == nil, "a string of base64")
	case protoreflect.BoolKind:
		_, isBool := token.(bool)
		return unless(isBool, "true or false")
	case protoreflect.EnumKind:
		return enumeration(field.Enum(), token)
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		number, err := strconv.ParseFloat(digits(token), 64)
		return unless(err == nil && !math.IsInf(number, 0), "a number")
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return whole(token, 0, math.MaxUint32)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return whole(token, 0, math.MaxUint64)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return whole(token, math.MinInt32, math.MaxInt32)
	default:
		return whole(token, math.MinInt64, math.MaxInt64)
	}
}

func unless(fits bool, want string) string {
	if fits {
		return ""
	}
	return want
}

// digits gives a number's text; protojson takes numbers in quotes, too.
func digits(token json.Token) string {
	switch token := token.(type) {
	case json.Number:
		return token.String()
	case string:
		return token
	}
	return ""
}

func whole(token json.Token, least, most float64) string {
	number, err := strconv.ParseFloat(digits(token), 64)
	fits := err == nil && number == math.Trunc(number) && number >= least && number <= most
	if most >= math.MaxInt64 {
		// No float64 is the bound itself.
		fits = fits && number < most
	}
	return unless(fits, fmt.Sprintf("a whole number from %.0f to %.0f", least, most))
}

func enumeration(enum protoreflect.EnumDescriptor, token json.Token) string {
	if _, err := strconv.ParseInt(digits(token), 10, 32); err == nil {
		return ""
	}
	names := make([]string, 0, enum.Values().Len())
	for i := range enum.Values().Len() {
		value := enum.Values().Get(i)
		if string(value.Name()) == digits(token) {
			return ""
		}
		if value.Number() != 0 {
			names = append(names, string(value.Name()))
		}
	}
	return "one of " + strings.Join(names, ", ")
}

func (e explainer) mismatch(path, want string, token json.Token) error {
	if path == "" {
		return fault("", "The body must be %s, and is %s.", want, kindOf(token))
	}
	return fault(path, "%s must be %s, and is %s.", path, want, kindOf(token))
}

func kindOf(token json.Token) string {
	switch token := token.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(token)
	case json.Number:
		return "the number " + shortened(token.String())
	case string:
		return "the string " + strconv.QuoteToASCII(shortened(token))
	case json.Delim:
		if token == '[' {
			return "a list"
		}
	}
	return "an object"
}

func within(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// maxQuotedBytes bounds what of a request is said back.
const maxQuotedBytes = 64

func shortened(text string) string {
	if len(text) > maxQuotedBytes {
		return strings.ToValidUTF8(text[:maxQuotedBytes], "") + "…"
	}
	return text
}
