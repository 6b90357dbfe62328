package http1

import "bytes"

// Answer is the head of an answer. It refers to the bytes that it was read from, until the next Parse.
type Answer struct {
	Status int
	// Length is the body's; -1 where the head does not tell it.
	Length  int64
	Chunked bool
	// Closes: the connection ends with this answer.
	Closes bool
	// Fields are all but those that belong to the connection. Transfer-Encoding is one of those; Content-Length is not.
	Fields []Field
	names  []byte
}

// Parse reads a head, which must be whole; false where it is malformed, or its body's length ambiguous.
func (a *Answer) Parse(head []byte) bool {
	*a = Answer{Length: -1, Fields: a.Fields[:0], names: a.names[:0]}
	l := lines{rest: head, names: a.names}
	line, ok := l.next()
	if !ok || !a.parseStatus(line) {
		return false
	}
	// HTTP/1.0 knows no chunks.
	old := a.Closes
	for {
		line, ok := l.next()
		if !ok {
			return false
		}
		if len(line) == 0 {
			a.names = l.names
			return !(a.Chunked && (a.Length >= 0 || old))
		}
		field, ok := l.answerField(line)
		if !ok || !a.take(field) {
			return false
		}
	}
}

// HasBody says whether anything follows the head.
func (a *Answer) HasBody() bool {
	return a.Length != 0 && a.Status != 204 && a.Status != 304 && a.Status >= 200
}

func (a *Answer) parseStatus(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1."))
	if !ok || len(rest) < 5 || rest[0] != '0' && rest[0] != '1' || rest[1] != ' ' || len(rest) > 5 && rest[5] != ' ' {
		return false
	}
	for _, b := range rest[2:5] {
		if b < '0' || b > '9' {
			return false
		}
		a.Status = a.Status*10 + int(b-'0')
	}
	a.Closes = rest[0] == '0'
	return a.Status >= 100
}

// answerField differs from a request's field in that a value may have bytes above ASCII: a gateway's text, not a caller's.
func (l *lines) answerField(line []byte) (Field, bool) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return Field{}, false
	}
	field, ok := l.field(line[:colon+1])
	for _, b := range line[colon+1:] {
		if b < ' ' && b != '\t' || b == 0x7f {
			return Field{}, false
		}
	}
	field.Value = bytes.Trim(line[colon+1:], " \t")
	return field, ok
}

func (a *Answer) take(field Field) bool {
	switch string(field.Name) {
	case "connection":
		a.Closes = a.Closes || hasToken(field.Value, "close")
		return true
	case "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade":
		return true
	case "transfer-encoding":
		again := a.Chunked
		a.Chunked = string(bytes.ToLower(field.Value)) == "chunked"
		return a.Chunked && !again
	case "content-length":
		number, ok := length(field.Value)
		if !ok || a.Length >= 0 {
			return false
		}
		a.Length = number
	}
	a.Fields = append(a.Fields, field)
	return true
}
