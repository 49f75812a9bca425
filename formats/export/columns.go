package export

import (
	"encoding/json"
	"time"

	"custody/provenance"
	"custody/provenance/corpus"
)

// The rows of the lineage tables. The parquet tags are the columns, the doc
// tags what README.md says of them. What may be null is a pointer: parquet-go
// 0.32 writes some zero values of plain optional fields as null and some as
// they are (a run of n values after n nulls ends the nulls of its 64 rows).
// In the tables of many rows the pointers go to what the row keeps, so that a
// row allocates nothing.

// factColumns say which statement a row comes from and whether it stands.
type factColumns struct {
	FactID       string     `parquet:"fact_id" doc:"the statement that the row comes from; upsert by it"`
	Origin       string     `parquet:"origin,dict" doc:"observed, imported, declared, inferred or unknown"`
	ValidFrom    *time.Time `parquet:"valid_from,optional,timestamp(microsecond)" doc:"since when it is so"`
	ValidUntil   *time.Time `parquet:"valid_until,optional,timestamp(microsecond)" doc:"until when it was so (excluded); null: still"`
	RecordedAt   *time.Time `parquet:"recorded_at,optional,timestamp(microsecond)" doc:"when the store learned it; null in the catalogue"`
	SupersededBy *string    `parquet:"superseded_by,optional" doc:"the statement that replaced it or took it back; null: it stands"`
}

// keyColumns open the tables of facts.
type keyColumns struct {
	Key string `parquet:"key" doc:"names the fact in all its statements; custody retracts by it"`
}

// manyFactColumns are factColumns for the tables of many rows a fact.
type manyFactColumns struct {
	FactID       string     `parquet:"fact_id,dict" doc:"the statement that the row comes from; upsert by it"`
	Origin       string     `parquet:"origin,dict" doc:"observed, imported, declared, inferred or unknown"`
	ValidFrom    *time.Time `parquet:"valid_from,optional,timestamp(microsecond)" doc:"since when it is so"`
	ValidUntil   *time.Time `parquet:"valid_until,optional,timestamp(microsecond)" doc:"until when it was so (excluded); null: still"`
	RecordedAt   *time.Time `parquet:"recorded_at,optional,timestamp(microsecond)" doc:"when the store learned it"`
	SupersededBy *string    `parquet:"superseded_by,optional,dict" doc:"the statement that replaced it or took it back; null: it stands"`
}

type selectorRow struct {
	Source      *string    `parquet:"source,optional" doc:"content of this source"`
	App         *string    `parquet:"app,optional" doc:"fetched by this app"`
	Dataset     *string    `parquet:"dataset,optional" doc:"in this dataset"`
	Fetch       *string    `parquet:"fetch,optional" doc:"brought by this fetch"`
	Records     []string   `parquet:"records,list" doc:"these native ids; empty: not limited to some"`
	PeriodFrom  *time.Time `parquet:"period_from,optional,timestamp(microsecond)" doc:"fetched since"`
	PeriodUntil *time.Time `parquet:"period_until,optional,timestamp(microsecond)" doc:"fetched before"`
}

func toSelector(s provenance.Selector) selectorRow {
	return selectorRow{some(s.Source), some(s.App), some(s.Dataset), some(s.Fetch), s.Records, known(s.Period.From), known(s.Period.Until)}
}

type organisationRow struct {
	keyColumns
	ID   string  `parquet:"id" doc:"joins apps.owner, sources.owner, acceptances.organisation, uses.recipient, fetches.on_behalf_of"`
	Name *string `parquet:"name,optional"`
	Kind *string `parquet:"kind,optional,dict" doc:"company, government, rightsholder or person"`
	factColumns
}

func toOrganisation(f factColumns, key string, o provenance.Organisation) organisationRow {
	return organisationRow{keyColumns{key}, o.ID, some(o.Name), some(o.Kind), f}
}

type sourceRow struct {
	keyColumns
	ID         string   `parquet:"id" doc:"the API that content comes from; every column named source joins it"`
	Name       *string  `parquet:"name,optional"`
	Owner      *string  `parquet:"owner,optional" doc:"organisations.id"`
	Hosts      []string `parquet:"hosts,list"`
	LimitScope *string  `parquet:"limit_scope,optional,dict" doc:"what its rate limits count by: app, user, client or ip"`
	factColumns
}

func toSource(f factColumns, key string, s provenance.SourceInfo) sourceRow {
	return sourceRow{keyColumns{key}, string(s.ID), some(s.Name), some(s.Owner), s.Hosts, some(s.LimitScope), f}
}

