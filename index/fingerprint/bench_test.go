package fingerprint

import (
	"fmt"
	"strings"
	"testing"
)

// prose is plain ASCII of the usual make: words, stops, capitals, a line end every 80 bytes.
func prose(n int) string {
	const words = "the quick brown fox jumps over a lazy dog while seven Wizards, quietly, boxed up 42 daft zebras in New York"
	list := strings.Fields(words)
	var b strings.Builder
	x := uint64(1)
	line := 0
	for b.Len() < n {
		x = splitmix64(x)
		w := list[x%uint64(len(list))]
		b.WriteString(w)
		line += len(w) + 1
		switch {
		case line > 80:
			b.WriteByte('\n')
			line = 0
		case x>>40%12 == 0:
			b.WriteString(". ")
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()[:n]
}

func repeat(s string, n int) string { return strings.Repeat(s, n/len(s)+1)[:n] }

var benchTexts = []struct{ name, text string }{
	{"ascii", prose(1 << 16)},
	{"post", prose(140)},
	{"curly", repeat(prose(200)+"“quoted” — and so on… 🎉 ", 1<<16)},
	{"latin", repeat("Große Übung, déjà vu à Noël. ", 1<<16)},
	{"cyrillic", repeat("Съешь же ещё этих мягких французских булок, да выпей чаю. ", 1<<16)},
	{"arabic", repeat("نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ", 1<<16)},
	{"devanagari", repeat("ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश। ", 1<<16)},
	{"han", repeat("視野無限廣，窗外有藍天。微風迎客，軟語伴茶。", 1<<16)},
	{"hangul", repeat("키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. ", 1<<16)},
}

var hostileTexts = []string{"<", "&", "@", ":", ".", "\n", "]", "http://", "http:// ", "<b ", "<a href=x ", "&amp;", "&amp;amp;amp;amp;",
	"&#x", "&a", "&#38;#38;", "&CounterClockwiseContourIntegra", "www.", "w.", "{url}", "url}", "[user", "@a", "\xff", "é", "\u200b", "a\u0301", "ﷺ", "㍿", "🎉", "aaaa", "0x00, "}

func BenchmarkN2(b *testing.B) {
	for _, t := range benchTexts {
		b.Run(t.name, func(b *testing.B) {
			var s Stream
			s.Reset(t.text)
			b.SetBytes(int64(len(t.text)))
			b.ReportAllocs()
			for b.Loop() {
				s.Reset(t.text)
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	for _, t := range hostileTexts {
		b.Run(fmt.Sprintf("%q", t), func(b *testing.B) {
			text := repeat(t, 1<<18)
			var s Stream
			s.Reset(text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s.Reset(text)
			}
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	for _, i := range []int{0, 1, 4, 7} {
		t := benchTexts[i]
		for _, w := range []int{Window, WindowLong} {
			b.Run(fmt.Sprintf("%s/w=%d", t.name, w), func(b *testing.B) {
				var s Stream
				s.Reset(t.text)
				dst := s.Select(nil, w, nil)
				b.SetBytes(int64(s.Len()))
				b.ReportAllocs()
				for b.Loop() {
					dst = s.Select(nil, w, dst[:0])
				}
			})
		}
	}
}

// BenchmarkScan is what a scan does with every text: N2, selection, plain windows.
func BenchmarkScan(b *testing.B) {
	for _, i := range []int{0, 1, 4, 7} {
		t := benchTexts[i]
		b.Run(t.name, func(b *testing.B) {
			var s Stream
			var dst []Selected
			b.SetBytes(int64(len(t.text)))
			b.ReportAllocs()
			plain := 0
			for b.Loop() {
				s.Reset(t.text)
				dst = s.Select(nil, Window, dst[:0])
				for _, x := range dst {
					if s.Plain(int(x.Pos)) {
						plain++
					}
				}
			}
		})
	}
}

func BenchmarkN1(b *testing.B) {
	for _, t := range benchTexts {
		b.Run(t.name, func(b *testing.B) {
			var dst []byte
			b.SetBytes(int64(len(t.text)))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendN1(dst[:0], t.text)
			}
		})
	}
}
