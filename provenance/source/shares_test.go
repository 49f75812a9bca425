package source

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
	"github.com/valyala/fastjson"
)

// dataFile finds a file of ../shared/data, seen from a folder above this one.
func dataFile(tb testing.TB, name string) string {
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		f := filepath.Join(filepath.Dir(dir), "shared", "data", name)
		if _, err := os.Stat(f); err == nil {
			return f
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Skipf("SKIPPED, NOTHING MEASURED: no folder above has ../shared/data/%s", name)
		}
		dir = up
	}
}

// unpack puts the files of a .tar.xz of data whose names keep accepts into a
// temporary folder, and gives their paths.
func unpack(tb testing.TB, archive string, keep func(name string) bool) []string {
	f, err := os.Open(dataFile(tb, archive))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	x, err := xz.NewReader(bufio.NewReader(f))
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	var out []string
	for r := tar.NewReader(x); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			tb.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !keep(h.Name) {
			continue
		}
		name := filepath.Join(dir, strings.NewReplacer("/", "_", `\`, "_").Replace(h.Name))
		w, err := os.Create(name)
		if err != nil {
			tb.Fatal(err)
		}
		_, err = io.Copy(w, r)
		if err := errors.Join(err, w.Close()); err != nil {
			tb.Fatal(err)
		}
		out = append(out, name)
	}
}

// eachObject calls do for each line of a file that is a JSON value, or for the
// whole of a .json file.
func eachObject(tb testing.TB, name string, do func(line []byte, v *fastjson.Value)) {
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var p fastjson.Parser
	if strings.HasSuffix(name, ".json") {
		b, err := io.ReadAll(f)
		if err != nil {
			tb.Fatal(err)
		}
		if v, err := p.ParseBytes(b); err == nil {
			do(b, v)
		}
		return
	}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		if v, err := p.ParseBytes(s.Bytes()); err == nil {
			do(s.Bytes(), v)
		}
	}
	if err := s.Err(); err != nil {
		tb.Fatal(err)
	}
}

// TestShares holds what share of the real objects of each kind is recognised
// as strong, and that no object of any other platform is. The data are real
// posts and never part of the repository.
func TestShares(t *testing.T) {
	t.Parallel()
	own := map[string]struct {
		source string
		share  float64
	}{
		"twitter_v1_tweet": {"x-api", 1},
		"twitter_v2_tweet": {"x-api", 0.998},
		"reddit_t1":        {"reddit-api", 1},
		"reddit_t3":        {"reddit-api", 1},
		"twitter_v1_user":  {"x-api", 0}, // a user may hold a post
		"twitter_v2_user":  {"x-api", 0},

		"anthropic_message":  {"anthropic-api", 1},
		"crossref_work":      {"crossref-api", 1},
		"github_object":      {"github-api", 1},
		"google_place":       {"google-maps-api", 1},
		"mastodon_status":    {"mastodon", 1},
		"mediawiki_page":     {"wikimedia-api", 0.04}, // few have an address that tells the wiki
		"openai_response":    {"openai-api", 0.5},
		"spotify_object":     {"spotify-api", 0.95},
		"stackexchange_post": {"stackexchange-api", 1},
		"youtube_resource":   {"youtube-api", 0.95},
	}
	names := unpack(t, "api-records.tar.xz", func(name string) bool {
		return strings.HasSuffix(name, ".jsonl") && strings.Contains(name, "_records/")
	})
	names = append(names, unpack(t, "api-recordings.tar.xz", func(name string) bool { return strings.Contains(name, "hardneg-") })...)
	seen, alike := 0, 0
	for _, name := range names {
		kind := strings.TrimSuffix(filepath.Base(name), ".jsonl")
		if i := strings.LastIndex(kind, "_records_"); i >= 0 {
			kind = kind[i+len("_records_"):]
		}
		want, mine := own[kind]
		var rows, strong, weak, wrong, other int
		r := Default().NewRecogniser()
		var f flattener
		eachObject(t, name, func(_ []byte, v *fastjson.Value) {
			rows++
			if strings.Contains(kind, "hardneg-") {
				alike++
			}
			grade := 0
			r.Recognise(f.row(v), func(x Recognition) {
				switch {
				case kind == "anthropic_message" && x.Source == "openai-api" && !x.Strong:
					other++ // an item of a response of OpenAI, which the data has among them
				case mine && string(x.Source) != want.source, !mine && x.Strong && !strings.HasPrefix(kind, "reddit_"):
					wrong++
				case x.Strong:
					grade = 2
				default:
					grade = max(grade, 1)
				}
			})
			switch grade {
			case 2:
				strong++
			case 1:
				weak++
			}
		})
		if wrong > 0 {
			t.Errorf("%s: %d objects taken for another platform's", kind, wrong)
		}
		if mine {
			seen++
			t.Logf("%s: %d of %d strong, %d weak", kind, strong, rows, weak)
			if got := float64(strong) / float64(rows-other); rows == 0 || got < want.share {
				t.Errorf("%s: %.4f recognised as strong, want %.4f", kind, got, want.share)
			}
		}
	}
	t.Logf("%d look-alikes", alike)
	if seen != len(own) || alike == 0 {
		t.Errorf("%d of the %d kinds of own objects and %d look-alikes in the data; %d files", seen, len(own), alike, len(names))
	}
}

// TestNoFalseHits holds that ordinary text is recognised as nothing.
func TestNoFalseHits(t *testing.T) {
	t.Parallel()
	if testing.Short() || raceEnabled { // one goroutine, and ten times slower
		t.Skip("SKIPPED, NOTHING MEASURED: -short or -race")
	}
	rows := 0
	for _, name := range unpack(t, "background.tar.xz", func(name string) bool { return strings.HasSuffix(name, ".jsonl") }) {
		r := Default().NewRecogniser()
		var f flattener
		eachObject(t, name, func(_ []byte, v *fastjson.Value) {
			rows++
			r.Recognise(f.row(v), func(x Recognition) { t.Errorf("%s: row %d: %v", filepath.Base(name), rows, x.Witnesses) })
		})
	}
	t.Logf("%d rows", rows)
	if rows == 0 {
		t.Error("no rows")
	}
}
