package fingerprint

import "strings"

// Tables of bytes. In tabFast and tabExact a byte below 0x80 is a symbol (bit 5 set in all of
// them, which is how the loops count) or 0, a separator; triggers have the high bit.
var (
	tabFast  [256]uint8
	tabExact [256]uint8 // tabFast, and L, which ends a bare placeholder, is a trigger too
	tabURL   [256]uint8 // 1: may stand in a URL
	tabWord  [256]uint8 // 1: A-Z a-z 0-9; 2: _
	tabAttr  [256]uint8 // 1: may start an attribute's name; 2: may go on in one
	tabVal   [256]uint8 // 1: may stand in a value without quotes
	tabSpace [256]uint8 // 1: ASCII white space
)

const trigger = 0x80

// tabPair has, for two bytes (the first in the low eight bits), what tabFast makes of them: the
// symbols in the low two bytes, and the bits below.
var tabPair [1 << 16]uint32

const (
	pairCount   = 16 // two bits: how many symbols
	pairStart   = 18 // a token starts at the first of them
	pairFirst   = 19 // the same if there was a gap before the pair
	pairGap     = 20 // there is a gap behind it
	pairTrigger = 1 << 21
)

func pair(x, y uint8) (e uint32) {
	if pairTriggers(x, y) {
		return pairTrigger
	}
	x, y = tabFast[x]&^trigger, tabFast[y]&^trigger
	switch {
	case x != 0 && y != 0:
		return uint32(x) | uint32(y)<<8 | 2<<pairCount | 1<<pairFirst
	case x != 0:
		return uint32(x) | 1<<pairCount | 1<<pairFirst | 1<<pairGap
	case y != 0:
		return uint32(y) | 1<<pairCount | 1<<pairStart
	}
	return 1 << pairGap
}

// pairTriggers reports whether pairs must stop at this one, for its triggers to be looked at one
// by one. A trigger that can't act here is a separator. Wherever pairs begin, a www. has a pair of
// w; and of p:/ or s:/ one pair has the colon and what is before or after it, so most points and
// colons stop nothing.
func pairTriggers(x, y uint8) bool {
	if y == '<' {
		return true
	}
	switch x {
	case '\n', '\r', '>', ']', '}':
		return true
	case '<':
		if y == '/' || tabWord[y] == 1 {
			return true
		}
	case '@':
		if tabWord[y] != 0 {
			return true
		}
	case ':':
		if y == '/' {
			return true
		}
	}
	switch y {
	case '\n', '\r':
		return true
	case '>', ']', '}':
		return strings.IndexByte(holderEnds, lower(x)) >= 0
	case '@':
		return tabWord[x] == 0
	case ':':
		return lower(x) == 'p' || lower(x) == 's'
	case 'w', 'W':
		return lower(x) == 'w'
	}
	return false
}

// holderEnds are the last letters of the holder words.
const holderEnds = "elnr"

func init() {
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z':
			tabFast[c], tabWord[c] = uint8(c), 1
		case c >= 'A' && c <= 'Z':
			tabFast[c], tabWord[c] = uint8(c)|0x20, 1
		case c >= 0x80:
			tabFast[c] = trigger
		}
	}
	for _, c := range ":.@<>]}\n\r" {
		tabFast[c] = trigger
	}
	tabExact = tabFast
	tabExact['L'] = trigger
	tabWord['_'] = 2
	for c := range 128 {
		if tabWord[c] == 1 {
			tabURL[c], tabAttr[c] = 1, 2
			if c > '9' {
				tabAttr[c] = 1
			}
		}
		if c > ' ' && c != 0x7F {
			tabVal[c] = 1
		}
	}
	for _, c := range "-._~:/?#@!$&*+=%" {
		tabURL[c] = 1
	}
	tabAttr['_'], tabAttr[':'], tabAttr['@'] = 1, 1, 1
	tabAttr['-'], tabAttr['.'] = 2, 2
	for _, c := range "\"'<>=`" {
		tabVal[c] = 0
	}
	for c := 0x80; c < 256; c++ {
		tabVal[c] = 1
	}
	for _, c := range " \t\n\v\f\r" {
		tabSpace[c] = 1
	}
	for i := range tabPair {
		tabPair[i] = pairTrigger
		if i&0x8080 == 0 {
			tabPair[i] = pair(uint8(i), uint8(i>>8))
		}
	}
}

// urlEnd returns where the URL that has its scheme before i ends.
func urlEnd(s string, i int) int {
	for i < len(s) && tabURL[s[i]] != 0 {
		i++
	}
	return i
}

// scheme returns the length of the http or https that ends at the colon at i and starts at
// or after from, and is followed by //; or 0.
func scheme(s string, i, from int) int {
	if i+2 >= len(s) || s[i+1] != '/' || s[i+2] != '/' || i-from < 4 {
		return 0
	}
	if equalFold(s[i-4:i], "http") {
		return 4
	}
	if i-from >= 5 && equalFold(s[i-5:i], "https") {
		return 5
	}
	return 0
}

// isWWW reports whether the point at i ends a www that starts at or after from, and not
// after a word character.
func isWWW(s string, i, from int) bool {
	return i-from >= 3 && equalFold(s[i-3:i], "www") && (i == 3 || tabWord[s[i-4]] == 0)
}

