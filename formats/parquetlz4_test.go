package formats_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/parquet-go/parquet-go"

	"custody/formats"
	"custody/formats/formattest"
)

// TestParquetLZ4 reads pages of LZ4 that take a little more than they are stored
// in, and many times more, of both versions, with a dictionary and without.
func TestParquetLZ4(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	type plain struct {
		Text string `parquet:"text,optional"`
	}
	type dict struct {
		Text string `parquet:"text,dict"`
	}
	for _, letters := range []int{1, 4, 26} {
		var rows []plain
		var dicts []dict
		var want []string
		for i := range 1000 {
			text := fmt.Sprintf("row %d ", i)
			for range 40 {
				text += string(rune('a' + r.IntN(letters)))
			}
			want = append(want, "text=1:"+text+"\n")
			rows, dicts = append(rows, plain{text}), append(dicts, dict{text})
		}
		for _, version := range []int{1, 2} {
			options := []parquet.WriterOption{parquet.Compression(&parquet.Lz4Raw), parquet.DataPageVersion(version)}
			for name, encode := range map[string]func(*bytes.Buffer) error{
				"plain":      func(b *bytes.Buffer) error { return parquet.Write(b, rows, options...) },
				"dictionary": func(b *bytes.Buffer) error { return parquet.Write(b, dicts, options...) },
			} {
				var b bytes.Buffer
				if err := encode(&b); err != nil {
					t.Fatal(err)
				}
				got := formattest.Read(t, write(t, "a.parquet", b.String()), formats.Options{})
				if len(got) != len(want) {
					t.Fatalf("%s, version %d: %d rows, want %d: %+v", name, version, len(got), len(want), got[0])
				}
				for i := range want {
					if got[i].Err != "" || got[i].Leaves != want[i] {
						t.Fatalf("%s, version %d, row %d: got %+v, want %s", name, version, i+1, got[i], want[i])
					}
				}
			}
		}
	}
}