type termsRow struct {
	keyColumns
	ID             string      `parquet:"id" doc:"one dated version of a source's agreement; matches.terms and the like join it"`
	Source         string      `parquet:"source,dict" doc:"sources.id"`
	Title          *string     `parquet:"title,optional"`
	StatedAt       *time.Time  `parquet:"stated_at,optional,timestamp(microsecond)" doc:"the date that the text says of itself"`
	FirstObserved  *time.Time  `parquet:"first_observed_at,optional,timestamp(microsecond)" doc:"when an archive first saw it"`
	LastBefore     *time.Time  `parquet:"last_before_at,optional,timestamp(microsecond)" doc:"when an archive last saw the version before it"`
	EffectiveFrom  *time.Time  `parquet:"effective_from,optional,timestamp(microsecond)" doc:"in force since, as judged from the three or as declared"`
	EffectiveUntil *time.Time  `parquet:"effective_until,optional,timestamp(microsecond)" doc:"in force before; null: still"`
	URL            *string     `parquet:"url,optional"`
	Rights         rightsRow   `parquet:"rights" doc:"each allowed, forbidden, conditional, silent (read, and says nothing) or unknown (not read)"`
	Duties         []dutyRow   `parquet:"duties,list"`
	Limits         limitsRow   `parquet:"limits" doc:"each as the rights"`
	LimitScope     *string     `parquet:"limit_scope,optional,dict" doc:"app, user, client or ip"`
	Digest         *string     `parquet:"digest,optional" doc:"SHA-256 of the text, hex"`
	Clauses        []clauseRow `parquet:"clauses,list" doc:"the words that the rights were read from"`
	factColumns
}

type rightsRow struct {
	Training       string `parquet:"training,dict"`
	Redistribution string `parquet:"redistribution,dict"`
	Government     string `parquet:"government,dict"`
	Commercial     string `parquet:"commercial,dict"`
}

type limitsRow struct {
	Circumvention string `parquet:"circumvention,dict"`
	ExcessiveUse  string `parquet:"excessive_use,dict"`
	Pooling       string `parquet:"pooling,dict"`
}

type dutyRow struct {
	Duty  string `parquet:"duty,dict"`
	Value string `parquet:"value" doc:"such as 24h"`
}

type clauseRow struct {
	Right    string  `parquet:"right,dict"`
	Document string  `parquet:"document,dict"`
	Section  *string `parquet:"section,optional"`
	Digest   *string `parquet:"digest,optional" doc:"SHA-256 of the archived text, hex"`
	Quote    *string `parquet:"quote,optional"`
}

func toTerms(f factColumns, key string, t provenance.Terms) termsRow {
	r, l := t.Rights, t.Limits
	row := termsRow{keyColumns: keyColumns{key}, ID: string(t.ID), Source: string(t.Source), Title: some(t.Title), StatedAt: known(t.Stated),
		FirstObserved: known(t.FirstObserved), LastBefore: known(t.LastBefore), EffectiveFrom: known(t.Effective.From),
		EffectiveUntil: known(t.Effective.Until), URL: some(t.URL),
		Rights:     rightsRow{r["training"].String(), r["redistribution"].String(), r["government"].String(), r["commercial"].String()},
		Limits:     limitsRow{l["circumvention"].String(), l["excessive_use"].String(), l["pooling"].String()},
		LimitScope: some(t.LimitScope), Digest: some(t.Digest), factColumns: f}
	for _, k := range sortedKeys(t.Duties) {
		row.Duties = append(row.Duties, dutyRow{k, t.Duties[k]})
	}
	for _, c := range t.Clauses {
		row.Clauses = append(row.Clauses, clauseRow{c.Right, c.Document, some(c.Section), some(c.Digest), some(c.Quote)})
	}
	return row
}

type acceptanceRow struct {
	keyColumns
	Terms        string     `parquet:"terms" doc:"terms.id"`
	Organisation *string    `parquet:"organisation,optional" doc:"organisations.id"`
	App          *string    `parquet:"app,optional" doc:"apps.id"`
	AcceptedBy   *string    `parquet:"accepted_by,optional" doc:"a role"`
	AcceptedAt   *time.Time `parquet:"accepted_at,optional,timestamp(microsecond)"`
	factColumns
}

func toAcceptance(f factColumns, key string, a provenance.Acceptance) acceptanceRow {
	return acceptanceRow{keyColumns{key}, string(a.Terms), some(a.Organisation), some(a.App), some(a.By), known(a.At), f}
}

type rateRuleRow struct {
	keyColumns
	Source        string     `parquet:"source,dict" doc:"sources.id"`
	Endpoint      *string    `parquet:"endpoint,optional" doc:"null: every endpoint"`
	WindowSeconds int64      `parquet:"window_seconds"`
	LimitCalls    int64      `parquet:"limit_calls" doc:"calls in one window of one scope"`
	Scope         *string    `parquet:"scope,optional,dict" doc:"app, user, client or ip"`
	PeriodFrom    *time.Time `parquet:"period_from,optional,timestamp(microsecond)"`
	PeriodUntil   *time.Time `parquet:"period_until,optional,timestamp(microsecond)"`
	factColumns
}

