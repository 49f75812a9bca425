package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"custody/cmd/internal/ui"
	"custody/formats"
	"custody/index"
	"custody/provenance/corpus"
)

// scanMemory is what --resume remembers of a scan, in a file of its own: which
// files of the corpus were read, with their digests, and what was found in each
// part. It is a log: a line an event, and each carries its checksum, so that what a
// kill or a power cut leaves of the last one is seen and dropped.
//
//	{"schema":"custody.scan-memory/1","same":…}     what was scanned against what
//	{"file":PATH,"stamp":…,"sha256":…}              a file begins; what was known of it is void
//	{…}                                             what was found in its next part
//	{"file":PATH,"on":true}                         what follows is of this file again
//	{"file":PATH,"done":{…}}                        it was read to its end
//
// Parts belongs to the goroutine that reads, Keep to the one that gathers, Recall
// to the workers.
type scanMemory struct {
	path string
	head []byte
	log  *os.File
	lock *flock.Flock
	end  int64           // of what is whole
	last *rememberedFile // whose lines the log has last
	old  bool            // the log has lines that are void

	mu    sync.Mutex
	files map[string]*rememberedFile // by path
	parts []rememberedPart           // by Part.Seq
	at    *rememberedFile            // whose parts are kept now
	bad   bool                       // one of them was not

	unread int64 // files that were not read again
}

type rememberedFile struct {
	Path   string           `json:"file"`
	Stamp  string           `json:"stamp,omitempty"`
	SHA256 string           `json:"sha256,omitempty"`
	On     bool             `json:"on,omitempty"`
	Done   *formats.Outcome `json:"done,omitempty"`

	file  *formats.File // nil: not of this corpus
	lines []span        // of its parts, in the log
	known []span        // of them, those that were there when this scan began
	begun bool          // its first line is in the log
}

// span is bytes of the log.
type span struct{ from, to int64 }

type rememberedPart struct {
	file *rememberedFile // nil: nothing is kept of it
	n    int             // which part of the file
}

type memoryHead struct {
	Schema string `json:"schema"`
	Same   string `json:"same"`
}

// memoryFolder is where scans are remembered: $CUSTODY_CACHE, else a folder of
// the user's caches.
func memoryFolder() (string, error) {
	if dir := os.Getenv("CUSTODY_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", hinted(fmt.Errorf("--resume: %w", err), "name a folder for what is remembered: CUSTODY_CACHE=DIR")
	}
	return filepath.Join(dir, "custody"), nil
}

// openMemory opens what is remembered of this scan. What was scanned against
// another state of the store, with other options, on another day or by another
// version of the program is dropped.
func (a *app) openMemory(args []string, f scanFlags, view *index.View) (*scanMemory, error) {
	dir, err := memoryFolder()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "scans")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	forgetOld(dir, a.now())
	name, same, err := a.memoryKeys(args, f, view)
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(memoryHead{Schema: "custody.scan-memory/1", Same: same})
	if err != nil {
		return nil, err
	}
	m := &scanMemory{path: filepath.Join(dir, name+".log"), head: head, files: map[string]*rememberedFile{}, lock: flock.New(filepath.Join(dir, name+".lock"))}
	if ok, err := m.lock.TryLock(); err != nil || !ok {
		return nil, errors.Join(hinted(errors.New("--resume: another scan of the same corpus is under way"), "wait for it, or leave --resume out"), err)
	}
	if m.log, err = os.OpenFile(m.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, errors.Join(err, m.lock.Unlock())
	}
	if err := m.load(); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// memoryKeys are the name of a scan among those that are remembered, by what the
