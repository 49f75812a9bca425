package formats

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/htmlindex"

	"custody/provenance/corpus"
)

// A row is a record with content that was fetched: a response, a resource or a
// conversion (WET) of a WARC file (ISO 28500), a document of an ARC file. Its
// number is that of the record, all records counted. It has the leaves id, uri,
// date, content_type and text: the payload, with chunks, Content-Encoding and
// charset undone, as it is. Where the payload is JSON, its leaves are those of
// text: their path is text, their names are such as text.statuses[2].full_text,
// and the row's Raw is the document (an array, where there were several). A
// payload that is no text leaves text empty.
var warcFormat = Format{Name: "warc", Description: "WARC, WET and ARC: a row a fetched record, its HTTP decoded", Extensions: []string{".warc", ".wet", ".arc"},
	sniff: func(head []byte) bool { return isWARC(head) || isARC(head) }, open: openWARC}

func isWARC(head []byte) bool {
	return bytes.HasPrefix(head, []byte("WARC/")) && len(head) > 5 && head[5] >= '0' && head[5] <= '9'
}

func isARC(head []byte) bool { return bytes.HasPrefix(head, []byte("filedesc://")) }

const maxWARCHeader = 64 << 10 // bytes of the header of a record

// crawled is a record of the file, or why it can't be read.
type crawled struct {
	number int64
	head   int // where its header ends in the data of the batch; the block follows
	end    int
	size   int64
	why    string
}

// crawl is a batch of records.
type crawl struct {
	data    []byte
	records []crawled
	arc     bool
	fields  int // of the header lines of ARC
}

// openWARC cuts the stream into records; their HTTP is decoded when the part is
// read.
func openWARC(r io.Reader, f *File) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		s := &crawlSplitter{r: r, f: f}
		s.arc = isARC(s.peek(len("filedesc://")))
		batch := &crawl{}
		flush := func() bool {
			full := batch
			full.arc, full.fields = s.arc, s.fields
			batch = &crawl{data: make([]byte, 0, len(full.data))}
			if len(full.records) == 0 {
				return true
			}
			return yield(func(yield func(*corpus.Row, error) bool) { f.crawlRows(full, yield) }, nil)
		}
		for {
			rec, kept, err := s.next(batch)
			if kept {
				batch.records = append(batch.records, rec)
			}
			if err != nil {
				if flush() && !errors.Is(err, io.EOF) {
					yield(nil, f.recordError(max(1, s.number), "", err.Error(), true))
				}
				return
			}
			if len(batch.data)+64*len(batch.records) >= f.opt.PartSize && !flush() {
				return
			}
		}
	}
}

// recordError is an error at a record, which stands in no line.
func (f *File) recordError(number int64, field, reason string, whole bool) *corpus.InputError {
	return &corpus.InputError{File: f.Path, Where: "#" + num(number), Binary: true, Line: number, Field: field, Reason: reason, Whole: whole}
}

// crawlSplitter finds the records of a WARC or ARC file. A Content-Length that
// lies costs its record: the next one begins where a header does.
type crawlSplitter struct {
	r      io.Reader
	f      *File
	buf    []byte // [at:] is still to be read
	at     int
	err    error // of the stream, given when buf is used up
	number int64 // of the last record
	arc    bool
	fields int  // of an ARC header line: 5 in version 1, 10 in version 2
	all    bool // the data of records that hold no row is kept too
}

// peek gives the next n bytes, fewer at the end of the stream.
func (s *crawlSplitter) peek(n int) []byte {
	for len(s.buf)-s.at < n && s.err == nil {
		if s.at > len(s.buf)/2 {
			s.buf = s.buf[:copy(s.buf, s.buf[s.at:])]
			s.at = 0
		}
		if cap(s.buf)-len(s.buf) < 64<<10 {
			grown := make([]byte, len(s.buf), 2*cap(s.buf)+256<<10)
			copy(grown, s.buf)
			s.buf = grown
		}
		var k int
		k, s.err = s.r.Read(s.buf[len(s.buf):min(cap(s.buf), len(s.buf)+256<<10)])
		s.buf = s.buf[:len(s.buf)+k]
	}
	return s.buf[s.at:min(len(s.buf), s.at+n)]
}