func toRateRule(f factColumns, key string, r provenance.RateRule) rateRuleRow {
	return rateRuleRow{keyColumns{key}, string(r.Source), some(r.Endpoint), r.Window, r.Limit, some(r.Scope), known(r.Period.From), known(r.Period.Until), f}
}

type appRow struct {
	keyColumns
	ID           string           `parquet:"id" doc:"every column named app joins it"`
	Name         *string          `parquet:"name,optional"`
	Product      *string          `parquet:"product,optional"`
	Owner        *string          `parquet:"owner,optional" doc:"organisations.id"`
	Purpose      *string          `parquet:"purpose,optional"`
	DeclaredUses []declaredUseRow `parquet:"declared_uses,list" doc:"as told to the source"`
	factColumns
}

type declaredUseRow struct {
	DeclaredFrom *time.Time `parquet:"declared_from,optional,timestamp(microsecond)"`
	Purpose      *string    `parquet:"purpose,optional"`
	Approved     *bool      `parquet:"approved,optional"`
}

func toApp(f factColumns, key string, a provenance.App) appRow {
	row := appRow{keyColumns{key}, string(a.ID), some(a.Name), some(a.Product), some(a.Owner), some(a.Purpose), nil, f}
	for _, u := range a.Uses {
		row.DeclaredUses = append(row.DeclaredUses, declaredUseRow{known(u.From), some(u.Purpose), u.Approved})
	}
	return row
}

type credentialRow struct {
	keyColumns
	Label     string     `parquet:"label" doc:"every column named credential joins it"`
	App       *string    `parquet:"app,optional" doc:"apps.id"`
	Source    *string    `parquet:"source,optional,dict" doc:"sources.id"`
	Kind      *string    `parquet:"kind,optional,dict"`
	Account   *string    `parquet:"account,optional"`
	IssuedAt  *time.Time `parquet:"issued_at,optional,timestamp(microsecond)"`
	RevokedAt *time.Time `parquet:"revoked_at,optional,timestamp(microsecond)"`
	Hash      *string    `parquet:"hash,optional" doc:"HMAC-SHA-256 of the token under the store's key, hex; the token itself is kept nowhere"`
	factColumns
}

func toCredential(f factColumns, key string, c provenance.Credential) credentialRow {
	return credentialRow{keyColumns{key}, string(c.Label), some(c.App), some(c.Source), some(c.Kind), some(c.Account), known(c.Issued), known(c.Revoked), some(c.Hash), f}
}

type fetchRow struct {
	keyColumns
	ID          string     `parquet:"id" doc:"every column named fetch joins it"`
	Source      string     `parquet:"source,dict" doc:"sources.id"`
	App         *string    `parquet:"app,optional,dict" doc:"apps.id; null: undeclared"`
	Credential  *string    `parquet:"credential,optional,dict" doc:"credentials.label; null: undeclared"`
	Endpoint    *string    `parquet:"endpoint,optional,dict"`
	Purpose     *string    `parquet:"purpose,optional,dict"`
	Licence     *string    `parquet:"licence,optional,dict" doc:"SPDX expression, as given at ingest"`
	FetchedArg  *string    `parquet:"fetched_at_argument,optional" doc:"--fetched-at as given: a time or field:NAME"`
	PeriodFrom  *time.Time `parquet:"period_from,optional,timestamp(microsecond)" doc:"when the calls were made"`
	PeriodUntil *time.Time `parquet:"period_until,optional,timestamp(microsecond)"`
	File        *string    `parquet:"file,optional" doc:"base name of the file ingested"`
	Digest      *string    `parquet:"digest,optional" doc:"SHA-256 of that file, hex"`
	Rows        int64      `parquet:"rows"`
	Records     int64      `parquet:"records"`
	Calls       *int64     `parquet:"calls,optional" doc:"null: not counted"`
	Throttled   *int64     `parquet:"throttled,optional" doc:"calls answered with 429; null: not counted"`
	OnBehalfOf  *string    `parquet:"on_behalf_of,optional" doc:"organisations.id"`
	Generator   *string    `parquet:"generator,optional,dict" doc:"program that recorded it"`
	factColumns
}

func toFetch(f factColumns, key string, v provenance.Fetch) fetchRow {
	return fetchRow{keyColumns{key}, string(v.ID), string(v.Source), some(v.App), some(v.Credential), some(v.Endpoint), some(v.Purpose), some(v.Licence),
		some(v.FetchedAt), known(v.Period.From), known(v.Period.Until), some(v.File), some(v.Digest), v.Rows, v.Records, v.Calls, v.Throttled, some(v.OnBehalfOf),
		some(v.Generator), f}
}

