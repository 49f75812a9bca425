// Package corpus is what is read from a training corpus and what is found in
// it: rows and their fields, positions, matches and their verdicts, coverage
// and the summary of a scan. Formats produce its rows, the scan its matches,
// policy and report consume both.
package corpus

import (
	"fmt"
	"iter"
	"strings"
)

// Kind is what a leaf of a row holds.
type Kind uint8

// The kinds of leaves.
const (
	Null   Kind = iota
	String      // Text is the decoded value, valid UTF-8
	Number      // Text is the number with every digit as written
	Bool        // Text is "true" or "false"
	Empty       // an empty object or array, or an array of numbers: the key is there, its content is not read
)

// Path is the interned name of a place in a row, such as "text" or
// "messages[].content": within one Part equal names have equal pointers, so a
// consumer may keep what it knows about a path in a map keyed by pointer.
// A path is immutable.
type Path struct {
	Name string // dotted, "[]" for any array element
	ID   int32  // small and dense within a Part
}

// Leaf is one scalar of a row.
type Leaf struct {
	Path *Path
	Name string // "messages[2].content"; the same as Path.Name where there is no array
	Kind Kind
	Text string
}

// Row is one item of a corpus: a line of JSON Lines, a record of CSV, a
// paragraph of plain text. Leaves come in the order of the row. The row and
// all strings in it belong to the format and are valid only until the
// iteration step that yielded it returns.
type Row struct {
	File   string // as given or walked, with "/"
	Number int64  // counts from 1, see the contract
	Leaves []Leaf
	Raw    []byte // the row's JSON text where the format is JSON, else nil
	Bytes  int64  // decoded bytes that the row took in its file
}

// Part is a stretch of one file whose rows can be read by themselves. Parts of
// a file are numbered in order and may be iterated concurrently with one
// another, each by one goroutine; the rows of all parts in order are the rows
// of the file. A row that can't be read is yielded as (nil, *InputError), and
// iteration goes on; an error of any other type ends the scan.
type Part struct {
	File string
	Seq  int // within the whole walk, from 0, without gaps
	Rows iter.Seq2[*Row, error]
}

// InputError says what could not be read, and where. It never holds any of
// the text.
type InputError struct {
	File   string
	Where  string // "118" (a line) or "rg2#4051"; empty when the whole file is meant
	Binary bool   // Where follows "!" rather than ":"
	Line   int64  // row or line number, 0 when the whole file is meant
	Field  string // may be empty
	Reason string
	Whole  bool // nothing, or nothing more, of the file was read
}

func (e *InputError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Where != "" {
		if e.Binary {
			b.WriteByte('!')
		} else {
			b.WriteByte(':')
		}
		b.WriteString(e.Where)
	}
	if e.Field != "" {
		b.WriteString(": ")
		b.WriteString(e.Field)
	}
	b.WriteString(": ")
	b.WriteString(e.Reason)
	return b.String()
}

// LineError is an InputError at a line of a text file.
func LineError(file string, line int64, field, reason string) *InputError {
	return &InputError{File: file, Where: fmt.Sprint(line), Line: line, Field: field, Reason: reason}
}

// FileError is an InputError about a file of which nothing more can be read.
func FileError(file, reason string) *InputError {
	return &InputError{File: file, Reason: reason, Whole: true}
}