// discard passes over n bytes, and reports whether they were there.
func (s *crawlSplitter) discard(n int64) bool {
	for n > 0 {
		k := min(int64(len(s.buf)-s.at), n)
		s.at += int(k)
		if n -= k; n > 0 && len(s.peek(1)) == 0 {
			return false
		}
	}
	return true
}

// end is why the stream ends, io.EOF where it was whole.
func (s *crawlSplitter) end() error {
	if s.err == nil || errors.Is(s.err, io.EOF) {
		return io.EOF
	}
	return s.err
}

// next appends the next record to the batch. It is not kept when it is of a kind
// that holds no row.
func (s *crawlSplitter) next(b *crawl) (rec crawled, kept bool, err error) {
	if len(s.buf) > 4<<20 && len(s.buf)-s.at < 1<<20 { // what a long record has grown
		s.buf, s.at = bytes.Clone(s.buf[s.at:]), 0
	}
	for { // blank lines between records
		p := s.peek(1)
		if len(p) == 0 {
			return rec, false, s.end()
		}
		if p[0] != '\r' && p[0] != '\n' {
			break
		}
		s.at++
	}
	s.number++
	rec.number = s.number
	start := len(b.data)
	head, why := s.header()
	if why != "" {
		rec.why, rec.end = why, start
		return rec, true, s.resync(1)
	}
	n := len(head)
	size, row, why := s.sizeOf(head)
	if why != "" {
		rec.why, rec.end = why, start
		return rec, true, s.resync(n)
	}
	rec.size = int64(n) + size
	if size > s.f.opt.MaxRow {
		if !s.discard(rec.size) {
			return rec, false, s.cutOff(size)
		}
		if rec.end = start; s.fits(0) {
			rec.why = s.f.tooLong()
			return rec, row, nil
		}
		rec.why = wrongLength
		return rec, true, s.resync(0)
	}
	whole := n + int(size)
	complete := len(s.peek(whole)) == whole
	if complete && s.fits(whole) {
		if row || s.all {
			b.data = append(b.data, s.peek(whole)...)
			rec.head, rec.end = start+n, len(b.data)
		}
		s.at += whole
		return rec, row, nil
	}
	if !complete && s.end() != io.EOF { //nolint:errorlint // end gives io.EOF itself
		return rec, false, s.err
	}
	rec.why, rec.end = wrongLength, start
	if at := s.nextHeader(s.peek(whole)[n:]); at >= 0 { // the length takes in the next record
		s.at += n + at
		return rec, true, nil
	}
	if !complete {
		s.at = len(s.buf)
		return rec, false, s.cutOff(size)
	}
	return rec, true, s.resync(whole)
}

// cutOff is the error of a stream that ends within a record.
func (s *crawlSplitter) cutOff(size int64) error {
	if err := s.end(); err != io.EOF { //nolint:errorlint // end gives io.EOF itself
		return err
	}
	return fmt.Errorf("truncated: the record says that it has %d bytes", size)
}

const wrongLength = "the length in its header is not that of the record"

// fits reports whether the stream goes on with a record after skip bytes and
// line ends, or ends.
func (s *crawlSplitter) fits(skip int) bool {
	for n := 64; n <= 2*maxWARCHeader; n *= 2 {
		p := s.peek(skip + n)[skip:]
		rest := bytes.TrimLeft(p, "\r\n")
		ended := len(p) < n
		switch {
		case len(rest) == 0 && ended:
			return true
		case len(rest) == 0:
		case s.arc:
			line, _, whole := bytes.Cut(rest, newline)
			if whole || ended {
				_, ok := arcLine(line, s.fields)
				return ok
			}
		case len(rest) > 5 || ended:
			return isWARC(rest)
		}
	}
	return false
}

