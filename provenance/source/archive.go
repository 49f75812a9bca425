package source

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	slashpath "path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"custody/provenance"
)

// archiveBounds are what ReadArchive reads at most: files and folders, bytes of a
// text, bytes in all.
type archiveBounds struct {
	entries     int
	text, total int64
}

var defaultBounds = archiveBounds{entries: 200_000, text: 8 << 20, total: 4 << 30}

// flipWindow is how long other wordings may stand between two sights of one
// wording for that to be a flip of the layout or a fault of the archive.
const flipWindow = 90 * 24 * time.Hour

// Observation is one file of an archive of terms.
type Observation struct {
	Path   string    `json:"path"`
	At     time.Time `json:"at"`     // as its name says, a day or a second
	Digest string    `json:"digest"` // SHA-256 of the file, hex
}

// ArchivedVersion is one wording of an agreement as an archive has it.
type ArchivedVersion struct {
	// Terms has the dates and names of the version. Nobody has read it yet, so
	// every right is unknown.
	Terms provenance.Terms `json:"terms"`
	First Observation      `json:"first"` // the text to read
	Last  time.Time        `json:"last"`  // when this wording was last observed

	Observations int `json:"observations"` // of this wording

	// Passing are observations of other texts that stand between two of this
	// wording: flips of the layout, faults of extraction, or a change that was
	// soon taken back. They are no versions.
	Passing []Observation `json:"passing,omitempty"`

	// Fingerprint is the SHA-256, hex, of the stated date and the sentences,
	// whatever their markup, link targets, white space, order or repetition.
	Fingerprint string `json:"fingerprint"`
}

// ReadArchive reads a folder of the Open Terms Archive's texts: files
// SERVICE/DOCUMENT/YYYY-MM-DD_HASH.md, or as its data sets have them
// SERVICE/DOCUMENT/YYYY-MM-DDTHH-MM-SSZ.md, under any folders above. Each folder
// of such files is one agreement. Other files are passed over.
//
// Observations whose sentences are the same are one version, so that cookie
// banners, menus, link targets and line breaks make none. A wording that comes
// back within 90 days swallows what stood between, and one that lasted less than
// a day and differs from the next only by having more or fewer sentences belongs
// to the next, since that is how archives mend what they extract. The versions of
// all agreements are in the order of their beginnings. The error is not nil when
// there is no observation, or when a bound is passed: 200,000 entries, 8 MiB a
// text, 4 GiB in all. Memory grows with the number of observations, not with
// their texts.
func ReadArchive(fsys fs.FS, id provenance.SourceID) ([]ArchivedVersion, error) {
	return readArchive(fsys, id, defaultBounds)
}

func readArchive(fsys fs.FS, id provenance.SourceID, bounds archiveBounds) ([]ArchivedVersion, error) {
	folders, err := findObservations(fsys, bounds.entries)
	if err != nil {
		return nil, err
	}
	if len(folders) == 0 {
		return nil, errors.New("no archived terms: want files such as SERVICE/DOCUMENT/2025-06-04_0123456789.md")
	}
	r := archiveReader{fsys: fsys, bounds: bounds}
	var out []ArchivedVersion
	names := map[string]int{}
	for _, dir := range sortedKeys(folders) {
		versions, err := r.agreement(folders[dir])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		name := agreementName(dir)
		if names[name]++; names[name] > 1 {
			name += fmt.Sprintf(" (%d)", names[name])
		}
		nameVersions(versions, id, name)
		out = append(out, versions...)
	}
	slices.SortStableFunc(out, func(a, b ArchivedVersion) int {
		_, x := a.Terms.Begins()
		_, y := b.Terms.Begins()
		return x.Compare(y)
	})
	return out, nil
}

