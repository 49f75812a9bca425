package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"custody/provenance/folder"

	"golang.org/x/mod/sumdb/tlog"
)

// The files of an export, C2SP tlog-tiles beside the key:
//
//	checkpoint               the signed checkpoint
//	key.pub                  the verifier key and a line end
//	tile/<L>/<N>[.p/<W>]     256 hashes of level L, W in the last one
//	tile/entries/<N>[.p/<W>] 256 entries, each a uint16 length, big-endian, and its bytes
const (
	checkpointFile = "checkpoint"
	keyFile        = "key.pub"
	tileHeight     = 8
	tileWidth      = 1 << tileHeight
	maxBundle      = tileWidth * (2 + MaxEntry)
	maxKeyFile     = 1 << 10
)

// tilePath is where a tile lies; level -1 is the entries.
func tilePath(level int, n int64, width int) string {
	p := tlog.Tile{H: tileHeight, L: level, N: n, W: width}.Path()
	p = strings.TrimPrefix(p, fmt.Sprintf("tile/%d/", tileHeight))
	if level < 0 {
		p = "entries/" + strings.TrimPrefix(p, "data/")
	}
	return "tile/" + p
}

// tiler turns leaves into tiles of all levels. It holds one tile a level.
type tiler struct {
	emit   func(level int, n int64, hashes []tlog.Hash) error
	levels [][]tlog.Hash
	done   []int64 // full tiles emitted of each level
	top    frontier
	buf    []tlog.Hash
}

func (t *tiler) add(leaf tlog.Hash) error {
	t.buf = t.top.add(leaf, t.buf[:0])
	h := leaf
	for level := 0; ; level++ {
		if level == len(t.levels) {
			t.levels, t.done = append(t.levels, nil), append(t.done, 0)
		}
		t.levels[level] = append(t.levels[level], h)
		if len(t.levels[level]) < tileWidth {
			return nil
		}
		if err := t.emit(level, t.done[level], t.levels[level]); err != nil {
			return err
		}
		var tile frontier
		var scratch []tlog.Hash
		for _, h := range t.levels[level] {
			scratch = tile.add(h, scratch[:0])
		}
		h = tile.root()
		t.levels[level] = t.levels[level][:0]
		t.done[level]++
	}
}

// finish emits the partial tiles.
func (t *tiler) finish() error {
	for level, hashes := range t.levels {
		if len(hashes) > 0 {
			if err := t.emit(level, t.done[level], hashes); err != nil {
				return err
			}
		}
	}
	return nil
}

func tileBytes(hashes []tlog.Hash) []byte {
	out := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out
}

// Export writes the log as it was at a signed checkpoint to a new folder, whole
// or not at all, in the layout of C2SP tlog-tiles. The tiles are computed from
// the entries; where their root is not the checkpoint's nothing is written.
func (l *Log) Export(dir string, signed []byte, key Verifier) error {
	c, err := OpenCheckpoint(signed, key)
	if err != nil {
		return err
	}
	if err := l.within(c.Size); err != nil {
		return err
	}
	return folder.Create(dir, func(w *folder.Writer) error {
		t := tiler{emit: func(level int, n int64, hashes []tlog.Hash) error {
			return w.Write(tilePath(level, n, len(hashes)), tileBytes(hashes))
		}}
		var bundle []byte
		at := int64(0)
		for raw, err := range l.Entries(0, c.Size) {
			if err != nil {
				return err
			}
			bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(raw))), raw...)
			if err := t.add(tlog.RecordHash(raw)); err != nil {
				return err
			}
			at++
			if in := int((at-1)%tileWidth) + 1; in == tileWidth || at == c.Size {
				if err := w.Write(tilePath(-1, (at-1)/tileWidth, in), bundle); err != nil {
					return err
				}
				bundle = bundle[:0]
			}
		}
		if err := t.finish(); err != nil {
			return err
		}
		if t.top.root() != c.Root {
			return fmt.Errorf("%w: its first %d entries have another root than the checkpoint", ErrDamaged, c.Size)
		}
		return errors.Join(w.Write(checkpointFile, signed), w.Write(keyFile, []byte(key.String()+"\n")))
	})
}