// nextHeader is where in data the next line begins that begins a record, or -1.
func (s *crawlSplitter) nextHeader(data []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(data[at:], '\n')
		if i < 0 {
			return -1
		}
		at += i + 1
		line := data[at:]
		if len(line) > maxWARCHeader {
			line = line[:maxWARCHeader]
		}
		if !s.arc {
			if isWARC(line) {
				return at
			}
			continue
		}
		if line, _, ended := bytes.Cut(line, newline); ended {
			if _, ok := arcLine(line, s.fields); ok {
				return at
			}
		}
	}
}

// resync goes on to where the next record begins, after skip bytes.
func (s *crawlSplitter) resync(skip int) error {
	s.at += skip
	for {
		if len(s.peek(maxWARCHeader+1)) == 0 {
			return s.end()
		}
		if at := s.nextHeader(s.buf[s.at:]); at >= 0 {
			s.at += at
			return nil
		}
		// A header may begin in the last line.
		if i := bytes.LastIndexByte(s.buf[s.at:], '\n'); i > 0 && s.err == nil {
			s.at += i
			if len(s.buf)-s.at > maxWARCHeader {
				s.at = len(s.buf)
			}
		} else {
			s.at = len(s.buf)
		}
	}
}

// header is the header of the record that is next, with the line that ends it.
func (s *crawlSplitter) header() (head []byte, why string) {
	if s.arc {
		p := s.peek(maxWARCHeader)
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return nil, "malformed header"
		}
		return p[:i+1], ""
	}
	if !isWARC(s.peek(6)) {
		return nil, "malformed header"
	}
	for n := 1 << 10; ; n *= 8 {
		p := s.peek(n)
		if at := headEnd(p); at > 0 {
			return p[:at], ""
		}
		if len(p) < n || n >= maxWARCHeader {
			return nil, "malformed header"
		}
	}
}

// headEnd is where the blank line after a header ends, or 0.
func headEnd(p []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		switch rest := p[at:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return at + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2
		}
	}
}

// sizeOf is the length of the record's block, and whether it holds a row.
func (s *crawlSplitter) sizeOf(head []byte) (size int64, row bool, why string) {
	if s.arc {
		line := bytes.TrimRight(head, "\r\n")
		if s.number == 1 {
			s.fields = arcVersion(s.peek(len(head) + 2)[len(head):])
		}
		a, ok := arcLine(line, s.fields)
		if !ok {
			return 0, false, "malformed header"
		}
		return a.size, !strings.HasPrefix(a.uri, "filedesc:"), ""
	}
	size = -1
	segment := false
	for name, value := range headers(head) {
		switch {
		case strings.EqualFold(name, "content-length"):
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil || size >= 0 {
				return 0, false, "malformed header"
			}
			size = int64(n)
		case strings.EqualFold(name, "warc-type"):
			switch strings.ToLower(value) {
			case "response", "resource", "conversion", "continuation":
				row = true
			}
		case strings.EqualFold(name, "warc-segment-number"):
			segment = true
		}
	}
	switch {
	case size < 0:
		return 0, false, "malformed header"
	case row && segment:
		return size, row, "a record in segments"
	}
	return size, row, ""
}

// headers are the fields of a header, of WARC or HTTP, after its first line.
// Lines that begin with a space go on with the value before.
func headers(head []byte) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		_, head, _ = bytes.Cut(head, newline)
		var name string
		var value []byte
		for line := range bytes.Lines(head) {
			line = bytes.TrimRight(line, "\r\n")
			if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
				value = append(append(value, ' '), bytes.TrimSpace(line)...)
				continue
			}
			if name != "" && !yield(name, string(value)) {
				return
			}
			before, after, ok := bytes.Cut(line, []byte(":"))
			if name = ""; ok {
				name, value = strings.TrimSpace(bytesString(before)), append(value[:0], bytes.TrimSpace(after)...)
			}
		}
		if name != "" {
			yield(name, string(value))
		}
	}
}

// arcHeader is the header line of an ARC record.
type arcHeader struct {
	uri, date, mime string
	size            int64
}

