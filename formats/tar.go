package formats

import (
	"archive/tar"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"custody/provenance/corpus"
)

// A tar archive is read as its members, each as a file of its own format that is
// named a.tar!m.jsonl, in the order of the archive; nothing is unpacked. So are
// the shards of WebDataset, where members of one stem are one sample. Members
// that would be passed over in a folder are, and the class labels of WebDataset
// too. Archives in archives, links, devices, and names that lead out of the
// archive or stand in it twice, are unread.
var tarFormat = Format{Name: "tar", Description: "tar, also compressed, and WebDataset: each member as its own format", Extensions: []string{".tar", ".tgz", ".tbz", ".tbz2", ".txz"},
	sniff: isTar, members: true}

// isTar reports whether the head begins with a header whose checksum is right.
func isTar(head []byte) bool {
	const size, from, to = 512, 148, 156
	if len(head) < size || head[0] == 0 {
		return false
	}
	want, err := strconv.ParseUint(strings.Trim(string(head[from:to]), " \x00"), 8, 32)
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, b := range head[:size] {
		if i >= from && i < to {
			b = ' '
		}
		unsigned += int64(b)
		signed += int64(int8(b)) // of old writers
	}
	return unsigned == int64(want) || signed == int64(want)
}

// members reads an archive. plain says that it is stored as it is. It reports
// whether to go on after it.
func (f *File) members(ctx context.Context, r io.Reader, plain bool, yield func(corpus.Part) bool) bool {
	at := &counter{r: r}
	t := tar.NewReader(at)
	names := map[uint64]bool{}
	seed := maphash.MakeSeed()
	for n := int64(1); ; n++ {
		if ctx.Err() != nil { // many members may give no part
			return f.unread(ctx.Err().Error(), yield)
		}
		var h *tar.Header
		err := caught(func() (err error) {
			h, err = t.Next()
			return err
		})
		switch {
		case errors.Is(err, tar.ErrInsecurePath), err == nil:
		case errors.Is(err, io.EOF):
			return true
		case errors.Is(err, io.ErrUnexpectedEOF):
			return f.unread("tar: truncated", yield)
		case errors.Is(err, tar.ErrHeader):
			return f.unread("tar: damaged header of member "+num(n), yield)
		default:
			return f.unread(reasonOf(err), yield)
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		m := &File{Path: f.Path + "!" + memberName(h.Name, n), Size: h.Size, opt: f.opt, corpus: f.corpus, archive: f, at: -1}
		key := maphash.String(seed, m.Path)
		why := refused(h)
		if why == "" && names[key] {
			why = "a member before it has this name"
		}
		names[key] = true
		if why != "" {
			if !m.unread(why, yield) {
				return false
			}
			continue
		}
		if ending, no := noMember(h.Name); no {
			f.corpus.skipInside(f.Path + "!*" + ending)
			continue
		}
		if plain && (f.name != "" || f.remote != nil) && !sparse(h) {
			m.at = at.total
		}
		if !m.contents(ctx, t, yield) {
			return false
		}
	}
}

// memberName is a member's name as a position shows it: a plain one as it is,
// else its number.
func memberName(name string, n int64) string {
	plain := name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if !plain {
		return "#" + num(n)
	}
	return strings.TrimPrefix(name, "./")
}

// refused is why a member is not read.
func refused(h *tar.Header) string {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse, '\x00':
	case tar.TypeSymlink, tar.TypeLink:
		return "a link, which is not followed"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a pipe"
	default:
		return "of a special kind"
	}
	name := strings.ReplaceAll(h.Name, `\`, "/")
	switch {
	case strings.HasPrefix(name, "/"), len(name) > 1 && name[1] == ':', slices.Contains(strings.Split(name, "/"), ".."):
		return "its name leads out of the archive"
	case sparse(h): // a few bytes of it may stand for any size
		return "a sparse file: unpack it first"
	}
	return ""
}

// sparse reports whether a member is stored without its holes.
func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// noMember reports whether a member holds no rows, and the ending of its name
// that tells.
func noMember(name string) (ending string, no bool) {
	base := path.Base(name)
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." {
			return "/.*", true // hidden, or in a hidden folder
		}
	}
	ending = path.Ext(base)
	if noData(base) {
		if isCard(strings.ToLower(base)) {
			return "/" + base, true
		}
		return ending, true
	}
	switch strings.ToLower(ending) {
	case ".cls", ".cls2", ".class", ".count", ".index", ".inx", ".id": // a number each
		return ending, true
	}
	return "", false
}
