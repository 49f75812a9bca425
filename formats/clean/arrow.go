package clean

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"custody/formats"
)

// arrow writes an Arrow file or stream without what goes: the same schema with
// its metadata, compression, and batches; a batch of which nothing is left is not
// there. A dictionary of texts loses the values that only rows that go had, so it
// is read twice; all else streams, a batch at a time.
func (w *writer) arrow(ctx context.Context, f *filePlan, raw *formats.Raw, dst io.Writer, r *FileReceipt) error {
	var dictionaries map[string]*dictionary
	a, err := raw.Arrow()
	if err != nil {
		return errChanged // it was read before
	}
	defer a.Close()
	if why := unwritable(a.Schema()); why != "" {
		return &NoWriterError{f.file.Path, "Arrow with " + why}
	}
	if hasTextDictionary(a.Schema()) {
		first, err := f.file.OpenRaw(ctx, io.Discard)
		if err != nil {
			return err
		}
		defer first.Close()
		b, err := first.Arrow()
		if err != nil {
			return errChanged
		}
		defer b.Close()
		e := &arrowEditor{mask: w.opt.Mask, collect: map[string]*dictionary{}}
		dry := f.receipt()
		if err := e.batches(ctx, b, w.decider(f, &dry), func(arrow.RecordBatch) error { return nil }); err != nil {
			return err
		}
		dictionaries = e.collect
		for _, d := range dictionaries {
			d.settle()
		}
	}
	compress, err := formats.Compress(raw.Codec, dst)
	if err != nil {
		return err
	}
	var out interface {
		Write(arrow.RecordBatch) error
		Close() error
	}
	open := func() error {
		options := []ipc.Option{ipc.WithSchema(a.Schema()), ipc.WithDictionaryDeltas(true)}
		switch a.Codec() {
		case "lz4":
			options = append(options, ipc.WithLZ4())
		case "zstd":
			options = append(options, ipc.WithZstd())
		}
		if !a.File() {
			out = ipc.NewWriter(compress, options...)
			return nil
		}
		out, err = ipc.NewFileWriter(compress, options...)
		return err
	}
	e := &arrowEditor{mask: w.opt.Mask, dictionaries: dictionaries}
	d := w.decider(f, r)
	err = e.batches(ctx, a, d, func(rec arrow.RecordBatch) error {
		if out == nil { // the compression is known from the first batch
			if err := open(); err != nil {
				return err
			}
		}
		return out.Write(rec)
	})
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return err
	}
	if err := errors.Join(out.Close(), compress.Close()); err != nil {
		return err
	}
	_, err = copyAll(ctx, io.Discard, raw.Stored()) // by its digest
	return err
}

// unwritable is what of a schema can't be written in parts, or "".
func unwritable(s *arrow.Schema) (why string) {
	for _, f := range s.Fields() {
		eachType(f.Type, func(t arrow.DataType) {
			switch t.ID() {
			case arrow.DENSE_UNION, arrow.SPARSE_UNION:
				why = "unions"
			case arrow.LIST_VIEW, arrow.LARGE_LIST_VIEW: // what goes may be shared
				why = "list views"
			}
		})
	}
	return why
}

func hasTextDictionary(s *arrow.Schema) (has bool) {
	for _, f := range s.Fields() {
		eachType(f.Type, func(t arrow.DataType) {
			if d, ok := t.(*arrow.DictionaryType); ok && isText(d.ValueType) {
				has = true
			}
		})
	}
	return has
}

func eachType(t arrow.DataType, visit func(arrow.DataType)) {
	visit(t)
	switch t := t.(type) {
	case arrow.ExtensionType:
		eachType(t.StorageType(), visit)
	case *arrow.DictionaryType:
		eachType(t.ValueType, visit)
	case arrow.NestedType:
		for _, f := range t.Fields() {
			eachType(f.Type, visit)
		}
	}
}

// isText reports whether values of a type are texts or bytes of any length.
func isText(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW, arrow.BINARY, arrow.LARGE_BINARY, arrow.BINARY_VIEW:
		return true
	}
	return false
}

// dictionary is the values of a dictionary of texts over all batches.
type dictionary struct {
	order      []dictValue // as they come
	known      map[dictValue]bool
	kept, gone map[dictValue]bool // by rows that stay, and by what goes

	at     map[dictValue]int // once it is settled
	values arrow.Array       // of the writer, made once
}

type dictValue struct {
	null bool
	text string
}

func newDictionary() *dictionary {
	return &dictionary{known: map[dictValue]bool{}, kept: map[dictValue]bool{}, gone: map[dictValue]bool{}}
}

func (d *dictionary) add(v dictValue) {
	if !d.known[v] {
		d.known[v] = true
		d.order = append(d.order, v)
	}
}

