package index

import (
	"errors"
	"io"
	"iter"
	"time"

	"custody/index/segment"
	"custody/index/table"
	"custody/provenance"
)

// callColumns are the columns of a table of call windows. Times are Unix
// nanoseconds.
var callColumns = []table.Column{{Name: "credential", Kind: table.String}, {Name: "endpoint", Kind: table.String}, {Name: "start", Kind: table.Int},
	{Name: "seconds", Kind: table.Int}, {Name: "calls", Kind: table.Int}, {Name: "ok", Kind: table.Int}, {Name: "throttled", Kind: table.Int},
	{Name: "limit", Kind: table.Int}, {Name: "remaining", Kind: table.Int}, {Name: "reset", Kind: table.Int}, {Name: "records", Kind: table.Int},
	{Name: "job", Kind: table.String}, {Name: "counters", Kind: table.Int}} // tables of before have no counters

// WriteCalls writes call windows to a table file, in a working folder.
func WriteCalls(fsys segment.FS, path string, windows []provenance.CallWindow) (BuiltTable, error) {
	if fsys == nil {
		fsys = segment.OS
	}
	w, err := table.Create(fsys, path, callColumns)
	if err != nil {
		return BuiltTable{}, err
	}
	for i := range windows {
		c := &windows[i]
		w.String(0, string(c.Credential))
		w.String(1, c.Endpoint)
		w.Int(2, c.Start.UnixNano())
		for j, n := range []int64{c.Seconds, c.Calls, c.OK, c.Throttled, c.Limit, c.Remaining} {
			w.Int(3+j, n)
		}
		if c.Reset.IsZero() {
			w.Null(9)
		} else {
			w.Int(9, c.Reset.UnixNano())
		}
		w.Int(10, c.Records)
		w.String(11, c.Job)
		w.Int(12, c.Counters)
		if err := w.End(); err != nil {
			return BuiltTable{}, errors.Join(err, w.Abort())
		}
	}
	sealed, err := w.Close()
	return BuiltTable{sealed, path}, err
}

// CallWindows are the windows of a batch, in its order.
func (v *View) CallWindows(b provenance.CallBatch) iter.Seq2[provenance.CallWindow, error] {
	return func(yield func(provenance.CallWindow, error) bool) {
		r, err := v.Table(b.Table)
		if err != nil {
			yield(provenance.CallWindow{}, err)
			return
		}
		defer r.Close()
		for {
			n, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(provenance.CallWindow{}, err)
				return
			}
			for i := range n {
				c := provenance.CallWindow{Credential: provenance.CredentialLabel(r.String(0, i)), Endpoint: r.String(1, i), Start: time.Unix(0, r.Int(2, i)).UTC(),
					Seconds: r.Int(3, i), Calls: r.Int(4, i), OK: r.Int(5, i), Throttled: r.Int(6, i), Limit: r.Int(7, i), Remaining: r.Int(8, i),
					Records: r.Int(10, i), Job: r.String(11, i)}
				if r.Valid(9, i) {
					c.Reset = time.Unix(0, r.Int(9, i)).UTC()
				}
				if len(r.Columns) > 12 {
					c.Counters = r.Int(12, i)
				}
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// AllCallWindows are the windows of all batches that stand.
func (v *View) AllCallWindows() iter.Seq2[provenance.CallWindow, error] {
	return func(yield func(provenance.CallWindow, error) bool) {
		for _, b := range v.book.CallBatches.All() {
			for w, err := range v.CallWindows(b.Value) {
				if !yield(w, err) || err != nil {
					return
				}
			}
		}
	}
}

var (
	idColumns   = []table.Column{{Name: "id", Kind: table.String}}
	fileColumns = []table.Column{{Name: "path", Kind: table.String}, {Name: "sha256", Kind: table.String}, {Name: "bytes", Kind: table.Int}, {Name: "rows", Kind: table.Int}}
)

// WriteIDs writes a list of native ids to a table file.
func WriteIDs(fsys segment.FS, path string, ids []string) (BuiltTable, error) {
	return writeRows(fsys, path, idColumns, len(ids), func(w *table.Writer, i int) { w.String(0, ids[i]) })
}

// WriteFiles writes a list of dataset files to a table file.
func WriteFiles(fsys segment.FS, path string, files []provenance.DatasetFile) (BuiltTable, error) {
	return writeRows(fsys, path, fileColumns, len(files), func(w *table.Writer, i int) {
		w.String(0, files[i].Path)
		w.String(1, files[i].SHA256)
		w.Int(2, files[i].Bytes)
		w.Int(3, files[i].Rows)
	})
}

func writeRows(fsys segment.FS, path string, columns []table.Column, n int, row func(w *table.Writer, i int)) (BuiltTable, error) {
	if fsys == nil {
		fsys = segment.OS
	}
	w, err := table.Create(fsys, path, columns)
	if err != nil {
		return BuiltTable{}, err
	}
	for i := range n {
		row(w, i)
		if err := w.End(); err != nil {
			return BuiltTable{}, errors.Join(err, w.Abort())
		}
	}
	sealed, err := w.Close()
	return BuiltTable{sealed, path}, err
}

// NoticeRecords are the native ids that a notice is about.
func (v *View) NoticeRecords(n provenance.Notice) ([]string, error) {
	if n.Table == "" {
		return n.Records, nil
	}
	var ids []string
	err := v.rows(n.Table, func(r *table.Reader, i int) { ids = append(ids, r.String(0, i)) })
	return ids, err
}

// DatasetFiles are the files of a dataset.
func (v *View) DatasetFiles(d provenance.Dataset) ([]provenance.DatasetFile, error) {
	if d.Table == "" {
		return d.Files, nil
	}
	var files []provenance.DatasetFile
	err := v.rows(d.Table, func(r *table.Reader, i int) {
		files = append(files, provenance.DatasetFile{Path: r.String(0, i), SHA256: r.String(1, i), Bytes: r.Int(2, i), Rows: r.Int(3, i)})
	})
	return files, err
}

func (v *View) rows(name string, row func(r *table.Reader, i int)) error {
	r, err := v.Table(name)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		n, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range n {
			row(r, i)
		}
	}
}
