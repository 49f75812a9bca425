package formats_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"custody/formats"
	"custody/formats/formattest"
)

// record is a WARC record with the given payload of HTTP.
func record(headers, body string) string {
	block := "HTTP/1.1 200 OK\r\n" + headers + "\r\n\r\n" + body
	return fmt.Sprintf("WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", len(block), block)
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What a record says of its length, or its payload of its own, costs that record
// alone, and no more memory than a row may take.
func TestWARCBounds(t *testing.T) {
	bomb := gzipped(t, make([]byte, 16<<20))
	good := record("Content-Type: text/plain", "good")
	for name, c := range map[string]struct{ content, want string }{
		"a bomb":             {good + record("Content-Type: text/plain\r\nContent-Encoding: gzip", string(bomb)) + good, "a.warc!#2: row longer than 1000000 bytes"},
		"chunks without end": {good + record("Content-Type: text/plain\r\nTransfer-Encoding: chunked", strings.Repeat("1\r\nx\r\n", 200_000)) + good, "a.warc!#2: row longer than 1000000 bytes"},
		"a length of 2^60":   {good + good + "WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 1152921504606846976\r\n\r\nx", "a.warc!#3: truncated: the record says that it has 1152921504606846976 bytes"},
		"a length of 2^64":   {good + good + "WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 18446744073709551616\r\n\r\nx", "a.warc!#3: malformed header"},
		"no end of a header": {good + "WARC/1.0\r\nWARC-Type: " + strings.Repeat("x", 1<<20) + "\r\n\r\n" + good, "a.warc!#2: malformed header"},
		"lines of folds":     {good + "WARC/1.0\r\nWARC-Type: x\r\n" + strings.Repeat(" \r\n", 20_000) + "\r\n" + good, "a.warc!#2: malformed header"},
		"not WARC in it":     {good + "xxx\r\n\r\n" + good, "a.warc!#1: the length in its header is not that of the record"},
		"encodings":          {good + record("Content-Type: text/plain\r\nContent-Encoding: gzip,gzip,gzip,gzip,gzip", "x") + good, "a.warc!#2: compressed more than 4 times"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, "a.warc", c.content)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := formattest.Read(t, path, formats.Options{MaxRow: 1_000_000})
			runtime.ReadMemStats(&after)
			errs, rows := "", 0
			for _, it := range got {
				errs += it.Err
				if it.Err == "" {
					rows++
				}
			}
			if errs != c.want || rows < 1 {
				t.Errorf("got %d rows and %q, want %q", rows, errs, c.want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
				t.Errorf("took %d MiB", took>>20)
			}
		})
	}
}

// Leaves of JSON are those of text, one document or several.
func TestWARCPayloads(t *testing.T) {
	for _, c := range []struct{ headers, body, want string }{
		{"Content-Type: application/json", `{"data":[{"text":"one"},{"text":"two"}]}`, "text.data[0].text=1:one\ntext.data[1].text=1:two"},
		{"Content-Type: application/json", "{\"text\":\"one\"}\r\n\r\n{\"text\":\"two\"}\r\n", "text[0].text=1:one\ntext[1].text=1:two"},
		{"Content-Type: application/json", "while(1);{}", "text=1:while(1);{}"},
		{"Content-Type: application/json", `"quoted"`, "text=1:quoted"},
		{"Content-Type: application/vnd.api+json", "[]", "text=4:"},
		{"Content-Type: text/html; charset=iso-8859-1", "caf\xe9", "text=1:café"},
		{"Content-Type: text/html; charset=iso-8859-1", "café", "text=1:café"},
		{"Content-Type: text/html", "<meta charset='koi8-r'>\xd4\xc5\xd3\xd4", "text=1:<meta charset='koi8-r'>тест"},
		{"Content-Type: text/html; charset=iso-2022-jp", "\x1b$B?^\x1b(B", "text=1:図"},
		{"Content-Type: audio/ogg", "OggS", "text=4:"},
		{"X-No: type", "words", "text=1:words"},
		{"X-No: type", "\x00\x01", "text=4:"},
	} {
		got := one(t, "a.warc", record(c.headers, c.body))
		if len(got) != 1 || !strings.HasSuffix(got[0], "\n"+c.want) {
			t.Errorf("%s: %q: got %q, want %q", c.headers, c.body, got, c.want)
		}
	}
}
