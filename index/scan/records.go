package scan

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"custody/index/fingerprint"
	"custody/index/segment"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/policy"
	"custody/provenance/source"
)

// maxRecords is how many records of one row are listed.
const maxRecords = 64

// recordInfo is a record as one text has it.
type recordInfo struct {
	key              recordKey
	n0               [16]byte
	version          [16]byte
	part             string
	created, fetched int64
	fetches          []string // sorted by time, then id
	rights           *rights
}

// textRecords are the records whose part is one text, and how many more there
// are: maxRecords of them by source and native id, or more where so many differ in
// their rights. None that is left out is judged otherwise than one that is there.
type textRecords struct {
	records []recordInfo
	more    int64
	symbols int
	voices  int // distinct authors and sources that say it, as far as three
}

// cachedTexts bounds the cache of a worker.
const cachedTexts = 4096

// records lists the records of a text, from all segments.
func (m *matcher) records(ref textRef) *textRecords {
	if tr, ok := m.texts[ref]; ok {
		return tr
	}
	seg := m.view.Segments[ref.seg]
	_, symbols := seg.Symbols(ref.text)
	c := recordCollector{m: m, byKey: map[recordKey]int{}, authors: map[uint64]bool{}, sources: map[string]bool{}}
	n2 := seg.N2(ref.text)
	c.text(seg, ref.text)
	key := binary.BigEndian.Uint64(n2)
	for si, s := range m.view.Segments { // the same text elsewhere, without postings
		run := s.Twins.Find(key)
		for i := range run.Len() {
			if t := run.Value(i); (textRef{si, t}) != ref && string(s.N2(t)) == string(n2) {
				c.text(s, t)
			}
		}
	}
	tr := &textRecords{records: c.list, symbols: int(symbols), voices: max(len(c.authors), len(c.sources))}
	slices.SortFunc(tr.records, func(a, b recordInfo) int {
		return cmp.Or(strings.Compare(a.key.source, b.key.source), strings.Compare(a.key.native, b.key.native))
	})
	for i := range tr.records {
		m.judge.record(m.view, &tr.records[i])
	}
	if n := len(tr.records); n > maxRecords {
		tr.records = representatives(tr.records)
		tr.more = int64(n - len(tr.records))
	}
	if len(m.texts) >= cachedTexts {
		clear(m.texts)
	}
	m.texts[ref] = tr
	return tr
}

// representatives are the first record of each source and judgement, and others in
// their order up to maxRecords.
func representatives(all []recordInfo) []recordInfo {
	type class struct {
		source, terms, termsNow, licence string
		training, now                    provenance.Right
	}
	seen := map[class]bool{}
	first := make([]bool, len(all))
	for i := range all {
		r := all[i].rights
		c := class{all[i].key.source, deref(r.terms), deref(r.termsNow), deref(r.licence), r.now.Training, r.now.TrainingNow}
		first[i], seen[c] = !seen[c], true
	}
	others := max(0, maxRecords-len(seen))
	var out []recordInfo
	for i := range all {
		if !first[i] {
			if others == 0 {
				continue
			}
			others--
		}
		out = append(out, all[i])
	}
	return out
}

// recordCollector joins the rows of a text by record.
type recordCollector struct {
	m       *matcher
	list    []recordInfo
	byKey   map[recordKey]int
	authors map[uint64]bool
	sources map[string]bool
}

func (c *recordCollector) text(s *segment.Segment, text uint32) {
	from, to := s.RowsOf(text)
	for row := from; row < to; row++ {
		v := s.Row(row)
		if v.Author != 0 && len(c.authors) < 3 {
			c.authors[v.Author] = true
		}
		c.sources[v.Source] = true
		key := recordKey{v.Source, string(v.Native)}
		i, ok := c.byKey[key]
		if !ok {
			i = len(c.list)
			c.byKey[key] = i
			c.list = append(c.list, recordInfo{key: key, n0: [16]byte(v.N0), version: v.Version, part: v.Part, created: v.Created, fetched: v.Fetched})
		}
		r := &c.list[i]
		if v.Fetched != 0 && (r.fetched == 0 || v.Fetched < r.fetched) {
			r.fetched = v.Fetched
		}
		s.Fetches(row, func(id string) {
			if !slices.Contains(r.fetches, id) {
				r.fetches = append(r.fetches, id)
			}
		})
	}
}

// commonShort makes a verdict common where the record is too short, or short
// and said by many.
func (tr *textRecords) commonShort(v corpus.Verdict) corpus.Verdict {
	if tr.symbols < fingerprint.MinShort || tr.symbols < 48 && tr.voices >= 3 {
		return corpus.Common
	}
	return v
}

// commonOr is commonShort for symbols [from, to) of the row, which are all of
// the record: what the background says counts too.
func (m *matcher) commonOr(v corpus.Verdict, tr *textRecords, from, to int) corpus.Verdict {
	if c := tr.commonShort(v); c == corpus.Common {
		return c
	}
	if m.inBackground(from, to) {
		return corpus.Common
	}
	return v
}

// addText adds one candidate a record of the text.
func (m *matcher) addText(tr *textRecords, c candidate) {
	for i := range tr.records {
		rec := &tr.records[i]
		c.key, c.rec, c.created, c.more = rec.key, rec, rec.created, tr.more
		m.add(c)
	}
}

