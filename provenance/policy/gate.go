package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"custody/provenance"
	"custody/provenance/corpus"
)

// nearScore is the least score at which partial and near fail the gate.
const nearScore = 0.5

// Finding is one match of a row, as a gate sees it.
type Finding struct {
	Verdict     corpus.Verdict
	Score       float64
	Strong      bool // of a signature: its grade
	Source      provenance.SourceID
	Training    provenance.Right
	TrainingNow provenance.Right
	Licence     string // SPDX expression; empty: unknown
	Terms       []provenance.TermsID
}

// Fails reports whether the default gate fails on the finding.
func (f *Finding) Fails() bool {
	if f.Training == provenance.RightAllowed {
		return false
	}
	switch f.Verdict {
	case corpus.Exact, corpus.Normalised, corpus.Quoted:
		return true
	case corpus.Partial, corpus.Near:
		return f.Score >= nearScore
	case corpus.Signature:
		return f.Strong
	}
	return false
}

// Tally counts matched rows as a gate sees them. The zero value is empty.
// Tallies of parts of a corpus are joined with Merge, in any order.
type Tally struct {
	ruled    map[int]ruled     // by the policy's rule
	failing  map[failure]int64 // rows that fail
	weak     int64             // rows with no more than a weak signature
	lesser   int64             // rows with a partial or near match below the gate's score
	allowed  int64             // rows whose terms allow training
	anything int64
}

// failure is one reason that a row fails for.
type failure struct {
	source  provenance.SourceID
	right   provenance.Right
	verdict corpus.Verdict
}

// ruled is what one rule of a policy decides.
type ruled struct{ rows, bytes int64 }

// Add counts one match of a row: the first rule of the policy that means it
// decides, and where none does, or p is nil, the default gate. A row with several
// matches counts once: join them in a Tally of the row's own and Merge its Row.
func (t *Tally) Add(p *Policy, f Finding) {
	if f.Verdict == corpus.None || f.Verdict == corpus.Common {
		return
	}
	t.anything++
	if i := p.decide(&f); i >= 0 {
		if t.ruled == nil {
			t.ruled = map[int]ruled{}
		}
		t.ruled[i] = ruled{rows: 1}
		return
	}
	switch {
	case f.Training == provenance.RightAllowed:
		t.allowed++
	case f.Fails():
		if t.failing == nil {
			t.failing = map[failure]int64{}
		}
		t.failing[failure{f.Source, f.Training, f.Verdict}] = 1
	case f.Verdict == corpus.Signature:
		t.weak++
	default:
		t.lesser++
	}
}

// FindingOf is a match row as a gate sees it.
func FindingOf(m *corpus.Match) Finding {
	f := Finding{Verdict: m.Verdict, Score: m.Score, Source: provenance.SourceID(m.Source), Strong: slices.Contains(m.Evidence.Witnesses, corpus.StrongWitness)}
	_ = f.Training.UnmarshalText([]byte(m.Training)) // unknown where it is no right
	_ = f.TrainingNow.UnmarshalText([]byte(m.TrainNow))
	if m.Licence != nil {
		f.Licence = *m.Licence
	}
	if m.Terms != nil {
		for s := range strings.SplitSeq(*m.Terms, " | ") {
			f.Terms = append(f.Terms, provenance.TermsID(s))
		}
	}
	return f
}

// Row reduces the tally of one row's matches to what the row counts for: once a
// source, by its strongest verdict there, and once a rule. bytes is the row's
// decoded size.
func (t *Tally) Row(bytes int64) Tally {
	out := Tally{anything: min(t.anything, 1)}
	for i := range t.ruled {
		if out.ruled == nil {
			out.ruled = map[int]ruled{}
		}
		out.ruled[i] = ruled{1, bytes}
	}
	best := map[provenance.SourceID]failure{}
	for f := range t.failing {
		if have, ok := best[f.source]; !ok || less(f, have) {
			best[f.source] = f
		}
	}
	if len(best) > 0 {
		out.failing = map[failure]int64{}
		for _, f := range best {
			out.failing[f] = 1
		}
		return out
	}
	out.weak, out.lesser, out.allowed = min(t.weak, 1), min(t.lesser, 1), min(t.allowed, 1)
	return out
}

// less orders failures: forbidden before unknown, then the stronger verdict.
func less(a, b failure) bool {
	if a.right != b.right {
		return a.right == provenance.RightForbidden
	}
	return a.verdict < b.verdict
}

// Merge adds the counts of o.
func (t *Tally) Merge(o Tally) {
	for f, n := range o.failing {
		if t.failing == nil {
			t.failing = map[failure]int64{}
		}
		t.failing[f] += n
	}
	for i, n := range o.ruled {
		if t.ruled == nil {
			t.ruled = map[int]ruled{}
		}
		have := t.ruled[i]
		t.ruled[i] = ruled{have.rows + n.rows, have.bytes + n.bytes}
	}
	t.weak += o.weak
	t.lesser += o.lesser
	t.allowed += o.allowed
	t.anything += o.anything
}

// Corpus is what a gate needs to know of the corpus as a whole.
type Corpus struct {
	Rows, Bytes int64 // read, decoded
	Unread      int64 // inputs
	Records     int64 // indexed, to compare against
	Complete    bool
	Sampled     bool // only some rows were scanned
}

