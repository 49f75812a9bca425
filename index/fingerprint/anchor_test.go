package fingerprint

import (
	"strings"
	"testing"
)

func TestAnchorsAreKeys(t *testing.T) {
	for _, text := range []string{"", "eleven chr", "twelve chars ok", "one two three four five six seven eight", strings.Repeat("été 東京 한국 ", 9)} {
		for _, h := range []*Hasher{{}, NewPrivate(99, []byte("key"))} {
			var s Stream
			s.Reset(text)
			got := s.AppendAnchors(h, nil)
			n := 0
			for _, i := range s.Starts() {
				if int(i)+MinShort > s.Len() {
					break
				}
				if want := s.Key(h, int(i), int(i)+MinShort); n >= len(got) || got[n] != want {
					t.Fatalf("text of %d symbols, anchor %d: got %x, want %x", s.Len(), n, got, want)
				}
				n++
			}
			if n != len(got) {
				t.Errorf("text of %d symbols: got %d anchors, want %d", s.Len(), len(got), n)
			}
		}
	}
}
