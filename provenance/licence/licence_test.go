package licence

import (
	"slices"
	"strings"
	"testing"

	"github.com/github/go-spdx/v2/spdxexp"
)

// The table is read, names SPDX licences and its own classes, and gives a reason
// with each answer.
func TestTable(t *testing.T) {
	table, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var classes []string
	for id, class := range table.class {
		if ok, _ := spdxexp.ValidateLicenses([]string{id}); !ok {
			t.Errorf("%s is no SPDX licence", id)
		}
		classes = append(classes, class)
	}
	seen := map[string]bool{}
	for _, l := range table.lines {
		if l.Why == "" || l.Source == "" {
			t.Errorf("%s -> %s: no reason", l.from, l.to)
		}
		for _, x := range []string{l.from, l.to} {
			if x != "*" && table.class[x] == "" && !slices.Contains(classes, x) {
				t.Errorf("%s -> %s: %s is no class and in none", l.from, l.to, x)
			}
		}
		if seen[l.from+">"+l.to] {
			t.Errorf("%s -> %s stands twice", l.from, l.to)
		}
		seen[l.from+">"+l.to] = true
	}
	for id := range table.class {
		for other := range table.class {
			v := table.one(id, other)
			if v.Granted == Yes && table.class[id] != "public-domain" {
				t.Errorf("%s -> %s: yes, without conditions", id, other)
			}
			if id == other && v.Granted != Yes && v.Granted != Conditions {
				t.Errorf("%s for itself: %s", id, v.Granted)
			}
			if strings.Contains(id, "-NC") && !strings.Contains(other, "-NC") && v.Granted != No {
				t.Errorf("%s -> %s: %s, and commercial use would be granted", id, other, v.Granted)
			}
			if table.class[other] == "public-domain" && table.class[id] != "public-domain" && v.Granted != No {
				t.Errorf("%s -> %s: %s, and its conditions would be waived", id, other, v.Granted)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		rows, dataset string
		want          Granted
	}{
		{"CC0-1.0", "MIT", Yes}, {"CC0-1.0", "LicenseRef-own", Yes}, {"CC-BY-4.0", "CC0-1.0", No}, {"CC-BY-4.0", "MIT", Conditions}, {"CC-BY-NC-4.0", "CC-BY-4.0", No},
		{"CC-BY-SA-4.0", "CC-BY-SA-4.0", Conditions}, {"CC-BY-SA-3.0", "CC-BY-SA-4.0", Conditions}, {"CC-BY-SA-4.0", "CC-BY-SA-3.0", Unknown}, {"CC-BY-SA-4.0", "ODbL-1.0", Unknown},
		{"LicenseRef-own", "MIT", Unknown}, {"LicenseRef-own", "LicenseRef-own", Conditions}, {"MIT", "LicenseRef-own", Unknown},
		{"MIT OR GPL-3.0-only", "Apache-2.0", Conditions}, {"MIT AND GPL-3.0-only", "Apache-2.0", No}, {"MIT AND LicenseRef-own", "Apache-2.0", Unknown},
		{"CC-BY-4.0", "MIT OR CC0-1.0", No}, {"CC-BY-4.0", "(MIT AND Apache-2.0)", Conditions}, {"CC0-1.0 or CC-BY-NC-4.0", "MIT", Yes},
		{"GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", Unknown}, {"", "MIT", Unknown}, {"", "", Unknown}, {"MIT AND", "MIT", Unknown}, {"some words", "MIT", Unknown},
		{"GPL-2.0-or-later", "GPL-3.0-only", Conditions}, {"CC-BY-SA-4.0", "GPL-3.0-only", Conditions}, {"CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", No},
	} {
		if got := Check(c.rows, c.dataset); got.Granted != c.want || (got.Granted != Unknown) != (got.Why != "") {
			t.Errorf("%s in a dataset under %s: got %+v, want %s", c.rows, c.dataset, got, c.want)
		}
	}
}
