package export

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"custody/provenance"
	"custody/provenance/corpus"
)

// made is an invented lineage of any size. All of it follows from the numbers:
// the same ones make the same lineage.
type made struct {
	records int // at most 10,000,000
	matches int // of each of the two statements of corpus@1 and the one of corpus@2
	windows int
}

const madeFetches = 40

func day(s string) time.Time {
	t, err := provenance.ParseTime(s)
	if err != nil {
		panic(err)
	}
	return t
}

// madeSource is where record i comes from: a third from Reddit, which sorts first.
func (m made) source(i int) provenance.SourceID {
	if i < m.records/3 {
		return "reddit-api"
	}
	return "x-api"
}

func (made) native(i int) string { return fmt.Sprintf("15%016d", i*977) }

// fetchDay is when fetch i was made: one a month from 2021 on.
func fetchDay(i int) time.Time { return day("2021-01-01").AddDate(0, i, 0) }

func fetchOf(i int) provenance.Fetch {
	f := provenance.Fetch{Source: "x-api", App: "sender", Credential: provenance.CredentialLabel(fmt.Sprintf("sender-%d", 1+i%2)), Endpoint: "/2/tweets/search/recent",
		Digest: fmt.Sprintf("%064d", i), Period: provenance.Period{From: fetchDay(i), Until: fetchDay(i).Add(24 * time.Hour)}, File: fmt.Sprintf("%03d.jsonl", i), Rows: 100,
		Records: 100, Generator: "custody 1"}
	if i%4 == 0 {
		f.Source, f.App, f.Credential, f.Endpoint = "reddit-api", "trends", "trends-1", "/r/all/top"
		f.Calls = ptr(int64(7))
	}
	f.ID = f.ComputeID()
	return f
}

// fetchesOf are the fetches that brought record i: one, or for each tenth two.
func (m made) fetchesOf(i int) []int {
	pick := func(n int) int {
		n %= madeFetches / 4
		if m.source(i) == "reddit-api" {
			return 4 * n
		}
		return 4*n + 1 + i%3
	}
	if i%10 == 0 && pick(i) != pick(i+7) {
		out := []int{pick(i), pick(i + 7)}
		slices.Sort(out)
		return out
	}
	return []int{pick(i)}
}

// termsAt is the version in force, as the facts below have it.
func termsAt(s provenance.SourceID, t time.Time) (provenance.TermsID, provenance.Right) {
	for _, v := range append(madeTerms(), madeCatalogue()[1:]...) {
		if v.Source == s && v.Effective.Contains(t) {
			return v.ID, v.Training()
		}
	}
	return "", provenance.RightUnknown
}

func version(id, source, from, until string, training provenance.Right) provenance.Terms {
	t := provenance.Terms{ID: provenance.TermsID(id), Source: provenance.SourceID(source), Title: id, Effective: provenance.Period{From: day(from)},
		Rights: map[string]provenance.Right{"training": training}, Duties: map[string]string{"delete_within": "24h"},
		Limits: map[string]provenance.Right{"pooling": provenance.RightForbidden}, Clauses: []provenance.Clause{{Right: "training", Document: "agreement", Section: "II.A"}}}
	if until != "" {
		t.Effective.Until = day(until)
	}
	return t
}

func madeTerms() []provenance.Terms {
	return []provenance.Terms{
		version("x-2020", "x-api", "2020-01-01", "2023-04-01", provenance.RightAllowed),
		version("x-2023", "x-api", "2023-04-01", "", provenance.RightForbidden),
	}
}

// madeCatalogue has one version that a declared one replaces.
func madeCatalogue() []provenance.Terms {
	return []provenance.Terms{
		version("x-2020", "x-api", "2020-01-01", "2023-03-01", provenance.RightSilent),
		version("reddit-2019", "reddit-api", "2019-01-01", "2023-07-01", provenance.RightAllowed),
		version("reddit-2023", "reddit-api", "2023-07-01", "", provenance.RightAllowed),
	}
}

var (
	madeNow      = day("2024-06-01")
	madeRecorded = day("2024-05-01")
)

