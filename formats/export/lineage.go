package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"custody/provenance"
	"custody/provenance/corpus"
)

// LineageInput is what a lineage is written from. Every iterator is read once
// and may be nil, which is: no rows.
type LineageInput struct {
	// Facts are all statements, in the order of kind, key and recorded time.
	Facts []provenance.Fact
	// Catalogue holds the versions of terms that custody brings, which no fact states.
	Catalogue []provenance.Terms
	// Sources are those that custody knows or the store has records of, which no fact
	// need state.
	Sources []provenance.SourceInfo
	// CallWindows are the windows of a batch, in the order that they shall have.
	CallWindows func(provenance.CallBatch) iter.Seq2[provenance.CallWindow, error]
	// Records come sorted by source, native id, version and part.
	Records iter.Seq2[RecordVersion, error]
	// Matches are the match rows of a dataset's scan, in the contract's order. A
	// match's slices, and what its pointers point to, must not be used again.
	Matches func(provenance.Dataset) iter.Seq2[corpus.Match, error]
	// NoticeRecords and DatasetFiles give the lists that lie beside their facts; nil:
	// those that the facts hold.
	NoticeRecords func(provenance.Notice) ([]string, error)
	DatasetFiles  func(provenance.Dataset) ([]provenance.DatasetFile, error)
	// Ledger holds the entries of the log, by their index.
	Ledger iter.Seq2[LedgerEntry, error]
	// Since leaves out what was recorded by then; nil: everything is written.
	Since *Checkpoint
	// Generator is the program and version that writes; AsOf is the day that
	// "now" is judged at. Both go into the files.
	Generator string
	AsOf      time.Time
}

// Checkpoint is a state of a store: its log's size, and when the last of it was
// recorded. A fact is after it when its entry has an index of Size or above, or
// it was recorded later than Recorded.
type Checkpoint struct {
	Size     int64     `json:"size"`
	Recorded time.Time `json:"recorded,omitzero"`
}

// RecordVersion is a text of a record: one part of one version.
type RecordVersion struct {
	Source      provenance.SourceID
	Native      string // the source's own id
	Version     string // digest over all parts
	Part        string // empty: the record is one text
	Created     time.Time
	Fetched     time.Time     // the earliest; zero: the earliest of Fetches
	Symbols     int64         // of the text as it is compared
	Fetches     []RecordFetch // that brought this version; may be used again when the next version is asked for
	Terms       provenance.TermsID
	TermsNow    provenance.TermsID
	Training    provenance.Right // as of the fetches, the most restrictive
	TrainingNow provenance.Right // under the terms in force at AsOf
	Licence     string
}

// RecordFetch is that a fetch brought a record, and what held for it then.
type RecordFetch struct {
	Fetch    provenance.FetchID
	At       time.Time
	Terms    provenance.TermsID
	Training provenance.Right
}

// LedgerEntry is one entry of the log.
type LedgerEntry struct {
	Index      int64
	Kind       string
	FactID     string // Fact.Statement of the fact committed to; empty where the entry is a batch's root
	Commitment string // hex
	Recorded   time.Time
}

// LineageSummary is what was written.
type LineageSummary struct {
	Tables     []TableSize `json:"tables"` // in the order of README.md
	Rows       int64       `json:"rows"`
	Bytes      int64       `json:"bytes"`
	Since      *Checkpoint `json:"since"`
	Checkpoint Checkpoint  `json:"checkpoint"` // what the next increment is since
}

