package formats

import "github.com/parquet-go/parquet-go"

// ParquetNames names the values of a Parquet file's rows as the leaves of the
// rows that Parts gives are named: messages[2].content. It is for one goroutine.
type ParquetNames struct {
	columns []column
	index   [maxLists]int
}

// NewParquetNames reads the columns of a file that Parts could read.
func NewParquetNames(f *parquet.File) *ParquetNames {
	return &ParquetNames{columns: rendered(f)}
}

// Text is the name of a value that is a leaf with text, or "". The values of a
// row come in its order.
func (n *ParquetNames) Text(v parquet.Value) string {
	c := &n.columns[v.Column()]
	if rep := v.RepetitionLevel(); rep == 0 {
		n.index = [maxLists]int{}
	} else {
		n.index[rep-1]++
		clear(n.index[rep:])
	}
	switch {
	case v.IsNull() || !c.text:
		return ""
	case c.levels > 0:
		return c.name(n.index[:])
	}
	return c.path.Name
}