// version is the text of record i that its fetch number k brought.
func (m made) version(i, k int) RecordVersion {
	fetches := m.fetchesOf(i)
	if k >= 0 {
		fetches = fetches[k : k+1]
	}
	v := RecordVersion{Source: m.source(i), Native: m.native(i), Version: fmt.Sprintf("%032x", i*31+max(k, 0)), Symbols: int64(12 + i%200), Training: provenance.RightAllowed}
	for _, n := range fetches {
		at := fetchDay(n).Add(time.Duration(i%86400) * time.Second)
		terms, training := termsAt(v.Source, at)
		v.Fetches = append(v.Fetches, RecordFetch{fetchOf(n).ID, at, terms, training})
		v.Training = stricter(v.Training, training)
		if v.Fetched.IsZero() {
			v.Fetched, v.Terms = at, terms
		}
	}
	v.TermsNow, v.TrainingNow = termsAt(v.Source, madeNow)
	v.Created = v.Fetched.Add(-time.Hour)
	return v
}

// each yields the versions of all records: one, or one a fetch for each
// fiftieth, and two parts for each seventh of Reddit's.
func (m made) each(yield func(RecordVersion, error) bool) {
	for i := range m.records {
		versions := []RecordVersion{m.version(i, -1)}
		if i%50 == 0 && len(m.fetchesOf(i)) > 1 {
			versions = []RecordVersion{m.version(i, 0), m.version(i, 1)}
		}
		for _, v := range versions {
			if v.Source == "reddit-api" && i%7 == 0 {
				v.Part = "selftext"
				if !yield(v, nil) {
					return
				}
				v.Part = "title"
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// pool are the match rows of some records, to be dealt out again and again.
func (m made) pool(n int) []corpus.Match {
	out := make([]corpus.Match, 0, n)
	for j := range n {
		v := m.version(j*m.records/n, -1)
		x := corpus.Match{File: "part.jsonl", Field: ptr("text"), SpanStart: ptr(int64(j)), SpanEnd: ptr(int64(j + 80)), Verdict: corpus.Verdicts[j%len(corpus.Verdicts)],
			Score: 1, Source: string(v.Source), Record: ptr(v.Native), Version: ptr(v.Version), Fetch: ptr(string(v.Fetches[0].Fetch)),
			FetchedAt: ptr(v.Fetched), Terms: ptr(string(v.Terms)), TermsNow: ptr(string(v.TermsNow)), Training: v.Training.String(),
			TrainNow: v.TrainingNow.String(), CreatedAt: ptr(v.Created),
			Evidence: corpus.Evidence{Lane: "winnow", Hits: int64(j % 30), Digest: ptr(fmt.Sprintf("%064x", j)), Witnesses: []string{}}}
		for _, f := range v.Fetches {
			x.Fetches = append(x.Fetches, string(f.Fetch))
		}
		if x.Verdict >= corpus.Partial {
			x.Score = float64(j%100) / 100
		}
		if j%5 == 0 {
			x.RowID = ptr(fmt.Sprintf("row-%d", j))
		}
		if x.Verdict == corpus.Signature {
			x.SpanStart, x.SpanEnd, x.Evidence.Witnesses = nil, nil, []string{"native id"}
		}
		out = append(out, x)
	}
	return out
}

// matchesOf deals out match rows for a dataset: two rows of four for corpus@1,
// one row a match for corpus@2.
func (m made) matchesOf(pool []corpus.Match) func(provenance.Dataset) iter.Seq2[corpus.Match, error] {
	files := make([]string, 64)
	for i := range files {
		files[i] = fmt.Sprintf("train/part-%03d.jsonl", i)
	}
	return func(d provenance.Dataset) iter.Seq2[corpus.Match, error] {
		return func(yield func(corpus.Match, error) bool) {
			perFile := m.matches/len(files) + 1
			for i := range m.matches {
				x := &pool[i%len(pool)]
				row := *x
				row.Dataset, row.File, row.Row = d.Name, files[i/perFile], int64(i%perFile/2+1)
				if d.Version == "2" {
					row.Row = int64(i%perFile + 1)
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

func (m made) windowsOf(b provenance.CallBatch) iter.Seq2[provenance.CallWindow, error] {
	return func(yield func(provenance.CallWindow, error) bool) {
		for i := range m.windows {
			w := provenance.CallWindow{Credential: b.Credentials[i%len(b.Credentials)], Endpoint: "/2/tweets", Start: day("2022-01-01").Add(time.Duration(i) * time.Second),
				Seconds: 900, Calls: int64(i % 450), OK: int64(i % 400), Throttled: int64(i % 50), Limit: 450, Remaining: -1, Records: int64(i)}
			if !yield(w, nil) {
				return
			}
		}
	}
}

// deleted are the records that the notice asks to delete: destroyed, left,
// outside the source's destruction by time, and one of Reddit's.
func (m made) deleted() []string {
	return []string{m.native(m.records - 4), m.native(m.records - 3), m.native(m.records - 2), m.native(m.records - 1)}
}

// input is the whole lineage.
func (m made) input(t testing.TB) LineageInput {
	t.Helper()
	var facts []provenance.Fact
	at := madeRecorded
	state := func(kind provenance.Kind, key string, body any) provenance.Fact {
		f, err := provenance.NewFact(kind, key, provenance.OriginDeclared, provenance.Period{}, at, body)
		if err != nil {
			t.Fatal(err)
		}
		f.By = "counsel"
		facts = append(facts, f)
		return f
	}
	state(provenance.KindOrganisation, "acme", provenance.Organisation{ID: "acme", Name: "Acme", Kind: provenance.Company})
	state(provenance.KindOrganisation, "city", provenance.Organisation{ID: "city", Kind: provenance.Government})
	state(provenance.KindSource, "x-api", provenance.SourceInfo{ID: "x-api", Hosts: []string{"api.x.com", "api.twitter.com"}, LimitScope: provenance.ScopeApp})
	for _, v := range madeTerms() {
		state(provenance.KindTerms, string(v.ID), v)
	}
	state(provenance.KindAcceptance, "x-2020:sender", provenance.Acceptance{Terms: "x-2020", Organisation: "acme", App: "sender", By: "product", At: day("2020-02-01")})
	state(provenance.KindRateRule, "x-api:all", provenance.RateRule{Source: "x-api", Window: 900, Limit: 450, Scope: provenance.ScopeApp})
	state(provenance.KindApp, "sender", provenance.App{ID: "sender", Product: "Sender", Owner: "acme", Uses: []provenance.DeclaredUse{
		{From: day("2020-01-01"), Purpose: "publishing", Approved: ptr(true)}, {Purpose: "research"}}})
	state(provenance.KindApp, "trends", provenance.App{ID: "trends", Product: "Trends", Owner: "acme"})
	state(provenance.KindCredential, "sender-1", provenance.Credential{Label: "sender-1", App: "sender", Source: "x-api", Issued: day("2020-01-01")})
	state(provenance.KindCredential, "sender-2", provenance.Credential{Label: "sender-2", App: "sender", Source: "x-api", Revoked: day("2024-01-01")})
	state(provenance.KindCredential, "trends-1", provenance.Credential{Label: "trends-1", App: "trends", Source: "reddit-api"})
	for i := range madeFetches {
		f := fetchOf(i)
		state(provenance.KindFetch, string(f.ID), f)
	}
	state(provenance.KindCallBatch, "windows", provenance.CallBatch{ID: "batch:1", Windows: int64(m.windows), Credentials: []provenance.CredentialLabel{"sender-1", "sender-2"}})
	scan := &provenance.StoredScan{At: madeRecorded, AsOf: madeNow, Rows: 1000, Matched: 10, ByVerdict: map[string]int64{"exact": 4, "near": 6},
		BySource: map[string]int64{"x-api": 7, "reddit-api": 3}, Gate: "fail", Complete: true, Matches: int64(m.matches), Table: "m1"}
	files := []provenance.DatasetFile{{Path: "train/part-000.jsonl", SHA256: fmt.Sprintf("%064d", 1), Bytes: 10}, {Path: "train/part-001.jsonl"}}
	at = madeRecorded.Add(-time.Hour)
	state(provenance.KindDataset, "corpus@1", provenance.Dataset{Name: "corpus", Version: "1", Files: files[:1], Scan: scan})
	at = madeRecorded
	state(provenance.KindDataset, "corpus@1", provenance.Dataset{Name: "corpus", Version: "1", Files: files, Made: day("2023-01-01"), Scan: scan})
	state(provenance.KindDataset, "corpus@2", provenance.Dataset{Name: "corpus", Version: "2", Parents: []provenance.DatasetID{"corpus@1"}, Scan: scan})
	state(provenance.KindDataset, "mix", provenance.Dataset{Name: "mix", Parents: []provenance.DatasetID{"books"}})
	state(provenance.KindDataset, "books", provenance.Dataset{Name: "books"})
	state(provenance.KindTransformation, "mixing", provenance.Transformation{ID: "mixing", Inputs: []provenance.DatasetID{"corpus@2", "books"}, Output: "mix", Kind: "other"})
	state(provenance.KindUse, "train-1", provenance.Use{ID: "train-1", Dataset: "corpus@1", Run: "run-1", Kind: "training", Product: "Sender"})
	state(provenance.KindUse, "train-2", provenance.Use{ID: "train-2", Dataset: "mix", Run: "run-2", Kind: "training", Recipient: "city"})
	state(provenance.KindUse, "train-3", provenance.Use{ID: "train-3", Dataset: "books", Run: "run-3", Kind: "training"})
	state(provenance.KindUse, "eval-1", provenance.Use{ID: "eval-1", Dataset: "corpus@1", Run: "run-4", Kind: "evaluation"})
	state(provenance.KindHolding, "lake", provenance.Holding{ID: "lake", What: provenance.Selector{Source: "x-api"}, Location: "data lake"})
	gone := m.deleted()
	state(provenance.KindNotice, "notice-1", provenance.Notice{ID: "notice-1", Source: "x-api", Records: gone, Kind: "delete", Received: day("2024-03-01"), Due: day("2024-04-01")})
	state(provenance.KindNotice, "notice-2", provenance.Notice{ID: "notice-2", Source: "x-api", Kind: "terms", Received: day("2023-03-01")})
	at = madeRecorded
	state(provenance.KindDestruction, "d-1", provenance.Destruction{ID: "d-1", What: provenance.Selector{Source: "x-api", Records: gone[:2]}, At: day("2024-03-15"),
		Count: ptr(int64(1)), By: "storage team", Method: "crypto-shred", Verified: &provenance.Verification{How: "re-scan", At: day("2024-03-16")}, Except: gone[1:2]})
	state(provenance.KindDestruction, "d-2", provenance.Destruction{ID: "d-2", What: provenance.Selector{Source: "x-api", Records: gone[3:]}, At: day("2024-02-01")}) // before the notice
	state(provenance.KindDestruction, "d-3", provenance.Destruction{ID: "d-3", What: provenance.Selector{Source: "x-api", Records: gone[2:3]}, At: day("2024-03-20")})
	state(provenance.KindHold, "case", provenance.Hold{ID: "case", Matter: "letter of May", What: provenance.Selector{Source: "x-api"}, Period: provenance.Period{From: day("2023-05-01")}})
	state(provenance.KindLicence, "l-1", provenance.LicenceAssertion{What: provenance.Selector{Source: "reddit-api"}, Kind: provenance.LicenceConcluded, Expression: "CC-BY-4.0", Valid: true})
	state(provenance.KindOptOut, "example.org", provenance.OptOut{Host: "example.org", Protocol: "robots", Seen: day("2023-01-01")})
	state(provenance.KindCoverage, "sender:x-api", provenance.Coverage{App: "sender", Source: "x-api", Period: provenance.Period{From: day("2021-01-01")}, Known: "part", How: "logs"})
	at = madeRecorded.Add(time.Hour)
	state(provenance.KindRetraction, "destruction:d-3", provenance.Retraction{ID: "destruction:d-3", Why: "a mistake"})
	sortFacts(facts)
	return LineageInput{Facts: facts, Catalogue: madeCatalogue(), CallWindows: m.windowsOf, Records: m.each, Matches: m.matchesOf(m.pool(min(m.records, 8192))),
		Ledger: madeLedger(t, facts), Generator: "custody test", AsOf: madeNow}
}

func sortFacts(facts []provenance.Fact) {
	slices.SortStableFunc(facts, func(a, b provenance.Fact) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key), a.Recorded.Compare(b.Recorded))
	})
}

// madeLedger logs the facts in the order that they were recorded in.
func madeLedger(t testing.TB, facts []provenance.Fact) iter.Seq2[LedgerEntry, error] {
	facts = slices.Clone(facts)
	slices.SortStableFunc(facts, func(a, b provenance.Fact) int { return a.Recorded.Compare(b.Recorded) })
	return func(yield func(LedgerEntry, error) bool) {
		for i, f := range facts {
			digest, err := f.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if !yield(LedgerEntry{int64(i), string(f.Kind), string(f.Kind) + ":" + digest[:32], digest, f.Recorded}, nil) {
				return
			}
		}
	}
}
