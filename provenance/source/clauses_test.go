package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"custody/provenance"
)

// dataDir is the folder of the archives: CUSTODY_TEST_DATA, else ../shared/data
// beside a folder above. Without it the test is skipped, loudly.
func dataDir(tb testing.TB) string {
	if dir := os.Getenv("CUSTODY_TEST_DATA"); dir != "" {
		return dir
	}
	return filepath.Dir(dataFile(tb, "terms.tar.xz"))
}

// archivedTexts unpacks the archived terms: by their digests, and by their names
// under terms/.
func archivedTexts(tb testing.TB) (byDigest, byName map[string][]byte) {
	f, err := os.Open(filepath.Join(dataDir(tb), "terms.tar.xz"))
	if errors.Is(err, os.ErrNotExist) {
		tb.Skipf("SKIPPED, NO CLAUSE VERIFIED: %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	x, err := xz.NewReader(bufio.NewReader(f))
	if err != nil {
		tb.Fatal(err)
	}
	byDigest, byName = map[string][]byte{}, map[string][]byte{}
	for r := tar.NewReader(x); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return byDigest, byName
		}
		if err != nil {
			tb.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			tb.Fatal(err)
		}
		sum := sha256.Sum256(text)
		byDigest[hex.EncodeToString(sum[:])] = text
		if _, name, ok := strings.Cut(h.Name, "terms/"); ok {
			byName[name] = text
		}
	}
}

// TestClauses holds every clause of the catalogue against the archived text: the
// digest is that of an archived file, whose origin the archive's own list gives
// as the clause's document, and the quotation stands in it.
func TestClauses(t *testing.T) {
	t.Parallel()
	texts, names := archivedTexts(t)
	origin := map[string]string{} // digest, of the file that the list names
	for i, row := range bytes.Split(names["MANIFEST.tsv"], []byte("\n")) {
		cells := strings.Split(string(row), "\t")
		if i == 0 || len(cells) < 4 {
			continue
		}
		sum := sha256.Sum256(names[strings.TrimPrefix(cells[0], "terms/")])
		origin[cells[3]] = hex.EncodeToString(sum[:])
	}
	words := map[string]string{}
	plain := func(digest string) string {
		if _, ok := words[digest]; !ok {
			words[digest] = strings.Join(strings.Fields(string(texts[digest])), " ")
		}
		return words[digest]
	}
	clauses, quotes := 0, 0
	for _, s := range Default().Sources() {
		for _, v := range s.Terms {
			for _, c := range v.Clauses {
				clauses++
				switch {
				case texts[c.Digest] == nil:
					t.Errorf("%s: %s: no archived text has the digest %s", v.ID, c.Right, c.Digest)
				case origin[c.Document] != c.Digest:
					t.Errorf("%s: %s: the archive has another text as %s", v.ID, c.Right, c.Document)
				case c.Quote == "" && saysNothing(v, c.Right):
				case c.Quote == "":
					t.Errorf("%s: %s: no quotation", v.ID, c.Right)
				case !strings.Contains(plain(c.Digest), strings.Join(strings.Fields(c.Quote), " ")):
					t.Errorf("%s: %s: the archived text does not have %q", v.ID, c.Right, c.Quote)
				default:
					quotes++
				}
			}
		}
	}
	t.Logf("%d clauses, %d quotations, %d archived texts", clauses, quotes, len(texts))
	if clauses < 500 || quotes < 250 {
		t.Errorf("%d clauses, %d quotations: the catalogue has lost most of them", clauses, quotes)
	}
}

// saysNothing reports whether v is silent on what a clause is about.
func saysNothing(v provenance.Terms, name string) bool {
	return v.Rights[name] == provenance.RightSilent || v.Limits[name] == provenance.RightSilent || v.Duties[name] == "silent"
}

// TestStatementsHaveClauses holds that nothing is said of a version without a
// pointer to its text, save that it is unknown.
func TestStatementsHaveClauses(t *testing.T) {
	t.Parallel()
	for _, s := range Default().Sources() {
		for _, v := range s.Terms {
			has := map[string]bool{}
			for _, c := range v.Clauses {
				has[c.Right] = true
			}
			for name, r := range v.Rights {
				if r != provenance.RightUnknown && !has[name] {
					t.Errorf("%s: %s %v without a clause", v.ID, name, r)
				}
			}
			for name, r := range v.Limits {
				if r != provenance.RightUnknown && !has[name] {
					t.Errorf("%s: %s %v without a clause", v.ID, name, r)
				}
			}
			for name, d := range v.Duties {
				if d != "unknown" && !has[name] {
					t.Errorf("%s: %s %s without a clause", v.ID, name, d)
				}
			}
		}
	}
}
