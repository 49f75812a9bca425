// Package fingerprint turns a text into symbols, and symbols into fingerprints that a copy of
// the text shares. It is pure: no file, no clock, no state but the memory that a [Stream]
// uses again.
//
// What it makes is stored and shared, so it is a format, with a version: [Norm]. This comment and the
// four tables beside it (entities.txt, tokens.txt, n2.txt, nfc.txt, frozen, of Unicode 15.0.0) are
// enough to make it again in another language; testdata/fingerprint has such an
// implementation in Python, and test vectors. Nothing of it moves with the toolchain.
//
// N0 is the text as it is: UTF-8 of the field's value. Its bytes need not be valid; a byte that
// belongs to no valid character (of at most four bytes, shortest form, no surrogate) is a thing
// of its own below.
//
// # Character references
//
// N1 and N2 begin with the text decoded. A reference is & and a name of ASCII letters and digits
// and ; or &# and decimal digits and ; or &#x (or &#X) and hexadecimal digits and ; with at most 32
// bytes after the &. Names are those of entities.txt, by case. A number is that code point;
// entities.txt has the exceptions that HTML makes for 128 to 159; 0, surrogates and numbers
// above 10FFFF are U+FFFD. What is no reference stays. The whole text is decoded from left to right,
// and the result again, at most three times in all.
//
// # N1
//
// The decoded text in NFC, by the tables of nfc.txt and the arithmetic of Hangul syllables,
// without a limit to the marks after a letter. Then every run of white space (White_Space: U+0009 to
// U+000D, U+0020, U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000)
// is one LF when it has a CR or LF in it, else one space; none is left at the start and the end. A byte
// that is not UTF-8 stays as it is, and nothing composes across it.
//
// # N2, tokens
//
// N2 reads the decoded text from left to right. At each place it first looks for a token, which
// is dropped whole. Letters of tokens count in any case unless said otherwise. A word character is an
// ASCII letter or digit or _. ASCII white space is U+0009 to U+000D and U+0020. No token is looked
// for inside another.
//
//   - URL: http:// or https:// wherever it stands, or www. where no word character is directly
//     before it, and then all of A-Z a-z 0-9 - . _ ~ : / ? # @ ! $ & * + = % that follow.
//   - Mention: @ or U+FF20 where no word character is directly before it, and the word characters
//     after it, at least one.
//   - Tag: < and / or not; the name of an element of tokens.txt; any number of attributes, each
//     after ASCII white space; white space or not; / or not; > with at most 1,024 bytes in all. An
//     attribute is a name ([A-Za-z_:@] and then [A-Za-z0-9_:.@-]…), = with or without white space
//     around it, and a value: between double or single quotes anything but < > and that
//     quote, without quotes at least one character that is neither U+0000 to U+0020, U+007F nor " ' < > = `. Or
//     it is one of the boolean attributes of tokens.txt, alone. So a tag has no other < or > in it.
//   - Placeholder: a holder word of tokens.txt, directly after { [ < or the start of the text, and
//     directly before } ] > or the end of the text. (The edges of the text count as brackets
//     because the text may have been cut out there: see Locality.) Or the bare word, in
//     capitals as it is written there, with no word character directly before or after it.
//   - RT, only as the first thing after nothing but ASCII white space, and only when ASCII white space and
//     a mention follow, or nothing but ASCII white space to the end of the text.
//
// # N2, code points
//
// Each character that is in no token is looked up in n2.txt:
//
//   - class i (default ignorable, or unassigned in Unicode 15.0): dropped, as if it were not there;
//   - otherwise it is replaced by what it maps to there, NFKD(fold(NFKD(c))) with the C and F foldings of
//     CaseFolding.txt (a Hangul syllable by its jamo, all others by themselves), and each code point
//     of that is kept or dropped by its own class:
//   - n, l, t, k, h (letters and numbers): kept;
//   - m (marks): kept when the code point before it was a kept one of class l, t, k, h or m; otherwise
//     dropped, as if it were not there. “Before” passes over what is as if it were not there;
//   - all others (white space, punctuation, symbols, controls, private use): dropped; they
//     separate. So do tokens and bytes that are not UTF-8.
//
// It is a map of code points: marks are not put in order across characters, and digits of
// different scripts stay different. N2 as a string is the kept code points in UTF-8. Letters that
// only look alike (Latin a, Cyrillic а) are different: a text rewritten in homoglyphs is
// out of reach, and nothing in here counts or finds it.
//
// A symbol is a code point and a part, part<<24 | code point. Class k (kana) gives two symbols
// with parts 0 and 1, h (Han) three with parts 0, 1 and 2, each other kept code point one with part 0.
//
// A token starts at a symbol of part 0 that is the first, or before which something that
// separates was dropped since the symbol before, or that is of class t, k or h.
//
// # Locality
//
// For all texts A, R, B and separators s, t out of white space, quotes, brackets other than <,
// the characters | , — and whole tags, N2(A s R t B) contains N2(R), unless A or R ends inside an
// open tag (a < and what may become a tag). Every look behind and ahead of the rules above stops at a
// separator, or takes the end of the text for one that would drop more.
//
// # Selection
//
// A window is [K] = 16 neighbouring symbols; a text of L symbols has L-15. The order of a window is
// the upper 44 bits of H × 0x9E3779B97F4A7C15 (mod 2^64) with
//
//	H = rotl(h(s0),15) ^ rotl(h(s1),14) ^ … ^ rotl(h(s14),1) ^ h(s15)
//
// where rotl turns 64 bits left and h(s) is the first output of SplitMix64 seeded with s:
//
//	x = s + 0x9E3779B97F4A7C15; x = (x ^ x>>30) × 0xBF58476D1CE4E5B9; x = (x ^ x>>27) × 0x94D049BB133111EB; h = x ^ x>>31
//
// Of every w neighbouring windows the one of least order is selected, the rightmost of equals. A
// text of 16 to 14+w symbols, with fewer than w windows, is one block; a text of fewer than 16 has
// nothing selected. Two texts that share a run of K+w-1 symbols share a selected window; a window
// that is selected with some w is selected with each smaller one. A window is plain when it repeats
// with a period of at most 8 symbols; it is selected like any other, and the caller leaves it out.
//
// The key of a run of symbols is its XXH64: of one byte each when all of them are below U+0080,
// else of four bytes each, little-endian. The seed is 0, or the secret one of a private store. The
// fingerprint of a window is the key of its symbols. The order has no seed.
//
// # Example
//
//	text       RT @ann: The size (Größe) of “漢字” &amp; &lt;b&gt;words&lt;/b&gt; in ２ lines, see http://x.y/z?q=1
//	N1         RT @ann: The size (Größe) of “漢字” & <b>words</b> in ２ lines, see http://x.y/z?q=1
//	N2         thesizegrosseof漢字wordsin2linessee
//	symbols    37
//	starts     0 3 7 13 15 18 21 26 28 29 34
//	key        39513605424e4724
//	selected   3:28487775fcd83cd5 4:41c08eeecf28202b 13:ea526b1bfb544baa 14:81f15109d2ccd207 16:b162a89cbbe7fd07
package fingerprint
