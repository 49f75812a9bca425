package export

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

const (
	lineageSchema = "custody.lineage/1"
	readmeName    = "README.md"
	readmeMark    = "<!-- " + lineageSchema + " -->\n"
)

// tableOf is a table with the Go struct of its rows.
type tableOf struct {
	layout
	row reflect.Type
}

func table[R any](l layout) tableOf { return tableOf{l, reflect.TypeFor[R]()} }

var byKey = []string{"key"}

// tables are all of them, in the order of the contract.
var tables = []tableOf{
	table[organisationRow](layout{name: "organisations", about: "Parties: owners of apps and sources, recipients.", sorted: byKey, bloom: []string{"id", "fact_id"}}),
	table[sourceRow](layout{name: "sources", about: "APIs that content comes from, as declared.", sorted: byKey, bloom: []string{"id", "fact_id"}}),
	table[termsRow](layout{name: "terms", about: "Dated versions of the sources' agreements: declared, and those of the catalogue.", sorted: byKey, bloom: []string{"id", "fact_id"}}),
	table[acceptanceRow](layout{name: "acceptances", about: "Who accepted which version, for whom.", sorted: byKey, bloom: []string{"terms", "fact_id"}}),
	table[rateRuleRow](layout{name: "rate_rules", about: "Limits of the sources: so many calls in a window, counted by a scope.", sorted: byKey, bloom: []string{"fact_id"}}),
	table[appRow](layout{name: "apps", about: "Programs that call a source, each under one registration.", sorted: byKey, bloom: []string{"id", "fact_id"}}),
	table[credentialRow](layout{name: "credentials", about: "API credentials by their labels.", sorted: byKey, bloom: []string{"label", "fact_id"}}),
	table[fetchRow](layout{name: "fetches", about: "Batches of calls by one app with one credential.", sorted: byKey, bloom: []string{"id", "app", "credential", "fact_id"}}),
	table[callWindowRow](layout{name: "call_windows", about: "Calls of one credential on one endpoint in one stretch of time.", many: true,
		bloom: []string{"credential"}}),
	table[recordRow](layout{name: "records", about: "Items that sources returned, known by (source, record).", many: true, sorted: []string{"source", "record"},
		bloom: []string{"record"}}),
	table[recordVersionRow](layout{name: "record_versions", about: "The texts of a record over time, one row a part.", many: true,
		sorted: []string{"source", "record"}, bloom: []string{"record"}, plain: []string{"version"}}),
	table[recordFetchRow](layout{name: "record_fetches", about: "Which fetches brought which record, and the terms in force then.", many: true,
		sorted: []string{"source", "record"}, bloom: []string{"record", "fetch"}, plain: []string{"version"}}),
	table[datasetRow](layout{name: "datasets", about: "Named versions of corpora, and what their scans found.", sorted: byKey, bloom: []string{"id", "fact_id"}}),
	table[datasetFileRow](layout{name: "dataset_files", about: "The files of the datasets.", sorted: byKey, bloom: []string{"dataset", "sha256", "fact_id"}}),
	table[transformationRow](layout{name: "transformations", about: "How a dataset came from others.", sorted: byKey, bloom: []string{"id", "output", "fact_id"}}),
	table[lineageMatchRow](layout{name: "matches", about: "Rows of datasets that are records, or hold one.", many: true,
		bloom: []string{"record", "fetch"},
		plain: []string{"version", "field", "part", "verdict", "training", "training_now", "origin", "evidence.lane", "evidence.digest", "evidence.witnesses.list.element", "evidence.more"}}),
	table[useRow](layout{name: "uses", about: "Datasets used by products and training runs.", sorted: byKey, bloom: []string{"id", "dataset", "run", "fact_id"}}),
	table[holdingRow](layout{name: "holdings", about: "Where content is held.", sorted: byKey, bloom: []string{"id", "fact_id"}}),
	table[noticeRow](layout{name: "notices", about: "What sources asked for: to delete, protect or withhold records, or to take note of terms.", sorted: byKey,
		bloom: []string{"id", "fact_id"}}),
	table[destructionRow](layout{name: "destructions", about: "What was destroyed, when, how, by whom, and how that was checked.", sorted: byKey,
		bloom: []string{"id", "fact_id"}}),
	table[holdRow](layout{name: "holds", about: "Counsel's orders that something must not be destroyed.", sorted: byKey, bloom: []string{"id", "fact_id"}}),
	table[licenceRow](layout{name: "licences", about: "Licences as somebody asserts them.", sorted: byKey, bloom: []string{"fact_id"}}),
	table[optOutRow](layout{name: "opt_outs", about: "Reservations of rights that hosts publish.", sorted: byKey, bloom: []string{"fact_id"}}),
	table[coverageRow](layout{name: "coverage", about: "Whether the fetches of an app in a period are all recorded.", sorted: byKey, bloom: []string{"fact_id"}}),
	table[ledgerRow](layout{name: "ledger", about: "The entries of the tamper-evident log.", sorted: []string{"index"}, bloom: []string{"fact_id"}}),
}

