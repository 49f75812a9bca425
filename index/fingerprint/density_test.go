package fingerprint

import "testing"

func TestIndexWindow(t *testing.T) {
	for _, c := range []struct{ symbols, window, want int }{
		{10, 9, 9}, {23, 9, 9}, {24, 9, 1}, {33, 9, 1}, {60, 9, 4}, {75, 9, 6}, {105, 9, 9}, {4000, 9, 9}, {75, 16, 6}, {4000, 16, 16},
	} {
		if got := IndexWindow(c.symbols, c.window); got != c.want {
			t.Errorf("%d symbols, window %d: got %d, want %d", c.symbols, c.window, got, c.want)
		}
	}
}
