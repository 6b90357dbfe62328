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

// jsonLook is a look at one body as it comes: what holds too much is refused before all of it is there. What is no JSON is
// left to the decoder: it gives up no later than where this has counted to.
type jsonLook struct {
	bounds          jsonBounds
	elements, depth int
	inString        bool
	// escaped says that the last byte so far, within a string, was a backslash that escapes the next.
	escaped bool
}

// more looks at what has come since, and gives the error that refuses the body for its elements or depth, or nil.
func (l *jsonLook) more(piece []byte) error {
	for i := 0; i < len(piece); i++ {
		if l.inString {
			i = l.stringEnd(piece, i)
			continue
		}
		switch piece[i] {
		case '"':
			l.inString = true
		case '[', '{':
			l.elements++
			l.depth++
		case ',':
			l.elements++
		case ']', '}':
			l.depth--
		}
		if l.elements > l.bounds.maxElements {
			return l.bounds.refusal("The request body holds more than %d JSON elements.", l.bounds.maxElements)
		}
		if l.depth > l.bounds.maxDepth {
			return l.bounds.refusal("The request body's arrays and objects lie within each other deeper than %d.", l.bounds.maxDepth)
		}
	}
	return nil
}

// stringEnd gives where the string ends that the byte at start is in: at its quote, or behind the piece's last byte.
func (l *jsonLook) stringEnd(piece []byte, start int) int {
	for at := start; ; {
		next := bytes.IndexByte(piece[at:], '"')
		inside := piece[at:]
		if next >= 0 {
			inside = piece[at : at+next]
		}
		backslashes := len(inside) - len(bytes.TrimRight(inside, "\\"))
		odd := backslashes%2 == 1
		if backslashes == len(inside) && l.escaped {
			odd = !odd
		}
		if next < 0 {
			l.escaped = odd
			return len(piece)
		}
		l.escaped = false
		at += next
		if !odd {
			l.inString = false
			return at
		}
		at++
	}
}

func (jsonBounds) refusal(format string, limit int) error {
	return badRequest(status.New(codes.InvalidArgument, fmt.Sprintf(format, limit)), "").Err()
}
