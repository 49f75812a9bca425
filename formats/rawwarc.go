package formats

import (
	"bufio"
	"bytes"
	"crypto/md5"  //nolint:gosec // a digest that a record has
	"crypto/sha1" //nolint:gosec // the same
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/text/encoding/htmlindex"

	"custody/provenance/corpus"
)

// Record is a record of a WARC or ARC file as it is stored. It is valid until the
// next.
type Record struct {
	Number      int64
	Row         bool     // it is a row of Parts, or was unread there
	Why         string   // it can't be cut: there is nothing of it
	Head, Block []byte   // Head ends with the blank line; in ARC it is one line
	Gap         []byte   // line ends behind it
	ID          string   // as in its header
	Concurrent  []string // records that WARC-Concurrent-To names
	Refers      []string // and WARC-Refers-To

	arc    bool
	fields int
	file   *File
}

// Records cuts a WARC or ARC file. It can be read once, in the place of Pieces.
func (r *Raw) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s := &crawlSplitter{r: r.plain, f: r.file, all: true}
		s.arc = isARC(s.peek(len("filedesc://")))
		var b crawl
		for {
			b.data = b.data[:0]
			rec, row, err := s.next(&b)
			if errors.Is(err, io.EOF) && !row {
				break
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Record{}, corpus.FileError(r.file.Path, err.Error()))
				return
			}
			out := Record{Number: rec.number, Row: row, Why: rec.why, arc: s.arc, fields: s.fields, file: r.file}
			if rec.why == "" {
				out.Head, out.Block = b.data[:rec.head], b.data[rec.head:rec.end]
				out.links()
			}
			p := s.peek(64)
			out.Gap = p[:len(p)-len(bytes.TrimLeft(p, "\r\n"))]
			if !yield(out, nil) {
				return
			}
			if err != nil {
				break
			}
		}
		if _, err := io.Copy(io.Discard, r.stored); err != nil {
			yield(Record{}, err)
		}
	}
}

func (r *Record) links() {
	if r.arc {
		return
	}
	for name, value := range headers(r.Head) {
		switch strings.ToLower(name) {
		case "warc-record-id":
			r.ID = value
		case "warc-concurrent-to":
			r.Concurrent = append(r.Concurrent, value)
		case "warc-refers-to":
			r.Refers = append(r.Refers, value)
		}
	}
}

// MemberPerRecord reports whether a file in gzip begins with a member for its
// first record, and has more: then each has one, as the standard wants it.
func (r *Raw) MemberPerRecord() bool {
	if r.Codec != "gzip" || r.file.name == "" {
		return r.Codec == "gzip"
	}
	in, err := os.Open(r.file.name)
	if err != nil {
		return false
	}
	defer in.Close()
	b := bufio.NewReader(in)
	z, err := gzip.NewReader(b)
	if err != nil {
		return false
	}
	z.Multistream(false)
	if n, err := io.Copy(io.Discard, io.LimitReader(z, r.file.opt.MaxRow+maxWARCHeader)); err != nil || n == r.file.opt.MaxRow+maxWARCHeader {
		return false
	}
	_, err = b.Peek(2)
	return err == nil
}