type callWindowRow struct {
	Source     *string    `parquet:"source,optional,dict" doc:"sources.id, by the credential"`
	App        *string    `parquet:"app,optional,dict" doc:"apps.id, by the credential"`
	Credential string     `parquet:"credential" doc:"credentials.label"`
	Endpoint   *string    `parquet:"endpoint,optional,dict"`
	Start      int64      `parquet:"window_from,timestamp(microsecond)"`
	Until      int64      `parquet:"window_until,timestamp(microsecond)" doc:"not part of the window"`
	Seconds    int64      `parquet:"seconds"`
	Calls      int64      `parquet:"calls"`
	OK         int64      `parquet:"ok" doc:"answered with content"`
	Throttled  int64      `parquet:"throttled" doc:"answered with 429"`
	Limit      *int64     `parquet:"limit_calls,optional" doc:"of the scope's own window, as the headers said"`
	Remaining  *int64     `parquet:"remaining,optional" doc:"the least that the headers said"`
	Reset      *time.Time `parquet:"reset_at,optional,timestamp(microsecond)"`
	Records    *int64     `parquet:"records,optional"`
	Job        *string    `parquet:"job,optional,dict"`
	Batch      string     `parquet:"batch,dict" doc:"the file of windows that it came in"`
	manyFactColumns

	window provenance.CallWindow // what the pointers point to
}

func (r *callWindowRow) set(v *provenance.CallWindow, batch string, owner *provenance.Credential, f *manyFactColumns) {
	r.window = *v
	w := &r.window
	r.Source, r.App = notEmpty((*string)(&owner.Source)), notEmpty((*string)(&owner.App))
	r.Credential, r.Endpoint, r.Job, r.Batch = string(w.Credential), notEmpty(&w.Endpoint), notEmpty(&w.Job), batch
	r.Start, r.Until, r.Seconds, r.Reset = w.Start.UnixMicro(), w.Until().UnixMicro(), w.Seconds, notZero(&w.Reset)
	r.Calls, r.OK, r.Throttled = w.Calls, w.OK, w.Throttled
	for _, c := range [...]struct {
		value  *int64
		column **int64
	}{{&w.Limit, &r.Limit}, {&w.Remaining, &r.Remaining}, {&w.Records, &r.Records}} {
		if *c.value >= 0 {
			*c.column = c.value
		}
	}
	r.manyFactColumns = *f
}

type recordRow struct {
	Source      string     `parquet:"source,dict" doc:"sources.id"`
	Record      string     `parquet:"record" doc:"the source's own id; (source, record) names the record in every table"`
	CreatedAt   *time.Time `parquet:"created_at,optional,timestamp(microsecond)" doc:"as the source says"`
	FetchedAt   *time.Time `parquet:"fetched_at,optional,timestamp(microsecond)" doc:"the earliest fetch"`
	FetchedLast *time.Time `parquet:"fetched_last_at,optional,timestamp(microsecond)" doc:"the latest fetch"`
	Versions    int64      `parquet:"versions" doc:"distinct texts over time"`
	Fetches     int64      `parquet:"fetches"`
	Training    string     `parquet:"training,dict" doc:"allowed, forbidden or unknown as of the fetch, the most restrictive of its versions"`
	TrainingNow string     `parquet:"training_now,dict" doc:"the same under the terms in force at the export's day"`
	Licence     *string    `parquet:"licence,optional,dict" doc:"SPDX expression, of the version fetched last"`

	created, fetched, last time.Time // what the pointers point to
	licence                string
}

type recordVersionRow struct {
	Source      string     `parquet:"source,dict" doc:"sources.id"`
	Record      string     `parquet:"record"`
	Version     string     `parquet:"version" doc:"digest of the text, over all parts"`
	Part        *string    `parquet:"part,optional,dict" doc:"such as title or selftext, where a record has several texts"`
	CreatedAt   *time.Time `parquet:"created_at,optional,timestamp(microsecond)"`
	FetchedAt   *time.Time `parquet:"fetched_at,optional,timestamp(microsecond)" doc:"the earliest fetch of this version"`
	Symbols     int64      `parquet:"symbols" doc:"length of the text as compared"`
	Terms       *string    `parquet:"terms,optional,dict" doc:"terms.id in force at the fetch"`
	TermsNow    *string    `parquet:"terms_now,optional,dict" doc:"terms.id in force at the export's day"`
	Training    string     `parquet:"training,dict" doc:"allowed, forbidden or unknown as of the fetch"`
	TrainingNow string     `parquet:"training_now,dict"`
	Licence     *string    `parquet:"licence,optional,dict" doc:"SPDX expression"`

	version RecordVersion // what the pointers point to
}

