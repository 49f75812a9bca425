package main

import "unicode"

// script is a script, or a group of scripts that behave alike.
type script int

const (
	latin script = iota
	greek
	cyrillic
	arabic
	devanagari
	thai
	han
	hangul
	mixed
	scripts int = iota
)

var scriptNames = [scripts]string{"Latin", "Greek", "Cyrillic", "Arabic", "Devanagari", "Thai", "Han/kana", "Hangul", "mixed"}

var scriptTables = [...][]*unicode.RangeTable{
	latin: {unicode.Latin}, greek: {unicode.Greek}, cyrillic: {unicode.Cyrillic}, arabic: {unicode.Arabic}, devanagari: {unicode.Devanagari},
	thai: {unicode.Thai}, han: {unicode.Han, unicode.Hiragana, unicode.Katakana}, hangul: {unicode.Hangul},
}

// scriptOf is the script of four fifths of a text's letters, outside references,
// or mixed.
func scriptOf(text string) script {
	var count [scripts]int
	letters := 0
	outside(text, func(from, to int) {
		for _, c := range text[from:to] {
			if unicode.IsLetter(c) {
				letters++
				count[scriptOfLetter(c)]++
			}
		}
	})
	for s := range scriptTables {
		if letters > 0 && count[s]*5 >= letters*4 {
			return script(s)
		}
	}
	return mixed
}

// scriptOfLetter is the script of one letter; mixed is any other.
func scriptOfLetter(c rune) script {
	if c < 0x80 {
		return latin
	}
	for s, tables := range scriptTables {
		if unicode.In(c, tables...) {
			return script(s)
		}
	}
	return mixed
}

// spaceless reports whether a script is written without spaces between words.
func spaceless(c rune) bool {
	return unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}
