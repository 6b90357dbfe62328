package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"testing"
)

// What is plain must be what net/http, which reads all else, would have read.
func FuzzRequest(f *testing.F) {
	f.Add(head("POST /v1/chat/completions HTTP/1.1", "Host: a", "Content-Length: 5", "X-Api-Key: k", "x-api-key: l"), []byte("hello"))
	f.Add(head("GET /v1/models/a:b HTTP/1.1", "Host: a:1", "Connection: keep-alive"), []byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(head("POST /v1/messages HTTP/1.1", "Host: a", "Content-Length: 3", "Transfer-Encoding: chunked"), []byte("0\r\n\r\n"))
	f.Add(head("POST /v1/messages HTTP/1.1", "Host: a", "X-A: b\rc", " d"), []byte{})
	f.Fuzz(func(t *testing.T, data, behind []byte) {
		size := HeadEnd(data)
		var plain Request
		if size == 0 || !plain.Parse(data[:size]) {
			return
		}
		in := bufio.NewReader(bytes.NewReader(slices.Concat(data[:size], behind)))
		whole, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if method := whole.Method; method == "GET" != plain.Get || !plain.Get && method != "POST" {
			t.Fatalf("method %s", method)
		}
		if whole.RequestURI != string(plain.Path) || whole.URL.Path != string(plain.Path) || whole.URL.EscapedPath() != string(plain.Path) {
			t.Fatalf("path %q", whole.RequestURI)
		}
		if whole.ContentLength != plain.Length || len(whole.TransferEncoding) > 0 || whole.Close || whole.Host == "" {
			t.Fatalf("framed by %d %v %v %q", whole.ContentLength, whole.TransferEncoding, whole.Close, whole.Host)
		}
		fields := http.Header{}
		for _, field := range plain.Fields {
			name := textproto.CanonicalMIMEHeaderKey(string(field.Name))
			fields[name] = append(fields[name], string(field.Value))
		}
		whole.Header.Del("Connection")
		whole.Header.Del("Content-Length")
		for name := range whole.Header {
			if !slices.Equal(whole.Header[name], fields[name]) {
				t.Fatalf("%s: %q and %q", name, whole.Header[name], fields[name])
			}
		}
		if len(whole.Header) != len(fields) {
			t.Fatalf("fields %v and %v", whole.Header, fields)
		}
		body, _ := io.ReadAll(whole.Body)
		rest, _ := io.ReadAll(in)
		if n := min(int(plain.Length), len(behind)); !bytes.Equal(body, behind[:n]) || !bytes.Equal(rest, behind[n:]) {
			t.Fatalf("body %q, rest %q", body, rest)
		}
	})
}

// An answer's head must be what net/http would have read, too.
func FuzzAnswer(f *testing.F) {
	f.Add(head("HTTP/1.1 200 OK", "Content-Length: 3", "X-A: b"))
	f.Add(head("HTTP/1.1 200", "Transfer-Encoding: chunked", "Connection: close"))
	f.Add(head("HTTP/1.0 304 Not Modified"))
	f.Add(head("HTTP/1.0 200", "Transfer-Encoding: chunked"))
	f.Fuzz(func(t *testing.T, data []byte) {
		size := HeadEnd(data)
		var plain Answer
		if size == 0 || !plain.Parse(data[:size]) || plain.Status < 200 {
			return
		}
		whole, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data[:size])), nil)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		chunked := slices.Equal(whole.TransferEncoding, []string{"chunked"})
		hasBody := plain.HasBody()
		if whole.StatusCode != plain.Status || hasBody && (whole.ContentLength != plain.Length || chunked != plain.Chunked) {
			t.Fatalf("%d, %d, %v", whole.StatusCode, whole.ContentLength, whole.TransferEncoding)
		}
		if !hasBody && whole.ContentLength > 0 && whole.Body != http.NoBody {
			t.Fatal("net/http waits for a body")
		}
	})
}

// The end of chunks must be where another reader finds it.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\nrest"), 3)
	f.Add([]byte("A\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n"), 1)
	f.Add([]byte("0\r\nX: y\r\n\r\n"), 0)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		var c Chunks
		cut = max(0, min(cut, len(data)))
		used, ended, ok := c.Scan(data[:cut])
		if ok && !ended {
			var more int
			more, ended, ok = c.Scan(data[cut:])
			used += more
		}
		if !ok || !ended {
			return
		}
		in := bufio.NewReader(bytes.NewReader(data))
		if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(in)); err != nil {
			t.Fatalf("net/http refuses them: %v", err)
		}
		rest, _ := io.ReadAll(in)
		// Its reader leaves the empty line that ends the trailers.
		if !bytes.Equal(rest, append([]byte("\r\n"), data[used:]...)) {
			t.Fatalf("rest %q, used %d of %q", rest, used, data)
		}
	})
}