// settle numbers the values that stay: all but those that only what goes had.
func (d *dictionary) settle() {
	d.at = map[dictValue]int{}
	stay := d.order[:0]
	for _, v := range d.order {
		if d.kept[v] || !d.gone[v] {
			d.at[v] = len(stay)
			stay = append(stay, v)
		}
	}
	d.order = stay
}

// arrowEdits are new texts, by the index of their value, of an array and of those
// below it.
type arrowEdits struct {
	texts map[int]string
	below map[int]*arrowEdits
}

func (e *arrowEdits) child(i int) *arrowEdits {
	if e.below == nil {
		e.below = map[int]*arrowEdits{}
	}
	if e.below[i] == nil {
		e.below[i] = &arrowEdits{}
	}
	return e.below[i]
}

// arrowEditor drops and masks rows of batches.
type arrowEditor struct {
	mask         string
	collect      map[string]*dictionary // of the first reading, by path
	dictionaries map[string]*dictionary // of the second
}

// batches gives what is left of each batch.
func (e *arrowEditor) batches(ctx context.Context, in *formats.ArrowBatches, d *decider, give func(arrow.RecordBatch) error) error {
	for ordinal := int64(1); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec, err := in.Next()
		if err == io.EOF { //nolint:errorlint // Next gives io.EOF itself
			return nil
		}
		if err != nil {
			return errChanged // it was read before
		}
		left, err := e.batch(rec, d, ordinal)
		if err != nil {
			return err
		}
		ordinal += rec.NumRows()
		if left.NumRows() == 0 && rec.NumRows() > 0 {
			continue
		}
		if err := give(left); err != nil {
			return err
		}
	}
}

// batch is what is left of a batch.
func (e *arrowEditor) batch(rec arrow.RecordBatch, d *decider, ordinal int64) (left arrow.RecordBatch, err error) {
	defer func() {
		if p := recover(); p != nil { // the library panics where something is too large
			err = errors.New("damaged data")
		}
	}()
	edits := &arrowEdits{}
	var ranges [][2]int64 // that stay
	rows := rec.NumRows()
	for i := range rows {
		keep, spans := d.row(ordinal+i, ordinal+i)
		if spans != nil {
			row := &arrowEdits{}
			m := arrowMasker{spans: spans, mask: e.mask}
			for k, col := range rec.Columns() {
				m.value(rec.ColumnName(k), col, int(i), row.child(k))
			}
			if keep = m.done == len(spans); keep {
				edits.merge(row)
			}
			d.masked(keep, len(spans))
		}
		if !keep {
			continue
		}
		if n := len(ranges); n > 0 && ranges[n-1][1] == i {
			ranges[n-1][1]++
		} else {
			ranges = append(ranges, [2]int64{i, i + 1})
		}
	}
	if len(ranges) == 0 && rows > 0 {
		e.collectGone(rec, nil)
		return rec.NewSlice(0, 0), nil
	}
	all := rows == 0 || len(ranges) == 1 && ranges[0] == [2]int64{0, rows}
	columns := make([]arrow.Array, rec.NumCols())
	n := int64(0)
	for _, r := range ranges {
		n += r[1] - r[0]
	}
	for k, col := range rec.Columns() {
		data := col.Data()
		if under := edits.below[k]; under != nil {
			if data, err = rebuilt(data, under); err != nil {
				return nil, err
			}
		}
		if !all {
			if data, err = selected(data, ranges); err != nil {
				return nil, err
			}
		}
		data = compact(data)
		columns[k] = array.MakeFromData(data)
	}
	e.collectGone(rec, columns)
	if e.dictionaries != nil {
		for k, col := range columns {
			data, err := e.remapped(col.Data(), strconv.Itoa(k))
			if err != nil {
				return nil, err
			}
			columns[k] = array.MakeFromData(data)
		}
	}
	return array.NewRecordBatch(rec.Schema(), columns, n), nil
}

func (e *arrowEdits) merge(o *arrowEdits) {
	for i, s := range o.texts {
		if e.texts == nil {
			e.texts = map[int]string{}
		}
		e.texts[i] = s
	}
	for i, sub := range o.below {
		if len(sub.texts)+len(sub.below) > 0 {
			e.child(i).merge(sub)
		}
	}
}

// arrowMasker finds the values of a row that have spans, by the names that its
// leaves have.
type arrowMasker struct {
	spans []span
	mask  string
	done  int
}