// arcVersion is the number of fields of header lines, told by the first byte of
// the version block.
func arcVersion(block []byte) int {
	if len(block) > 0 && block[0] == '2' {
		return 10
	}
	return 5
}

// arcLine takes a header line apart. The address may hold spaces.
func arcLine(line []byte, fields int) (a arcHeader, ok bool) {
	if len(line) > maxWARCHeader || bytes.IndexByte(line, ':') <= 0 || line[0] <= ' ' {
		return a, false
	}
	if bytes.HasPrefix(line, []byte("filedesc:")) { // it has five in both
		fields = 5
	}
	parts := strings.Split(strings.TrimRight(bytesString(line), "\r"), " ")
	if fields == 0 || len(parts) < fields {
		return a, false
	}
	tail := parts[len(parts)-fields+1:]
	a.uri, a.date, a.mime = strings.Join(parts[:len(parts)-fields+1], " "), tail[1], tail[2]
	size, err := strconv.ParseUint(tail[len(tail)-1], 10, 62)
	if err != nil || len(a.date) < 8 || strings.Trim(a.date, "0123456789") != "" {
		return a, false
	}
	a.size = int64(size)
	return a, true
}

// page is what is known of a record before its payload is decoded.
type page struct {
	id, uri, date, mime string
	encodings           []string // in the order in which they were applied
	chunked, cut        bool
	body                []byte
}

// takeWARC reads the header of a WARC record.
func takeWARC(head, block []byte) page {
	p := page{body: block}
	for name, value := range headers(head) {
		switch strings.ToLower(name) {
		case "warc-record-id":
			p.id = strings.Trim(value, "<>")
		case "warc-target-uri":
			p.uri = strings.Trim(value, "<>") // wget writes them
		case "warc-date":
			p.date = value
		case "content-type":
			p.mime = value
		case "warc-truncated":
			p.cut = true
		}
	}
	if strings.HasPrefix(strings.ToLower(p.mime), "application/http") {
		p.mime = ""
		p.http()
	}
	return p
}

// takeARC reads the header line of an ARC record.
func takeARC(head, block []byte, fields int) page {
	a, _ := arcLine(bytes.TrimRight(head, "\r\n"), fields)
	p := page{uri: strings.Clone(a.uri), date: strings.Clone(a.date), mime: strings.Clone(a.mime), body: block}
	if d := a.date; len(d) == 14 {
		p.date = d[:4] + "-" + d[4:6] + "-" + d[6:8] + "T" + d[8:10] + ":" + d[10:12] + ":" + d[12:] + "Z"
	}
	if bytes.HasPrefix(block, []byte("HTTP/")) {
		p.http()
	}
	return p
}

// http takes the head off an HTTP response.
func (p *page) http() {
	at := headEnd(p.body)
	if at == 0 {
		if bytes.HasPrefix(p.body, []byte("HTTP/")) {
			p.body = nil // a head alone
		}
		return
	}
	head := p.body[:at]
	p.body = p.body[at:]
	for name, value := range headers(head) {
		switch strings.ToLower(name) {
		case "content-type":
			p.mime = value
		case "content-encoding":
			for e := range strings.SplitSeq(value, ",") {
				p.encodings = append(p.encodings, strings.ToLower(strings.TrimSpace(e)))
			}
		case "transfer-encoding":
			p.chunked = p.chunked || strings.Contains(strings.ToLower(value), "chunked")
		}
	}
}

// textual reports whether a content type is one of text. One that is not given
// is told by the content.
func textual(mime string, body []byte) bool {
	mime, _, _ = strings.Cut(strings.ToLower(mime), ";")
	switch mime = strings.TrimSpace(mime); {
	case mime == "" || mime == "no-type" || mime == "unk" || mime == "unknown":
		return utf8.Valid(body) && bytes.IndexByte(body, 0) < 0
	case strings.HasPrefix(mime, "text/"), strings.HasSuffix(mime, "+json"), strings.HasSuffix(mime, "+xml"), strings.HasSuffix(mime, "/json"), strings.HasSuffix(mime, "/xml"):
		return true
	}
	switch mime {
	case "application/javascript", "application/x-javascript", "application/ecmascript", "application/x-ndjson", "application/jsonl", "application/jsonlines", "application/x-jsonlines", "application/x-json", "application/yaml":
		return true
	}
	return false
}