func (r *recordVersionRow) set(v *RecordVersion) {
	r.version, r.version.Fetches = *v, nil
	v = &r.version
	r.Source, r.Record, r.Version, r.Part = string(v.Source), v.Native, v.Version, notEmpty(&v.Part)
	r.CreatedAt, r.FetchedAt, r.Symbols = notZero(&v.Created), notZero(&v.Fetched), v.Symbols
	r.Terms, r.TermsNow, r.Licence = notEmpty((*string)(&v.Terms)), notEmpty((*string)(&v.TermsNow)), notEmpty(&v.Licence)
	r.Training, r.TrainingNow = v.Training.String(), v.TrainingNow.String()
}

type recordFetchRow struct {
	Source    string     `parquet:"source,dict" doc:"sources.id"`
	Record    string     `parquet:"record"`
	Version   string     `parquet:"version"`
	Fetch     string     `parquet:"fetch" doc:"fetches.id"`
	FetchedAt *time.Time `parquet:"fetched_at,optional,timestamp(microsecond)"`
	Terms     *string    `parquet:"terms,optional,dict" doc:"terms.id in force at this fetch"`
	Training  string     `parquet:"training,dict" doc:"allowed, forbidden or unknown as of this fetch"`

	fetch RecordFetch // what the pointers point to
}

func (r *recordFetchRow) set(v *RecordVersion, f RecordFetch) {
	r.fetch = f
	r.Source, r.Record, r.Version, r.Fetch = string(v.Source), v.Native, v.Version, string(f.Fetch)
	r.FetchedAt, r.Terms, r.Training = notZero(&r.fetch.At), notEmpty((*string)(&r.fetch.Terms)), f.Training.String()
}

type datasetRow struct {
	keyColumns
	ID      string     `parquet:"id" doc:"name@version; every column named dataset joins it"`
	Name    string     `parquet:"name"`
	Version *string    `parquet:"version,optional"`
	Parents []string   `parquet:"parents,list" doc:"datasets.id"`
	MadeAt  *time.Time `parquet:"made_at,optional,timestamp(microsecond)"`
	Scan    *scanRow   `parquet:"scan,optional" doc:"null: custody has not read it"`
	factColumns
}

type scanRow struct {
	At        *time.Time      `parquet:"scanned_at,optional,timestamp(microsecond)"`
	AsOf      *time.Time      `parquet:"as_of,optional,timestamp(microsecond)" doc:"the day that the terms were judged at"`
	Store     int64           `parquet:"store_generation" doc:"of the store that it was read against"`
	Records   int64           `parquet:"records" doc:"in the store then"`
	Rows      int64           `parquet:"rows"`
	Matched   int64           `parquet:"matched_rows"`
	ByVerdict verdictsRow     `parquet:"by_verdict" doc:"rows by their strongest verdict"`
	BySource  []sourceRowsRow `parquet:"by_source,list"`
	Unread    int64           `parquet:"unread" doc:"inputs and rows that could not be read"`
	Gate      string          `parquet:"gate,dict" doc:"pass, fail or unknown"`
	Complete  bool            `parquet:"complete"`
	Generator *string         `parquet:"generator,optional"`
	Matches   int64           `parquet:"matches" doc:"rows of the table matches"`
	Root      *string         `parquet:"root,optional" doc:"RFC 6962 root over the match rows, hex"`
}

type verdictsRow struct {
	Exact      int64 `parquet:"exact"`
	Normalised int64 `parquet:"normalised"`
	Quoted     int64 `parquet:"quoted"`
	Partial    int64 `parquet:"partial"`
	Near       int64 `parquet:"near"`
	Signature  int64 `parquet:"signature"`
	Common     int64 `parquet:"common"`
}

type sourceRowsRow struct {
	Source string `parquet:"source"`
	Rows   int64  `parquet:"rows"`
}

func toDataset(f factColumns, key string, d provenance.Dataset) datasetRow {
	row := datasetRow{keyColumns: keyColumns{key}, ID: string(d.ID()), Name: d.Name, Version: some(d.Version), MadeAt: known(d.Made), factColumns: f}
	for _, p := range d.Parents {
		row.Parents = append(row.Parents, string(p))
	}
	if s := d.Scan; s != nil {
		v := s.ByVerdict
		row.Scan = &scanRow{At: known(s.At), AsOf: known(s.AsOf), Store: s.Store, Records: s.Records, Rows: s.Rows, Matched: s.Matched,
			ByVerdict: verdictsRow{v["exact"], v["normalised"], v["quoted"], v["partial"], v["near"], v["signature"], v["common"]},
			Unread:    s.Unread, Gate: s.Gate, Complete: s.Complete, Generator: some(s.Generator), Matches: s.Matches, Root: some(s.Root)}
		for _, k := range sortedKeys(s.BySource) {
			row.Scan.BySource = append(row.Scan.BySource, sourceRowsRow{k, s.BySource[k]})
		}
	}
	return row
}

