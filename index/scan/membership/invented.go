package main

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"

	"custody/index/ingest"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// syllables are what invented words are made of. Final ones end a word.
var syllables = [...]string{
	latin:      "ba ce dó fi gra hé ka lo mu nê or pi qua ris sta tu vel win xo zé ñan ör bru ch el th ing er ly",
	greek:      "α βε γή δι ελ ζω θά ιο κα λό μι νε ξυ όρ πα ρο στ τη υπ φω χαί ψι ων ους τες ματ πρό",
	cyrillic:   "а бе ви го дя ёл жи за ий ко ля мо ны оп пре ро ств ту ум фи ха це чи шо щу ых эт юн ять ь",
	arabic:     "ال ب ت ث ج ح خ د ر ز س ش ص ض ط ع غ ف ق ك ل م ن ه و ي ات ون ين ة",
	devanagari: "अ आ का की कु गा चे जी ट डा ता थी दे ना पर फि बा भी मु या रा ला वि शा सी हो क्ष त्र ज्ञ ङ्ग ँ ं",
	thai:       "กา ขี คุ งา จะ ชื่ ซ้ ดี ตั้ ถู ทำ ธิ นี้ บ้ ปลา ผู้ ฝน พระ ฟ้า มาก ยัง รัก ลม วัน สวย หนู อยู่ ฮา",
	han:        "天 地 人 山 水 火 木 金 土 日 月 年 春 夏 秋 冬 東 西 南 北 大 小 高 心 手 口 目 言 食 車 道 学 校 の は を に が た る し て い な ア イ ウ カ ト ン ス ル",
	hangul:     "가 나 다 라 마 바 사 아 자 차 카 타 파 하 강 남 동 량 문 별 산 옥 집 춘 콩 탈 필 학 은 는 이 을 에서",
}

// language is a vocabulary in one script.
type language struct {
	words []string
	space string
	rng   *rand.Rand
}

func newLanguage(s script, seed uint64, words int) *language {
	l := &language{space: " ", rng: rand.New(rand.NewPCG(seed, uint64(s)))}
	if s == han || s == thai {
		l.space = ""
	}
	from := strings.Fields(syllables[s])
	for range words {
		var w strings.Builder
		for range 1 + l.rng.IntN(3) {
			w.WriteString(from[l.rng.IntN(len(from))])
		}
		l.words = append(l.words, w.String())
	}
	return l
}

// text is n words with punctuation between them.
func (l *language) text(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString([...]string{l.space, l.space, l.space, l.space, l.space, l.space, l.space, l.space, ", ", " – "}[l.rng.IntN(10)])
		}
		b.WriteString(l.words[l.rng.IntN(len(l.words))])
	}
	return b.String() + [...]string{".", "!", "?", "", "…", " 🙂"}[l.rng.IntN(6)]
}

// post is a text as people post them, with what is no word of theirs around it.
func (l *language) post() string {
	text := l.text(2 + l.rng.IntN(12) + l.rng.IntN(1+l.rng.IntN(40)))
	switch l.rng.IntN(12) {
	case 0:
		text = fmt.Sprintf("@user%d %s", l.rng.IntN(10_000), text)
	case 1:
		text += fmt.Sprintf(" https://t.co/%010d", l.rng.IntN(1e10))
	case 2:
		text += " #" + l.words[l.rng.IntN(len(l.words))]
	case 3:
		text += "\n\n" + l.text(3) + " <3 & more"
	case 4:
		text = "“" + text + "” — " + l.words[0]
	}
	return text
}

// inventedRecords is how many records there are of each script.
const inventedRecords = 200

// inventedInput is records in eight scripts, the same for the same seed.
func inventedInput(seed uint64) *input {
	src, err := source.Default().Lookup("generic:invented")
	if err != nil {
		panic(err) // a generic source has no file
	}
	return &input{source: src, fields: source.Fields{Text: []string{"text"}}, files: []ingest.File{{Path: "invented",
		Digest: func(context.Context) (string, error) { return fmt.Sprintf("%064x", seed), nil },
		Parts: func(context.Context) iter.Seq2[corpus.Part, error] {
			return onePart("invented", func(yield func(string) bool) {
				for s := range scriptTables {
					l := newLanguage(script(s), seed, 3000)
					for range inventedRecords {
						if !yield(l.post()) {
							return
						}
					}
				}
			})
		}}}}
}

// inventedBackground is documents in a language that no record is in.
func inventedBackground(seed uint64) iter.Seq2[corpus.Part, error] {
	return onePart("background", func(yield func(string) bool) {
		l := newLanguage(latin, seed^0x5eed, 3000)
		for range 300 {
			if !yield(l.text(60) + "\n\n" + l.text(40+l.rng.IntN(60)) + "\n\n" + l.text(30)) {
				return
			}
		}
	})
}

func onePart(file string, texts iter.Seq[string]) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		yield(corpus.Part{File: file, Rows: func(yield func(*corpus.Row, error) bool) {
			n := int64(0)
			for text := range texts {
				n++
				if !yield(textRow(file, n, text), nil) {
					return
				}
			}
		}}, nil)
	}
}