func isJSONType(mime string) bool {
	mime, _, _ = strings.Cut(strings.ToLower(mime), ";")
	return strings.Contains(mime, "json")
}

// crawlRows decodes the records of a batch.
func (f *File) crawlRows(b *crawl, yield func(*corpus.Row, error) bool) {
	fl := f.flattener()
	d := &payloads{most: f.opt.MaxRow}
	decoded := int64(0)
	defer func() {
		f.countDecoded(decoded)
		f.done(fl)
	}()
	paths := make([]*corpus.Path, len(pageLeaves))
	for i, name := range pageLeaves {
		paths[i] = &corpus.Path{Name: name, ID: int32(i)}
	}
	row := corpus.Row{File: f.Path}
	at := 0
	for i := range b.records {
		rec := &b.records[i]
		row.Number, row.Bytes, row.Raw = rec.number, rec.size, nil
		why, field := rec.why, ""
		if why == "" {
			head, block := b.data[at:rec.head], b.data[rec.head:rec.end]
			var p page
			if b.arc {
				p = takeARC(head, block, b.fields)
			} else {
				p = takeWARC(head, block)
			}
			field, why = f.crawlRow(&row, p, d, fl, paths)
			decoded += row.Bytes
		}
		at = rec.end
		if why != "" {
			if !yield(nil, f.recordError(rec.number, field, why, false)) {
				return
			}
		} else if !yield(&row, nil) {
			return
		}
	}
}

var pageLeaves = []string{"id", "uri", "date", "content_type", "text"}

// crawlRow fills the row from a record.
func (f *File) crawlRow(row *corpus.Row, p page, d *payloads, fl *flattener, paths []*corpus.Path) (field, why string) {
	row.Leaves = row.Leaves[:0]
	for i, v := range []string{p.id, p.uri, p.date, p.mime} {
		leaf := corpus.Leaf{Path: paths[i], Name: paths[i].Name, Kind: corpus.String, Text: strings.ToValidUTF8(v, "\ufffd")}
		if v == "" {
			leaf.Kind = corpus.Null
		}
		row.Leaves = append(row.Leaves, leaf)
	}
	text := paths[len(paths)-1]
	if !textual(p.mime, nil) {
		row.Leaves = append(row.Leaves, corpus.Leaf{Path: text, Name: text.Name, Kind: corpus.Empty})
		return "", ""
	}
	body, why := d.decode(&p)
	if why != "" {
		return "", why
	}
	row.Bytes += int64(len(body) - len(p.body))
	if !textual(p.mime, body) {
		row.Leaves = append(row.Leaves, corpus.Leaf{Path: text, Name: text.Name, Kind: corpus.Empty})
		return "", ""
	}
	if body, why = unicodeOf(body, p.mime); why != "" {
		return "text", why
	}
	if i := bytes.IndexByte(body, 0); i >= 0 {
		return "text", "NUL byte at byte " + num(int64(i))
	}
	if isJSONType(p.mime) {
		leaves, raw, why := fl.payload(body)
		if why != "" && why != malformed {
			return "text", why
		}
		if why == "" {
			for i := range leaves {
				leaves[i].Path = text
			}
			row.Leaves, row.Raw = append(row.Leaves, leaves...), raw
			return "", ""
		}
	}
	row.Leaves = append(row.Leaves, corpus.Leaf{Path: text, Name: text.Name, Kind: corpus.String, Text: bytesString(body)})
	return "", ""
}

