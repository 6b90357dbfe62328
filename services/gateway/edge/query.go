package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// strictQuery reads query parameters as grpc-gateway does, and refuses those that it would drop without a word.
type strictQuery struct{ runtime.DefaultQueryParser }

// Parse implements runtime.QueryParameterParser.
func (s *strictQuery) Parse(message proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		path := strings.Split(key, ".")
		if filter.HasCommonPrefix(path) {
			return fault(shortened(key), "The parameter %s is part of the path or the body, not of the query.", shortened(key))
		}
		field, err := parameter(message.ProtoReflect().Descriptor(), path)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(values[key], func(value string) bool { return !utf8.ValidString(value) }) {
			return fault(shortened(key), "The parameter %s is not UTF-8.", shortened(key))
		}
		if s.DefaultQueryParser.Parse(message, url.Values{key: values[key]}, filter) != nil {
			return fault(shortened(key), "The parameter %s must be %s.", shortened(key), described(field))
		}
	}
	return nil
}

// parameter finds the field that a dotted name leads to.
func parameter(message protoreflect.MessageDescriptor, path []string) (protoreflect.FieldDescriptor, error) {
	for i, name := range path {
		fields := message.Fields()
		field := fields.ByName(protoreflect.Name(name))
		if field == nil {
			field = fields.ByJSONName(name)
		}
		if field != nil && i < len(path)-1 && field.Message() == nil {
			whole := shortened(strings.Join(path, "."))
			return nil, fault(whole, "There is no query parameter %s: %s has no parts.", whole, strings.Join(path[:i+1], "."))
		}
		if field == nil {
			names := make([]string, fields.Len())
			for j := range names {
				names[j] = string(fields.Get(j).Name())
			}
			before := shortened(strings.Join(path[:i], "."))
			here := within(before, shortened(name))
			return nil, fault(here, "There is no query parameter %s%s", here, insteadOf(name, before, names))
		}
		if i == len(path)-1 {
			return field, nil
		}
		message = field.Message()
	}
	return nil, fault("", "A query parameter needs a name.")
}

// described says what a field takes.
func described(field protoreflect.FieldDescriptor) string {
	if field.Message() != nil {
		if form, ok := ownJSON[field.Message().FullName()]; ok {
			return strings.ReplaceAll(form, `"`, "")
		}
		return fmt.Sprintf("a %s", field.Message().Name())
	}
	if want := scalar(field, nil); want != "" {
		return want
	}
	return "text"
}
