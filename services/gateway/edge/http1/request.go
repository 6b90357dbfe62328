package http1

import "bytes"

const (
	// Roots of every plain path.
	pathPrefix = "/v1/"
	// maxRequestFields bounds the lines of a plain head; SDKs send about twenty.
	maxRequestFields = 64
)

// Request is a plain request's head. It refers to the bytes that it was read from, until the next Parse.
type Request struct {
	// Get: the method is GET; else it is POST.
	Get    bool
	Path   []byte
	Length int64
	// Fields are all but those that frame the message: Host, Content-Length and Connection.
	Fields []Field
	names  []byte
}

// MayBecomePlain says whether a head that has not ended may still turn out to be plain.
func MayBecomePlain(part []byte) bool {
	for _, method := range []string{"POST " + pathPrefix, "GET " + pathPrefix} {
		n := min(len(part), len(method))
		if string(part[:n]) == method[:n] {
			return !hasBareLineFeed(part)
		}
	}
	return false
}

func hasBareLineFeed(data []byte) bool {
	for i, b := range data {
		if b == '\n' && (i == 0 || data[i-1] != '\r') {
			return true
		}
	}
	return false
}

// Parse reads a head, which must be whole; false where it is not plain.
func (r *Request) Parse(head []byte) bool {
	*r = Request{Fields: r.Fields[:0], names: r.names[:0]}
	l := lines{rest: head, names: r.names}
	line, ok := l.next()
	if !ok || !r.parseTarget(line) {
		return false
	}
	seen := framing{}
	for {
		line, ok := l.next()
		if !ok {
			return false
		}
		if len(line) == 0 {
			r.names = l.names
			return len(l.rest) == 0 && seen.hosts == 1 && seen.lengths <= 1 && !(r.Get && r.Length > 0)
		}
		field, ok := l.field(line)
		if !ok || len(r.Fields) == maxRequestFields || !r.take(field, &seen) {
			return false
		}
	}
}

// framing counts the fields that a request may have once.
type framing struct{ hosts, lengths int }

func (r *Request) parseTarget(line []byte) bool {
	target, ok := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !ok {
		return false
	}
	if target, r.Get = bytes.CutPrefix(target, []byte("GET ")); !r.Get {
		if target, ok = bytes.CutPrefix(target, []byte("POST ")); !ok {
			return false
		}
	}
	r.Path = target
	return bytes.HasPrefix(target, []byte(pathPrefix)) && plainPath(target)
}

// plainPath takes no escape, no query, no empty segment and none that begins with a dot.
func plainPath(path []byte) bool {
	for i, b := range path {
		if !pathBytes[b] || i > 0 && path[i-1] == '/' && (b == '/' || b == '.') {
			return false
		}
	}
	return true
}

var pathBytes = func() (table [256]bool) {
	for b := range table {
		c := byte(b)
		table[b] = nameBytes[c] != 0 || c == '/' || c == '.' || c == ':' || c == '~'
	}
	return table
}()

// take takes a field in; false where it makes the request one that is not plain.
func (r *Request) take(field Field, seen *framing) bool {
	switch string(field.Name) {
	case "host":
		seen.hosts++
		return plainHost(field.Value)
	case "content-length":
		seen.lengths++
		number, ok := length(field.Value)
		r.Length = number
		return ok
	case "connection":
		return string(bytes.ToLower(field.Value)) == "keep-alive"
	case "transfer-encoding", "content-encoding", "expect", "upgrade", "te", "trailer", "keep-alive", "proxy-connection", "http2-settings":
		return false
	}
	r.Fields = append(r.Fields, field)
	return true
}

func plainHost(host []byte) bool {
	for _, b := range host {
		if nameBytes[b] == 0 && b != '.' && b != ':' && b != '[' && b != ']' {
			return false
		}
	}
	return len(host) > 0
}
