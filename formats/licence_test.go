package formats_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"custody/formats"
)

func TestLicenceExpression(t *testing.T) {
	for raw, want := range map[string]string{
		"apache-2.0": "Apache-2.0", "cc-by-4.0": "CC-BY-4.0", "pddl": "PDDL-1.0", "odc-by": "ODC-By-1.0", "MIT": "MIT", " mit ": "MIT", "bsl-1.0": "BSL-1.0",
		"gpl-3.0": "GPL-3.0-only", "MIT OR apache-2.0": "MIT OR Apache-2.0", "llama3.1": "LicenseRef-llama3.1", "etalab-2.0": "etalab-2.0", "cdla-permissive-2.0": "CDLA-Permissive-2.0",
		"other": "unknown", "unknown": "unknown", "": "unknown", "gfdl": "unknown", "cc": "unknown", "free for all": "unknown", "CC BY 4.0": "unknown",
		"https://creativecommons.org/licenses/by/4.0/":             "CC-BY-4.0",
		"http://creativecommons.org/licenses/by-nc-sa/3.0/deed.en": "CC-BY-NC-SA-3.0",
		"https://creativecommons.org/licenses/by/3.0/us/":          "CC-BY-3.0-US",
		"https://creativecommons.org/licenses/by/3.0/zz/":          "unknown",
		"https://creativecommons.org/publicdomain/zero/1.0/":       "CC0-1.0",
		"https://choosealicense.com/licenses/mit/":                 "MIT",
		"https://spdx.org/licenses/Apache-2.0.html":                "Apache-2.0",
		"https://www.apache.org/licenses/LICENSE-2.0":              "Apache-2.0",
		"https://opendatacommons.org/licenses/odbl/1-0/":           "ODbL-1.0",
		"https://opensource.org/licenses/MIT":                      "MIT",
		"https://example.org/mit":                                  "unknown",
		"https://[":                                                "unknown",
		strings.Repeat("(", 10_000):                                "unknown",
		strings.Repeat("(", 200):                                   "unknown",
	} {
		if got := formats.LicenceExpression(raw); got != want {
			t.Errorf("%.60q: got %s, want %s", raw, got, want)
		}
	}
}

const mitText = `MIT License

Copyright (c) 2024 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

// Each card says what it says, by file.
func TestLicences(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"README.md", "---\nlanguage: en\nlicense: cc-by-4.0\ntags: [a: b: c\n---\n# Card\n", "CC-BY-4.0 declared license: cc-by-4.0"},
		{"README.md", "---\r\nlicense:\r\n- mit\r\n- other\r\n---\r\n", "MIT declared license: mit; unknown declared license: other"},
		{"README.md", "---\nlicense:\n  a: [mit]\n  b: pddl\n---\n", "MIT declared license: mit; PDDL-1.0 declared license: pddl"},
		{"README.md", "---\nlicense: other\nlicense_name: apache-2.0\n---\n", "Apache-2.0 declared license: other, license_name: apache-2.0"},
		{"README.md", "---\nlicense: other\nlicense_name: mine\nlicense_link: https://example.org\n---\n", "unknown declared license: other, license_name: mine, license_link: https://example.org"},
		{"README.md", "---\nlicense: 'Ask\n  me\x1b[31m'\n---\n", "unknown declared malformed license in the card's head"},
		{"README.md", "---\nlicense: [mit\n---\n", "unknown declared malformed license in the card's head"},
		{"README.md", "---\nlicense: &a [mit]\nlicense_name: " + strings.Repeat("&a ", 20) + "\n---\n", "unknown declared malformed license in the card's head"},
		{"README.md", "---\nlicense: " + strings.Repeat("[", 20_000) + "\n---\n", "unknown declared malformed license in the card's head"},
		{"README.md", "# No head\nlicense: mit\n", ""},
		{"README.md", "---\nlanguage: en\n---\nlicense: mit\n", ""},
		{"README.md", "", ""},
		{"dataset_info.json", `{"license":"odbl"}`, "ODbL-1.0 declared license: odbl"},
		{"dataset_info.json", `{"license":""}`, ""},
		{"dataset_info.json", `{"license":`, "unknown declared malformed JSON"},
		{"dataset_infos.json", `{"default":{"license":"mit"},"other":{"license":"Ask the authors"}}`, "MIT declared license: mit; unknown declared license: Ask the authors"},
		{"croissant.json", `{"@context":{},"@type":"sc:Dataset","license":"https://creativecommons.org/licenses/by/4.0/"}`, "CC-BY-4.0 declared license: https://creativecommons.org/licenses/by/4.0/"},
		{"metadata.json", `{"@context":{"cr":"http://mlcommons.org/croissant/"},"@graph":[{"sc:license":[{"@id":"https://spdx.org/licenses/MIT"},"pddl"]}]}`, "MIT declared license: https://spdx.org/licenses/MIT; PDDL-1.0 declared license: pddl"},
		{"metadata.json", `{"license":"mit"}`, ""},
		{"LICENSE", mitText, "MIT detected 99% of the text is that of known licences, here MIT"},
		{"LICENCE.txt", "You may ask us.\n", "unknown detected 0% of the text is that of known licences"},
		{"dataset_info.json", fmt.Sprintf(`{"license":%q}`, mitText), "MIT detected license: 99% of the text is that of known licences, here MIT"},
	} {
		dir := t.TempDir()
		for name, content := range map[string]string{c.name: c.content, "data/a.jsonl": `{"text":"a"}`} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		corpus, err := formats.Walk([]string{dir}, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range corpus.Licences() {
			got = append(got, l.Expression+" "+l.Kind+" "+l.Evidence)
			if l.File != filepath.ToSlash(filepath.Join(dir, c.name)) {
				t.Errorf("%s is in %s", c.name, l.File)
			}
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %.200q: got %q, want %q", c.name, c.content, strings.Join(got, "; "), c.want)
		}
	}
}

// The folder of a file that is named is asked too, each once.
func TestLicencesOfFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"LICENSE": mitText, "a.jsonl": "{}", "b.jsonl": "{}", "sub/README.md": "---\nlicense: pddl\n---\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		paths []string
		want  []string
	}{
		{[]string{"a.jsonl", "b.jsonl"}, []string{"MIT"}},
		{[]string{""}, []string{"MIT", "PDDL-1.0"}},
		{[]string{"sub"}, []string{"PDDL-1.0"}},
	} {
		var paths, got []string
		for _, p := range c.paths {
			paths = append(paths, filepath.Join(dir, p))
		}
		corpus, err := formats.Walk(paths, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range corpus.Licences() {
			got = append(got, l.Expression)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.paths, got, c.want)
		}
	}
}

// Any card is read to its end, and what it gives is an expression of one line.
func FuzzLicences(f *testing.F) {
	for _, s := range []string{"---\nlicense: mit\n---\n", "---\nlicense:\n- [a, {b: c}]\nlicense_name: x\n---", `{"license":"mit"}`, `{"@context":1,"@graph":[{"license":{"@id":"x"}}]}`, mitText, "https://creativecommons.org/licenses/by/4.0/"} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"README.md", "dataset_info.json", "dataset_infos.json", "croissant.json", "LICENSE"} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := formats.Walk([]string{dir}, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range c.Licences() {
			if l.Expression == "" || l.Expression != "unknown" && formats.LicenceExpression(l.Expression) == "unknown" || strings.ContainsAny(l.Evidence, "\n\x1b\x00") || len([]rune(l.Evidence)) > 200 {
				t.Fatalf("%+v", l)
			}
		}
	})
}
