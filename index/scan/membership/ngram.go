package main

import (
	"strings"
	"unicode"

	"github.com/cespare/xxhash/v2"
)

// gramWords is the length of the n-grams of the rule that this is compared with.
const gramWords = 13

// grams is the rule that training pipelines use for decontamination: lower case,
// words between white space, no punctuation; a record is in a row if any 13
// words in a row of it are. A record of fewer words can't be found.
type grams struct {
	ofRecord map[uint64]bool
	words    []string
}

func (g *grams) shared(record, row string) bool {
	if g.ofRecord == nil {
		g.ofRecord = map[uint64]bool{}
	}
	clear(g.ofRecord)
	g.each(record, func(h uint64) bool { g.ofRecord[h] = true; return true })
	if len(g.ofRecord) == 0 {
		return false
	}
	found := false
	g.each(row, func(h uint64) bool { found = g.ofRecord[h]; return !found })
	return found
}

func (g *grams) each(text string, yield func(hash uint64) bool) {
	g.words = g.words[:0]
	for _, w := range strings.Fields(strings.ToLower(text)) {
		w = strings.Map(func(c rune) rune {
			if unicode.IsPunct(c) || unicode.IsSymbol(c) {
				return -1
			}
			return c
		}, w)
		if w != "" {
			g.words = append(g.words, w)
		}
	}
	for i := 0; i+gramWords <= len(g.words); i++ {
		if !yield(xxhash.Sum64String(strings.Join(g.words[i:i+gramWords], " "))) {
			return
		}
	}
}
