package source

import (
	"flag"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the .want files of the sources")

func TestExamples(t *testing.T) {
	for _, s := range Default().Sources() {
		name := string(s.ID) + ".txtar"
		t.Run(name, func(t *testing.T) {
			if *update {
				rewrite(t, s, name)
				return
			}
			data, err := files.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range Test(name, data) {
				t.Error(err)
			}
		})
	}
}

func rewrite(t *testing.T, s *Source, name string) {
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCatalogue(s)
	if err != nil {
		t.Fatal(err)
	}
	wants := map[string]string{}
	for i := range s.examples {
		if wants[s.examples[i].name+".want"], err = c.outcome(s, &s.examples[i]); err != nil {
			t.Fatal(s.examples[i].name, err)
		}
	}
	for i, f := range a.Files {
		if strings.HasPrefix(f.Name, "match/") && strings.HasSuffix(f.Name, ".want") {
			a.Files[i].Data = []byte(wants[f.Name])
		}
	}
	if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}