// payload flattens a JSON document below "text", or several in sequence, as an
// API streams them, as the elements of one array.
func (f *flattener) payload(doc []byte) (leaves []corpus.Leaf, raw []byte, reason string) {
	doc = bytes.TrimSpace(bytes.TrimPrefix(doc, bom))
	v, reason := f.parse(doc)
	if reason == malformed {
		if doc = sequence(doc); doc == nil {
			return nil, nil, malformed
		}
		v, reason = f.parse(doc)
	}
	if reason != "" {
		return nil, nil, reason
	}
	if c := f.child(&f.root, []byte("text"), 0); c != nil {
		f.value(c, "text", v, 0)
	}
	return f.leaves, doc, f.bad
}

// sequence is JSON documents in sequence as one array, or nil.
func sequence(doc []byte) []byte {
	if len(doc) == 0 || doc[0] != '{' {
		return nil
	}
	s := &splitter{r: bufio.NewReader(bytes.NewReader(doc)), max: int64(len(doc))}
	out := []byte{'['}
	for n := 0; ; n++ {
		from := len(out)
		if n > 0 {
			out = append(out, ',')
		}
		data, why, err := s.next(out)
		switch {
		case why != "":
			return nil
		case err != nil && errors.Is(err, io.EOF) && n > 1:
			return append(out[:from], ']')
		case err != nil:
			return nil
		}
		out = data
	}
}

// payloads undoes what HTTP does to a payload, for one goroutine at a time.
type payloads struct {
	most int64
	bufs [2]bytes.Buffer
	turn int
	gz   *gzip.Reader
	zs   *zstd.Decoder
}

// buffer is one that what is read now does not stand in.
func (d *payloads) buffer() *bytes.Buffer {
	d.turn = 1 - d.turn
	b := &d.bufs[d.turn]
	if b.Cap() > 4<<20 {
		*b = bytes.Buffer{}
	}
	b.Reset()
	return b
}

// decode is the payload without chunks and compressions. Crawlers often undo
// them and leave the headers: a body that is not in the form that they say is
// taken as it is.
func (d *payloads) decode(p *page) (body []byte, why string) {
	body = p.body
	if p.chunked {
		plain, ok, err := dechunk(d.buffer(), body)
		switch {
		case ok && err != nil && !p.cut:
			return nil, "chunked: " + err.Error()
		case ok:
			body = plain
		}
	}
	if len(p.encodings) > 4 {
		return nil, "compressed more than 4 times"
	}
	for i := len(p.encodings) - 1; i >= 0; i-- {
		plain, is, err := d.inflate(p.encodings[i], body)
		switch {
		case errors.Is(err, errTooLong):
			return nil, fmt.Sprintf("row longer than %d bytes", d.most)
		case err != nil && !p.cut:
			return nil, err.Error()
		case is:
			body = plain
		}
	}
	if int64(len(body)) > d.most {
		return nil, fmt.Sprintf("row longer than %d bytes", d.most)
	}
	return body, ""
}

var errTooLong = errors.New("too long")

// inflate undoes one Content-Encoding, if the body has it.
func (d *payloads) inflate(encoding string, body []byte) (plain []byte, is bool, err error) {
	if len(body) == 0 {
		return body, true, nil
	}
	in := bytes.NewReader(body)
	var r io.Reader
	switch encoding {
	case "gzip", "x-gzip":
		if !bytes.HasPrefix(body, []byte("\x1f\x8b")) {
			return nil, false, nil
		}
		if d.gz == nil {
			d.gz = new(gzip.Reader)
		}
		r, err = d.gz, d.gz.Reset(in)
	case "deflate": // with a zlib header, as the standard wants, or without
		if len(body) > 1 && body[0]&0xf == 8 && (int(body[0])<<8|int(body[1]))%31 == 0 {
			r, err = zlib.NewReader(in)
		} else {
			r = flate.NewReader(in)
		}
	case "br":
		r = brotli.NewReader(in)
	case "zstd":
		if !bytes.HasPrefix(body, []byte("\x28\xb5\x2f\xfd")) {
			return nil, false, nil
		}
		if d.zs == nil {
			if d.zs, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20)); err != nil {
				return nil, false, err
			}
		}
		r, err = d.zs, d.zs.Reset(in)
	case "", "identity", "none", "utf-8", "binary":
		return nil, false, nil
	default:
		return nil, false, errors.New("an unknown Content-Encoding")
	}
	out := d.buffer()
	if err == nil {
		err = caught(func() error {
			_, err := io.Copy(out, io.LimitReader(r, d.most+1))
			return err
		})
	}
	switch {
	case int64(out.Len()) > d.most:
		return nil, false, errTooLong
	case err == nil:
		return out.Bytes(), true, nil
	case out.Len() == 0 && (encoding == "br" || encoding == "deflate") && utf8.Valid(body):
		return nil, false, nil // it was undone: neither has a mark
	}
	return out.Bytes(), true, codecError(encoding, err)
}

