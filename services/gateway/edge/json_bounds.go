package main

import (
	"bytes"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// jsonBounds are the most that a JSON body may hold, whatever its size in bytes: a small element costs a hundred times
// its bytes once it is a message.
type jsonBounds struct {
	maxElements int
	maxDepth    int
}

// check gives the error that refuses a body for its elements or depth, or nil. What is no JSON is left to the decoder: it
// gives up no later than where this has counted to.
func (b jsonBounds) check(body []byte) error {
	elements, depth := 0, 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = stringEnd(body, i+1)
		case '[', '{':
			elements++
			depth++
		case ',':
			elements++
		case ']', '}':
			depth--
		}
		if elements > b.maxElements {
			return b.refusal("The request body holds more than %d JSON elements.", b.maxElements)
		}
		if depth > b.maxDepth {
			return b.refusal("The request body's arrays and objects lie within each other deeper than %d.", b.maxDepth)
		}
	}
	return nil
}

func (jsonBounds) refusal(format string, limit int) error {
	return badRequest(status.New(codes.InvalidArgument, fmt.Sprintf(format, limit)), "").Err()
}

// stringEnd gives where the string ends whose first byte is at start: at its quote, or behind the body's last byte.
func stringEnd(body []byte, start int) int {
	for at := start; ; {
		next := bytes.IndexByte(body[at:], '"')
		if next < 0 {
			return len(body)
		}
		at += next
		escapes := 0
		for at-escapes > start && body[at-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
		at++
	}
}