// TableSize is one table of the lineage.
type TableSize struct {
	Name  string `json:"name"`
	Rows  int64  `json:"rows"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

// Lineage writes the tables of the lineage and a README.md of their columns
// into the folder dir: Parquet, one file a table, or a folder of files where a
// table has many rows. The folder is written beside dir and takes its name at
// the end; after an error dir is as it was. A dir that is a former export is
// replaced whole; one that holds anything else is an error before anything is
// read. Output depends on nothing but the input.
func Lineage(ctx context.Context, dir string, in LineageInput) (LineageSummary, error) {
	folder, err := beginFolder(dir)
	if err != nil {
		return LineageSummary{}, err
	}
	x := &lineage{ctx: ctx, in: &in, dir: folder.tmp, sizes: map[string]*TableSize{}, statements: map[int]string{}}
	if err := x.write(); err != nil {
		return LineageSummary{}, errors.Join(err, folder.abort())
	}
	if err := folder.commit(); err != nil {
		return LineageSummary{}, errors.Join(err, folder.abort())
	}
	return x.summary(), nil
}

// lineage is one export being written.
type lineage struct {
	ctx        context.Context
	in         *LineageInput
	dir        string
	sizes      map[string]*TableSize
	end        Checkpoint
	recent     map[string]bool // statements that the log has after Since
	statements map[int]string  // by place in Facts, as far as asked for
	successors []int           // place of the statement that replaced or took back each; -1: none
}

func (x *lineage) write() error {
	if err := checkOrder(x.in.Facts); err != nil {
		return err
	}
	var err error
	if x.successors, err = successors(x.in.Facts); err != nil {
		return err
	}
	if err := x.writeLedger(); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return writeFacts(x, "organisations", provenance.KindOrganisation, toOrganisation) },
		x.writeSources,
		x.writeTerms,
		func() error { return writeFacts(x, "acceptances", provenance.KindAcceptance, toAcceptance) },
		func() error { return writeFacts(x, "rate_rules", provenance.KindRateRule, toRateRule) },
		func() error { return writeFacts(x, "apps", provenance.KindApp, toApp) },
		func() error { return writeFacts(x, "credentials", provenance.KindCredential, toCredential) },
		func() error { return writeFacts(x, "fetches", provenance.KindFetch, toFetch) },
		x.writeCallWindows,
		x.writeRecords,
		func() error { return writeFacts(x, "datasets", provenance.KindDataset, toDataset) },
		x.writeDatasetFiles,
		func() error { return writeFacts(x, "transformations", provenance.KindTransformation, toTransformation) },
		x.writeMatches,
		func() error { return writeFacts(x, "uses", provenance.KindUse, toUse) },
		func() error { return writeFacts(x, "holdings", provenance.KindHolding, toHolding) },
		x.writeNotices,
		func() error { return writeFacts(x, "destructions", provenance.KindDestruction, toDestruction) },
		func() error { return writeFacts(x, "holds", provenance.KindHold, toHold) },
		func() error { return writeFacts(x, "licences", provenance.KindLicence, toLicence) },
		func() error { return writeFacts(x, "opt_outs", provenance.KindOptOut, toOptOut) },
		func() error { return writeFacts(x, "coverage", provenance.KindCoverage, toCoverage) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := x.measure(); err != nil {
		return err
	}
	return writeSynced(filepath.Join(x.dir, readmeName), x.readme())
}

// meta is what every file says of itself.
func (x *lineage) meta() map[string]string {
	m := map[string]string{"custody.schema": lineageSchema, "custody.generator": x.in.Generator}
	if !x.in.AsOf.IsZero() {
		m["custody.as_of"] = x.in.AsOf.UTC().Format(time.RFC3339)
	}
	return m
}

func checkOrder(facts []provenance.Fact) error {
	for i := 1; i < len(facts); i++ {
		a, b := &facts[i-1], &facts[i]
		if cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key), a.Recorded.Compare(b.Recorded)) > 0 {
			return fmt.Errorf("fact %s: not in the order of kind, key and recorded time", b.ID)
		}
	}
	return nil
}

// successors finds, for each fact, what ended it: the next statement of the
// same kind and key or the retraction that took it back, whichever came first.
func successors(facts []provenance.Fact) ([]int, error) {
	retractions := map[string][]int{} // by what they take back, in the order of time
	for i := range facts {
		if facts[i].Kind != provenance.KindRetraction {
			continue
		}
		r, err := body[provenance.Retraction](&facts[i])
		if err != nil {
			return nil, malformed(&facts[i])
		}
		retractions[r.ID] = append(retractions[r.ID], i)
	}
	out := make([]int, len(facts))
	for i := range facts {
		f := &facts[i]
		out[i] = -1
		if i+1 < len(facts) && facts[i+1].Kind == f.Kind && facts[i+1].Key == f.Key {
			out[i] = i + 1
		}
		if len(retractions) == 0 {
			continue
		}
		for _, id := range [...]string{f.ID, string(f.Kind) + ":" + f.Key} {
			for _, r := range retractions[id] {
				at := facts[r].Recorded
				if !at.Before(f.Recorded) && (out[i] < 0 || at.Before(facts[out[i]].Recorded)) {
					out[i] = r
				}
			}
		}
	}
	return out, nil
}

func malformed(f *provenance.Fact) error { return fmt.Errorf("fact %s: malformed %s", f.ID, f.Kind) }

// statement is the statement id of the fact at that place.
func (x *lineage) statement(i int) (string, error) {
	if s, ok := x.statements[i]; ok {
		return s, nil
	}
	s, err := x.in.Facts[i].Statement()
	if err == nil {
		x.statements[i] = s
	}
	return s, err
}

// after reports whether the fact at that place was recorded after Since.
func (x *lineage) after(i int) (bool, error) {
	since, f := x.in.Since, &x.in.Facts[i]
	if since == nil || f.Recorded.After(since.Recorded) {
		return true, nil
	}
	if len(x.recent) == 0 {
		return false, nil
	}
	s, err := x.statement(i)
	return x.recent[s], err
}

// each calls f with the facts of a kind that are to be written: those recorded
// after Since, and those that what was recorded after it ended.
func (x *lineage) each(kind provenance.Kind, f func(i int, c factColumns) error) error {
	for i := range x.in.Facts {
		if x.in.Facts[i].Kind != kind {
			continue
		}
		if i%1024 == 0 && x.ctx.Err() != nil {
			return context.Cause(x.ctx)
		}
		next := x.successors[i]
		take, err := x.after(i)
		if err == nil && !take && next >= 0 {
			take, err = x.after(next)
		}
		if err != nil {
			return err
		}
		if !take {
			continue
		}
		c, err := x.columns(i)
		if err != nil {
			return err
		}
		if err := f(i, c); err != nil {
			return err
		}
	}
	return nil
}

func (x *lineage) columns(i int) (factColumns, error) {
	id, err := x.statement(i)
	if err != nil {
		return factColumns{}, err
	}
	by := ""
	if next := x.successors[i]; next >= 0 {
		if by, err = x.statement(next); err != nil {
			return factColumns{}, err
		}
	}
	return columnsOf(&x.in.Facts[i], id, by), nil
}

// writeFacts writes a table that has one row a fact.
func writeFacts[V, R any](x *lineage, name string, kind provenance.Kind, row func(factColumns, string, V) R) error {
	return writeFew(x, name, func(add func(R) error) error {
		return x.each(kind, func(i int, c factColumns) error {
			f := &x.in.Facts[i]
			v, err := body[V](f)
			if err != nil {
				return malformed(f)
			}
			return add(row(c, f.Key, v))
		})
	})
}

func writeFew[R any](x *lineage, name string, fill func(add func(R) error) error) error {
	w, err := newFewRows[R](x.dir, layoutOf(name), x.meta())
	if err != nil {
		return err
	}
	err = w.close(fill(w.add))
	x.sizes[name] = &TableSize{Name: name, Rows: w.n}
	return err
}

func openMany[R any](x *lineage, name string) (*manyRows[R], error) {
	return newManyRows[R](x.ctx, x.dir, layoutOf(name), x.meta())
}

// writeSources writes the declared sources and those that are known, by key, as
// writeTerms does.
func (x *lineage) writeSources() error {
	declared := map[provenance.SourceID]int{}
	var rows []sourceRow
	err := x.each(provenance.KindSource, func(i int, c factColumns) error {
		f := &x.in.Facts[i]
		s, err := body[provenance.SourceInfo](f)
		if err != nil {
			return malformed(f)
		}
		rows = append(rows, toSource(c, f.Key, s))
		return nil
	})
	if err != nil {
		return err
	}
	for i := range x.in.Facts {
		if f := &x.in.Facts[i]; f.Kind == provenance.KindSource && x.successors[i] < 0 {
			s, err := body[provenance.SourceInfo](f)
			if err != nil {
				return malformed(f)
			}
			declared[s.ID] = i
		}
	}
	for _, s := range x.in.Sources {
		c := factColumns{FactID: "catalogue:" + string(s.ID), Origin: provenance.OriginImported.String()}
		if i, ok := declared[s.ID]; ok {
			by, err := x.statement(i)
			if err != nil {
				return err
			}
			c.SupersededBy = &by
		}
		rows = append(rows, toSource(c, string(s.ID), s))
	}
	sortStable(rows, func(r *sourceRow) string { return r.Key })
	return writeFew(x, "sources", func(add func(sourceRow) error) error {
		for _, r := range rows {
			if err := add(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeTerms writes the declared versions and those of the catalogue, by key. A
// catalogue's version that a declared one of its id replaces says so.
func (x *lineage) writeTerms() error {
	declared := map[provenance.TermsID]int{}
	var rows []termsRow
	for i := range x.in.Facts {
		if f := &x.in.Facts[i]; f.Kind == provenance.KindTerms && x.successors[i] < 0 {
			t, err := body[provenance.Terms](f)
			if err != nil {
				return malformed(f)
			}
			declared[t.ID] = i
		}
	}
	for _, t := range x.in.Catalogue {
		c := factColumns{FactID: "catalogue:" + string(t.ID), Origin: provenance.OriginImported.String(),
			ValidFrom: known(t.Effective.From), ValidUntil: known(t.Effective.Until)}
		if i, ok := declared[t.ID]; ok {
			by, err := x.statement(i)
			if err != nil {
				return err
			}
			c.SupersededBy = &by
		}
		rows = append(rows, toTerms(c, string(t.ID), t))
	}
	err := x.each(provenance.KindTerms, func(i int, c factColumns) error {
		f := &x.in.Facts[i]
		t, err := body[provenance.Terms](f)
		if err != nil {
			return malformed(f)
		}
		rows = append(rows, toTerms(c, f.Key, t))
		return nil
	})
	if err != nil {
		return err
	}
	sortStable(rows, func(r *termsRow) string { return r.Key })
	return writeFew(x, "terms", func(add func(termsRow) error) error {
		for _, r := range rows {
			if err := add(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *lineage) writeNotices() error {
	return writeFew(x, "notices", func(add func(noticeRow) error) error {
		return x.each(provenance.KindNotice, func(i int, c factColumns) error {
			f := &x.in.Facts[i]
			n, err := body[provenance.Notice](f)
			if err != nil {
				return malformed(f)
			}
			if n.Table != "" && x.in.NoticeRecords != nil {
				if n.Records, err = x.in.NoticeRecords(n); err != nil {
					return err
				}
			}
			return add(toNotice(c, f.Key, n))
		})
	})
}

func (x *lineage) writeDatasetFiles() error {
	return writeFew(x, "dataset_files", func(add func(datasetFileRow) error) error {
		return x.each(provenance.KindDataset, func(i int, c factColumns) error {
			f := &x.in.Facts[i]
			d, err := body[provenance.Dataset](f)
			if err != nil {
				return malformed(f)
			}
			if d.Table != "" && x.in.DatasetFiles != nil {
				if d.Files, err = x.in.DatasetFiles(d); err != nil {
					return err
				}
			}
			for _, file := range d.Files {
				if err := add(toDatasetFile(c, f.Key, d, file)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// writeLedger writes the log's new entries and notes which statements they are of.
func (x *lineage) writeLedger() error {
	since := x.in.Since
	if since != nil {
		x.recent = map[string]bool{}
		x.end = *since
	}
	for i := range x.in.Facts {
		x.recorded(x.in.Facts[i].Recorded)
	}
	return writeFew(x, "ledger", func(add func(ledgerRow) error) error {
		if x.in.Ledger == nil {
			return nil
		}
		last := int64(-1)
		for e, err := range x.in.Ledger {
			if err != nil {
				return err
			}
			if e.Index <= last {
				return fmt.Errorf("ledger: entry %d after %d", e.Index, last)
			}
			if last = e.Index; last%4096 == 0 && x.ctx.Err() != nil {
				return context.Cause(x.ctx)
			}
			x.end.Size = max(x.end.Size, last+1)
			x.recorded(e.Recorded)
			if since != nil && e.Index < since.Size {
				continue
			}
			if since != nil && e.FactID != "" {
				x.recent[e.FactID] = true
			}
			if err := add(ledgerRow{e.Index, e.Kind, some(e.FactID), e.Commitment, known(e.Recorded)}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *lineage) recorded(t time.Time) {
	if t.After(x.end.Recorded) {
		x.end.Recorded = t
	}
}

func (x *lineage) writeCallWindows() error {
	w, err := openMany[callWindowRow](x, "call_windows")
	if err != nil {
		return err
	}
	err = w.close(x.fillCallWindows(w))
	x.sizes["call_windows"] = &TableSize{Name: "call_windows", Rows: w.n}
	return err
}

func (x *lineage) fillCallWindows(w *manyRows[callWindowRow]) error {
	if x.in.CallWindows == nil {
		return nil
	}
	credentials := map[provenance.CredentialLabel]*provenance.Credential{}
	for i := range x.in.Facts {
		if f := &x.in.Facts[i]; f.Kind == provenance.KindCredential && x.successors[i] < 0 {
			c, err := body[provenance.Credential](f)
			if err != nil {
				return malformed(f)
			}
			credentials[c.Label] = &c
		}
	}
	var nobody provenance.Credential
	return x.each(provenance.KindCallBatch, func(i int, c factColumns) error {
		batch, err := body[provenance.CallBatch](&x.in.Facts[i])
		if err != nil {
			return malformed(&x.in.Facts[i])
		}
		many := manyFactColumns(c)
		for v, err := range x.in.CallWindows(batch) {
			if err != nil {
				return fmt.Errorf("call windows of %s: %w", batch.ID, err)
			}
			r := w.next()
			if r == nil {
				return nil
			}
			owner := credentials[v.Credential]
			if owner == nil {
				owner = &nobody
			}
			r.set(&v, batch.ID, owner, &many)
		}
		return nil
	})
}

func (x *lineage) writeMatches() error {
	w, err := openMany[lineageMatchRow](x, "matches")
	if err != nil {
		return err
	}
	err = w.close(x.fillMatches(w))
	x.sizes["matches"] = &TableSize{Name: "matches", Rows: w.n}
	return err
}

func (x *lineage) fillMatches(w *manyRows[lineageMatchRow]) error {
	if x.in.Matches == nil {
		return nil
	}
	return x.each(provenance.KindDataset, func(i int, c factColumns) error {
		d, err := body[provenance.Dataset](&x.in.Facts[i])
		if err != nil {
			return malformed(&x.in.Facts[i])
		}
		if d.Scan == nil {
			return nil
		}
		id, many := string(d.ID()), manyFactColumns(c)
		many.Origin = provenance.OriginInferred.String()
		for m, err := range x.in.Matches(d) {
			if err != nil {
				return fmt.Errorf("matches of %s: %w", id, err)
			}
			r := w.next()
			if r == nil {
				return nil
			}
			r.setMatch(&m, id, &many)
		}
		return nil
	})
}

// measure fills in what the files weigh.
func (x *lineage) measure() error {
	for _, t := range tables {
		size := x.sizes[t.name]
		paths := []string{filepath.Join(x.dir, t.name+".parquet")}
		if t.many {
			paths = paths[:0]
			entries, err := os.ReadDir(filepath.Join(x.dir, t.name))
			if err != nil {
				return err
			}
			for _, e := range entries {
				paths = append(paths, filepath.Join(x.dir, t.name, e.Name()))
			}
		}
		for _, p := range paths {
			info, err := os.Stat(p)
			if err != nil {
				return err
			}
			size.Files++
			size.Bytes += info.Size()
		}
	}
	return nil
}

func (x *lineage) summary() LineageSummary {
	s := LineageSummary{Since: x.in.Since, Checkpoint: x.end}
	for _, t := range tables {
		size := x.sizes[t.name]
		s.Tables = append(s.Tables, *size)
		s.Rows += size.Rows
		s.Bytes += size.Bytes
	}
	return s
}
