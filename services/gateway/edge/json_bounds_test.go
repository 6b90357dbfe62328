package main

import (
	"strings"
	"testing"
)

// looked gives what a look says of a body that comes in pieces of so many bytes.
func looked(bounds jsonBounds, body string, size int) error {
	look := jsonLook{bounds: bounds}
	for len(body) > 0 {
		piece := body[:min(size, len(body))]
		body = body[len(piece):]
		if err := look.more([]byte(piece)); err != nil {
			return err
		}
	}
	return nil
}

func TestWhatABodyHoldsIsCountedHoweverItComes(t *testing.T) {
	for body, elements := range map[string]int{
		`{}`:                                    1,
		`[1,2,3]`:                               3,
		`{"a":[{},{}],"b":"[,{"}`:               6,
		`["\\\"[,{","\\\\",[]]`:                 4,
		`["` + strings.Repeat(`\\`, 9) + `",1]`: 2,
		`["` + strings.Repeat(`\"`, 9) + `",1]`: 2,
	} {
		for size := 1; size <= len(body); size++ {
			enough := jsonBounds{maxElements: elements, maxDepth: 9}
			equal(t, body, looked(enough, body, size), nil)
			tooFew := jsonBounds{maxElements: elements - 1, maxDepth: 9}
			equal(t, body, looked(tooFew, body, size) != nil, true)
		}
	}
}

func TestDepthIsCountedHoweverItComes(t *testing.T) {
	body := strings.Repeat("[", 5) + `"]]]"` + strings.Repeat("]", 5)
	for size := 1; size <= len(body); size++ {
		equal(t, body, looked(jsonBounds{maxElements: 99, maxDepth: 5}, body, size), nil)
		equal(t, body, looked(jsonBounds{maxElements: 99, maxDepth: 4}, body, size) != nil, true)
	}
}
