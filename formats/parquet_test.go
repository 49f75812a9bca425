package formats_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/deprecated"

	"custody/formats"
	"custody/formats/formattest"
)

// parquetOf is a file of rows.
func parquetOf[T any](t testing.TB, rows []T, opts ...parquet.WriterOption) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, opts...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Values of types that JSON lacks are written as text, leaves come in the order
// of the schema, and a list without elements is told from one that is not there.
func TestParquetTypes(t *testing.T) {
	type message struct {
		Role    *string `parquet:"role,optional"`
		Content string  `parquet:"content"`
	}
	type row struct {
		Z       string           `parquet:"z"`
		A       int32            `parquet:"a,decimal(2:9)"`
		Big     [16]byte         `parquet:"big,decimal(3:38)"`
		UUID    [16]byte         `parquet:"uuid,uuid"`
		At      time.Time        `parquet:"at,timestamp(microsecond)"`
		Local   int64            `parquet:"local,timestamp(millisecond:local)"`
		Day     int32            `parquet:"day,date"`
		Clock   int64            `parquet:"clock,time(microsecond)"`
		U       uint64           `parquet:"u"`
		F       float64          `parquet:"f"`
		Spark   deprecated.Int96 `parquet:"spark"`
		Ok      bool             `parquet:"ok"`
		Numbers []int64          `parquet:"numbers,list"`
		Chat    []message        `parquet:"chat,list"`
		Tags    []string         `parquet:"tags,list,optional"`
	}
	role := "user"
	r := row{Z: "last letter", A: -1205, UUID: [16]byte{0: 0x12, 15: 0x34}, At: time.Date(2024, 5, 6, 7, 8, 9, 500_000_000, time.UTC), Local: 1714979289000,
		Day: 19849, Clock: 3_600_000_001, U: 1<<64 - 1, F: 0.1, Spark: deprecated.Int96{0: 0, 1: 0, 2: 2440589}, Ok: true,
		Numbers: []int64{1, 2, 3}, Chat: []message{{&role, "a"}, {nil, "b"}}, Tags: []string{"x", "y"}}
	for i := range r.Big {
		r.Big[i] = 0xff
	}
	empty := r
	empty.Numbers, empty.Chat, empty.Tags = nil, nil, []string{}
	data := parquetOf(t, []row{r, empty})
	head := strings.Join([]string{"z=1:last letter", "a=2:-12.05", "big=2:-0.001", "uuid=1:12000000-0000-0000-0000-000000000034", "at=1:2024-05-06T07:08:09.5Z",
		"local=1:2024-05-06T07:08:09", "day=1:2024-05-06", "clock=1:01:00:00.000001", "u=2:18446744073709551615", "f=2:0.1", "spark=1:1970-01-02T00:00:00", "ok=3:true"}, "\n")
	want := []string{
		head + "\nnumbers[]=4:\nchat[0].role=1:user\nchat[].role=0:\nchat[0].content=1:a\nchat[1].content=1:b\ntags[0]=1:x\ntags[1]=1:y",
		head + "\nnumbers[]=4:\nchat[].role=4:\nchat[].content=4:\ntags[]=4:",
	}
	if got := one(t, "a.parquet", data); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n\n"), strings.Join(want, "\n\n"))
	}
}

// Every codec that is read.
func TestParquetCodecs(t *testing.T) {
	type row struct {
		Text string `parquet:"text"`
	}
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli, &parquet.Zstd, &parquet.Lz4Raw} {
		got := one(t, "a.parquet", parquetOf(t, []row{{"some words"}, {"and more"}}, parquet.Compression(codec)))
		if want := []string{"text=1:some words", "text=1:and more"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", codec, got, want)
		}
	}
}

