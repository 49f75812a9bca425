package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"custody/index"
	"custody/index/scan"
	"custody/provenance"
	"custody/provenance/policy"
	"custody/provenance/report"
	"custody/provenance/source"
)

// lifeGraph draws the graph of a trace: facts of a store, no text of a record.
type lifeGraph struct {
	g    provenance.Graph
	book *provenance.Book
	cat  *source.Catalogue
	asOf time.Time
}

// graphOf is the lives of a trace's records as one graph, in order.
func graphOf(v *index.View, records []scan.TracedRecord, asOf time.Time) provenance.Graph {
	x := lifeGraph{book: v.Book(), cat: catalogue(v), asOf: asOf}
	for i := range records {
		x.record(&records[i])
	}
	x.derivations()
	x.g.Sort()
	return x.g
}

// pageRecords is how many records a page tells of; the graph and the answer have
// all.
const pageRecords = 40

// lifePage is a trace as its page tells it. What was asked for is named by its
// kind alone, save an id: addresses have names of authors in them.
func (a *app) lifePage(v *index.View, f traceFlags, t scan.Trace, missing []string) report.Life {
	l := report.Life{More: t.More, NotFound: missing, Short: !t.Testable}
	switch {
	case f.id != "":
		l.Asked = "the record " + f.id
	case f.ids != "":
		l.Asked = "the records of a list"
	case f.url != "":
		l.Asked = "the record at an address"
	case f.author != "":
		l.Asked = "the records of an author"
	default:
		l.Asked = "the records that a text is or holds"
	}
	shown := t.Records
	if len(shown) > pageRecords {
		shown = shown[:pageRecords]
		l.More += int64(len(t.Records) - pageRecords)
	}
	for i := range shown {
		m := &shown[i].Match
		_, label := recordNode(&shown[i])
		r := report.LivedRecord{Name: label, Verdict: m.Verdict.String(), Score: m.Score, Training: m.Training, TrainingNow: m.TrainNow, Terms: deref(m.Terms, ""), TermsNow: deref(m.TermsNow, "")}
		if life := shown[i].Life; life != nil {
			r.Story = life.Story
		}
		l.Records = append(l.Records, r)
	}
	l.Graph = graphOf(v, shown, a.judged)
	return l
}

func nodeID(kind provenance.NodeKind, name string) provenance.NodeID {
	return provenance.NodeID{Kind: kind, Name: name}
}