// signatures adds what the row's shape and ids say.
func (m *matcher) signatures(row *corpus.Row) {
	if m.recognise == nil {
		return
	}
	m.recognise.Recognise(row, func(r source.Recognition) {
		c := candidate{key: recordKey{string(r.Source), r.Native}, verdict: corpus.Signature, to: -1, lane: "signature", strong: r.Strong}
		if !r.Created.IsZero() {
			c.created = r.Created.Unix()
		}
		if r.Strong {
			c.score = 1
			c.witnesses = append(c.witnesses, corpus.StrongWitness)
		}
		c.witnesses = append(c.witnesses, r.Witnesses...)
		m.add(c)
	})
}

// emit turns the row's candidates into match rows.
func (m *matcher) emit(row *corpus.Row, f *found) {
	cands := m.row.cands
	slices.SortFunc(cands, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.from, b.from), strings.Compare(a.key.source, b.key.source), strings.Compare(a.key.native, b.key.native))
	})
	rv := rowVerdict{verdict: corpus.Common, bytes: row.Bytes}
	var id *string
	for _, want := range m.rowID {
		for i := range row.Leaves {
			if l := &row.Leaves[i]; id == nil && l.Name == want && (l.Kind == corpus.String || l.Kind == corpus.Number) {
				v := strings.Clone(l.Text)
				id = &v
			}
		}
	}
	var more int64
	listed := 0
	for i := range cands {
		c := &cands[i]
		rv.verdict = min(rv.verdict, c.verdict)
		training := m.judge.signature(c)
		if c.rec != nil {
			training = c.rec.rights
		}
		rv.tally.Add(m.opt.Policy, policy.Finding{Verdict: c.verdict, Score: c.score, Strong: c.strong, Source: provenance.SourceID(c.key.source),
			Training: training.now.Training, TrainingNow: training.now.TrainingNow, Licence: deref(training.licence), Terms: training.now.Terms})
		if c.verdict != corpus.Common && !slices.Contains(rv.sources, c.key.source) {
			rv.sources = append(rv.sources, c.key.source)
		}
		more = max(more, c.more)
		if listed >= maxRecords && m.opt.Only == nil {
			continue
		}
		found := m.match(row, id, c, training)
		if m.opt.Only != nil && !m.opt.Only(&found) {
			continue
		}
		if listed++; listed <= maxRecords {
			f.matches = append(f.matches, found)
		}
	}
	if m.opt.Only == nil {
		listed = len(cands)
	}
	if listed > maxRecords {
		more += int64(listed - maxRecords)
	}
	if listed > 0 {
		f.matches[len(f.matches)-1].Evidence.More = more
	}
	f.verdicts = append(f.verdicts, rv)
}

func (m *matcher) match(row *corpus.Row, id *string, c *candidate, r *rights) corpus.Match {
	out := corpus.Match{Dataset: m.opt.Dataset, File: row.File, Row: row.Number, RowID: id, Verdict: c.verdict, Score: c.score,
		Source: c.key.source, Fetches: []string{}, Training: r.now.Training.String(), TrainNow: r.now.TrainingNow.String(),
		CreatedAt: timeOrNil(c.created), Evidence: corpus.Evidence{Lane: c.lane, Hits: c.hits, Witnesses: []string{}}}
	if c.key.native != "" {
		native := strings.Clone(c.key.native)
		out.Record = &native
	}
	if c.to >= 0 {
		field, from, to := strings.Clone(c.field), int64(c.from), int64(c.to)
		out.Field, out.SpanStart, out.SpanEnd = &field, &from, &to
		if m.opt.ShowText {
			out.Text = spanText(row, field, from, to)
		}
	}
	for _, w := range c.witnesses {
		if !slices.Contains(out.Evidence.Witnesses, w) {
			out.Evidence.Witnesses = append(out.Evidence.Witnesses, w)
		}
	}
	if c.hasDigest {
		d := hexString(c.digest[:])
		out.Evidence.Digest = &d
	}
	out.Terms, out.TermsNow = r.terms, r.termsNow
	if c.rec == nil {
		return out
	}
	version, part := hexString(c.rec.version[:]), c.rec.part
	out.Version, out.Part = &version, &part
	if len(c.rec.fetches) > 0 {
		out.Fetches = c.rec.fetches
		out.Fetch = &c.rec.fetches[0]
	}
	out.FetchedAt, out.WindowFrom, out.WindowTo, out.Licence = r.fetchedAt, r.from, r.until, r.licence
	return out
}

// shownBytes is how much of a matched span is shown.
const shownBytes = 600

func spanText(row *corpus.Row, field string, from, to int64) string {
	for i := range row.Leaves {
		l := &row.Leaves[i]
		if l.Name != field || to > int64(len(l.Text)) || from > to {
			continue
		}
		text := l.Text[from:to]
		if len(text) > shownBytes {
			text = text[:shownBytes] + "…"
		}
		return strings.ToValidUTF8(strings.Clone(text), "")
	}
	return ""
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func timeOrNil(unix int64) *time.Time {
	if unix == 0 {
		return nil
	}
	t := time.Unix(unix, 0).UTC()
	return &t
}

func hexString(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, x := range b {
		out = append(out, digits[x>>4], digits[x&15])
	}
	return string(out)
}

func recordHash(source, native string) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.WriteString(source)
	d.Write([]byte{0})
	d.WriteString(native)
	return d.Sum64()
}
