// Package http1 reads the plain part of HTTP/1.1, and nothing else of it. It owns no
// connection: its functions look at bytes and say what they are.
//
// Two readers of one request that understand it differently are how requests are
// smuggled. A request is therefore plain only where RFC 9112 leaves no choice and
// everybody agrees; all else is for a whole server to read.
package http1

import "bytes"

// Field is a line of a head: its name in lower case, its value without the blanks around it.
type Field struct {
	Name  []byte
	Value []byte
}

var headEnd = []byte("\r\n\r\n")

// HeadEnd gives the length of the head that data begins with, its empty line included; 0 where it has not ended.
func HeadEnd(data []byte) int {
	at := bytes.Index(data, headEnd)
	if at < 0 {
		return 0
	}
	return at + len(headEnd)
}

// lines takes a head apart.
type lines struct {
	rest []byte
	// names is the room for names in lower case.
	names []byte
}

// next gives the next line without its end; false where the line does not end in CR LF, or no line is left.
func (l *lines) next() ([]byte, bool) {
	end := bytes.IndexByte(l.rest, '\n')
	if end < 1 || l.rest[end-1] != '\r' {
		return nil, false
	}
	line := l.rest[:end-1]
	l.rest = l.rest[end+1:]
	return line, true
}

// field reads a line as a field; false where it is none, or is written in a way that somebody might read otherwise.
func (l *lines) field(line []byte) (Field, bool) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return Field{}, false
	}
	from := len(l.names)
	for _, b := range line[:colon] {
		lower := nameBytes[b]
		if lower == 0 {
			return Field{}, false
		}
		l.names = append(l.names, lower)
	}
	value := line[colon+1:]
	for _, b := range value {
		if b < ' ' && b != '\t' || b >= 0x7f {
			return Field{}, false
		}
	}
	return Field{Name: l.names[from:len(l.names):len(l.names)], Value: bytes.Trim(value, " \t")}, true
}

// nameBytes maps what a name is made of to lower case, and all else to 0.
var nameBytes = func() (table [256]byte) {
	for b := range table {
		switch c := byte(b); {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			table[b] = c
		case 'A' <= c && c <= 'Z':
			table[b] = c | 0x20
		}
	}
	return table
}()

// length reads a Content-Length; false where it is anything but a plain decimal number of at most 15 digits.
func length(value []byte) (int64, bool) {
	if len(value) == 0 || len(value) > 15 || len(value) > 1 && value[0] == '0' {
		return 0, false
	}
	number := int64(0)
	for _, b := range value {
		if b < '0' || b > '9' {
			return 0, false
		}
		number = number*10 + int64(b-'0')
	}
	return number, true
}

// hasToken says whether a list such as Connection's names the token, which is in lower case.
func hasToken(value []byte, token string) bool {
	for part := range bytes.SplitSeq(value, []byte(",")) {
		if string(bytes.ToLower(bytes.Trim(part, " \t"))) == token {
			return true
		}
	}
	return false
}