func (m *arrowMasker) value(name string, a arrow.Array, i int, e *arrowEdits) {
	if a.IsNull(i) {
		return
	}
	switch a := a.(type) {
	case *array.Dictionary:
		if isText(a.Dictionary().DataType()) {
			m.text(name, textAt(a.Dictionary(), a.GetValueIndex(i)), i, e)
		}
	case array.ExtensionArray:
		m.value(name, a.Storage(), i, e)
	case *array.Struct:
		for k, f := range a.DataType().(*arrow.StructType).Fields() {
			m.value(name+"."+f.Name, a.Field(k), i, e.child(k))
		}
	case array.ListLike:
		from, to := a.ValueOffsets(i)
		for k := from; k < to; k++ {
			m.value(name+"["+strconv.FormatInt(k-from, 10)+"]", a.ListValues(), int(k), e.child(0))
		}
	default:
		if isText(a.DataType()) {
			m.text(name, textAt(a, i), i, e)
		}
	}
}

func (m *arrowMasker) text(name string, v dictValue, i int, e *arrowEdits) {
	spans := ofField(m.spans, name)
	if len(spans) == 0 || v.null {
		return
	}
	if e.texts == nil {
		e.texts = map[int]string{}
	}
	e.texts[i] = string(masked(nil, v.text, spans, m.mask))
	m.done += len(spans)
}

// textAt is the text or bytes of a value.
func textAt(a arrow.Array, i int) dictValue {
	if a.IsNull(i) {
		return dictValue{null: true}
	}
	switch a := a.(type) {
	case array.StringLike:
		return dictValue{text: a.Value(i)}
	case interface{ Value(int) []byte }:
		return dictValue{text: string(a.Value(i))}
	}
	panic("no text: " + a.DataType().Name())
}

// textArray makes an array of texts.
func textArray(t arrow.DataType, n int, at func(i int) dictValue) arrow.ArrayData {
	b := array.NewBuilder(memory.DefaultAllocator, t)
	defer b.Release()
	b.Reserve(n)
	for i := range n {
		v := at(i)
		if v.null {
			b.AppendNull()
			continue
		}
		switch b := b.(type) {
		case array.StringLikeBuilder:
			b.Append(v.text)
		case interface{ Append([]byte) }:
			b.Append([]byte(v.text))
		}
	}
	return b.NewArray().Data()
}

func storage(t arrow.DataType) arrow.DataType {
	if ext, ok := t.(arrow.ExtensionType); ok {
		return storage(ext.StorageType())
	}
	return t
}

// with is data with other children.
func with(data arrow.ArrayData, child func(i int, sub arrow.ArrayData) (arrow.ArrayData, error)) (arrow.ArrayData, error) {
	children := make([]arrow.ArrayData, len(data.Children()))
	for i, sub := range data.Children() {
		var err error
		if children[i], err = child(i, sub); err != nil {
			return nil, err
		}
	}
	return array.NewData(data.DataType(), data.Len(), data.Buffers(), children, data.NullN(), data.Offset()), nil
}

// rebuilt is an array, as it was read, with other texts.
func rebuilt(data arrow.ArrayData, e *arrowEdits) (arrow.ArrayData, error) {
	if len(e.texts) == 0 && len(e.below) == 0 {
		return data, nil
	}
	if data.Offset() != 0 {
		return nil, errors.New("a column that is a part of another")
	}
	switch t := storage(data.DataType()).(type) {
	case *arrow.DictionaryType:
		return rebuiltIndices(data, t, e)
	default:
		if !isText(t) {
			break
		}
		was := array.MakeFromData(array.NewData(t, data.Len(), data.Buffers(), nil, data.NullN(), 0))
		out := textArray(t, data.Len(), func(i int) dictValue {
			if s, ok := e.texts[i]; ok {
				return dictValue{text: s}
			}
			return textAt(was, i)
		})
		return array.NewData(data.DataType(), out.Len(), out.Buffers(), nil, out.NullN(), 0), nil
	}
	return with(data, func(i int, sub arrow.ArrayData) (arrow.ArrayData, error) {
		if under := e.below[i]; under != nil {
			return rebuilt(sub, under)
		}
		return sub, nil
	})
}

// rebuiltIndices puts the new texts behind a dictionary's.
func rebuiltIndices(data arrow.ArrayData, t *arrow.DictionaryType, e *arrowEdits) (arrow.ArrayData, error) {
	was := dictionaryOf(data, t)
	d := newDictionary()
	values := was.Dictionary()
	for i := range values.Len() {
		d.add(textAt(values, i))
	}
	for i := range was.Len() {
		if s, ok := e.texts[i]; ok {
			d.add(dictValue{text: s})
		}
	}
	d.settle()
	return indices(data, t, d, func(i int) dictValue {
		if s, ok := e.texts[i]; ok {
			return dictValue{text: s}
		}
		return textAt(values, was.GetValueIndex(i))
	})
}

func dictionaryOf(data arrow.ArrayData, t *arrow.DictionaryType) *array.Dictionary {
	return array.MakeFromData(array.NewDataWithDictionary(t, data.Len(), data.Buffers(), data.NullN(), data.Offset(), data.Dictionary().(*array.Data))).(*array.Dictionary)
}

