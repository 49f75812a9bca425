package policy

import (
	"fmt"
	"slices"
	"strings"

	"custody/provenance"
	"custody/provenance/corpus"
)

// nearScore is the least score at which partial and near fail the gate.
const nearScore = 0.5

// Tally counts matched rows as the default gate sees them. The zero value is
// empty. Tallies of parts of a corpus are joined with Merge, in any order.
type Tally struct {
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

// Add counts one match of a row. A row with several matches counts once: join
// them in a Tally of the row's own and Merge that.
func (t *Tally) Add(v corpus.Verdict, score float64, training provenance.Right, strong bool, source provenance.SourceID) {
	if v == corpus.None || v == corpus.Common {
		return
	}
	t.anything++
	switch {
	case training == provenance.RightAllowed:
		t.allowed++
	case v == corpus.Exact || v == corpus.Normalised || v == corpus.Quoted,
		(v == corpus.Partial || v == corpus.Near) && score >= nearScore,
		v == corpus.Signature && strong:
		if t.failing == nil {
			t.failing = map[failure]int64{}
		}
		t.failing[failure{source, training, v}] = 1
	case v == corpus.Signature:
		t.weak++
	default:
		t.lesser++
	}
}

// Row reduces the tally of one row's matches to what the row counts for: once a
// source, by its strongest verdict there.
func (t *Tally) Row() Tally {
	out := Tally{anything: min(t.anything, 1)}
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
	t.weak += o.weak
	t.lesser += o.lesser
	t.allowed += o.allowed
	t.anything += o.anything
}

// Gate is the default gate of the contract. It fails on exact, normalised and
// quoted, on partial and near with a score of at least 0.5, and on signatures of
// grade strong, where training is not allowed; a proven "no" stands whatever was
// not read. It is unknown where some input was unread or the scan incomplete,
// where no row was read, where nothing was there to compare against, and where
// the most there is are weak signatures. The reasons are sentences, the same for
// the same counts.
func Gate(t Tally, rows, unread, records int64, complete bool) (corpus.Gate, []string) {
	reasons := t.failures()
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
