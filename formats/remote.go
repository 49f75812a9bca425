package formats

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Remote is where files lie that have addresses: s3://bucket/key. Package
// formats/remote has one; this package opens no connection. It may be used
// concurrently.
type Remote interface {
	// Find gives the files that an address means, in any order: one, those below a
	// folder, or those that a pattern matches. Nothing there is an error.
	Find(address string) ([]Object, error)
	// Beside gives the files in the same folder as one that Find gave, as far as
	// they can be told cheaply: it may give none.
	Beside(o Object) []Object
}

// Object is a file of a Remote.
type Object struct {
	Name string // its address, without anything secret
	Size int64  // stored bytes; -1 where that is not known before the end
	// Folder is how much of Name is the folder that was named, with the last "/"; 0
	// for a file that was named itself. What is known to be no data is passed over
	// below a folder alone.
	Folder int
	Content
}

// Content is the bytes of an Object. Errors say why, without the address.
type Content interface {
	// Reader reads from the beginning to the end, and goes on where it was cut off.
	Reader() (io.ReadCloser, error)
	// ReaderAt reads parts; it may be used concurrently. It is an error where the
	// other end gives only the whole.
	ReaderAt() (io.ReaderAt, error)
	// Version tells one content from another: an ETag, or a time of change. It is
	// empty where the other end does not say.
	Version() string
}

// IsAddress reports whether a path is an address: SCHEME://...
func IsAddress(p string) bool {
	scheme, _, ok := strings.Cut(p, "://")
	return ok && len(scheme) > 1 && !strings.ContainsFunc(scheme, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' && r != '-' && r != '.'
	})
}

// ShownPath is a path as it may be shown: an address without user, password,
// query and fragment, which may be secret; any other path with "/".
func ShownPath(p string) string {
	if !IsAddress(p) {
		return filepath.ToSlash(p)
	}
	scheme, rest, _ := strings.Cut(p, "://")
	scheme = strings.ToLower(scheme)
	rest, _ = CutQuery(scheme, rest)
	if scheme == "http" || scheme == "https" {
		rest, _, _ = strings.Cut(rest, "#")
	}
	host, key, slash := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	if slash {
		host += "/"
	}
	return scheme + "://" + host + key
}

// CutQuery cuts the query off what stands behind "SCHEME://". In a bucket a
// question mark is also of patterns and of keys: there a query is NAME=VALUE.
func CutQuery(scheme, rest string) (address, query string) {
	if scheme == "http" || scheme == "https" {
		address, query, _ = strings.Cut(rest, "?")
		return address, query
	}
	for at := 0; ; {
		i := strings.IndexByte(rest[at:], '?')
		if i < 0 {
			return rest, ""
		}
		at += i + 1
		name, _, ok := strings.Cut(rest[at:], "=")
		if ok && name != "" && !strings.ContainsFunc(name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
		}) {
			return rest[:at-1], rest[at:]
		}
	}
}

// addRemote adds the files that an address means.
func (c *Corpus) addRemote(address string) error {
	if c.opt.Remote == nil {
		return fmt.Errorf("%s: files of this machine alone are read here", ShownPath(address))
	}
	found, err := c.opt.Remote.Find(address)
	if err != nil {
		return err
	}
	below := make([]Object, 0, len(found))
	for _, o := range found {
		if o.Folder == 0 {
			c.addObject(o)
		} else {
			below = append(below, o)
		}
	}
	slices.SortFunc(below, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	saved := savedFolders(below)
	cards := map[string]bool{}
	for _, o := range below {
		if c.cards == nil {
			c.cards = map[string]Object{}
		}
		if dir, base := path.Split(o.Name); cardReader(base) != nil {
			c.cards[o.Name] = o
		} else if saved[dir] && (base == "state.json" || base == "dataset_dict.json") {
			cards[o.Name] = true
		}
	}
	for _, o := range below {
		if name, no := noObject(o); no {
			if !c.again(name) {
				c.skipped = append(c.skipped, name)
			}
			continue
		}
		if cards[o.Name] || o.holds(ReceiptName, isReceiptHead) || o.holds("metadata.json", isCroissant) {
			if !c.again(o.Name) {
				c.skipped = append(c.skipped, o.Name)
			}
			continue
		}
		c.addObject(o)
	}
	return nil
}

func (c *Corpus) addObject(o Object) {
	if c.again(o.Name) {
		return
	}
	c.files = append(c.files, &File{Path: o.Name, Size: max(o.Size, 0), remote: &o, opt: c.opt, corpus: c})
}

// noObject reports whether a file below a folder is known to hold no rows, by its
// own name or that of a folder on the way to it, and which name that is.
func noObject(o Object) (name string, no bool) {
	for at := o.Folder; at < len(o.Name); at++ {
		end := len(o.Name)
		if i := strings.IndexByte(o.Name[at:], '/'); i >= 0 {
			end = at + i
		}
		if noData(o.Name[at:end]) {
			return o.Name[:end], true
		}
		at = end
	}
	return "", false
}

// savedFolders are the folders, with the last "/", that save_to_disk wrote.
func savedFolders(list []Object) map[string]bool {
	has := map[string][3]bool{} // by folder: dataset_info.json; *.arrow; dataset_dict.json
	for _, o := range list {
		dir, base := path.Split(o.Name)
		h := has[dir]
		switch {
		case base == "dataset_info.json":
			h[0] = true
		case path.Ext(base) == ".arrow":
			h[1] = true
		case base == "dataset_dict.json":
			h[2] = true
		default:
			continue
		}
		has[dir] = h
	}
	out := map[string]bool{}
	for dir, h := range has {
		out[dir] = h[0] && h[1] || h[2]
	}
	return out
}

// holds reports whether a file has a name and its head is of a kind. One that
// can't be read is not: reading it says why.
func (o *Object) holds(name string, is func(head []byte) bool) bool {
	if strings.ToLower(path.Base(o.Name)) != name {
		return false
	}
	head, err := o.head(headSize)
	return err == nil && is(head)
}

func (o *Object) head(most int64) ([]byte, error) {
	in, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, most))
}

