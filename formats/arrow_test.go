package formats_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"custody/formats"
	"custody/formats/formattest"
)

// arrowStream is a stream of the rows that the JSON has.
func arrowStream(t testing.TB, schema *arrow.Schema, json string, opts ...ipc.Option) []byte {
	t.Helper()
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := ipc.NewWriter(&b, append(opts, ipc.WithSchema(schema))...)
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Values become leaves as those of JSON do.
func TestArrowLeaves(t *testing.T) {
	message := arrow.StructOf(arrow.Field{Name: "role", Type: arrow.BinaryTypes.String, Nullable: true}, arrow.Field{Name: "content", Type: arrow.BinaryTypes.LargeString, Nullable: true})
	for _, c := range []struct {
		typ        arrow.DataType
		json, want string
	}{
		{arrow.BinaryTypes.String, `"one"`, "v=1:one"},
		{arrow.BinaryTypes.StringView, `"a string that is longer than twelve bytes"`, "v=1:a string that is longer than twelve bytes"},
		{arrow.BinaryTypes.String, `null`, "v=0:"},
		{arrow.ListOf(message), `[{"role":"user","content":"a"},{"role":null,"content":"b"}]`, "v[0].role=1:user\nv[0].content=1:a\nv[1].role=0:\nv[1].content=1:b"},
		{arrow.LargeListOf(arrow.BinaryTypes.String), `["a",null]`, "v[0]=1:a\nv[1]=0:"},
		{arrow.FixedSizeListOf(2, arrow.BinaryTypes.String), `["a","b"]`, "v[0]=1:a\nv[1]=1:b"},
		{arrow.ListOf(arrow.ListOf(arrow.BinaryTypes.String)), `[["a"],[],null]`, "v[0][0]=1:a\nv[1]=4:\nv[2]=0:"},
		{arrow.ListOf(arrow.PrimitiveTypes.Float32), `[1,2]`, "v=4:"},
		{arrow.ListOf(message), `[]`, "v=4:"},
		{arrow.ListOf(message), `null`, "v=0:"},
		{arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String), `[{"key":"k","value":"x"}]`, "v[0].key=1:k\nv[0].value=1:x"},
		{arrow.PrimitiveTypes.Uint64, `18446744073709551615`, "v=2:18446744073709551615"},
		{&arrow.Decimal128Type{Precision: 38, Scale: 2}, `"-123.40"`, "v=2:-123.40"},
		{arrow.Null, `null`, "v=0:"},
		{arrow.FixedWidthTypes.Boolean, `true`, "v=3:true"},
		{&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, `"2024-05-06T07:08:09.5Z"`, "v=1:2024-05-06T07:08:09.5Z"},
		{&arrow.TimestampType{Unit: arrow.Second}, `"2024-05-06 07:08:09"`, "v=1:2024-05-06T07:08:09"},
		{arrow.FixedWidthTypes.Date32, `"2024-05-06"`, "v=1:2024-05-06"},
		{&arrow.FixedSizeBinaryType{ByteWidth: 2}, `"//8="`, "v=4:"},
	} {
		schema := arrow.NewSchema([]arrow.Field{{Name: "v", Type: c.typ, Nullable: true}}, nil)
		for _, opts := range [][]ipc.Option{nil, {ipc.WithZstd()}, {ipc.WithLZ4()}} {
			got := one(t, "a.arrow", string(arrowStream(t, schema, `[{"v":`+c.json+`}]`, opts...)))
			if !slices.Equal(got, []string{c.want}) {
				t.Errorf("%s of %s: got %q, want %q", c.json, c.typ, got, c.want)
			}
		}
	}
}

// Lengths that lie are errors, in bounded memory.
func TestArrowBounds(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "text", Type: arrow.BinaryTypes.String}}, nil)
	good := arrowStream(t, schema, `[{"text":"some words here"}]`)
	zipped := arrowStream(t, schema, `[{"text":"`+strings.Repeat("some words here", 100)+`"}]`, ipc.WithZstd())
	nulls := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.Null}}, nil)
	many := array.NewNull(1 << 40)
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(nulls))
	if err := w.Write(array.NewRecordBatch(nulls, []arrow.Array{many}, 1<<40)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var wide []arrow.Field
	for range 100_001 {
		wide = append(wide, arrow.Field{Name: "n", Type: arrow.Null})
	}
	var b2 bytes.Buffer
	if err := ipc.NewWriter(&b2, ipc.WithSchema(arrow.NewSchema(wide, nil))).Close(); err != nil {
		t.Fatal(err)
	}
	// with is data with each place of old, 8 bytes, made to say n.
	with := func(data []byte, old, n uint64) []byte {
		out := bytes.Clone(data)
		k := 0
		for i := 0; i+8 <= len(out); i += 4 {
			if binary.LittleEndian.Uint64(out[i:]) == old {
				binary.LittleEndian.PutUint64(out[i:], n)
				k++
			}
		}
		if k == 0 {
			t.Fatal("not found")
		}
		return out
	}
	size := func(data []byte) uint64 { // of the body of the last message
		at := 8 + int(binary.LittleEndian.Uint32(data[4:]))
		return uint64(len(data) - at - 8 - int(binary.LittleEndian.Uint32(data[at+4:])) - 8)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"a body of 1 GiB":       {with(good, size(good), 1<<30), "a.arrow!rb1#1: truncated"},
		"a body of 2^60":        {with(good, size(good), 1<<60), "a.arrow!rb1#1: a batch of 1152921504606846976 bytes, more than 2147483648"},
		"decompressed to 2^60":  {with(zipped, 1500, 1<<60), "a.arrow!rb1#1: damaged data"},
		"2^40 rows of nothing":  {b.Bytes(), "a.arrow!rb1#1: a batch of 1099511627776 rows in 0 bytes"},
		"100001 columns":        {b2.Bytes(), "a.arrow: more than 100000 columns"},
		"after the end":         {append(bytes.Clone(good), 1), "a.arrow!rb2#2: data after the end of the stream"},
		"a schema of its own":   {append(bytes.Clone(good[:len(good)-8]), good...), "a.arrow!rb2#2: damaged data"},
		"a stream that is open": {good[:len(good)-8], ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, "a.arrow", string(c.data))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := formattest.Read(t, path, formats.Options{})
			runtime.ReadMemStats(&after)
			errs := ""
			for _, it := range got {
				errs += it.Err
			}
			if errs != c.want {
				t.Errorf("got %q, want %q", errs, c.want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
				t.Errorf("took %d MiB", took>>20)
			}
		})
	}
}

// A folder that save_to_disk wrote is its Arrow files.
func TestSavedFolder(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(samples, "arrow", "sample.arrow"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"dataset_dict.json": `{"splits":["train","test"]}`, "train/data-00000-of-00002.arrow": string(data), "train/data-00001-of-00002.arrow": string(data),
		"train/state.json": `{"_data_files":[{"filename":"data-00000-of-00002.arrow"}]}`, "train/dataset_info.json": `{"license":""}`,
		"test/state.json": `{"text":"no dataset_info beside it: a row"}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := formattest.Read(t, dir, formats.Options{}); len(got) != 21 {
		t.Errorf("%d rows, want 21: %+v", len(got), got)
	}
	c, err := formats.Walk([]string{dir}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Skipped()) != 3 {
		t.Errorf("skipped %q, want 3", c.Skipped())
	}
}
