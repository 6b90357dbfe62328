package http1

import (
	"fmt"
	"strings"
	"testing"
)

func head(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n") }

func TestAPlainRequest(t *testing.T) {
	var r Request
	raw := head("POST /v1/chat/completions HTTP/1.1", "Host: api.example:8080", "X-API-Key: \t a b ", "content-length: 12",
		"Connection: Keep-Alive", "X-Empty:")
	if HeadEnd(append(raw, "more"...)) != len(raw) || !r.Parse(raw) {
		t.Fatal("it is not plain")
	}
	got := fmt.Sprintf("%v %s %d", r.Get, r.Path, r.Length)
	for _, f := range r.Fields {
		got += fmt.Sprintf(" %s=%q", f.Name, f.Value)
	}
	if want := `false /v1/chat/completions 12 x-api-key="a b" x-empty=""`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !r.Parse(head("GET /v1/models/gpt-4.1:x~y_z/ HTTP/1.1", "Host: [::1]:80", "Content-Length: 0")) || !r.Get || len(r.Fields) != 0 {
		t.Error("the second is not plain, or keeps what the first had")
	}
}

func TestWhatIsNotPlain(t *testing.T) {
	const first, host = "POST /v1/messages HTTP/1.1", "Host: a"
	many := append([]string{first, host}, strings.Split(strings.Repeat("a: b\n", maxRequestFields+1), "\n")...)
	for name, raw := range map[string][]byte{
		"another method":         head("PUT /v1/messages HTTP/1.1", host),
		"a method in lower case": head("post /v1/messages HTTP/1.1", host),
		"HTTP/1.0":               head("POST /v1/messages HTTP/1.0", host),
		"two blanks":             head("POST  /v1/messages HTTP/1.1", host),
		"a blank at the end":     head("POST /v1/messages HTTP/1.1 ", host),
		"another path":           head("POST /api/v1/chat HTTP/1.1", host),
		"the whole URL":          head("POST http://a/v1/messages HTTP/1.1", host),
		"a query":                head("POST /v1/messages?a=b HTTP/1.1", host),
		"an escape":              head("POST /v1/%6dessages HTTP/1.1", host),
		"a segment of dots":      head("POST /v1/../messages HTTP/1.1", host),
		"an empty segment":       head("POST /v1//messages HTTP/1.1", host),
		"a backslash":            head(`POST /v1/a\b HTTP/1.1`, host),
		"no host":                head(first),
		"two hosts":              head(first, host, host),
		"an empty host":          head(first, "Host: "),
		"a host with a path":     head(first, "Host: a/b"),
		"two lengths":            head(first, host, "Content-Length: 3", "Content-Length: 3"),
		"a list of lengths":      head(first, host, "Content-Length: 3, 3"),
		"a signed length":        head(first, host, "Content-Length: +3"),
		"a negative length":      head(first, host, "Content-Length: -3"),
		"a hexadecimal length":   head(first, host, "Content-Length: 0x3"),
		"an octal length":        head(first, host, "Content-Length: 03"),
		"an empty length":        head(first, host, "Content-Length:"),
		"a huge length":          head(first, host, "Content-Length: 1000000000000000"),
		"a GET with a body":      head("GET /v1/models HTTP/1.1", host, "Content-Length: 1"),
		"chunks":                 head(first, host, "Transfer-Encoding: chunked"),
		"chunks and a length":    head(first, host, "Content-Length: 3", "transfer-encoding: chunked"),
		"an expectation":         head(first, host, "Expect: 100-continue"),
		"an upgrade":             head(first, host, "Upgrade: h2c"),
		"a compressed body":      head(first, host, "Content-Encoding: gzip"),
		"trailers":               head(first, host, "TE: trailers"),
		"an end":                 head(first, host, "Connection: close"),
		"a field to drop":        head(first, host, "Connection: keep-alive, X-Api-Key"),
		"a folded line":          head(first, host, "X-A: b", " c"),
		"a blank in a name":      head(first, host, "X-A : b"),
		"a name with a dot":      head(first, host, "X.A: b"),
		"no name":                head(first, host, ": b"),
		"no colon":               head(first, host, "X-A"),
		"a zero":                 head(first, host, "X-A: \x00"),
		"a carriage return":      head(first, host, "X-A: b\rc"),
		"above ASCII":            head(first, host, "X-A: ü"),
		"a bare line feed":       []byte(first + "\r\n" + host + "\nX-A: b\r\n\r\n"),
		"a bare end":             []byte(first + "\n" + host + "\n\n"),
		"something behind":       append(head(first, host), 'x'),
		"no end":                 []byte(first + "\r\n" + host + "\r\n"),
		"too many fields":        head(many[:maxRequestFields+3]...),
		"nothing":                nil,
	} {
		if new(Request).Parse(raw) {
			t.Errorf("%s is plain", name)
		}
	}
}

func TestWhatMayBecomePlain(t *testing.T) {
	for part, want := range map[string]bool{
		"": true, "P": true, "GET /v": true, "POST /v1/a": true, "POST /v1/a HTTP/1.1\r\nHost: a\r": true,
		"PRI * HTTP/2.0": false, "GET /r": false, "\x16\x03\x01": false, "POST /v1/a HTTP/1.1\n": false, "POST /v1/a HTTP/1.1\r\nA: b\n\n": false,
		"\r\nPOST": false, "\n": false,
	} {
		if got := MayBecomePlain([]byte(part)); got != want {
			t.Errorf("%q: %v", part, got)
		}
	}
}

func TestAnAnswersHead(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 3":               `200 3 false false true server="x" content-length="3"`,
		"HTTP/1.1 429\r\nConnection: Close\r\nKeep-Alive: 3":              `429 -1 false true true`,
		"HTTP/1.1 200 Many words\r\nTransfer-Encoding: Chunked\r\nX-A: ü": `200 -1 true false true x-a="ü"`,
		"HTTP/1.0 200 OK": `200 -1 false true true`,
		"HTTP/1.1 204 \r\nconnection: keep-alive, close":                     `204 -1 false true false`,
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 10":                    `304 10 false false false content-length="10"`,
		"HTTP/1.1 100 Continue":                                              `100 -1 false false false`,
		"HTTP/1.1 200 OK\r\nContent-Length: 0":                               `200 0 false false false content-length="0"`,
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked": "", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3": "",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked": "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked": "",
		"HTTP/2 200 OK": "", "HTTP/1.1 20 OK": "", "HTTP/1.1 2000": "", "HTTP/1.1 099 X": "", "HTTP/1.1 200 OK\r\nX-A: \x01": "", "HTTP/1.1 200 OK\r\n x": "", "": "",
	} {
		var a Answer
		got := ""
		if a.Parse([]byte(text + "\r\n\r\n")) {
			got = fmt.Sprintf("%d %d %v %v %v", a.Status, a.Length, a.Chunked, a.Closes, a.HasBody())
			for _, f := range a.Fields {
				got += fmt.Sprintf(" %s=%q", f.Name, f.Value)
			}
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestChunksEndWhereTheyEnd(t *testing.T) {
	const body = "5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n"
	for cut := range len(body) {
		var c Chunks
		used, ended, ok := c.Scan([]byte(body[:cut]))
		if used != cut || ended || !ok {
			t.Fatalf("cut at %d: %d %v %v", cut, used, ended, ok)
		}
		used, ended, ok = c.Scan([]byte(body[cut:] + "HTTP/1.1"))
		if used != len(body)-cut || !ended || !ok {
			t.Fatalf("from %d: %d %v %v", cut, used, ended, ok)
		}
	}
	for _, bad := range []string{"\r\n", "x", "5;a=b\r\n", "5\n", "5 \r\n", "1\r\nab", "0\r\nA: b\r\n", "0\r\n\rx", "1\r\na\n", "1000000000000000\r\n", "-1\r\n"} {
		var c Chunks
		if _, _, ok := c.Scan([]byte(bad)); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}
