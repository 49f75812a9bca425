package clean

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// arrowSchema has texts in every place that Arrow has for them.
func arrowSchema(views bool) *arrow.Schema {
	text := arrow.BinaryTypes.String
	message := arrow.StructOf(arrow.Field{Name: "role", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: text}, Nullable: true}, arrow.Field{Name: "content", Type: arrow.BinaryTypes.LargeString, Nullable: true})
	fields := []arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "text", Type: text, Nullable: true, Metadata: arrow.NewMetadata([]string{"unit"}, []string{"words"})},
		{Name: "label", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint16, ValueType: text}, Nullable: true},
		{Name: "list", Type: arrow.ListOf(text), Nullable: true},
		{Name: "chat", Type: arrow.ListOf(message), Nullable: true},
		{Name: "map", Type: arrow.MapOf(text, text), Nullable: true},
		{Name: "large", Type: arrow.BinaryTypes.LargeString, Nullable: true},
		{Name: "number", Type: arrow.ListOf(arrow.PrimitiveTypes.Float32), Nullable: true},
	}
	if views {
		fields = append(fields, arrow.Field{Name: "view", Type: arrow.BinaryTypes.StringView, Nullable: true},
			arrow.Field{Name: "views", Type: arrow.ListOf(arrow.BinaryTypes.StringView), Nullable: true})
	}
	meta := arrow.NewMetadata([]string{"huggingface"}, []string{`{"info":{}}`})
	return arrow.NewSchema(fields, &meta)
}

// drawArrowRow draws a row as JSON.
func drawArrowRow(t *rapid.T, id int, views bool) map[string]any {
	text := func() any {
		if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
			return nil
		}
		return strings.Repeat("a long beginning ", rapid.IntRange(0, 1).Draw(t, "long")) + drawText(t, "")
	}
	label := func() any {
		return rapid.SampledFrom([]any{nil, "cat", "dog", "a SECRET", "é SECRETSECRET", "SHAPE of it"}).Draw(t, "label")
	}
	list := func(one func() any) any {
		if rapid.IntRange(0, 5).Draw(t, "no list") == 0 {
			return nil
		}
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			out = append(out, one())
		}
		return out
	}
	row := map[string]any{"id": id, "text": text(), "label": label(), "large": text(), "list": list(text), "number": []float32{1, 2},
		"chat": list(func() any { return map[string]any{"role": label(), "content": text()} }),
		"map":  list(func() any { return map[string]any{"key": fmt.Sprint("k", id), "value": text()} })}
	if views {
		row["view"], row["views"] = text(), list(text)
	}
	return row
}

func writeArrow(t tester, schema *arrow.Schema, batches [][]map[string]any, file bool, options ...ipc.Option) []byte {
	var b bytes.Buffer
	var w interface {
		Write(arrow.RecordBatch) error
		io.Closer
	}
	options = append(options, ipc.WithSchema(schema))
	w = ipc.NewWriter(&b, options...)
	if file {
		var err error
		if w, err = ipc.NewFileWriter(&b, options...); err != nil {
			t.Fatal(err)
		}
	}
	// A file has one dictionary a column: that of all rows.
	doc := func(rows []map[string]any) string {
		out, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	all, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(doc(slices.Concat(batches...))))
	if err != nil {
		t.Fatal(err)
	}
	at := int64(0)
	for _, rows := range batches {
		to := at + int64(len(rows))
		rec := all.NewSlice(at, to)
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
		at = to
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestArrowProperty cleans random Arrow files and streams: the rows that stay are
// as they were, or masked, the schema and the batches too; and no byte of what
// went is left, in dictionaries and the buffers of views either.
func TestArrowProperty(t *testing.T) {
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		in, out := filepath.Join(root, fmt.Sprint(n, "in")), filepath.Join(root, fmt.Sprint(n, "out"))
		if err := errors.Join(os.Mkdir(in, 0o700), os.Mkdir(out, 0o700)); err != nil {
			t.Fatal(err)
		}
		defer func() { _, _ = os.RemoveAll(in), os.RemoveAll(out) }()
		spans, file, views := rapid.Bool().Draw(t, "spans"), rapid.Bool().Draw(t, "file"), rapid.Bool().Draw(t, "views")
		codec := rapid.SampledFrom([]string{"", "", "lz4", "zstd"}).Draw(t, "codec")
		schema := arrowSchema(views)
		var batches [][]map[string]any
		id := 0
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			var rows []map[string]any
			for range rapid.IntRange(1, 5).Draw(t, "rows") {
				rows = append(rows, drawArrowRow(t, id, views))
				id++
			}
			batches = append(batches, rows)
		}
		options := map[string][]ipc.Option{"lz4": {ipc.WithLZ4()}, "zstd": {ipc.WithZstd()}}[codec]
		path := filepath.Join(in, "a.arrow")
		if err := os.WriteFile(path, writeArrow(t, schema, batches, file, options...), 0o600); err != nil {
			t.Fatal(err)
		}
		src := rowsOf(t, path)
		want, changed := wanted(src, spans)
		_, files, err := runOn(t, []string{in}, out, 100, Options{Spans: spans, Mask: mask})
		if err != nil || len(files) != 1 {
			t.Fatal(err)
		}
		if r := files[0]; len(want) == 0 {
			if r.Action != Dropped {
				t.Fatalf("got %+v, want all of it dropped", r)
			}
			return
		} else if changed != (r.Action == Cleaned) || r.RowsDropped != int64(len(src)-len(want)) {
			t.Fatalf("got %+v", r)
		}
		path = filepath.Join(out, "a.arrow")
		if got := rowsOf(t, path); !sameRows(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if codec == "" && (bytes.Contains(b, []byte(secret)) || bytes.Contains(b, []byte(shape))) {
			t.Fatal("what went is in the file's bytes")
		}
		var got *arrow.Schema
		if file != bytes.HasPrefix(b, []byte("ARROW1")) {
			t.Fatal("a stream is not a file")
		}
		if file {
			r, err := ipc.NewFileReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			got = r.Schema()
		} else {
			r, err := ipc.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			got = r.Schema()
		}
		if !got.Equal(schema) || !got.Metadata().Equal(schema.Metadata()) || !got.Field(1).Metadata.Equal(schema.Field(1).Metadata) {
			t.Fatalf("got %v, want %v", got, schema)
		}
	})
}