var observationName = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)(?:_[0-9a-zA-Z]{1,64}|T(\d\d)-(\d\d)-(\d\d)Z)?\.md$`)

// findObservations lists the observations of each folder that has any.
func findObservations(fsys fs.FS, most int) (map[string][]Observation, error) {
	folders := map[string][]Observation{}
	entries := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entries++; entries > most {
			return fmt.Errorf("more than %d files and folders", most)
		}
		m := observationName.FindStringSubmatch(slashpath.Base(name))
		if !d.Type().IsRegular() || m == nil {
			return nil
		}
		at, err := time.Parse("2006-01-02 15-04-05", m[1]+" "+cmp.Or(m[2], "00")+"-"+cmp.Or(m[3], "00")+"-"+cmp.Or(m[4], "00"))
		if err != nil {
			return nil // 2025-13-99 is no date, and the file no observation
		}
		dir := slashpath.Dir(name)
		folders[dir] = append(folders[dir], Observation{Path: name, At: at})
		return nil
	})
	return folders, err
}

// archiveReader reads observations.
type archiveReader struct {
	fsys   fs.FS
	bounds archiveBounds
	read   int64
}

// label is what tells wordings apart.
type label struct {
	print  [sha256.Size]byte
	stated time.Time
}

// sight is an observation with what it shows.
type sight struct {
	Observation
	label label
}

// run is a wording with the observations of it that follow each other.
type run struct {
	label   label
	seen    []Observation
	passing []Observation
}

func (u *run) first() *Observation { return &u.seen[0] }
func (u *run) last() time.Time     { return u.seen[len(u.seen)-1].At }

// agreement makes the versions of one folder.
func (r *archiveReader) agreement(list []Observation) ([]ArchivedVersion, error) {
	slices.SortFunc(list, func(a, b Observation) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Path, b.Path)) })
	sights := make([]sight, 0, len(list))
	for _, o := range list {
		text, err := r.text(&o)
		if err != nil {
			return nil, err
		}
		sights = append(sights, sight{o, labelOf(text)})
	}
	orderDays(sights)
	runs := joinFlips(sights)
	runs, err := r.joinMended(runs)
	if err != nil {
		return nil, err
	}
	out := make([]ArchivedVersion, 0, len(runs))
	for i, u := range runs {
		v := ArchivedVersion{First: *u.first(), Last: u.last(), Observations: len(u.seen), Passing: u.passing,
			Fingerprint: hex.EncodeToString(u.label.print[:])}
		v.Terms.Stated, v.Terms.FirstObserved = u.label.stated, u.first().At
		if i > 0 {
			v.Terms.LastBefore = runs[i-1].last()
		}
		out = append(out, v)
	}
	return out, nil
}

// text reads an observation, sets its digest, and gives its plain text. The
// errors hold no text.
func (r *archiveReader) text(o *Observation) ([]byte, error) {
	f, err := r.fsys.Open(o.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, r.bounds.text+1))
	switch r.read += int64(len(b)); {
	case err != nil:
		return nil, err
	case int64(len(b)) > r.bounds.text:
		return nil, fmt.Errorf("%s: more than %d bytes", slashpath.Base(o.Path), r.bounds.text)
	case r.read > r.bounds.total:
		return nil, fmt.Errorf("more than %d bytes of texts", r.bounds.total)
	}
	sum := sha256.Sum256(b)
	o.Digest = hex.EncodeToString(sum[:])
	return plainText(b), nil
}

// orderDays puts observations of one moment, mostly of a day, whose order the
// archive's names don't give, so that what was seen before comes first and what
// is seen next comes last.
func orderDays(s []sight) {
	for i := 0; i < len(s); {
		j := i + 1
		for j < len(s) && s[j].At.Equal(s[i].At) {
			j++
		}
		if j-i > 1 {
			place := func(x sight) int {
				switch {
				case i > 0 && x.label == s[i-1].label:
					return -1
				case j < len(s) && x.label == s[j].label:
					return 1
				}
				return 0
			}
			slices.SortStableFunc(s[i:j], func(a, b sight) int { return place(a) - place(b) })
		}
		i = j
	}
}

// joinFlips makes runs of observations, and lets a wording that comes back soon
// swallow what stood between.
func joinFlips(sights []sight) []run {
	var runs []run
	at := map[label]int{} // the run of a label, where it still stands
	for _, s := range sights {
		i, ok := at[s.label]
		if !ok || i >= len(runs) || runs[i].label != s.label || i < len(runs)-1 && s.At.Sub(runs[i].last()) > flipWindow {
			at[s.label] = len(runs)
			runs = append(runs, run{label: s.label, seen: []Observation{s.Observation}})
			continue
		}
		for _, u := range runs[i+1:] {
			runs[i].passing = append(append(runs[i].passing, u.seen...), u.passing...)
		}
		runs = runs[:i+1]
		runs[i].seen = append(runs[i].seen, s.Observation)
	}
	return runs
}

// joinMended gives a run of less than a day to the next where one of the two has
// all sentences of the other and both state the same date, or one none.
func (r *archiveReader) joinMended(runs []run) ([]run, error) {
	var out []run
	for i := range runs {
		u := &runs[i]
		mended := false
		if i+1 < len(runs) && runs[i+1].first().At.Sub(u.first().At) < 24*time.Hour {
			var err error
			if mended, err = r.mends(&runs[i+1], u); err != nil {
				return nil, err
			}
		}
		if mended {
			next := &runs[i+1]
			next.passing = slices.Concat(u.seen, u.passing, next.passing)
			continue
		}
		out = append(out, *u)
	}
	return out, nil
}

// mends reports whether next only has more or fewer sentences than u.
func (r *archiveReader) mends(next, u *run) (bool, error) {
	if a, b := u.label.stated, next.label.stated; !a.Equal(b) && !a.IsZero() && !b.IsZero() {
		return false, nil
	}
	a, err := r.text(u.first())
	if err != nil {
		return false, err
	}
	b, err := r.text(next.first())
	if err != nil {
		return false, err
	}
	x, y := sentences(a), sentences(b)
	return within(x, y) || within(y, x), nil
}

// within reports whether all of the sorted a are in the sorted b.
func within(a, b []uint64) bool {
	for _, x := range a {
		i, ok := slices.BinarySearch(b, x)
		if !ok {
			return false
		}
		b = b[i:]
	}
	return true
}

// maxMarkup is how long a link's target, an image's text or a tag may be.
const maxMarkup = 4096

// plainText takes the markup away that a change of layout or of a link's target
// changes: images, link targets, addresses, tags. A tag ends a line.
func plainText(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		c, rest := b[i], b[i:]
		n := 0 // bytes to leave out
		switch {
		case c == '\r' || c == '[':
			n = 1
		case c == '!' && bytes.HasPrefix(rest, []byte("![")):
			n = max(1, before(rest, ']'))
		case c == ']':
			if n = 1; bytes.HasPrefix(rest, []byte("](")) {
				n = max(1, 1+before(rest, ')'))
			}
		case c == '<':
			if n = before(rest, '>') + 1; n > 1 {
				out = append(out, '\n', '\n')
			}
		case c == 'h' && (bytes.HasPrefix(rest, []byte("http://")) || bytes.HasPrefix(rest, []byte("https://"))) || c == 'm' && bytes.HasPrefix(rest, []byte("mailto:")):
			if n = bytes.IndexAny(rest[:min(len(rest), maxMarkup)], " \t\n)>]|"); n < 0 {
				n = min(len(rest), maxMarkup)
			}
		}
		if n == 0 {
			out, n = append(out, c), 1
		}
		i += n
	}
	return out
}

// before is where end is, on the same line and not too far away, or -1.
func before(b []byte, end byte) int {
	b = b[:min(len(b), maxMarkup)]
	i := bytes.IndexByte(b, end)
	if i < 0 || bytes.IndexByte(b[:i], '\n') >= 0 {
		return -1
	}
	return i
}

// leastWords is how many words a sentence has to have to count: menus, headings,
// numbers and dates have fewer.
const leastWords = 6

// noise are sentences of the page around a text.
var noise = regexp.MustCompile(`^(?:(?:we|this (?:site|website)|our (?:site|website)) (?:and our partners )?uses? (?:optional |necessary |essential )?cookies\b|(?:accept|reject|manage|allow|decline) (?:all |optional |non essential )*cookies\b|.*\b(?:want to help translate|translate the missing messages|skip to (?:main )?content|your browser does not support|enable javascript)\b)`)

// sentences are the hashes of a plain text's sentences, sorted, each once. A
// sentence ends at its punctuation, at an empty line, a list's item, a cell.
func sentences(text []byte) []uint64 {
	var out []uint64
	h := fnv.New64a()
	words := 0
	start := []byte{} // the first words, for noise
	end := func() {
		if words >= leastWords && !noise.Match(start) {
			out = append(out, h.Sum64())
		}
		h.Reset()
		words, start = 0, start[:0]
	}
	var word []byte
	flush := func() {
		if len(word) == 0 {
			return
		}
		if words > 0 {
			h.Write([]byte{' '})
		}
		h.Write(word)
		if len(start)+len(word) < 256 {
			if words > 0 {
				start = append(start, ' ')
			}
			start = append(start, word...)
		}
		words++
		word = word[:0]
	}
	blank := true // nothing but white space on this line yet
	for i, c := range string(text) {
		switch {
		case unicode.IsLetter(c) || unicode.IsDigit(c):
			word = append(word, string(unicode.ToLower(c))...)
			blank = false
			continue
		case c == '\'' || c == '’' || c == '‘' || c == '\u00ad' || c == '\\' || c == '\u200b' || c == '\u200d' || c == '\ufeff' || unicode.Is(unicode.M, c):
			continue
		}
		flush()
		switch {
		case c == '\n':
			if blank || startsItem(text[i+1:]) {
				end()
			}
			blank = true
		case c == '|' || c == '!' || c == '?' || c == ';' || c == ':' || c == '.':
			end()
			blank = false
		case !unicode.IsSpace(c):
			blank = false
		}
	}
	flush()
	end()
	slices.Sort(out)
	return slices.Compact(out)
}

// startsItem reports whether a line begins an item of a list, a heading, a rule.
func startsItem(line []byte) bool {
	line = bytes.TrimLeft(line, " \t>")
	if len(line) == 0 {
		return true
	}
	switch line[0] {
	case '#', '-', '*', '+', '=', '|', '_':
		return true
	}
	if line[0] == '(' {
		line = line[1:]
	}
	end := bytes.IndexAny(line[:min(len(line), 6)], ".)")
	if end <= 0 {
		return false
	}
	n := strings.Trim(string(line[:end]), "0123456789")
	return n == "" || strings.Trim(strings.ToLower(n), "ivx") == "" || len(n) == 1
}

func labelOf(text []byte) label {
	h := sha256.New()
	l := label{stated: StatedDate(text)}
	if !l.stated.IsZero() {
		h.Write([]byte(l.stated.Format(time.DateOnly)))
	}
	var b [8]byte
	for _, s := range sentences(text) {
		binary.BigEndian.PutUint64(b[:], s)
		h.Write(b[:])
	}
	h.Sum(l.print[:0])
	return l
}

const (
	months   = `Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?`
	gap      = `[\s\x{a0}]+`
	dateForm = `(?:(?P<m>` + months + `)\.?` + gap + `(?P<d>\d{1,2})(?:st|nd|rd|th)?,?` + gap + `(?P<y>(?:19|20)\d\d)` +
		`|(?P<d2>\d{1,2})(?:st|nd|rd|th)?` + gap + `(?P<m2>` + months + `)\.?,?` + gap + `(?P<y2>(?:19|20)\d\d)|(?P<iso>(?:19|20)\d\d-\d\d-\d\d))(?:\D|$)`
	lineLink = `(?:` + gap + `(?:on|as of))?[\s\x{a0}:*_]*`
)

// stated is the date that a text gives itself, at the head of a line.
var stated = regexp.MustCompile(`(?i)^(?:(?:these (?:terms|policies)[^\n.]{0,60} )?(?:date of )?last` + gap + `(?:updated?|modified|modification|revised|revision)` +
	`|(?:effective|updated|revised|version|dated?)(?:` + gap + `date)?)` + lineLink + dateForm)

// StatedDate is the date that a text gives itself at the head of a line, such as
// "Last Updated: June 4, 2025" or "Effective 2020-03-10", at midnight UTC: the
// first that there is. It is zero where there is none.
func StatedDate(text []byte) time.Time {
	for len(text) > 0 {
		line := bytes.TrimLeftFunc(text[:min(len(text), 400)], func(c rune) bool { return c != '\n' && !unicode.IsLetter(c) && !unicode.IsDigit(c) })
		if len(line) > 0 && strings.IndexByte("dDeElLrRtTuUvV", line[0]) >= 0 {
			if m := stated.FindSubmatch(line); m != nil {
				return dateOf(stated, m)
			}
		}
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			break
		}
		text = text[i+1:]
	}
	return time.Time{}
}

// dateOf is the date in a match of dateForm, or zero where the calendar has none.
func dateOf(form *regexp.Regexp, m [][]byte) time.Time {
	group := func(names ...string) string {
		for _, n := range names {
			if g := m[form.SubexpIndex(n)]; len(g) > 0 {
				return string(g)
			}
		}
		return ""
	}
	if iso := group("iso"); iso != "" {
		t, _ := time.Parse(time.DateOnly, iso)
		return t
	}
	month := strings.ToLower(group("m", "m2"))
	t, _ := time.Parse("Jan 2 2006", strings.ToUpper(month[:1])+month[1:3]+" "+group("d", "d2")+" "+group("y", "y2"))
	return t
}

// agreementName is what a folder SERVICE/DOCUMENT is called.
func agreementName(dir string) string {
	service := slashpath.Base(slashpath.Dir(dir))
	name := slashpath.Base(dir)
	if service != "." && service != "/" {
		name = service + " " + name
	}
	return strings.ReplaceAll(name, "_", " ")
}

// nameVersions gives the versions of one agreement, in their order, their names
// and the periods in which they may have been in force.
func nameVersions(versions []ArchivedVersion, id provenance.SourceID, agreement string) {
	slug := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(agreement), "-"), "-")
	terms := make([]provenance.Terms, 0, len(versions))
	used := map[provenance.TermsID]int{}
	for i := range versions {
		t := &versions[i].Terms
		t.Source, t.Agreement = id, agreement
		seen := t.FirstObserved.Format(time.DateOnly)
		t.Title = agreement + ", first seen " + seen
		if !t.Stated.IsZero() {
			t.Title = agreement + " of " + t.Stated.Format(time.DateOnly) + ", first seen " + seen
		}
		name := provenance.TermsID(fmt.Sprintf("%s-%s-%s", id, slug, seen))
		if used[name]++; used[name] > 1 {
			name += provenance.TermsID(fmt.Sprintf("-%d", used[name]))
		}
		t.ID = name
		t.Rights = map[string]provenance.Right{}
		for _, r := range rights {
			t.Rights[r] = provenance.RightUnknown
		}
		terms = append(terms, *t)
	}
	effective(terms)
	for i := range versions {
		versions[i].Terms.Effective = terms[i].Effective
	}
}