type datasetFileRow struct {
	keyColumns
	Dataset string  `parquet:"dataset,dict" doc:"datasets.id"`
	Path    string  `parquet:"path"`
	SHA256  *string `parquet:"sha256,optional" doc:"hex"`
	Bytes   *int64  `parquet:"bytes,optional"`
	Rows    *int64  `parquet:"rows,optional"`
	factColumns
}

func toDatasetFile(f factColumns, key string, d provenance.Dataset, file provenance.DatasetFile) datasetFileRow {
	return datasetFileRow{keyColumns{key}, string(d.ID()), file.Path, some(file.SHA256), above(0, file.Bytes), above(0, file.Rows), f}
}

type transformationRow struct {
	keyColumns
	ID     string     `parquet:"id"`
	Inputs []string   `parquet:"inputs,list" doc:"datasets.id"`
	Output string     `parquet:"output" doc:"datasets.id"`
	Kind   *string    `parquet:"kind,optional,dict" doc:"filter, dedup, redact, translate, synthetic or other"`
	Code   *string    `parquet:"code,optional"`
	At     *time.Time `parquet:"made_at,optional,timestamp(microsecond)"`
	factColumns
}

func toTransformation(f factColumns, key string, t provenance.Transformation) transformationRow {
	row := transformationRow{keyColumns{key}, t.ID, nil, string(t.Output), some(t.Kind), some(t.Code), known(t.At), f}
	for _, in := range t.Inputs {
		row.Inputs = append(row.Inputs, string(in))
	}
	return row
}

// lineageMatchRow is a match row of the contract with the statement of the
// dataset that it was found in. TestLineageMatchColumns holds the two together.
type lineageMatchRow struct {
	Dataset    string              `parquet:"dataset,dict" doc:"datasets.id"`
	File       string              `parquet:"file,dict" doc:"dataset_files.path, where the dataset's files are declared"`
	Row        int64               `parquet:"row,delta" doc:"from 1"`
	RowID      *string             `parquet:"row_id,optional" doc:"the row's own id, where it has one"`
	Field      *string             `parquet:"field,optional,dict" doc:"path of the field in the row"`
	SpanStart  *int64              `parquet:"span_start,optional" doc:"UTF-8 bytes of the field's value, half open"`
	SpanEnd    *int64              `parquet:"span_end,optional"`
	Verdict    string              `parquet:"verdict,dict" doc:"exact, normalised, quoted, partial, near, signature or common (which never counts)"`
	Score      float64             `parquet:"score" doc:"share of the record that is covered; a lower bound"`
	Source     string              `parquet:"source,dict" doc:"sources.id"`
	Record     *string             `parquet:"record,optional" doc:"with source, names the record in the tables of records"`
	Version    *string             `parquet:"version,optional" doc:"record_versions.version"`
	Part       *string             `parquet:"part,optional,dict"`
	Fetch      *string             `parquet:"fetch,optional" doc:"fetches.id of the earliest fetch"`
	Fetches    []string            `parquet:"fetches,list,dict" doc:"fetches.id of all"`
	FetchedAt  *time.Time          `parquet:"fetched_at,optional,timestamp(microsecond)"`
	Terms      *string             `parquet:"terms,optional,dict" doc:"terms.id in force at the fetch"`
	TermsNow   *string             `parquet:"terms_now,optional,dict" doc:"terms.id in force on the scan's day"`
	Licence    *string             `parquet:"licence,optional,dict"`
	Training   string              `parquet:"training,dict" doc:"allowed, forbidden or unknown as of the fetch"`
	TrainNow   string              `parquet:"training_now,dict" doc:"the same on the scan's day"`
	CreatedAt  *time.Time          `parquet:"created_at,optional,timestamp(microsecond)" doc:"of the record, as the source says"`
	WindowFrom *time.Time          `parquet:"window_from,optional,timestamp(microsecond)"`
	WindowTo   *time.Time          `parquet:"window_until,optional,timestamp(microsecond)"`
	Evidence   lineageEvidenceCell `parquet:"evidence"`
	manyFactColumns
}

type lineageEvidenceCell struct {
	Lane      string   `parquet:"lane,dict" doc:"exact, short, winnow or signature"`
	Hits      int64    `parquet:"hits" doc:"fingerprints that agree"`
	Digest    *string  `parquet:"digest,optional" doc:"of the span, hex"`
	Witnesses []string `parquet:"witnesses,list,dict" doc:"what else agrees"`
	More      int64    `parquet:"more" doc:"further records of the row that are not listed"`
}