// ErrNotProven is the error of a folder that is not what it says it is. The
// report says which files and why.
var ErrNotProven = errors.New("not proven")

// VerifyOptions are what the verifier knows from elsewhere.
type VerifyOptions struct {
	Key       string     // the log's verifier key or its fingerprint; empty: whatever the folder has
	Witnesses []Verifier // whose cosignatures count
}

// Report is what Verify found.
type Report struct {
	Key         string           // the verifier key that the folder was checked with
	Fingerprint string           // of that key
	Checkpoint                   // as signed; zero when it isn't
	Anchors     []Anchor         // outside proofs of when, checked
	Unchecked   []string         // names on cosignatures that could not be checked
	Problems    []folder.Problem // at most 100
}

// maxProblems is how many problems are listed: after that it is plainly not
// the folder that was exported.
const maxProblems = 100

// Is reports whether text names this key: by its verifier key or fingerprint.
func (v Verifier) Is(text string) bool {
	text = strings.TrimSpace(text)
	return text == v.String() || strings.EqualFold(text, v.Fingerprint())
}

// Verify checks an exported folder from its entries upwards: every tile, the
// root, the signature, and that there is no file more or less. Any byte that
// was changed, dropped, added or moved is a problem that names its file, and
// then the error is ErrNotProven. A folder whose key is not pinned proves that
// it is whole, not whose it is; and a cosignature by a witness whose key was
// not given is not looked at.
func Verify(dir string, o VerifyOptions) (Report, error) {
	const anyNumber = 1 << 40
	r, problems, err := folder.Open(dir, anyNumber)
	if err != nil {
		return Report{}, err
	}
	defer r.Close()
	v := &verification{files: r, report: Report{Problems: problems}}
	v.run(o)
	if len(v.report.Problems) > 0 {
		return v.report, fmt.Errorf("%w: %s%s", ErrNotProven, v.report.Problems[0], andMore(len(v.report.Problems)-1))
	}
	return v.report, nil
}

func andMore(n int) string {
	if n < 1 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

type verification struct {
	files  *folder.Reader
	report Report
	want   map[string]bool
}

func (v *verification) problem(file, format string, args ...any) {
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, folder.Problem{File: file, Reason: fmt.Sprintf(format, args...)})
	}
}

func (v *verification) full() bool { return len(v.report.Problems) >= maxProblems }

func (v *verification) run(o VerifyOptions) {
	key, ok := v.key(o.Key)
	if !ok {
		return
	}
	v.report.Key, v.report.Fingerprint = key.String(), key.Fingerprint()
	signed, err := v.files.Read(checkpointFile, maxNote)
	if err != nil {
		v.problem(checkpointFile, "%v", err)
		return
	}
	c, err := OpenCheckpoint(signed, key, o.Witnesses...)
	if err != nil {
		v.problem(checkpointFile, "%v", err)
		return
	}
	v.report.Checkpoint, v.report.Anchors, v.report.Unchecked = c.Checkpoint, c.Anchors, c.Unchecked
	v.want = map[string]bool{checkpointFile: true, keyFile: true}
	v.tree(c.Checkpoint)
}

// key is the key to verify with: that of the folder, which has to be the pinned one.
func (v *verification) key(pin string) (Verifier, bool) {
	text, err := v.files.Read(keyFile, maxKeyFile)
	if err != nil {
		v.problem(keyFile, "%v", err)
		return Verifier{}, false
	}
	line, ended := strings.CutSuffix(string(text), "\n")
	key, err := ParseVerifier(line)
	switch {
	case err == nil && !ended:
		err = errors.New("does not end with a line end")
	case err == nil && key.Witness():
		err = errors.New("is a witness's key, not a log's")
	case err == nil && pin != "" && !key.Is(pin):
		err = fmt.Errorf("is another key than the one asked for: its fingerprint is %s", key.Fingerprint())
	}
	if err != nil {
		v.problem(keyFile, "%v", err)
		return Verifier{}, false
	}
	return key, true
}