// dechunk undoes chunked transfer (RFC 9112, 7.1). It is not ok where the body
// does not begin with a chunk.
func dechunk(out *bytes.Buffer, body []byte) (plain []byte, ok bool, err error) {
	for first := true; ; first = false {
		line, rest, ended := bytes.Cut(body, newline)
		digits, _, _ := bytes.Cut(bytes.TrimRight(line, "\r"), []byte(";"))
		digits = bytes.TrimSpace(digits)
		size, isSize := hexSize(digits)
		switch {
		case (!ended || !isSize) && first:
			return nil, false, nil
		case len(body) == 0:
			return out.Bytes(), true, errors.New("truncated")
		case !isSize:
			return out.Bytes(), true, errors.New("malformed chunks")
		case size == 0:
			return out.Bytes(), true, nil
		case !ended || size > int64(len(rest)):
			if first {
				return nil, false, nil
			}
			out.Write(rest)
			return out.Bytes(), true, errors.New("truncated")
		}
		out.Write(rest[:size])
		body = rest[size:]
		switch {
		case bytes.HasPrefix(body, []byte("\r\n")):
			body = body[2:]
		case bytes.HasPrefix(body, newline):
			body = body[1:]
		}
	}
}

// hexSize is the size of a chunk.
func hexSize(digits []byte) (int64, bool) {
	if len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	if len(digits)%2 == 1 {
		digits = append([]byte{'0'}, digits...)
	}
	var b [8]byte
	n, err := hex.Decode(b[:], digits)
	if err != nil {
		return 0, false
	}
	size := int64(0)
	for _, c := range b[:n] {
		size = size<<8 | int64(c)
	}
	return size, true
}

// unicodeOf is the body as UTF-8: by the charset that its type says, else by the
// one that an HTML page says at its beginning. What is UTF-8 already stays.
func unicodeOf(body []byte, mime string) (text []byte, why string) {
	bad := firstInvalid(body)
	label := charsetOf(strings.ToLower(mime))
	if label == "" && bad >= 0 && strings.Contains(strings.ToLower(mime), "ml") {
		label = charsetOf(strings.ToLower(string(body[:min(len(body), 1024)])))
	}
	sevenBits := strings.HasPrefix(label, "iso-2022") || strings.HasPrefix(label, "utf-16") // which may look like UTF-8
	if bad < 0 && !sevenBits {
		return bytes.TrimPrefix(body, bom), ""
	}
	if enc, err := htmlindex.Get(label); err == nil && label != "" {
		if name, _ := htmlindex.Name(enc); name != "utf-8" {
			out, err := enc.NewDecoder().Bytes(body)
			if err == nil && utf8.Valid(out) {
				return out, ""
			}
		}
	}
	if bad < 0 {
		return body, ""
	}
	return nil, fmt.Sprintf("invalid UTF-8 at byte %d", bad)
}

// charsetOf is what stands after charset= or encoding=.
func charsetOf(s string) string {
	for _, key := range []string{"charset", "encoding"} {
		_, after, ok := strings.Cut(s, key)
		after = strings.TrimLeft(after, " ")
		if !ok || !strings.HasPrefix(after, "=") {
			continue
		}
		after = strings.TrimLeft(after[1:], ` "'`)
		if end := strings.IndexAny(after, " \"';/>\t\r\n,"); end >= 0 {
			after = after[:end]
		}
		return after
	}
	return ""
}