// user asks for, and a digest of all that its result depends on.
func (a *app) memoryKeys(args []string, f scanFlags, view *index.View) (name, same string, err error) {
	h := sha256.New()
	for _, p := range append([]string{a.store}, args...) {
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		fmt.Fprintf(h, "%q\n", p)
	}
	var rules []byte
	if f.policy != "" {
		if rules, err = os.ReadFile(f.policy); err != nil {
			return "", "", hinted(err, "nothing was read")
		}
	}
	fmt.Fprintf(h, "%q %q %q %v %v %v %d %v\n", args, f.text, f.rowID, f.minShare, f.sample, f.fast, a.maxRow, a.whole)
	name = hex.EncodeToString(h.Sum(nil)[:16])
	set, _ := datasetName(f.name, args) // stands in every match
	day := a.asOf
	if day == "" { // terms change at days
		day = a.judged.Format(time.DateOnly)
	}
	v := readVersion()
	fmt.Fprintf(h, "%s %q %s %v %q %q\n", rules, set, day, view != nil, v.Version, orDash(v.Revision))
	if view != nil {
		fmt.Fprintln(h, view.State())
	}
	return name, hex.EncodeToString(h.Sum(nil)), nil
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// forgetOld removes what nobody asked for in three months. It is a courtesy: what
// fails is left.
func forgetOld(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > 90*24*time.Hour {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// load reads the log up to its first line that is not whole, and cuts it there.
// What is of another scan, or no log of ours, is dropped.
func (m *scanMemory) load() error {
	in := bufio.NewReaderSize(m.log, 1<<20)
	first, n, err := readLine(in)
	if err == nil && bytes.Equal(first, m.head) && m.loadFiles(in, n) {
		return m.log.Truncate(m.end)
	}
	clear(m.files)
	m.end, m.last, m.old = 0, nil, false
	if err := m.log.Truncate(0); err != nil {
		return err
	}
	_, err = m.write(m.head)
	return err
}

// loadFiles reads the lines after the first, which begin at a byte. It reports
// false where they are not what this program writes.
func (m *scanMemory) loadFiles(in *bufio.Reader, at int64) bool {
	for m.end = at; ; {
		line, n, err := readLine(in)
		if err != nil {
			break
		}
		s := span{m.end, m.end + n}
		m.end = s.to
		if !bytes.HasPrefix(line, []byte(`{"file":`)) {
			if m.last == nil {
				return false
			}
			m.last.lines = append(m.last.lines, s)
			continue
		}
		var f rememberedFile
		if json.Unmarshal(line, &f) != nil {
			return false
		}
		was := m.files[f.Path]
		switch {
		case (f.On || f.Done != nil) && was == nil:
			return false
		case f.On:
			m.last = was
		case f.Done != nil:
			was.Done = f.Done
		default:
			m.old = m.old || was != nil
			f.begun = true
			m.last = &f
			m.files[f.Path] = &f
		}
	}
	for _, f := range m.files {
		f.known = slices.Clip(f.lines)
	}
	return true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readLine reads a line and checks it. n is its length with checksum and end.
func readLine(in *bufio.Reader) (line []byte, n int64, err error) {
	raw, err := in.ReadBytes('\n')
	if err != nil {
		return nil, 0, err
	}
	sum, line, ok := bytes.Cut(raw[:len(raw)-1], []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(line, castagnoli)) {
		return nil, 0, errors.New("damaged line")
	}
	return line, int64(len(raw)), nil
}

// checked is a line as the log has it.
func checked(line []byte) []byte {
	return fmt.Appendf(make([]byte, 0, len(line)+16), "%08x %s\n", crc32.Checksum(line, castagnoli), line)
}

// write adds a line to the log.
func (m *scanMemory) write(line []byte) (span, error) {
	b := checked(line)
	if _, err := m.log.WriteAt(b, m.end); err != nil {
		return span{}, fmt.Errorf("--resume: %w", err)
	}
	s := span{m.end, m.end + int64(len(b))}
	m.end = s.to
	return s, nil
}

func (m *scanMemory) writeJSON(f *rememberedFile) error {
	line, err := json.Marshal(f)
	if err == nil {
		_, err = m.write(line)
	}
	return err
}

// Parts are the parts of a corpus. Those of a file that was read to its end, and is
// the same, have no rows and are not read; it is the same while nobody has written
// to it, or else by its digest.
func (m *scanMemory) Parts(ctx context.Context, c *formats.Corpus) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		for _, f := range c.Files() {
			r, err := m.begin(ctx, f)
			if err != nil {
				yield(corpus.Part{}, err)
				return
			}
			if r != nil && r.Done != nil {
				f.Recall(*r.Done)
				m.unread++
				for n := range len(r.known) {
					if !yield(corpus.Part{File: f.Path, Seq: m.number(r, n)}, nil) {
						return
					}
				}
				continue
			}
			n := 0
			for p, err := range f.Parts(ctx) {
				p.Seq = m.number(r, n)
				n++
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// begin is what is remembered of a file, which is begun anew where that is not of
// these bytes; nil where the file can't be remembered.
func (m *scanMemory) begin(ctx context.Context, f *formats.File) (*rememberedFile, error) {
	stamp := f.Stamp()
	if stamp == "" {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.files[f.Path]
	if r == nil || r.Stamp != stamp {
		m.mu.Unlock() // for the time that it takes to read the file
		digest, err := "", error(nil)
		if !f.IsRemote() { // else that would fetch it twice, and the stamp tells
			digest, err = f.Digest(ctx)
		}
		m.mu.Lock()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, nil // reading it says why
		case r != nil && digest != "" && r.SHA256 == digest:
			r.Stamp = stamp
		default:
			r = &rememberedFile{Path: f.Path, Stamp: stamp, SHA256: digest}
		}
		m.old = m.old || m.files[f.Path] != nil
		m.files[f.Path] = r
	}
	r.file = f
	return r, nil
}

// number gives a part its place in the scan.
func (m *scanMemory) number(f *rememberedFile, n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parts = append(m.parts, rememberedPart{f, n})
	return len(m.parts) - 1
}

func (m *scanMemory) part(p corpus.Part) rememberedPart {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.parts[p.Seq]
}

// Recall reads what was found in a part by an earlier scan.
func (m *scanMemory) Recall(p corpus.Part) ([]byte, error) {
	k := m.part(p)
	if k.file == nil || k.n >= len(k.file.known) {
		return nil, nil
	}
	s := k.file.known[k.n]
	line, _, err := readLine(bufio.NewReaderSize(io.NewSectionReader(m.log, s.from, s.to-s.from), int(s.to-s.from)))
	if err != nil {
		return nil, errors.New("--resume: what is remembered was damaged while the scan ran")
	}
	return line, nil
}

// Keep writes what was found in a part that was scanned.
func (m *scanMemory) Keep(p corpus.Part, found []byte, failed bool) error {
	k := m.part(p)
	if k.file != m.at {
		if err := m.done(); err != nil {
			return err
		}
		m.at, m.bad = k.file, false
	}
	f := k.file
	if f == nil || found == nil || m.bad {
		return nil
	}
	if failed && p.File == f.Path { // the next time it may be read
		m.bad = true
		return nil
	}
	if err := m.turnTo(f); err != nil {
		return err
	}
	s, err := m.write(found)
	f.lines = append(f.lines, s)
	return err
}

// turnTo makes the lines that follow those of a file.
func (m *scanMemory) turnTo(f *rememberedFile) error {
	if m.last == f {
		return nil
	}
	line := &rememberedFile{Path: f.Path, On: true}
	if !f.begun {
		line = &rememberedFile{Path: f.Path, Stamp: f.Stamp, SHA256: f.SHA256}
	}
	f.begun, m.last = true, f
	return m.writeJSON(line)
}

// done notes that the file whose parts came last was read to its end, unless
// somebody wrote to it meanwhile.
func (m *scanMemory) done() error {
	f := m.at
	if f == nil || f.Done != nil || m.bad || !f.begun || f.file.Stamp() != f.Stamp {
		return nil
	}
	o := f.file.Outcome()
	f.Done = &o
	return m.writeJSON(&rememberedFile{Path: f.Path, Done: &o})
}

// finish is called when all was scanned. What is void goes, with the files that
// are no longer in the corpus.
func (m *scanMemory) finish() error {
	if err := m.done(); err != nil {
		return err
	}
	for _, f := range m.files {
		m.old = m.old || f.file == nil
	}
	if !m.old {
		return nil
	}
	out, err := createWhole(m.path)
	if err != nil {
		return err
	}
	defer out.abort()
	write := func(f *rememberedFile) {
		line, _ := json.Marshal(f) // strings and numbers
		_, _ = out.Write(checked(line))
	}
	_, _ = out.Write(checked(m.head)) // the writer keeps its first error for commit
	for _, path := range slices.Sorted(maps.Keys(m.files)) {
		f := m.files[path]
		if f.file == nil || !f.begun {
			continue
		}
		write(&rememberedFile{Path: f.Path, Stamp: f.Stamp, SHA256: f.SHA256})
		for _, s := range f.lines {
			if _, err := io.Copy(out, io.NewSectionReader(m.log, s.from, s.to-s.from)); err != nil {
				return err
			}
		}
		if f.Done != nil {
			write(&rememberedFile{Path: f.Path, Done: f.Done})
		}
	}
	return out.commit()
}

// note says what was spared.
func (m *scanMemory) note(a *app, files int) {
	if m.unread > 0 {
		a.ui.Note("unchanged and not read again: %s of %s", ui.Number(m.unread), ui.Count(int64(files), "file"))
	}
}

// close ends the use of what is remembered.
func (m *scanMemory) close() error { return errors.Join(m.log.Close(), m.lock.Unlock()) }