// tree checks entries and tiles against the checkpoint. Either the entries or
// the lowest tiles have the right root, and then that side says which files of
// the other are wrong.
func (v *verification) tree(c Checkpoint) {
	before := len(v.report.Problems)
	differ, root, ok := v.fold(c.Size, v.leavesOfEntries, v.problem)
	if ok {
		for _, name := range v.files.Names() {
			if !v.want[name] {
				v.problem(name, "does not belong to a ledger of %d entries", c.Size)
			}
		}
	}
	if ok && root == c.Root {
		for _, d := range differ {
			v.problem(d.file, "hash %d is not that of the entries under it", d.at)
		}
		return
	}
	wrong, root, ok := v.fold(c.Size, v.leavesOfTiles, func(string, string, ...any) {})
	if root != c.Root && (ok || len(v.report.Problems) == before) {
		v.problem(checkpointFile, "its root is neither that of the entries nor that of the tiles")
	}
	for _, d := range differ {
		if n, ok := strings.CutPrefix(d.file, "tile/0/"); ok {
			v.problem("tile/entries/"+n, "entry %d is not the one that %s has the hash of", d.first+int64(d.at), d.file)
		}
	}
	for _, d := range wrong {
		v.problem(d.file, "hash %d is not that of the tiles under it", d.at)
	}
}

// difference is a tile that isn't what it should be.
type difference struct {
	file  string
	at    int   // the first hash that differs
	first int64 // index of the tile's first hash
}

// fold computes all tiles from the leaves of one side and compares them with
// the files. A file that is missing or has the wrong length is a problem of its
// own. It is not ok where leaves are missing.
func (v *verification) fold(size int64, leaves func(n int64, width int) ([]tlog.Hash, bool), problem func(string, string, ...any)) (differ []difference, root tlog.Hash, ok bool) {
	t := tiler{emit: func(level int, n int64, hashes []tlog.Hash) error {
		name := tilePath(level, n, len(hashes))
		v.want[name] = true
		want := tileBytes(hashes)
		got, err := v.files.Read(name, int64(len(want)))
		switch {
		case err != nil:
			problem(name, "%v", err)
		case len(got) != len(want):
			problem(name, "has %d bytes, not the %d of %d hashes", len(got), len(want), len(hashes))
		case !bytes.Equal(got, want):
			at := 0
			for got[at] == want[at] {
				at++
			}
			differ = append(differ, difference{name, at / tlog.HashSize, n * tileWidth})
		}
		return nil
	}}
	for n := int64(0); n < size/tileWidth+min(1, size%tileWidth); n++ {
		hashes, ok := leaves(n, int(min(size-n*tileWidth, tileWidth)))
		if !ok || v.full() {
			return differ, tlog.Hash{}, false
		}
		for _, h := range hashes {
			t.add(h)
		}
	}
	t.finish()
	return differ, t.top.root(), true
}

// leavesOfEntries hashes the entries of a bundle. Where the bundle can't be
// read the tile stands in, so that the damage of one file is told once.
func (v *verification) leavesOfEntries(n int64, width int) ([]tlog.Hash, bool) {
	name := tilePath(-1, n, width)
	v.want[name] = true
	hashes := make([]tlog.Hash, 0, width)
	bundle, err := v.files.Read(name, maxBundle)
	for i := 0; i < width && err == nil; i++ {
		var raw []byte
		if raw, bundle, err = nextEntry(bundle); err == nil {
			_, err = ParseEntry(raw)
		}
		if err != nil {
			err = fmt.Errorf("entry %d: %w", n*tileWidth+int64(i), err)
		}
		hashes = append(hashes, tlog.RecordHash(raw))
	}
	if err == nil && len(bundle) > 0 {
		err = fmt.Errorf("%d bytes after its last entry", len(bundle))
	}
	if err != nil {
		v.problem(name, "%v", err)
		return v.leavesOfTiles(n, width)
	}
	return hashes, true
}

func (v *verification) leavesOfTiles(n int64, width int) ([]tlog.Hash, bool) {
	raw, err := v.files.Read(tilePath(0, n, width), tileWidth*tlog.HashSize)
	if err != nil || len(raw) != width*tlog.HashSize {
		return nil, false
	}
	hashes := make([]tlog.Hash, width)
	for i, h := range slices.Collect(slices.Chunk(raw, tlog.HashSize)) {
		copy(hashes[i][:], h)
	}
	return hashes, true
}
