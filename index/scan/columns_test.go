package scan_test

import (
	"slices"
	"testing"

	"custody/index/scan"
	"custody/provenance/source"
)

func TestColumns(t *testing.T) {
	names := []string{"id", "text", "summary", "embedding[]", "user.screen_name", "image.bytes", "score", "doc"}
	texts := []bool{false, true, true, false, true, true, false, true}
	for _, c := range []struct {
		opt  scan.Options
		want []string
	}{
		{scan.Options{Text: []string{"text"}}, []string{"id", "text"}},
		{scan.Options{Text: []string{"text"}, RowID: "doc"}, []string{"text", "doc"}},
		{scan.Options{Text: []string{"text"}, Catalogue: source.Default()}, []string{"id", "text", "user.screen_name"}},
		{scan.Options{}, []string{"id", "text", "summary", "user.screen_name", "image.bytes", "doc"}},
		{scan.Options{Text: []string{"not_there"}}, []string{"id", "text", "summary", "user.screen_name", "image.bytes", "doc"}},
	} {
		var got []string
		for i, used := range c.opt.Columns(names, texts) {
			if used {
				got = append(got, names[i])
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v, %q: got %q, want %q", c.opt.Text, c.opt.RowID, got, c.want)
		}
	}
}
