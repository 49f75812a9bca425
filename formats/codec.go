package formats

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const headSize = 64 << 10

// codecs are the compressions that files come in, by their first bytes.
var codecs = []struct {
	name string
	is   func(head []byte) bool
	open func(r io.Reader) (io.Reader, error)
}{
	{"gzip", begins("\x1f\x8b"), func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	// The dumps of Reddit are written with --long=31: a window of 2 GiB, which
	// grows with what is read.
	{"zstd", begins("\x28\xb5\x2f\xfd"), func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(1<<31), zstd.WithDecoderMaxMemory(1<<31))
	}},
	{"bzip2", isBzip2, func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
	{"xz", begins("\xfd7zXZ\x00"), func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) }},
}

func begins(magic string) func([]byte) bool {
	return func(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
}

// isBzip2 wants the first block's mark too, for "BZh" may begin a text.
func isBzip2(head []byte) bool {
	if len(head) < 10 || string(head[:3]) != "BZh" || head[3] < '1' || head[3] > '9' {
		return false
	}
	mark := string(head[4:10])
	return mark == "1AY&SY" || mark == "\x17\x72\x45\x38\x50\x90"
}

// codec is the compression that was undone, if any.
type codec struct {
	name   string
	ending string // of the file's name, that it accounts for
}

// decompress peeks at the stream, undoes one compression, and returns the rest
// with its head.
func (f *File) decompress(in io.Reader) (r io.Reader, head []byte, c codec, err error) {
	stored := &counter{r: in}
	b := f.buffered(stored, 1<<20)
	head, err = b.Peek(min(headSize, b.Size()))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, c, err
	}
	for _, k := range codecs {
		if !k.is(head) {
			continue
		}
		if k.name == "xz" {
			if mib := xzDictionary(head) >> 20; mib > maxDictionary {
				return nil, nil, c, fmt.Errorf("xz: a dictionary of %d MiB, more than %d", mib, maxDictionary)
			}
		}
		var plain io.Reader
		err := caught(func() (err error) {
			plain, err = k.open(b)
			return err
		})
		if err != nil {
			return nil, nil, c, codecError(k.name, err)
		}
		used := func() int64 { return stored.total - int64(b.Buffered()) }
		inner := bufio.NewReaderSize(&codecReader{r: plain, name: k.name, used: used, ratio: f.opt.MaxRatio}, 1<<20)
		head, err = inner.Peek(headSize)
		if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
			return nil, nil, c, err
		}
		for _, again := range codecs {
			if again.is(head) && len(head) > 16 {
				return nil, nil, c, errors.New("compressed twice (" + again.name + " in " + k.name + ")")
			}
		}
		c.name, c.ending = k.name, codecExt(f.Path)
		return inner, head, c, nil
	}
	return b, head, c, nil
}

// buffered is a reader of at most the given size, and of the one that the file
// needs: archives have many small members.
func (f *File) buffered(r io.Reader, size int) *bufio.Reader {
	if f.archive != nil {
		size = int(min(int64(size), f.Size+16))
	}
	return bufio.NewReaderSize(r, size)
}

// codecExt is a name's ending that says that the file is compressed, or "".
func codecExt(name string) string {
	switch ext := filepath.Ext(name); strings.ToLower(ext) {
	case ".gz", ".zst", ".zstd", ".bz2", ".xz", ".gzip", ".tgz", ".tbz", ".tbz2", ".txz":
		return ext
	}
	return ""
}

const maxDictionary = 256 // MiB; xz -9 takes 64

// xzDictionary is the dictionary that the first block of an xz file asks for, in
// bytes; the decoder allocates it whatever the file's size. 0 where the header is
// of a form that xz does not write.
func xzDictionary(head []byte) uint64 {
	const stream = 12 // bytes of the stream header
	if len(head) < stream+8 {
		return 0
	}
	h := head[stream:]
	size := (int(h[0]) + 1) * 4
	if h[0] == 0 || size > len(h) {
		return 0
	}
	flags, rest := h[1], h[2:size]
	for _, present := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&present == 0 {
			continue
		}
		_, n := binary.Uvarint(rest)
		if n <= 0 {
			return 0
		}
		rest = rest[n:]
	}
	if len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 { // LZMA2, one byte of properties
		return 0
	}
	bits := rest[2]
	if bits >= 40 {
		return 1<<32 - 1
	}
	return uint64(2|bits&1) << (bits/2 + 11)
}

// codecReader names the compression in its errors, takes a panic over damaged
// data for one, and ends where it gives far more than it takes.
type codecReader struct {
	r     io.Reader
	name  string
	used  func() int64 // stored bytes
	ratio int64
	given int64
}

const freeDecoded = 64 << 20 // bytes that a compressed file may always give

func (c *codecReader) Read(p []byte) (n int, err error) {
	err = caught(func() (err error) {
		n, err = c.r.Read(p)
		return err
	})
	if err != nil && err != io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		err = codecError(c.name, err)
	}
	c.given += int64(n)
	if c.given > freeDecoded && c.ratio > 0 && c.given/c.ratio > c.used() {
		return n, fmt.Errorf("%s: decompresses to more than %d times its size", c.name, c.ratio)
	}
	return n, err
}

func codecError(name string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New(name + ": truncated")
	}
	return errors.New(name + ": damaged data")
}