// mention returns where the mention whose sign is s[i:i+size] ends, or 0.
func mention(s string, i, size int) int {
	if i > 0 && tabWord[s[i-1]] != 0 {
		return 0
	}
	j := i + size
	for j < len(s) && tabWord[s[j]] != 0 {
		j++
	}
	if j == i+size {
		return 0
	}
	return j
}

// holder returns the length of the placeholder word that ends at i and starts at or after
// from: a listed word with the start of the text or an opening bracket directly before it.
// The caller knows that the end of the text or a closing bracket follows.
func holder(s string, i, from int) int {
	j := i
	for j > from && i-j <= 8 && tabWord[s[j-1]] == 1 {
		j--
	}
	if n := i - j; n < 3 || n > 8 || j > 0 && s[j-1] != '{' && s[j-1] != '[' && s[j-1] != '<' {
		return 0
	}
	var low [8]byte
	for k := j; k < i; k++ {
		low[k-j] = lower(s[k])
	}
	if !tokenTable().holders[string(low[:i-j])] {
		return 0
	}
	return i - j
}

// bareWord stands in the place of a link in the texts of a well-known corpus. It is the one
// placeholder without brackets, and dropped only as it is written there.
const bareWord = "HTTPURL"

func hasBare(s string) bool { return strings.Contains(s, bareWord) }

// bare reports whether bareWord ends with the letter at i and starts at or after from, a
// word of its own.
func bare(s string, i, from int) bool {
	j := i + 1 - len(bareWord)
	return j >= from && s[j:i+1] == bareWord && (j == 0 || tabWord[s[j-1]] == 0) &&
		(i+1 == len(s) || tabWord[s[i+1]] == 0)
}

const tagMax = 1024 // bytes of a tag, both its brackets included

// tag returns where the tag that starts with the < at i ends, or 0.
//
//	tag   = "<" ["/"] element { space… attr } [space…] ["/"] ">"
//	attr  = name [space…] "=" [space…] value | boolean
//	value = a quoted string without < > and its own quote | characters without space " ' < > = `
func tag(s string, i int) int {
	s = s[:min(len(s), i+tagMax)]
	i++
	if i < len(s) && s[i] == '/' {
		i++
	}
	from := i
	for i < len(s) && tabWord[s[i]] == 1 {
		i++
	}
	if i == len(s) || !listed(tokenTable().elements, s[from:i]) {
		return 0
	}
	for {
		gap := i
		for i < len(s) && tabSpace[s[i]] != 0 {
			i++
		}
		if i < len(s) && s[i] == '/' {
			i++
			gap = i
		}
		switch {
		case i == len(s):
			return 0
		case s[i] == '>':
			return i + 1
		case i == gap || tabAttr[s[i]] != 1:
			return 0
		}
		if i = attr(s, i); i == 0 {
			return 0
		}
	}
}

// attr returns where the attribute at i ends, or 0.
func attr(s string, i int) int {
	from := i
	for i < len(s) && tabAttr[s[i]] != 0 {
		i++
	}
	end := i
	for i < len(s) && tabSpace[s[i]] != 0 {
		i++
	}
	if i == len(s) {
		return 0
	}
	if s[i] != '=' {
		if !listed(tokenTable().booleans, s[from:end]) {
			return 0
		}
		return end
	}
	for i++; i < len(s) && tabSpace[s[i]] != 0; i++ {
	}
	if i == len(s) {
		return 0
	}
	from = i
	if q := s[i]; q == '"' || q == '\'' {
		for i++; i < len(s) && s[i] != q; i++ {
			if s[i] == '<' || s[i] == '>' {
				return 0
			}
		}
		if i == len(s) {
			return 0
		}
		return i + 1
	}
	for i < len(s) && tabVal[s[i]] != 0 {
		i++
	}
	if i == from || i == len(s) {
		return 0
	}
	return i
}

// repost returns where the RT of s stands, and whether it is one: RT as the first token after
// nothing but ASCII white space, and after it white space and a mention, or nothing more.
func repost(s string) (at int, ok bool) {
	for at < len(s) && tabSpace[s[at]] != 0 {
		at++
	}
	if at+2 > len(s) || s[at]|0x20 != 'r' || s[at+1]|0x20 != 't' {
		return 0, false
	}
	i := at + 2
	for i < len(s) && tabSpace[s[i]] != 0 {
		i++
	}
	switch {
	case i == len(s):
		return at, true
	case i == at+2:
		return 0, false
	case s[i] == '@':
		return at, mention(s, i, 1) > 0
	case len(s) > i+3 && s[i:i+3] == "＠":
		return at, mention(s, i, 3) > 0
	}
	return 0, false
}

// listed reports whether a word, in any case, is in the list, which is in lower case.
func listed(list map[string]bool, word string) bool {
	var low [16]byte
	if len(word) > len(low) {
		return false
	}
	for i := range len(word) {
		low[i] = lower(word[i])
	}
	return list[string(low[:len(word)])]
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// equalFold compares a with b, which is of the same length and in lower case, by ASCII.
func equalFold(a, b string) bool {
	for i := range len(b) {
		if lower(a[i]) != b[i] {
			return false
		}
	}
	return true
}