// Rewrite is the record with another text: edit is given the text of its row, as
// its leaf has it, or the JSON document that its leaves are of. Chunks and
// compression of HTTP are undone and their headers with them; lengths and digests
// are made anew, a digest of an unknown kind is left out. It reports false where
// edit does, and where the text can't be written in the payload's charset.
func (r *Record) Rewrite(edit func(text []byte, isJSON bool) ([]byte, bool)) (head, block []byte, ok bool) {
	var p page
	if r.arc {
		p = takeARC(r.Head, r.Block, r.fields)
	} else {
		p = takeWARC(r.Head, r.Block)
	}
	httpHead := r.Block[:len(r.Block)-len(p.body)]
	body, why := (&payloads{most: r.file.opt.MaxRow}).decode(&p)
	if why != "" {
		return nil, nil, false
	}
	text, why := unicodeOf(body, p.mime)
	if why != "" {
		return nil, nil, false
	}
	isJSON := false
	if isJSONType(p.mime) {
		fl := r.file.flattener()
		_, _, why := fl.payload(text)
		isJSON = why == ""
		r.file.done(fl)
	}
	out, ok := edit(text, isJSON)
	if !ok {
		return nil, nil, false
	}
	if out, ok = inCharset(out, body, text, p.mime); !ok {
		return nil, nil, false
	}
	if len(httpHead) > 0 {
		httpHead = withHeaders(httpHead, func(name, _ string) (string, bool) {
			switch name {
			case "content-length":
				return strconv.Itoa(len(out)), true
			case "content-encoding", "transfer-encoding", "content-md5", "digest":
				return "", true
			}
			return "", false
		})
	}
	block = append(bytes.Clone(httpHead), out...)
	if r.arc {
		return arcHead(r.Head, r.fields, len(block)), block, true
	}
	head = withHeaders(r.Head, func(name, value string) (string, bool) {
		switch name {
		case "content-length":
			return strconv.Itoa(len(block)), true
		case "warc-block-digest":
			return digestLike(value, block), true
		case "warc-payload-digest":
			return digestLike(value, out), true
		}
		return "", false
	})
	return head, block, true
}

// inCharset is a text in the charset of the body that the row's text was.
func inCharset(out, body, text []byte, mime string) ([]byte, bool) {
	if bytes.Equal(body, text) {
		return out, true
	}
	if mark := bytes.TrimSuffix(body, text); len(mark) < len(body) {
		return append(bytes.Clone(mark), out...), true // after a byte order mark
	}
	label := charsetOf(strings.ToLower(mime))
	if label == "" {
		label = charsetOf(strings.ToLower(string(body[:min(len(body), 1024)])))
	}
	enc, err := htmlindex.Get(label)
	if err != nil {
		return nil, false
	}
	if out, err = enc.NewEncoder().Bytes(out); err != nil {
		return nil, false
	}
	return out, true
}

// withHeaders is a header with other values: "" leaves a field out. Names are
// given in lower case.
func withHeaders(head []byte, value func(name, value string) (string, bool)) []byte {
	var out []byte
	first, gone := true, false
	for line := range bytes.Lines(head) {
		plain := bytes.TrimRight(line, "\r\n")
		switch before, after, ok := bytes.Cut(plain, []byte(":")); {
		case len(plain) > 0 && (plain[0] == ' ' || plain[0] == '\t'):
			if gone {
				continue
			}
		case !first && ok:
			now, other := value(strings.ToLower(strings.TrimSpace(string(before))), string(bytes.TrimSpace(after)))
			if gone = other; other {
				if now != "" {
					out = append(append(append(out, before...), ": "...), now...)
					out = append(out, line[len(plain):]...)
				}
				continue
			}
		default:
			gone = false
		}
		first = false
		out = append(out, line...)
	}
	return out
}

// arcHead is a header line with another length, and without a checksum.
func arcHead(head []byte, fields, size int) []byte {
	plain := bytes.TrimRight(head, "\r\n")
	parts := strings.Split(string(plain), " ")
	parts[len(parts)-1] = strconv.Itoa(size)
	if fields == 10 && len(parts) >= 10 {
		parts[len(parts)-5] = "-"
	}
	return append([]byte(strings.Join(parts, " ")), head[len(plain):]...)
}

// digestLike is the digest of data in the way that another is written, "" where
// that is of an unknown kind.
func digestLike(value string, data []byte) string {
	name, was, ok := strings.Cut(value, ":")
	if !ok {
		return ""
	}
	kinds := map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha-1": sha1.New, "sha256": sha256.New, "sha-256": sha256.New, "sha512": sha512.New, "sha-512": sha512.New}
	kind := kinds[strings.ToLower(name)]
	if kind == nil {
		return ""
	}
	h := kind()
	_, _ = h.Write(data)
	sum := h.Sum(nil)
	if len(was) == 2*len(sum) {
		return name + ":" + hex.EncodeToString(sum)
	}
	text := base32.StdEncoding.EncodeToString(sum)
	if !strings.HasSuffix(was, "=") {
		text = strings.TrimRight(text, "=")
	}
	return name + ":" + text
}
