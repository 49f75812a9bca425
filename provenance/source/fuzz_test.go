package source

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"custody/provenance/corpus"
)

// seed adds the examples of all sources.
func seed(f *testing.F) {
	for _, s := range Default().Sources() {
		for i := range s.examples {
			f.Add(s.examples[i].data)
		}
	}
	for _, s := range []string{"", "{", "null", "[]", "[[[]]]", `{"data":{"data":{}}}`, `{"id":1e400,"text":"\ud800"}`, "{\"id\":\"1\",\"text\":\"\xff\"}"} {
		f.Add([]byte(s))
	}
}

func FuzzExtract(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range Default().Sources() {
			var lines [2][]string
			for i := range lines {
				var taken int64
				took, err := s.Extract(Exchange{Body: data}, func(r Record) error {
					taken++
					if len(r.Parts) == 0 || s.ID != Generic && r.Native == "" {
						t.Errorf("%s: a record without text or id", s.ID)
					}
					for _, p := range r.Parts {
						if p.Text == "" || !utf8.ValidString(p.Text) {
							t.Errorf("%s: part %s is empty or no UTF-8", s.ID, p.Name)
						}
					}
					lines[i] = append(lines[i], r.line())
					return nil
				})
				if err != nil {
					lines[i] = append(lines[i], err.Error())
				}
				for _, n := range took.Taken {
					taken -= n
				}
				if taken != 0 {
					t.Errorf("%s: %d records not counted", s.ID, taken)
				}
			}
			if !slices.Equal(lines[0], lines[1]) {
				t.Errorf("%s: the same bytes give\n%q\nand\n%q", s.ID, lines[0], lines[1])
			}
		}
	})
}

func FuzzParseFile(f *testing.F) {
	for _, s := range Default().Sources() {
		data, err := files.ReadFile(string(s.ID) + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:min(len(data), 900)])
	}
	f.Add([]byte("id: a\nname: A\nform: long\nkind: k\nstrong: a; a has {a}{b}{c}{d}{e}\n-- terms --\nright: training allowed | | | | \"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseFile("f", data)
		if err == nil {
			s.test("f")
			return
		}
		all, ok := err.(interface{ Unwrap() []error })
		if !ok {
			t.Fatalf("not a list: %v", err)
		}
		lines := int64(bytes.Count(data, []byte("\n")) + 2)
		for _, err := range all.Unwrap() {
			if e, ok := errors.AsType[*corpus.InputError](err); !ok || e.Line < 1 || e.Line > lines {
				t.Errorf("no position within %d lines: %v", lines, err)
			}
		}
	})
}

func FuzzRecognise(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var p fastjson.Parser
		v, err := p.ParseBytes(data)
		if err != nil || !utf8.Valid(data) { // a leaf is valid UTF-8
			return
		}
		lower := strings.ToLower(string(data)) // as native ids are given
		var fl flattener
		row := fl.row(v)
		kept := Default().NewRecogniser()
		var lines [2][]string
		for i := range lines {
			kept.Recognise(row, func(r Recognition) {
				if r.Native == "" || len(r.Witnesses) == 0 || !strings.Contains(lower, strings.ToLower(strings.TrimLeft(r.Native, "t0123456789_"))) && !bytes.Contains(data, []byte(`\`)) {
					t.Errorf("%+v has no id, no witness, or an id that is not in the row", r)
				}
				lines[i] = append(lines[i], string(r.Source)+r.Native+strings.Join(r.Witnesses, ";"))
			})
		}
		var fresh []string
		Default().NewRecogniser().Recognise(row, func(r Recognition) {
			fresh = append(fresh, string(r.Source)+r.Native+strings.Join(r.Witnesses, ";"))
		})
		if !slices.Equal(lines[0], lines[1]) || !slices.Equal(lines[0], fresh) {
			t.Errorf("the same row gives %q, %q and %q", lines[0], lines[1], fresh)
		}
	})
}
