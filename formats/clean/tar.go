package clean

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"custody/formats"
	"custody/provenance/corpus"
)

// tar writes an archive without what goes: members of which nothing goes are the
// same bytes, headers included, the others have another size. Where all of a
// member goes, and it is one of a sample of WebDataset, the sample goes: members of
// one stem of which some hold no rows (a picture and its caption). They are counted
// in FileReceipt.Companions. The archive is read twice, and a member that is
// written anew lies in a temporary file meanwhile.
func (w *writer) tar(ctx context.Context, f *filePlan, raw *formats.Raw, dst io.Writer, r *FileReceipt) error {
	tmp, err := os.MkdirTemp("", "custody-clean-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	c := &memberCleaner{w: w, f: f, tmp: tmp}
	gone, err := c.samples(ctx)
	if err != nil {
		return err
	}
	out, err := formats.Compress(raw.Codec, dst)
	if err != nil {
		return err
	}
	kept := 0
	for m, err := range raw.Members() {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case m.Path == "": // the end
			if err := m.Copy(out); err != nil {
				return err
			}
			continue
		}
		p := f.known(m.Path)
		switch {
		case gone.whole(m.Name) && !(m.Rows && p != nil && w.touched(p)):
			r.Companions++
			continue
		case !m.Rows || p == nil || p.whole == "" && !w.touched(p), p.whole != "" && w.opt.KeepUnread && !p.goes():
			if err := m.Copy(out); err != nil {
				return err
			}
		case p.whole != "":
			continue // it was not read
		default:
			one := FileReceipt{}
			clean, err := c.clean(ctx, m, p, &one)
			if err != nil {
				return err
			}
			r.RowsDropped, r.RowsMasked, r.SpansMasked = r.RowsDropped+one.RowsDropped, r.RowsMasked+one.RowsMasked, r.SpansMasked+one.SpansMasked
			r.Companions += one.Companions
			switch {
			case clean == "":
				continue
			case gone.whole(m.Name): // what is left of it goes with its sample
				r.Companions++
				continue
			}
			if err := copyAs(m, out, clean); err != nil {
				return err
			}
		}
		kept++
	}
	if err := out.Close(); err != nil {
		return err
	}
	if kept == 0 {
		return errEmpty
	}
	return nil
}

func copyAs(m *formats.Member, dst io.Writer, name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	return m.CopyAs(dst, in, st.Size())
}

// samples are the stems of an archive of which a member goes whole, and those with
// members that hold no rows. They are kept as hashes.
type samples struct {
	seed        maphash.Seed
	gone, mixed map[uint64]bool
}

// whole reports whether all members of this one's sample go.
func (s *samples) whole(name string) bool {
	k := s.key(name)
	return s.gone[k] && s.mixed[k]
}

// key is of a name up to the first dot of its last part, as WebDataset has it.
func (s *samples) key(name string) uint64 {
	dir, base := path.Split(strings.TrimPrefix(name, "./"))
	stem, _, _ := strings.Cut(base, ".")
	return maphash.String(s.seed, dir+stem)
}

// memberCleaner writes members as files of their own.
type memberCleaner struct {
	w   *writer
	f   *filePlan
	tmp string
}

// samples reads the archive for the members that go whole: others of a sample may
// stand before them.
func (c *memberCleaner) samples(ctx context.Context) (*samples, error) {
	s := &samples{maphash.MakeSeed(), map[uint64]bool{}, map[uint64]bool{}}
	raw, err := c.f.file.OpenRaw(ctx, io.Discard)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	for m, err := range raw.Members() {
		if err != nil {
			return nil, err
		}
		if m.Path == "" {
			continue
		}
		p := c.f.known(m.Path)
		switch {
		case !m.Rows:
			s.mixed[s.key(m.Name)] = true
		case p != nil && p.whole == "" && p.goes():
			clean, err := c.clean(ctx, m, p, &FileReceipt{})
			if err != nil {
				return nil, err
			}
			if clean == "" {
				s.gone[s.key(m.Name)] = true
			}
		}
	}
	return s, nil
}

// clean writes a member without what goes to a temporary file, "" where nothing
// is left.
func (c *memberCleaner) clean(ctx context.Context, m *formats.Member, p *filePlan, r *FileReceipt) (string, error) {
	in, out := filepath.Join(c.tmp, "in"), filepath.Join(c.tmp, "out")
	if err := errors.Join(os.RemoveAll(in), os.RemoveAll(out), os.Mkdir(in, 0o700), os.Mkdir(out, 0o700)); err != nil {
		return "", err
	}
	base := strings.Map(func(c rune) rune { // as other systems can name a file
		if strings.ContainsRune(`<>:"|?*\`, c) {
			return '_'
		}
		return c
	}, path.Base(p.member[strings.LastIndexByte(p.member, '!')+1:]))
	file, err := os.Create(filepath.Join(in, base))
	if err != nil {
		return "", err
	}
	_, err = copyAll(ctx, file, m.Data())
	if err = errors.Join(err, file.Close()); err != nil {
		return "", err
	}
	opt := c.w.corpus.Options()
	opt.Stdin, opt.Remote = nil, nil
	corpusOf, err := formats.Walk([]string{file.Name()}, opt)
	if err != nil || len(corpusOf.Files()) != 1 {
		return "", errors.Join(err, errChanged)
	}
	defer corpusOf.Close()
	one := &filePlan{file: corpusOf.Files()[0], drop: p.drop, masks: p.masks, unread: p.unread, uncounted: true}
	one.stat()
	alone := *c.w.Plan
	alone.opt.Progress = nil
	w := &writer{Plan: &alone, dir: out}
	if err := alone.checkFile(ctx, one); err != nil {
		return "", ofMember(err, p.member)
	}
	name := filepath.Join(out, base)
	if err := w.clean(ctx, one, name, r); err != nil {
		return "", ofMember(err, p.member)
	}
	if r.Action == Dropped {
		return "", nil
	}
	return name, nil
}

// ofMember is an error of a temporary file as one of the member.
func ofMember(err error, member string) error {
	if e, ok := errors.AsType[*NoWriterError](err); ok {
		return &NoWriterError{member, e.Format}
	}
	if e, ok := errors.AsType[*corpus.InputError](err); ok {
		return corpus.FileError(member, e.Reason)
	}
	return err
}