// nodeFacts pairs names with values; empty values are left out.
func nodeFacts(pairs ...string) []provenance.NodeFact {
	var out []provenance.NodeFact
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, provenance.NodeFact{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return out
}

// recordNode is the id of a traced record in the graph: its versions are nodes
// of their own, the parts of one version are one.
func recordNode(r *scan.TracedRecord) (id provenance.NodeID, label string) {
	m := &r.Match
	label = m.Source + ":" + deref(m.Record, "(no id)")
	name := label
	switch {
	case m.Version != nil:
		name += "#" + *m.Version
	case m.Evidence.Digest != nil:
		name += "#" + *m.Evidence.Digest
	}
	return nodeID(provenance.NodeRecord, name), label
}

func (x *lifeGraph) record(r *scan.TracedRecord) {
	m := &r.Match
	id, label := recordNode(r)
	var right provenance.Right
	if err := right.UnmarshalText([]byte(m.Training)); err != nil {
		right = provenance.RightUnknown
	}
	record := x.g.Add(provenance.Node{NodeID: id, Label: label, Period: instant(m.CreatedAt), Right: right,
		Facts: nodeFacts("source", m.Source, "version", deref(m.Version, ""), "licence", deref(m.Licence, ""),
			"terms at the fetch", deref(m.Terms, ""), "terms now", deref(m.TermsNow, ""), "training now", m.TrainNow)})
	for i, f := range r.Fetches {
		x.fetch(record, m.Source, f, i == 0, m.FetchedAt)
	}
	now := policy.Judge(x.versions(m.Source), provenance.Period{}, x.asOf)
	for _, t := range now.TermsNow {
		x.g.Join(x.terms(t), provenance.ArcNow, record, time.Time{})
	}
	if r.Life != nil {
		x.life(record, r.Life)
	}
}

// instant is one time as a period.
func instant(t *time.Time) provenance.Period {
	if t == nil {
		return provenance.Period{}
	}
	return provenance.Period{From: *t, Until: *t}
}

func dated(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// fetch adds a fetch that brought the record, and who made it under which terms.
// The record's own time is sharper than that of its first fetch.
func (x *lifeGraph) fetch(record provenance.NodeID, src string, f scan.TracedFetch, first bool, own *time.Time) {
	facts := nodeFacts("endpoint", f.Endpoint, "purpose", f.Purpose, "licence", f.Licence, "file", f.File, "sha256", f.Digest, "on behalf of", f.OnBehalfOf)
	if !f.Known {
		facts = nodeFacts("known", "its fact is not in the store")
	}
	fetch := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeFetch, string(f.ID)), Label: shortFetch(f.ID), Period: f.Period, Facts: facts})
	period, at := f.Period, f.Period.From
	if first && own != nil {
		period, at = provenance.Period{From: *own, Until: own.Add(time.Second)}, *own
	}
	x.g.Join(fetch, provenance.ArcBrought, record, at)
	x.g.Join(x.source(src), provenance.ArcAnswered, fetch, time.Time{})
	if f.App != "" {
		x.g.Join(x.app(f.App), provenance.ArcMade, fetch, time.Time{})
	}
	if f.Credential != "" {
		c := x.book.Credentials.Value(string(f.Credential))
		id := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeCredential, string(f.Credential)), Period: provenance.Period{From: c.Issued, Until: c.Revoked},
			Facts: nodeFacts("kind", c.Kind)})
		x.g.Join(id, provenance.ArcMade, fetch, time.Time{})
	}
	if f.OnBehalfOf != "" {
		x.g.Join(x.organisation(f.OnBehalfOf), provenance.ArcMade, fetch, time.Time{})
	}
	if f.Known {
		for _, t := range policy.Judge(x.versions(src), period, x.asOf).Terms {
			x.g.Join(x.terms(t), provenance.ArcInForce, fetch, time.Time{})
		}
	}
}

// shortFetch is a fetch as people see it: its file would say less of when.
func shortFetch(id provenance.FetchID) string {
	s := string(id)
	if hex, ok := strings.CutPrefix(s, "fetch:"); ok && len(hex) > 8 {
		return "fetch:" + hex[:8] + "…"
	}
	return s
}

func (x *lifeGraph) versions(src string) []provenance.Terms {
	s, err := x.cat.Lookup(provenance.SourceID(src))
	if err != nil {
		return nil
	}
	return s.Terms
}

func (x *lifeGraph) source(id string) provenance.NodeID {
	n := provenance.Node{NodeID: nodeID(provenance.NodeSource, id)}
	if s, err := x.cat.Lookup(provenance.SourceID(id)); err == nil {
		n.Facts = nodeFacts("owner", s.Owner)
	}
	return x.g.Add(n)
}

func (x *lifeGraph) terms(id provenance.TermsID) provenance.NodeID {
	n := provenance.Node{NodeID: nodeID(provenance.NodeTerms, string(id))}
	if x.g.Has(n.NodeID) {
		return n.NodeID
	}
	for _, s := range x.cat.Sources() {
		for _, t := range s.Terms {
			if t.ID == id {
				n.Period, n.Right, n.Facts = t.Effective, t.Training(), nodeFacts("title", t.Title, "address", t.URL)
			}
		}
	}
	return x.g.Add(n)
}

func (x *lifeGraph) app(id provenance.AppID) provenance.NodeID {
	a := x.book.Apps.Value(string(id))
	app := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeApp, string(id)), Facts: nodeFacts("name", a.Name, "product", a.Product, "purpose", a.Purpose)})
	if a.Owner != "" {
		x.g.Join(x.organisation(a.Owner), provenance.ArcOwns, app, time.Time{})
	}
	return app
}

func (x *lifeGraph) organisation(id string) provenance.NodeID {
	o := x.book.Organisations.Value(id)
	return x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeOrganisation, id), Label: o.Name, Facts: nodeFacts("kind", string(o.Kind))})
}