// Numbers that lie are errors, in bounded memory and time.
func TestParquetBounds(t *testing.T) {
	type row struct {
		Text string `parquet:"text"`
	}
	var rows []row
	for i := range 300 {
		rows = append(rows, row{fmt.Sprintf("the words of row %d", i)})
	}
	good := parquetOf(t, rows, parquet.Compression(&parquet.Uncompressed))
	// footer is a file whose footer is the given bytes.
	footer := func(b []byte) string {
		return "PAR1" + string(binary.LittleEndian.AppendUint32(b, uint32(len(b)))) + "PAR1"
	}
	columns := func(n int) string {
		b := append([]byte{0x15, 2, 0x19, 0xfc}, binary.AppendUvarint(nil, uint64(n+1))...)
		b = append(b, 0x48, 1, 's', 0x15)
		b = append(binary.AppendUvarint(b, uint64(2*n)), 0)
		for range n {
			b = append(b, 0x15, 12, 0x25, 0, 0x18, 1, 'c', 0)
		}
		return footer(append(b, 0x16, 0, 0x19, 0x0c, 0))
	}
	deep := append([]byte{0x15, 2, 0x19, 0xfc}, binary.AppendUvarint(nil, 100_000)...)
	for range 100_000 {
		deep = append(deep, 0x48, 1, 's', 0x15, 2, 0)
	}
	// with is the file with the varint of old, wherever it is in the footer, made n.
	with := func(old, n int64) string {
		tail := len(good) - 8 - int(binary.LittleEndian.Uint32([]byte(good[len(good)-8:])))
		body := bytes.ReplaceAll([]byte(good[tail:len(good)-8]), binary.AppendVarint([]byte{0x16}, old), binary.AppendVarint([]byte{0x16}, n))
		if bytes.Equal(body, []byte(good[tail:len(good)-8])) {
			t.Fatalf("%d is not there", old)
		}
		return good[:tail] + string(binary.LittleEndian.AppendUint32(body, uint32(len(body)))) + "PAR1"
	}
	for name, c := range map[string]struct{ data, want string }{
		"10^6 columns":       {columns(1_000_000), "a.parquet: 1000000 columns, more than 65535"},
		"deep columns":       {footer(deep), "a.parquet: nested deeper than 200"},
		"a list of 2^31":     {footer(append([]byte{0x15, 2, 0x19, 0xfc}, binary.AppendUvarint(nil, 1<<31)...)), "a.parquet: malformed Parquet"},
		"a footer of 2^31":   {"PAR1PAR1\xff\xff\xff\x7fPAR1", "a.parquet: malformed Parquet"},
		"encrypted":          {"PAR1xxxxPARE", "a.parquet: encrypted Parquet"},
		"2^31 rows":          {with(300, 1<<31), "a.parquet!rg1#1: it says that it has 2147483648 rows, column 1 has 300"},
		"2^62 rows":          {with(300, 1<<62), "a.parquet!rg1#1: it says that it has 4611686018427387904 rows, column 1 has 300"},
		"fewer rows than it": {with(300, 5), "a.parquet!rg1#1: it says that it has 5 rows, column 1 has 300"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, "a.parquet", c.data)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			got := formattest.Read(t, path, formats.Options{})
			runtime.ReadMemStats(&after)
			errs := ""
			for _, it := range got {
				errs += it.Err
			}
			if errs != c.want {
				t.Errorf("got %d items, %q, want %q", len(got), errs, c.want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
				t.Errorf("took %d MiB", took>>20)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// A page that is a bomb is not opened.
func TestParquetBomb(t *testing.T) {
	type row struct {
		Text string `parquet:"text"`
	}
	data := parquetOf(t, []row{{strings.Repeat("a", 65<<20)}}, parquet.Compression(&parquet.Zstd), parquet.DataPageStatistics(false))
	got := one(t, "a.parquet", data)
	if len(got) != 1 || !strings.HasPrefix(got[0], "a.parquet!rg1#1: a page of ") || !strings.HasSuffix(got[0], " bytes says that it holds 68157448") {
		t.Errorf("got %.200q", got)
	}
}
