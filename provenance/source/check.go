package source

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"custody/provenance/corpus"
)

// Test reads a source file and runs its examples, the way `custody sources
// test FILE` does. Each match/NAME.json has to give exactly what NAME.want
// says; of a miss/NAME.json nothing may be recognised as strong. A source with
// kinds has to have examples of both sorts. The errors are empty when all is
// well, and else say which line of the file to look at.
//
// An example is one JSON document. Where its name ends in ".columns" it is an
// object whose keys are the columns of a CSV row. A line of a .want file is one
// of these, in the order of the document:
//
//	record ID NAME="TEXT" ... [author=AUTHOR] [created=TIME] [url=URL]
//	passed REASON N
//	recognised strong|weak ID WITNESS; WITNESS
func Test(name string, data []byte) []error {
	s, err := ParseFile(name, data)
	if err != nil {
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			return all.Unwrap()
		}
		return []error{err}
	}
	return s.test(name)
}

func (s *Source) test(file string) []error {
	var errs []error
	fail := func(line int, key, format string, args ...any) {
		errs = append(errs, corpus.LineError(file, int64(line), key, fmt.Sprintf(format, args...)))
	}
	c, err := NewCatalogue(s)
	if err != nil {
		return []error{err}
	}
	var match, miss int
	for i := range s.examples {
		e := &s.examples[i]
		got, err := c.outcome(s, e)
		switch {
		case err != nil:
			fail(e.line, e.name, "%v", err)
		case e.miss:
			miss++
			if strings.Contains("\n"+got, "\nrecognised strong ") {
				fail(e.line, e.name, "recognised as strong, and is a near miss:\n%s", got)
			}
		case !e.hasWant:
			fail(e.line, e.name, "no %s.want; there is:\n%s", e.name, got)
		default:
			match++
			if got != e.want {
				fail(e.line, e.name, "got:\n%swant:\n%s", got, e.want)
			}
		}
	}
	if match == 0 {
		fail(1, "match/", "no example")
	}
	if len(s.kinds) > 0 && miss == 0 {
		fail(1, "miss/", "no example")
	}
	return errs
}

// outcome writes down all that s makes of an example.
func (c *Catalogue) outcome(s *Source, e *example) (string, error) {
	var p fastjson.Parser
	doc := bytes.TrimSpace(e.data)
	v, err := p.ParseBytes(doc)
	if err != nil {
		return "", jsonError(doc)
	}
	var b strings.Builder
	write := func(r Record) error {
		b.WriteString(r.line())
		return nil
	}
	var f flattener
	row := f.row(v)
	var took Took
	if strings.HasSuffix(e.name, ".columns") {
		if v.Type() != fastjson.TypeObject {
			return "", errors.New("want an object of columns")
		}
		took, err = s.FromRow(row, Fields{}, write)
	} else {
		took, err = s.Extract(Exchange{Body: doc}, write)
	}
	if err != nil {
		return "", err
	}
	for _, k := range sortedKeys(took.Passed) {
		fmt.Fprintf(&b, "passed %s %d\n", k, took.Passed[k])
	}
	c.NewRecogniser().Recognise(row, func(r Recognition) {
		if r.Source != s.ID {
			return
		}
		grade := "weak"
		if r.Strong {
			grade = "strong"
		}
		fmt.Fprintf(&b, "recognised %s %s %s\n", grade, r.Native, strings.Join(r.Witnesses, "; "))
	})
	return b.String(), nil
}

// line is the record as a .want file has it.
func (r *Record) line() string {
	var b strings.Builder
	b.WriteString("record " + r.Native)
	for _, p := range r.Parts {
		fmt.Fprintf(&b, " %s=%s", p.Name, strconv.Quote(p.Text))
	}
	if r.Author != "" {
		b.WriteString(" author=" + r.Author)
	}
	if !r.Created.IsZero() {
		b.WriteString(" created=" + r.Created.Format(time.RFC3339Nano))
	}
	if r.URL != "" {
		b.WriteString(" url=" + r.URL)
	}
	return b.String() + "\n"
}