// indices is an array of the values of a dictionary.
func indices(data arrow.ArrayData, t *arrow.DictionaryType, d *dictionary, at func(i int) dictValue) (arrow.ArrayData, error) {
	if d.values == nil {
		d.values = array.MakeFromData(textArray(t.ValueType, len(d.order), func(i int) dictValue { return d.order[i] }))
	}
	width := t.IndexType.(arrow.FixedWidthDataType).BitWidth()
	if arrow.IsSignedInteger(t.IndexType.ID()) {
		width--
	}
	if width < 62 && len(d.order) > 1<<width {
		return nil, fmt.Errorf("a dictionary of more values than its indices can tell apart")
	}
	was := dictionaryOf(data, t)
	b := array.NewBuilder(memory.DefaultAllocator, t.IndexType)
	defer b.Release()
	for i := range was.Len() {
		if was.IsNull(i) {
			b.AppendNull()
			continue
		}
		if err := b.AppendValueFromString(strconv.Itoa(d.at[at(i)])); err != nil {
			return nil, err
		}
	}
	out := b.NewArray().Data()
	return array.NewDataWithDictionary(data.DataType(), out.Len(), out.Buffers(), out.NullN(), 0, d.values.Data().(*array.Data)), nil
}

// selected is the rows of an array that stay.
func selected(data arrow.ArrayData, ranges [][2]int64) (arrow.ArrayData, error) {
	col := array.MakeFromData(data)
	parts := make([]arrow.Array, 0, len(ranges))
	for _, r := range ranges {
		parts = append(parts, array.NewSlice(col, r[0], r[1]))
	}
	out, err := array.Concatenate(parts, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	return out.Data(), nil
}

// compact copies the texts of views, whose buffers hold those of rows that went,
// and of other batches where a writer has cut one table into several.
func compact(data arrow.ArrayData) arrow.ArrayData {
	switch t := storage(data.DataType()); t.ID() {
	case arrow.STRING_VIEW, arrow.BINARY_VIEW:
		was := array.MakeFromData(array.NewData(t, data.Len(), data.Buffers(), nil, data.NullN(), data.Offset()))
		out := textArray(t, was.Len(), func(i int) dictValue { return textAt(was, i) })
		return array.NewData(data.DataType(), out.Len(), out.Buffers(), nil, out.NullN(), 0)
	case arrow.DICTIONARY:
		return data
	}
	if len(data.Children()) == 0 {
		return data
	}
	out, _ := with(data, func(_ int, sub arrow.ArrayData) (arrow.ArrayData, error) { return compact(sub), nil })
	return out
}

// collectGone notes which values of dictionaries stay, and which a batch had.
func (e *arrowEditor) collectGone(rec arrow.RecordBatch, columns []arrow.Array) {
	if e.collect == nil {
		return
	}
	for k, col := range rec.Columns() {
		e.uses(col.Data(), strconv.Itoa(k), func(d *dictionary) map[dictValue]bool { return d.gone })
	}
	for k, col := range columns {
		e.uses(col.Data(), strconv.Itoa(k), func(d *dictionary) map[dictValue]bool { return d.kept })
	}
}

func (e *arrowEditor) uses(data arrow.ArrayData, path string, of func(*dictionary) map[dictValue]bool) {
	t, ok := storage(data.DataType()).(*arrow.DictionaryType)
	if !ok {
		for i, sub := range data.Children() {
			e.uses(sub, path+"."+strconv.Itoa(i), of)
		}
		return
	}
	if !isText(t.ValueType) {
		return
	}
	d := e.collect[path]
	if d == nil {
		d = newDictionary()
		e.collect[path] = d
	}
	a := dictionaryOf(data, t)
	values := make([]dictValue, a.Dictionary().Len())
	for i := range values {
		values[i] = textAt(a.Dictionary(), i)
		d.add(values[i])
	}
	set := of(d)
	for i := range a.Len() {
		if !a.IsNull(i) {
			set[values[a.GetValueIndex(i)]] = true
		}
	}
}

// remapped is an array with the dictionaries of the file as it will be.
func (e *arrowEditor) remapped(data arrow.ArrayData, path string) (arrow.ArrayData, error) {
	t, ok := storage(data.DataType()).(*arrow.DictionaryType)
	if !ok {
		if len(data.Children()) == 0 {
			return data, nil
		}
		return with(data, func(i int, sub arrow.ArrayData) (arrow.ArrayData, error) {
			return e.remapped(sub, path+"."+strconv.Itoa(i))
		})
	}
	d := e.dictionaries[path]
	if !isText(t.ValueType) || d == nil {
		return data, nil
	}
	a := dictionaryOf(data, t)
	return indices(data, t, d, func(i int) dictValue { return textAt(a.Dictionary(), a.GetValueIndex(i)) })
}
