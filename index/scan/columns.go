package scan

import (
	"slices"

	"custody/provenance/source"
)

// Columns says which columns of a table this scan looks at: those that are
// compared, those with the row's id, and those that can betray a source. Without
// Options.Text, and where none of its fields is there, the others with text count
// too, for the summary names them. What else a table holds changes no match.
func (o Options) Columns(names []string, text []bool) []bool {
	fields := o.Text
	if len(fields) == 0 {
		fields = source.TextFields
	}
	ids := rowIDs
	if o.RowID != "" {
		ids = []string{o.RowID}
	}
	all := len(o.Text) == 0 || !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(fields, n) })
	used := make([]bool, len(names))
	for i, n := range names {
		used[i] = all && text[i] || slices.Contains(fields, n) || slices.Contains(ids, n) || o.Catalogue != nil && o.Catalogue.Tells(n)
	}
	return used
}