// Gate is the gate of a policy, or, where p is nil, the default gate of the
// contract. It fails on exact, normalised and
// quoted, on partial and near with a score of at least 0.5, and on signatures of
// grade strong, where training is not allowed; a proven "no" stands whatever was
// not read. It is unknown where some input was unread or the scan incomplete,
// where no row was read, where nothing was there to compare against, and where
// the most there is are weak signatures. The reasons are sentences, the same for
// the same counts.
func Gate(p *Policy, t Tally, c Corpus) (corpus.Gate, []string) {
	rows, unread, records, complete := c.Rows, c.Unread, c.Records, c.Complete
	reasons := append(p.refusals(&t, c), t.failures()...)
	gate := corpus.GatePass
	if len(reasons) > 0 {
		gate = corpus.GateFail
	}
	unknown := func(format string, args ...any) {
		reasons = append(reasons, fmt.Sprintf(format, args...))
		if gate == corpus.GatePass {
			gate = corpus.GateUnknown
		}
	}
	reasons = append(reasons, p.remarks(&t, c)...)
	if p != nil && len(p.Rules) == 0 {
		unknown("the policy has no rule")
	}
	if c.Sampled {
		unknown("only a sample of the rows was scanned")
	}
	if !complete {
		unknown("the scan was interrupted")
	}
	if unread > 0 {
		unknown("%s could not be read", plural(unread, "input", "inputs"))
	}
	switch {
	case rows == 0:
		unknown("no row was read")
	case records == 0 && t.anything == 0:
		unknown("nothing is indexed to compare against, and no row is shaped like a known source")
	}
	if t.weak > 0 {
		unknown("%s weakly like a known source", plural(t.weak, "row is shaped", "rows are shaped"))
	}
	if t.lesser > 0 {
		reasons = append(reasons, fmt.Sprintf("%s less than half of a record: not enough to fail", plural(t.lesser, "row holds", "rows hold")))
	}
	if t.allowed > 0 {
		reasons = append(reasons, fmt.Sprintf("%s content whose terms allow training", plural(t.allowed, "row holds", "rows hold")))
	}
	if len(reasons) == 0 {
		reasons = append(reasons, "no row holds content of an indexed record, and none is shaped like a known source")
	}
	return gate, reasons
}

// failures says why the gate fails: a sentence a source and right.
func (t *Tally) failures() []string {
	type group struct {
		source provenance.SourceID
		right  provenance.Right
	}
	counts := map[group]map[corpus.Verdict]int64{}
	for f, n := range t.failing {
		g := group{f.source, f.right}
		if counts[g] == nil {
			counts[g] = map[corpus.Verdict]int64{}
		}
		counts[g][f.verdict] += n
	}
	groups := make([]group, 0, len(counts))
	for g := range counts {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b group) int {
		if c := strings.Compare(string(a.source), string(b.source)); c != 0 {
			return c
		}
		return int(b.right) - int(a.right)
	})
	out := []string{}
	for _, g := range groups {
		var total int64
		var parts []string
		for _, v := range corpus.Verdicts {
			if n := counts[g][v]; n > 0 {
				total += n
				parts = append(parts, fmt.Sprintf("%s %s", v, thousands(n)))
			}
		}
		says := "whose right to train is unknown"
		if g.right == provenance.RightForbidden {
			says = "whose terms forbid training"
		}
		out = append(out, fmt.Sprintf("%s content of %s, %s (%s)", plural(total, "row holds", "rows hold"), g.source, says, strings.Join(parts, ", ")))
	}
	return out
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// tallyJSON is a tally as a shard's result has it.
type tallyJSON struct {
	Failing  []failureJSON    `json:"failing,omitempty"`
	Ruled    map[int][2]int64 `json:"ruled,omitempty"` // rows, bytes
	Weak     int64            `json:"weak,omitempty"`
	Lesser   int64            `json:"lesser,omitempty"`
	Allowed  int64            `json:"allowed,omitempty"`
	Anything int64            `json:"anything,omitempty"`
}

type failureJSON struct {
	Source  provenance.SourceID `json:"source"`
	Right   provenance.Right    `json:"right"`
	Verdict corpus.Verdict      `json:"verdict"`
	Rows    int64               `json:"rows"`
}

// MarshalJSON writes the tally so that UnmarshalJSON reads it back.
func (t Tally) MarshalJSON() ([]byte, error) {
	out := tallyJSON{Weak: t.weak, Lesser: t.lesser, Allowed: t.allowed, Anything: t.anything}
	for f, n := range t.failing {
		out.Failing = append(out.Failing, failureJSON{f.source, f.right, f.verdict, n})
	}
	slices.SortFunc(out.Failing, func(a, b failureJSON) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Right, b.Right), cmp.Compare(a.Verdict, b.Verdict))
	})
	for i, n := range t.ruled {
		if out.Ruled == nil {
			out.Ruled = map[int][2]int64{}
		}
		out.Ruled[i] = [2]int64{n.rows, n.bytes}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Tally) UnmarshalJSON(b []byte) error {
	var in tallyJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*t = Tally{weak: in.Weak, lesser: in.Lesser, allowed: in.Allowed, anything: in.Anything}
	for _, f := range in.Failing {
		if t.failing == nil {
			t.failing = map[failure]int64{}
		}
		t.failing[failure{f.Source, f.Right, f.Verdict}] = f.Rows
	}
	for i, n := range in.Ruled {
		if t.ruled == nil {
			t.ruled = map[int]ruled{}
		}
		t.ruled[i] = ruled{n[0], n[1]}
	}
	return nil
}