// setMatch fills a zeroed row. The row keeps the match's slices and what its
// pointers point to.
func (r *lineageMatchRow) setMatch(m *corpus.Match, dataset string, f *manyFactColumns) {
	r.Dataset, r.File, r.Row, r.RowID, r.Field, r.SpanStart, r.SpanEnd = dataset, m.File, m.Row, m.RowID, m.Field, m.SpanStart, m.SpanEnd
	r.Verdict, r.Score, r.Source, r.Record, r.Version, r.Part = m.Verdict.String(), m.Score, m.Source, m.Record, m.Version, m.Part
	r.Fetch, r.Fetches, r.FetchedAt, r.Terms, r.TermsNow = m.Fetch, m.Fetches, m.FetchedAt, m.Terms, m.TermsNow
	r.Licence, r.Training, r.TrainNow, r.CreatedAt, r.WindowFrom, r.WindowTo = m.Licence, m.Training, m.TrainNow, m.CreatedAt, m.WindowFrom, m.WindowTo
	e := &m.Evidence
	r.Evidence = lineageEvidenceCell{e.Lane, e.Hits, e.Digest, e.Witnesses, e.More}
	r.manyFactColumns = *f
}

type useRow struct {
	keyColumns
	ID          string     `parquet:"id"`
	Dataset     string     `parquet:"dataset" doc:"datasets.id"`
	Product     *string    `parquet:"product,optional"`
	Run         *string    `parquet:"run,optional" doc:"the training run"`
	Kind        *string    `parquet:"kind,optional,dict" doc:"training, evaluation, product, search or other"`
	Purpose     *string    `parquet:"purpose,optional"`
	PeriodFrom  *time.Time `parquet:"period_from,optional,timestamp(microsecond)"`
	PeriodUntil *time.Time `parquet:"period_until,optional,timestamp(microsecond)"`
	Recipient   *string    `parquet:"recipient,optional" doc:"organisations.id"`
	factColumns
}

func toUse(f factColumns, key string, u provenance.Use) useRow {
	return useRow{keyColumns{key}, u.ID, string(u.Dataset), some(u.Product), some(u.Run), some(u.Kind), some(u.Purpose), known(u.Period.From), known(u.Period.Until),
		some(u.Recipient), f}
}

type holdingRow struct {
	keyColumns
	ID          string      `parquet:"id"`
	What        selectorRow `parquet:"what" doc:"the content: all conditions that are given hold"`
	Location    *string     `parquet:"location,optional"`
	PeriodFrom  *time.Time  `parquet:"period_from,optional,timestamp(microsecond)"`
	PeriodUntil *time.Time  `parquet:"period_until,optional,timestamp(microsecond)" doc:"null: still held"`
	factColumns
}

func toHolding(f factColumns, key string, h provenance.Holding) holdingRow {
	return holdingRow{keyColumns{key}, h.ID, toSelector(h.What), some(h.Location), known(h.Period.From), known(h.Period.Until), f}
}

type noticeRow struct {
	keyColumns
	ID         string     `parquet:"id"`
	Source     string     `parquet:"source,dict" doc:"sources.id"`
	Records    []string   `parquet:"records,list" doc:"with source, names records; empty: not about single records"`
	Kind       *string    `parquet:"kind,optional,dict" doc:"delete, protect, withhold or terms"`
	ReceivedAt *time.Time `parquet:"received_at,optional,timestamp(microsecond)"`
	DueAt      *time.Time `parquet:"due_at,optional,timestamp(microsecond)"`
	factColumns
}

func toNotice(f factColumns, key string, n provenance.Notice) noticeRow {
	return noticeRow{keyColumns{key}, n.ID, string(n.Source), n.Records, some(n.Kind), known(n.Received), known(n.Due), f}
}

type destructionRow struct {
	keyColumns
	ID          string           `parquet:"id"`
	What        selectorRow      `parquet:"what" doc:"the content: all conditions that are given hold"`
	Destroyed   *int64           `parquet:"destroyed,optional" doc:"how many"`
	DestroyedAt *time.Time       `parquet:"destroyed_at,optional,timestamp(microsecond)"`
	DestroyedBy *string          `parquet:"destroyed_by,optional"`
	Method      *string          `parquet:"method,optional"`
	Verified    *verificationRow `parquet:"verified,optional" doc:"null: nobody made sure"`
	Exceptions  []string         `parquet:"exceptions,list" doc:"what was left, in words or ids"`
	Shredded    bool             `parquet:"shredded" doc:"the store dropped the source's key with it"`
	factColumns
}

type verificationRow struct {
	How        *string    `parquet:"how,optional"`
	VerifiedAt *time.Time `parquet:"verified_at,optional,timestamp(microsecond)"`
}

