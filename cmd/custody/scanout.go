package main

import (
	"encoding/json"
	"errors"

	"custody/formats/export"
	"custody/index/scan"
	"custody/provenance/corpus"
	"custody/provenance/report"
)

// listed is how many matches a report lists.
const listed = 500

// scanOutput is where a scan's matches go: to the file that --matches names,
// and the strongest to the report.
type scanOutput struct {
	matches *export.MatchWriter
	unread  *wholeFile
	stored  *scan.MatchTable // nil: the scan is not kept
	report  string
	top     []corpus.Match
}

func newScanOutput(f scanFlags) (*scanOutput, error) {
	out := &scanOutput{report: f.report}
	var err error
	if f.matches != "" {
		if out.matches, err = export.NewMatchWriter(f.matches); err != nil {
			return nil, err
		}
	}
	if f.unread != "" {
		if out.unread, err = createWhole(f.unread); err != nil {
			out.abort()
			return nil, err
		}
	}
	return out, nil
}

func (o *scanOutput) match(m *corpus.Match) error {
	o.top = append(o.top, *m)
	if len(o.top) >= 4*listed {
		o.top = report.Strongest(o.top, listed)
	}
	if o.stored != nil {
		if err := o.stored.Add(m); err != nil {
			return err
		}
	}
	if o.matches == nil {
		return nil
	}
	return o.matches.Write(m)
}

func (o *scanOutput) unreadLine(u corpus.Unread) {
	if o.unread == nil {
		return
	}
	enc := json.NewEncoder(o.unread)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(u) // the writer keeps its first error for commit
}

func (o *scanOutput) strongest() []corpus.Match { return report.Strongest(o.top, listed) }

// finish gives the files their names.
func (o *scanOutput) finish(sum *corpus.Summary, top []corpus.Match, opt report.Options) error {
	if o.matches != nil {
		if err := o.matches.Close(); err != nil {
			return err
		}
	}
	if o.unread != nil {
		if err := o.unread.commit(); err != nil {
			return err
		}
	}
	if o.report == "" {
		return nil
	}
	page, err := createWhole(o.report)
	if err != nil {
		return err
	}
	if err := report.ScanHTML(page, sum, top, opt); err != nil {
		return errors.Join(err, page.abort())
	}
	return page.commit()
}

// abort drops what has no name yet; after finish it does nothing.
func (o *scanOutput) abort() {
	if o.matches != nil {
		_ = o.matches.Abort()
	}
	if o.unread != nil {
		_ = o.unread.abort()
	}
}