func layoutOf(name string) *layout {
	i := slices.IndexFunc(tables, func(t tableOf) bool { return t.name == name })
	return &tables[i].layout
}

// files is where the table lies, as a pattern that readers take.
func (l *layout) files() string {
	if l.many {
		return l.name + "/*.parquet"
	}
	return l.name + ".parquet"
}

// readme describes the folder, its columns from the structs that wrote them.
func (x *lineage) readme() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("%s# Lineage\n\n", readmeMark)
	p("Written by %s", escape(x.in.Generator))
	if !x.in.AsOf.IsZero() {
		p(", as of %s", x.in.AsOf.UTC().Format(time.RFC3339))
	}
	p(", from a log of %d entries", x.end.Size)
	if !x.end.Recorded.IsZero() {
		p(" (the last recorded at %s)", x.end.Recorded.UTC().Format(time.RFC3339Nano))
	}
	p(".\n\n")
	if s := x.in.Since; s != nil {
		p("This is an **increment**: what was recorded after the log had %d entries, and the earlier rows that this replaced or took back.\n"+
			"In each table that has the column, first delete the rows whose `fact_id` is here too, then add these. `records`,\n"+
			"`record_versions` and `record_fetches` hold every row of the records that new fetches brought: replace by (`source`, `record`).\n"+
			"`ledger` only grows. The catalogue's terms are always all here.\n\n", s.Size)
	}
	p("Parquet, compressed with zstd. Times are UTC, in microseconds; periods are half open; null is \"not known\", never \"no\".\n" +
		"A fact is never edited, it is superseded: **`superseded_by is null` is what stands**, and only then are the ids below unique.\n" +
		"A row of `call_windows`, `dataset_files` or `matches` stands as long as the fact that it comes from.\n\n")
	p("DuckDB, in this folder:\n\n```sql\n")
	for _, t := range tables {
		p("create view %s as from '%s';\n", t.name, t.files())
	}
	p("```\n\n`row` and `fetch` are words of SQL: `m.\"row\"`, `m.fetch`.\nPandas, Polars, Arrow and Spark read the file or folder by its name.\n\n| table | rows | |\n|---|---:|---|\n")
	for _, t := range tables {
		p("| [%[1]s](#%[1]s) | %[2]d | %[3]s |\n", t.name, x.sizes[t.name].Rows, t.about)
	}
	for _, t := range tables {
		p("\n## %s\n\n%s File: `%s`.", t.name, t.about, t.files())
		if len(t.sorted) > 0 {
			p(" Sorted by `%s`.", strings.Join(t.sorted, "`, `"))
		}
		p(" Bloom filters: `%s`.\n\n| column | type | |\n|---|---|---|\n", strings.Join(t.bloom, "`, `"))
		for _, c := range columnsIn(t.row, "") {
			p("| `%s` | %s | %s |\n", c.name, c.kind, escape(c.doc))
		}
	}
	return b.String()
}

func schemaOf(row reflect.Type) *parquet.Schema {
	return parquet.SchemaOf(reflect.New(row).Interface())
}

// column is a column as README.md has it. A field of a struct, or of a list's
// structs, has its path for a name: what.source.
type column struct{ name, kind, doc string }

func columnsIn(row reflect.Type, prefix string) []column {
	docs, inner := map[string]string{}, map[string]reflect.Type{}
	describe(row, docs, inner)
	var out []column
	for _, c := range schemaOf(row).Fields() {
		kind := typeName(c)
		if c.Optional() {
			kind += ", null"
		}
		out = append(out, column{prefix + c.Name(), kind, docs[c.Name()]})
		if t := inner[c.Name()]; t != nil {
			for _, f := range columnsIn(t, prefix+c.Name()+".") {
				if f.doc != "" {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// describe notes the doc tags of a row's columns, those of embedded structs
// too, and the structs that its columns hold.
func describe(row reflect.Type, docs map[string]string, inner map[string]reflect.Type) {
	for i := range row.NumField() {
		f := row.Field(i)
		if f.Anonymous {
			describe(f.Type, docs, inner)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		docs[name] = f.Tag.Get("doc")
		t := f.Type
		if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() {
			inner[name] = t
		}
	}
}

func typeName(n parquet.Node) string {
	switch {
	case !n.Leaf() && n.Type().LogicalType() != nil && len(n.Fields()) == 1: // a LIST
		return "list of " + typeName(n.Fields()[0].Fields()[0])
	case !n.Leaf():
		var parts []string
		for _, f := range n.Fields() {
			parts = append(parts, f.Name()+" "+typeName(f))
		}
		return "struct {" + strings.Join(parts, ", ") + "}"
	}
	switch t := n.Type().String(); {
	case strings.HasPrefix(t, "TIMESTAMP"):
		return "timestamp"
	case strings.HasPrefix(t, "INT(64"):
		return "int64"
	default:
		return strings.ToLower(t)
	}
}

// escape keeps a text in its cell and its line.
func escape(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}

func split(path string) []string { return strings.Split(path, ".") }
