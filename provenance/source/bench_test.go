package source

import (
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"custody/provenance"
	"custody/provenance/corpus"
)

func exampleOf(b *testing.B, id provenance.SourceID, name string) []byte {
	s, err := Default().Lookup(id)
	if err != nil {
		b.Fatal(err)
	}
	for i := range s.examples {
		if s.examples[i].name == name {
			var p fastjson.Parser
			v, err := p.ParseBytes(s.examples[i].data)
			if err != nil {
				b.Fatal(err)
			}
			return v.MarshalTo(nil)
		}
	}
	b.Fatalf("no example %s", name)
	return nil
}

func BenchmarkExtract(b *testing.B) {
	for _, c := range []struct {
		id   provenance.SourceID
		name string
	}{{"x-api", "match/v1.1-tweet"}, {"x-api", "match/v2-page"}, {"reddit-api", "match/comment-tree"}} {
		b.Run(strings.TrimPrefix(c.name, "match/"), func(b *testing.B) {
			doc := exampleOf(b, c.id, c.name)
			s, _ := Default().Lookup(c.id)
			row := &corpus.Row{Raw: doc}
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				e := s.NewExtractor(Fields{})
				for pb.Next() {
					if _, err := e.Row(row, func(Record) error { return nil }); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkExtractReal reads real posts of version 1.1 on all processors.
func BenchmarkExtractReal(b *testing.B) {
	for _, c := range []struct {
		id   provenance.SourceID
		kind string
	}{{"x-api", "twitter_v1_tweet"}, {"x-api", "twitter_v2_tweet"}, {"reddit-api", "reddit_t1"}} {
		b.Run(c.kind, func(b *testing.B) {
			var docs [][]byte
			var size int64
			for _, name := range unpack(b, "api-records.tar.xz", func(name string) bool { return strings.HasSuffix(name, c.kind+".jsonl") }) {
				eachObject(b, name, func(line []byte, _ *fastjson.Value) {
					docs = append(docs, append([]byte(nil), line...))
					size += int64(len(line))
				})
			}
			s, _ := Default().Lookup(c.id)
			b.SetBytes(size / int64(len(docs)))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				e := s.NewExtractor(Fields{})
				for i := 0; pb.Next(); i++ {
					if _, err := e.Row(&corpus.Row{Raw: docs[i%len(docs)]}, func(Record) error { return nil }); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "objects/s")
		})
	}
}

func benchmarkRow(b *testing.B, doc string, do func(row *corpus.Row)) {
	var f flattener
	var p fastjson.Parser
	v, err := p.Parse(doc)
	if err != nil {
		b.Fatal(err)
	}
	row := f.row(v)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		do(row)
	}
}

func BenchmarkRecognise(b *testing.B) {
	for _, c := range []struct{ name, doc string }{
		{"plain", `{"id":"a1","text":"some text"}`},
		{"chat", `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`},
		{"dated", `{"id":"a1","created_at":"2020-01-01T00:00:00Z","text":"some text"}`},
		{"tweet", string(exampleOf(b, "x-api", "match/v1.1-tweet"))},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := Default().NewRecogniser()
			benchmarkRow(b, c.doc, func(row *corpus.Row) { r.Recognise(row, func(Recognition) {}) })
		})
	}
}

func BenchmarkRow(b *testing.B) {
	for _, c := range []struct {
		id        provenance.SourceID
		name, doc string
	}{
		{"generic", "plain", `{"id":"a1","text":"some text"}`},
		{"x-api", "twarc", string(exampleOf(b, "x-api", "match/twarc.columns"))},
		{"reddit-api", "csv", string(exampleOf(b, "reddit-api", "match/posts.columns"))},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, _ := Default().Lookup(c.id)
			e := s.NewExtractor(Fields{})
			benchmarkRow(b, c.doc, func(row *corpus.Row) {
				if _, err := e.Row(row, func(Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