// life adds what became of a record.
func (x *lifeGraph) life(record provenance.NodeID, l *scan.Life) {
	for _, p := range l.Found {
		field := deref(p.Field, "")
		place := fmt.Sprintf("%s:%d", p.File, p.Row)
		row := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeRow, p.Dataset+"!"+place+strings.TrimSuffix("#"+field, "#")), Label: place,
			Facts: nodeFacts("dataset", p.Dataset, "field", field)})
		x.g.Join(record, provenance.ArcFound, row, time.Time{})
		x.g.Join(row, provenance.ArcPart, x.dataset(p.Dataset), time.Time{})
	}
	for _, d := range l.Datasets {
		x.dataset(d)
	}
	for _, u := range l.Uses {
		use := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeUse, u.ID), Label: cmp.Or(u.Run, u.Product, u.ID), Period: u.Period,
			Facts: nodeFacts("kind", u.Kind, "product", u.Product, "run", u.Run, "purpose", u.Purpose)})
		x.g.Join(x.dataset(string(u.Dataset)), provenance.ArcUsed, use, u.Period.From)
		if u.Recipient != "" {
			x.g.Join(use, provenance.ArcReceived, x.organisation(u.Recipient), time.Time{})
		}
	}
	for _, h := range l.Holdings {
		id := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeHolding, h.ID), Label: h.Location, Period: h.Period, Facts: nodeFacts("what", h.What.String())})
		x.g.Join(record, provenance.ArcHeld, id, time.Time{})
	}
	for _, n := range l.Notices {
		due, at := "", time.Time{}
		if n.Due != nil {
			due = n.Due.UTC().Format(time.RFC3339)
		}
		if n.Received != nil {
			at = *n.Received
		}
		id := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeNotice, n.ID), Period: instant(n.Received), Facts: nodeFacts("kind", n.Kind, "due", due)})
		x.g.Join(record, provenance.ArcNotified, id, at)
	}
	for _, d := range l.Destructions {
		verified := "no"
		if d.Verified != nil {
			verified = cmp.Or(d.Verified.How, "yes")
		}
		id := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeDestruction, d.ID), Period: instant(dated(d.At)),
			Facts: nodeFacts("what", d.What.String(), "method", d.Method, "verified", verified)})
		x.g.Join(record, provenance.ArcDestroyed, id, d.At)
	}
	for _, h := range l.Holds {
		id := x.g.Add(provenance.Node{NodeID: nodeID(provenance.NodeHold, h.ID), Period: h.Period, Facts: nodeFacts("matter", h.Matter, "what", h.What.String())})
		x.g.Join(record, provenance.ArcKept, id, h.Period.From)
	}
}

func (x *lifeGraph) dataset(id string) provenance.NodeID {
	n := provenance.Node{NodeID: nodeID(provenance.NodeDataset, id)}
	if d, ok := x.book.Datasets.Get(id); ok {
		n.Period = instant(dated(d.Value.Made))
		if s := d.Value.Scan; s != nil {
			n.Facts = nodeFacts("scanned", s.At.UTC().Format(time.RFC3339), "gate", s.Gate)
		}
	}
	return x.g.Add(n)
}

// derivations joins the datasets of the graph that were made of each other.
func (x *lifeGraph) derivations() {
	join := func(in, out provenance.DatasetID, at time.Time) {
		from, to := nodeID(provenance.NodeDataset, string(in)), nodeID(provenance.NodeDataset, string(out))
		if in != out && x.g.Has(from) && x.g.Has(to) {
			x.g.Join(from, provenance.ArcDerived, to, at)
		}
	}
	how := map[[2]provenance.DatasetID]bool{} // a transformation says more than a parent
	for _, t := range x.book.Transformations.All() {
		for _, in := range t.Value.Inputs {
			how[[2]provenance.DatasetID{in, t.Value.Output}] = true
			join(in, t.Value.Output, t.Value.At)
		}
	}
	for _, d := range x.book.Datasets.All() {
		for _, p := range slices.Compact(slices.Sorted(slices.Values(d.Value.Parents))) {
			if !how[[2]provenance.DatasetID{p, d.Value.ID()}] {
				join(p, d.Value.ID(), d.Value.Made)
			}
		}
	}
}