func toDestruction(f factColumns, key string, d provenance.Destruction) destructionRow {
	row := destructionRow{keyColumns{key}, d.ID, toSelector(d.What), d.Count, known(d.At), some(d.By), some(d.Method), nil, d.Except, d.Shredded, f}
	if v := d.Verified; v != nil {
		row.Verified = &verificationRow{some(v.How), known(v.At)}
	}
	return row
}

type holdRow struct {
	keyColumns
	ID          string      `parquet:"id"`
	Matter      *string     `parquet:"matter,optional"`
	What        selectorRow `parquet:"what" doc:"what must not be destroyed: all conditions that are given hold"`
	PeriodFrom  *time.Time  `parquet:"period_from,optional,timestamp(microsecond)"`
	PeriodUntil *time.Time  `parquet:"period_until,optional,timestamp(microsecond)" doc:"null: still in force"`
	factColumns
}

func toHold(f factColumns, key string, h provenance.Hold) holdRow {
	return holdRow{keyColumns{key}, h.ID, some(h.Matter), toSelector(h.What), known(h.Period.From), known(h.Period.Until), f}
}

type licenceRow struct {
	keyColumns
	What       selectorRow `parquet:"what" doc:"the content: all conditions that are given hold"`
	Kind       *string     `parquet:"kind,optional,dict" doc:"declared, detected or concluded"`
	Expression string      `parquet:"expression" doc:"SPDX expression, or the words as found"`
	Valid      bool        `parquet:"valid" doc:"the expression is an SPDX expression"`
	AssertedBy *string     `parquet:"asserted_by,optional"`
	Evidence   *string     `parquet:"evidence,optional" doc:"the file that says so"`
	factColumns
}

func toLicence(f factColumns, key string, l provenance.LicenceAssertion) licenceRow {
	return licenceRow{keyColumns{key}, toSelector(l.What), some(l.Kind), l.Expression, l.Valid, some(l.By), some(l.Evidence), f}
}

type optOutRow struct {
	keyColumns
	Host     string     `parquet:"host"`
	Protocol *string    `parquet:"protocol,optional,dict" doc:"robots, tdmrep, aipref and the like"`
	File     *string    `parquet:"file,optional" doc:"base name of the raw text"`
	Digest   *string    `parquet:"digest,optional" doc:"SHA-256 of the raw text, hex"`
	SeenAt   *time.Time `parquet:"seen_at,optional,timestamp(microsecond)"`
	factColumns
}

func toOptOut(f factColumns, key string, o provenance.OptOut) optOutRow {
	return optOutRow{keyColumns{key}, o.Host, some(o.Protocol), some(o.File), some(o.Digest), known(o.Seen), f}
}

type coverageRow struct {
	keyColumns
	App         *string    `parquet:"app,optional" doc:"apps.id"`
	Source      *string    `parquet:"source,optional,dict" doc:"sources.id"`
	PeriodFrom  *time.Time `parquet:"period_from,optional,timestamp(microsecond)"`
	PeriodUntil *time.Time `parquet:"period_until,optional,timestamp(microsecond)"`
	Known       string     `parquet:"known,dict" doc:"are all its fetches recorded: yes, no or part"`
	How         *string    `parquet:"how,optional"`
	factColumns
}

func toCoverage(f factColumns, key string, c provenance.Coverage) coverageRow {
	return coverageRow{keyColumns{key}, some(c.App), some(c.Source), known(c.Period.From), known(c.Period.Until), c.Known, some(c.How), f}
}

type ledgerRow struct {
	Index      int64      `parquet:"index,delta" doc:"place in the log, from 0"`
	Kind       string     `parquet:"kind,dict" doc:"of the fact, or of the batch"`
	FactID     *string    `parquet:"fact_id,optional" doc:"the statement that the entry commits to; the column fact_id of the other tables"`
	Commitment string     `parquet:"commitment" doc:"hex"`
	RecordedAt *time.Time `parquet:"recorded_at,optional,timestamp(microsecond)"`
}

// columnsOf are the fact columns of one statement.
func columnsOf(f *provenance.Fact, statement, supersededBy string) factColumns {
	return factColumns{statement, f.Origin.String(), known(f.Valid.From), known(f.Valid.Until), known(f.Recorded), some(supersededBy)}
}

// known is t, or nil where it is zero.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// above is v, or nil where it is not above the limit.
func above(limit, v int64) *int64 {
	if v <= limit {
		return nil
	}
	return &v
}

// some is s, or nil where it is empty.
func some[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	v := string(s)
	return &v
}

// notEmpty and notZero are the pointer, or nil where nothing is there. They
// are for the tables of many rows: nothing is copied.
func notEmpty(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

func notZero(t *time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return t
}

// body decodes what a fact states.
func body[V any](f *provenance.Fact) (V, error) {
	var v V
	err := json.Unmarshal(f.Body, &v)
	return v, err
}
