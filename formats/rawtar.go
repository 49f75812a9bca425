package formats

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"

	"custody/provenance/corpus"
)

// Member is a member of a tar archive as it is stored. It is valid until the next.
type Member struct {
	Path string // as positions have it: a.tar!m.jsonl
	Name string // in the archive
	Rows bool   // it is read, or was unread, as a file of its own

	raw    *tarReader
	header *tar.Header
	head   []byte // its header blocks
}

const tarBlock = 512 // bytes; everything in an archive begins at a multiple

// tarReader reads an archive and knows where it is.
type tarReader struct {
	r     io.Reader
	t     *tar.Reader
	total int64
	to    io.Writer // gets what is read; nil: nothing does
	err   error     // of to
}

// Read implements io.Reader.
func (r *tarReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.total += int64(n)
	if r.to != nil && r.err == nil {
		_, r.err = r.to.Write(b[:n])
	}
	return n, err
}

// padding is what is missing to a whole block.
func (r *tarReader) padding() int64 { return (tarBlock - r.total%tarBlock) % tarBlock }

// Members takes a tar archive apart. It can be read once, in the place of Pieces.
// The last has no Path: it is the end of the archive.
func (r *Raw) Members() iter.Seq2[*Member, error] {
	return func(yield func(*Member, error) bool) {
		in := &tarReader{r: r.plain}
		in.t = tar.NewReader(in)
		for n := int64(1); ; n++ {
			skip := in.padding()
			var head bytes.Buffer
			in.to = &head
			h, err := in.t.Next()
			in.to = nil
			m := &Member{raw: in, header: h}
			if at := min(skip, int64(head.Len())); true {
				m.head = head.Bytes()[at:]
			}
			switch {
			case errors.Is(err, io.EOF):
				if !yield(m, nil) {
					return
				}
				if _, err := io.Copy(io.Discard, r.stored); err != nil {
					yield(nil, err)
				}
				return
			case err != nil && !errors.Is(err, tar.ErrInsecurePath):
				yield(nil, corpus.FileError(r.file.Path, "tar: damaged"))
				return
			}
			m.Name, m.Path = h.Name, r.file.Path+"!"+memberName(h.Name, n)
			if h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeXGlobalHeader {
				_, no := noMember(h.Name)
				m.Rows = refused(h) != "" || !no
			}
			if !yield(m, nil) {
				return
			}
			if _, err := io.Copy(io.Discard, in.t); err != nil {
				yield(nil, corpus.FileError(r.file.Path, "tar: truncated"))
				return
			}
		}
	}
}

// Data is the member's content, from where it has been read to.
func (m *Member) Data() io.Reader { return m.raw.t }

// Copy writes the member as it is stored; the end of the archive with all that
// stands behind it.
func (m *Member) Copy(dst io.Writer) error {
	if _, err := dst.Write(m.head); err != nil {
		return err
	}
	m.raw.to, m.raw.err = dst, nil
	var err error
	if m.Path == "" {
		_, err = io.Copy(io.Discard, m.raw)
	} else {
		_, err = io.Copy(io.Discard, m.raw.t)
	}
	m.raw.to = nil
	if err = errors.Join(err, m.raw.err); err != nil || m.Path == "" {
		return err
	}
	_, err = dst.Write(make([]byte, m.raw.padding()))
	return err
}

// CopyAs writes the member with another content: the same header, but for the
// size.
func (m *Member) CopyAs(dst io.Writer, content io.Reader, size int64) error {
	h := *m.header
	h.Size = size
	if h.PAXRecords != nil {
		kept := map[string]string{}
		for k, v := range h.PAXRecords {
			if k != "size" && !strings.HasPrefix(k, "GNU.sparse.") {
				kept[k] = v
			}
		}
		h.PAXRecords = kept
	}
	w := tar.NewWriter(dst)
	if err := w.WriteHeader(&h); err != nil {
		return err
	}
	if _, err := io.Copy(w, content); err != nil {
		return err
	}
	return w.Flush()
}