// remoteCards are the cards in the folders that were walked, and those beside
// files that were named themselves.
func (c *Corpus) remoteCards() []Object {
	cards := map[string]Object{}
	for name, o := range c.cards {
		cards[name] = o
	}
	asked := map[string]bool{}
	for _, f := range c.files {
		if f.remote == nil || f.remote.Folder > 0 {
			continue
		}
		if dir := path.Dir(f.Path); !asked[dir] {
			asked[dir] = true
			for _, o := range c.opt.Remote.Beside(*f.remote) {
				if cardReader(path.Base(o.Name)) != nil {
					cards[o.Name] = o
				}
			}
		}
	}
	var out []Object
	for _, o := range cards {
		out = append(out, o)
	}
	return out
}

// remoteReader reads a remote file as a stream, and digests it on the way.
func (f *File) remoteReader() (io.ReadCloser, error) {
	in, err := f.remote.Reader()
	if err != nil {
		return nil, err
	}
	return &digesting{ReadCloser: in, f: f, sum: sha256.New()}, nil
}

// digesting digests what is read. Only a file that was read to its end has a
// digest.
type digesting struct {
	io.ReadCloser
	f    *File
	sum  hash.Hash
	n    int64
	done bool
}

// finish reads the few bytes that a format leaves at the end of a file, as tar
// does.
func (d *digesting) finish() {
	if left := d.f.remote.Size - d.n; !d.done && left >= 0 && left <= 1<<20 {
		_, _ = io.Copy(io.Discard, d) // one that fails has no digest
	}
}

func (d *digesting) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if d.done {
		return n, err
	}
	_, _ = d.sum.Write(p[:n]) // never fails
	d.n += int64(n)
	if errors.Is(err, io.EOF) {
		d.done = true
		d.f.digest.CompareAndSwap(nil, new(hex.EncodeToString(d.sum.Sum(nil))))
	}
	return n, err
}

// remoteDigest is the digest of a remote file: as it was read, or by reading all
// of it.
func (f *File) remoteDigest(ctx context.Context) (string, error) {
	if d := f.digest.Load(); d != nil {
		return *d, nil
	}
	in, err := f.remoteReader()
	if err != nil {
		return "", f.digestError(ctx, err)
	}
	defer in.Close()
	if _, err := copyAll(ctx, io.Discard, in); err != nil {
		return "", f.digestError(ctx, err)
	}
	return *f.digest.Load(), nil
}

// DigestIsFar reports whether Digest would have to fetch all of a remote file
// once more: one that was read in parts, or not to its end. It is for after Parts.
func (f *File) DigestIsFar() bool { return f.remote != nil && f.digest.Load() == nil }

// IsRemote reports whether the file is not of this machine. A member of a remote
// archive is not either.
func (f *File) IsRemote() bool { return f.remote != nil || f.archive != nil && f.archive.IsRemote() }

// Stored opens the bytes of the file as they are stored, from the beginning. An
// error is a *corpus.InputError.
func (f *File) Stored() (io.ReadCloser, error) {
	in, err := f.reader()
	if err != nil {
		return nil, f.digestError(context.Background(), err)
	}
	return in, nil
}
