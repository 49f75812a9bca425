package formats

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/github/go-spdx/v2/spdxexp"
	"github.com/google/licensecheck"
	"github.com/valyala/fastjson"
	"go.yaml.in/yaml/v3"
)

// DeclaredLicence is a licence that is given beside the data. What it permits is
// not asked here.
type DeclaredLicence struct {
	File       string // as Walk names files, with "/"
	Expression string // of SPDX, or "unknown"
	Kind       string // "declared", by a card, or "detected", in a licence's text
	Evidence   string // what the file says: one line, at most 200 characters
}

const (
	declared, detected = "declared", "detected"
	unknownLicence     = "unknown"

	maxCard      = 16 << 20 // bytes that are read of a card
	maxCardField = 16 << 10 // bytes of the licences in the head of a README
	maxEvidence  = 200
	minCovered   = 75 // percent of the words of a text that make it a licence
)

// Licences are the licences declared in the folders of the corpus's files, and
// in the folders that were walked: in the head of README.md, the license of
// dataset_info.json, dataset_infos.json and Croissant's JSON, and the texts of
// LICENSE files; remote ones too, as far as Remote.Beside gives them. They come in the order of the files' names. A card without one
// gives none; one that can't be read is unknown, and says why.
func (c *Corpus) Licences() []DeclaredLicence {
	var folders []string
	for _, f := range c.files {
		if f.name != "" {
			folders = append(folders, filepath.Dir(f.name))
		}
	}
	for _, s := range c.skipped {
		if IsAddress(s) {
			continue
		}
		folders = append(folders, filepath.Dir(filepath.FromSlash(s)))
	}
	folders = append(folders, c.walked...)
	var out []DeclaredLicence
	done := map[string]bool{} // real names
	for _, dir := range folders {
		real, err := filepath.EvalSymlinks(dir)
		if real, err2 := filepath.Abs(real); err != nil || err2 != nil || done[real] {
			continue
		} else {
			done[real] = true
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // the walk says so
		}
		for _, e := range entries {
			find := cardReader(e.Name())
			name := filepath.Join(dir, e.Name())
			if st, err := os.Stat(name); find == nil || err != nil || !st.Mode().IsRegular() {
				continue
			}
			out = append(out, licencesIn(filepath.ToSlash(name), find, func() (io.ReadCloser, error) { return os.Open(name) })...)
		}
	}
	for _, o := range c.remoteCards() {
		out = append(out, licencesIn(o.Name, cardReader(path.Base(o.Name)), o.Reader)...)
	}
	slices.SortStableFunc(out, func(a, b DeclaredLicence) int { return strings.Compare(a.File, b.File) })
	return out
}

// licencesIn are the licences that find finds in a card.
func licencesIn(name string, find func(data []byte) []DeclaredLicence, open func() (io.ReadCloser, error)) []DeclaredLicence {
	data, err := readCard(open)
	if err != nil {
		return []DeclaredLicence{{name, unknownLicence, declared, "unread: " + err.Error()}}
	}
	out := find(data)
	for i := range out {
		out[i].File, out[i].Evidence = name, evidence(out[i].Evidence)
	}
	return out
}

func readCard(open func() (io.ReadCloser, error)) ([]byte, error) {
	in, err := open()
	if err != nil {
		return nil, errors.New(reasonOf(err))
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxCard+1))
	switch {
	case err != nil:
		return nil, errors.New(reasonOf(err))
	case len(b) > maxCard:
		return nil, fmt.Errorf("longer than %d bytes", maxCard)
	}
	return bytes.TrimPrefix(b, bom), nil
}

// cardReader is what finds the licences of a file of this name, nil where it is
// no card.
func cardReader(name string) func(data []byte) []DeclaredLicence {
	lower := strings.ToLower(name)
	switch {
	case lower == "readme.md":
		return readmeLicences
	case lower == "dataset_info.json":
		return func(data []byte) []DeclaredLicence { return jsonLicences(data, false) }
	case lower == "dataset_infos.json":
		return func(data []byte) []DeclaredLicence { return jsonLicences(data, true) }
	case strings.HasPrefix(lower, "croissant") && filepath.Ext(lower) == ".json", lower == "metadata.json":
		return croissantLicences
	case lower == "copying", isCard(lower) && (strings.HasPrefix(lower, "license") || strings.HasPrefix(lower, "licence")):
		return textLicences
	}
	return nil
}

// evidence is a text on one line, cut short.
func evidence(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(s); len(runes) > maxEvidence {
		s = string(runes[:maxEvidence-1]) + "…"
	}
	return s
}

// said is what a card says of its licence: as a name, an address or a text.
func said(key, raw string) DeclaredLicence {
	l := DeclaredLicence{Kind: declared, Expression: LicenceExpression(raw), Evidence: key + ": " + raw}
	if l.Expression == unknownLicence && len(raw) > maxEvidence {
		if found := textLicences([]byte(raw)); len(found) == 1 && found[0].Expression != unknownLicence {
			l.Expression, l.Kind, l.Evidence = found[0].Expression, detected, key+": "+found[0].Evidence
		}
	}
	return l
}

// readmeLicences reads license, and license_name where that is other, in the
// front matter of a card. Their lines alone are parsed: what is broken or vast in
// the rest of the head is no matter.
func readmeLicences(data []byte) []DeclaredLicence {
	lines := bytes.Lines(data)
	var block []byte
	open, within := false, false
	for line := range lines {
		trimmed := bytes.TrimRight(line, " \t\r\n")
		if !open {
			if string(trimmed) != "---" {
				return nil
			}
			open = true
			continue
		}
		if string(trimmed) == "---" || string(trimmed) == "..." || len(block) > maxCardField {
			break
		}
		if len(line) > 0 && !bytes.ContainsAny(line[:1], " \t-#\r\n") {
			within = bytes.HasPrefix(line, []byte("license"))
		}
		if within {
			block = append(append(block, bytes.TrimRight(line, "\r\n")...), '\n')
		}
	}
	if len(block) == 0 {
		return nil
	}
	var head struct {
		License any `yaml:"license"`
		Name    any `yaml:"license_name"`
		Link    any `yaml:"license_link"`
	}
	err := errors.New("too long")
	if len(block) <= maxCardField && bytes.Count(block, []byte("&")) < 16 { // aliases could multiply
		err = caught(func() error { return yaml.Unmarshal(block, &head) })
	}
	if err != nil {
		return []DeclaredLicence{{Kind: declared, Expression: unknownLicence, Evidence: "malformed license in the card's head"}}
	}
	var out []DeclaredLicence
	var add func(v any, depth int)
	add = func(v any, depth int) {
		switch v := v.(type) {
		case nil:
		case []any:
			for _, e := range v {
				add(e, depth+1)
			}
		case map[string]any: // by the name of a configuration
			keys := make([]string, 0, len(v))
			for k := range v {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for _, k := range keys {
				add(v[k], depth+1)
			}
		default:
			l := said("license", fmt.Sprint(v))
			if l.Expression == unknownLicence && head.Name != nil {
				l.Expression = LicenceExpression(fmt.Sprint(head.Name))
				l.Evidence += ", license_name: " + fmt.Sprint(head.Name)
			}
			if l.Expression == unknownLicence && head.Link != nil {
				l.Expression = LicenceExpression(fmt.Sprint(head.Link))
				l.Evidence += ", license_link: " + fmt.Sprint(head.Link)
			}
			if !slices.Contains(out, l) && len(out) < 100 {
				out = append(out, l)
			}
		}
	}
	add(head.License, 0)
	return out
}

// jsonLicences reads the license of a dataset_info.json, or of each
// configuration.
func jsonLicences(data []byte, configurations bool) []DeclaredLicence {
	v := parseCard(data)
	if v == nil {
		return []DeclaredLicence{{Kind: declared, Expression: unknownLicence, Evidence: malformed}}
	}
	var out []DeclaredLicence
	add := func(v *fastjson.Value) {
		if raw := strings.TrimSpace(string(v.GetStringBytes("license"))); raw != "" {
			if l := said("license", raw); !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	if o, err := v.Object(); configurations && err == nil {
		o.Visit(func(_ []byte, v *fastjson.Value) { add(v) })
	} else {
		add(v)
	}
	return out
}

// parseCard is JSON, or nil.
func parseCard(data []byte) *fastjson.Value {
	if tooDeep(data) || tooMany(data) {
		return nil
	}
	var p fastjson.Parser
	v, err := p.ParseBytes(data)
	if err != nil || v.Type() != fastjson.TypeObject {
		return nil
	}
	return v
}

// isCroissant reports whether a JSON file describes a dataset in Croissant.
func isCroissant(head []byte) bool {
	croissant := bytes.Contains(head, []byte("mlcommons.org/croissant")) || bytes.Contains(head, []byte("mlcommons.org/schema")) // before 1.0
	return croissant && bytes.Contains(head, []byte(`"@context"`))
}

// croissantLicences reads the license of the dataset, also where it stands in a
// graph.
func croissantLicences(data []byte) []DeclaredLicence {
	if !bytes.Contains(data, []byte(`"@context"`)) && !isCroissant(data) {
		return nil // another file of this name
	}
	v := parseCard(data)
	if v == nil {
		return []DeclaredLicence{{Kind: declared, Expression: unknownLicence, Evidence: malformed}}
	}
	var out []DeclaredLicence
	var add func(v *fastjson.Value)
	add = func(v *fastjson.Value) {
		switch v.Type() {
		case fastjson.TypeArray:
			list, _ := v.Array()
			for _, e := range list {
				add(e)
			}
		case fastjson.TypeObject:
			for _, key := range []string{"@id", "url", "identifier", "name"} {
				if raw := string(v.GetStringBytes(key)); raw != "" {
					out = append(out, said("license", raw))
					return
				}
			}
		case fastjson.TypeString:
			if l := said("license", string(v.GetStringBytes())); !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	nodes := append([]*fastjson.Value{v}, v.GetArray("@graph")...)
	for _, n := range nodes {
		for _, key := range []string{"license", "sc:license", "schema:license", "https://schema.org/license", "http://schema.org/license"} {
			if l := n.Get(key); l != nil && l.Type() != fastjson.TypeNull {
				add(l)
			}
		}
	}
	return out
}

// textLicences tells a licence by its text.
func textLicences(data []byte) []DeclaredLicence {
	const most = 1 << 20 // bytes; licences are shorter
	cov := licensecheck.Scan(data[:min(len(data), most)])
	var out []DeclaredLicence
	if cov.Percent >= minCovered {
		for _, m := range cov.Match {
			l := DeclaredLicence{Kind: detected, Expression: LicenceExpression(m.ID), Evidence: fmt.Sprintf("%.0f%% of the text is that of known licences, here %s", cov.Percent, m.ID)}
			if !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	if len(out) == 0 {
		why := fmt.Sprintf("%.0f%% of the text is that of known licences", cov.Percent)
		for _, m := range cov.Match {
			why += ", " + m.ID
		}
		return []DeclaredLicence{{Kind: detected, Expression: unknownLicence, Evidence: why}}
	}
	return out
}

// LicenceExpression is the SPDX expression that a name, an identifier of the
// Hugging Face hub, an address or an expression means, "unknown" where it means
// none for certain.
func LicenceExpression(raw string) string {
	raw = strings.TrimSpace(raw)
	if len(raw) > 256 {
		return unknownLicence
	}
	key := strings.ToLower(raw)
	if id, ok := hubLicences[key]; ok {
		return id
	}
	if strings.HasPrefix(key, "http://") || strings.HasPrefix(key, "https://") {
		return licenceAt(key)
	}
	var valid, invalid []string
	if caught(func() error {
		valid, invalid = spdxexp.ValidateAndNormalizeLicensesWithOptions([]string{raw}, spdxexp.ValidateLicensesOptions{FailAllDocumentRefs: true})
		return nil
	}) != nil || len(invalid) > 0 || len(valid) != 1 {
		return unknownLicence
	}
	return valid[0]
}

// licenceAt is the licence that stands at an address, in lower case.
func licenceAt(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return unknownLicence
	}
	host := strings.TrimPrefix(u.Host, "www.")
	parts := strings.Split(strings.Trim(strings.TrimSuffix(u.Path, ".html"), "/"), "/")
	at := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	name := ""
	switch host + "/" + at(0) {
	case "creativecommons.org/licenses":
		if rest := at(3); rest == "" || rest == "legalcode" || rest == "deed" || strings.HasPrefix(rest, "deed.") || strings.HasPrefix(rest, "legalcode.") {
			name = "cc-" + at(1) + "-" + at(2)
		} else {
			name = "cc-" + at(1) + "-" + at(2) + "-" + rest
		}
	case "creativecommons.org/publicdomain":
		if at(1) == "zero" && at(2) == "1.0" {
			name = "cc0-1.0"
		} else if at(1) == "mark" {
			return unknownLicence // a mark, no licence
		}
	case "choosealicense.com/licenses", "spdx.org/licenses", "opensource.org/licenses", "opensource.org/license":
		name = strings.TrimSuffix(strings.TrimSuffix(at(1), ".json"), "-license")
	case "apache.org/licenses":
		name = strings.Replace(strings.TrimSuffix(at(1), ".txt"), "license", "apache", 1)
	case "opendatacommons.org/licenses":
		name = map[string]string{"by": "odc-by", "odbl": "odbl", "pddl": "pddl"}[at(1)]
	}
	if name == "" {
		return unknownLicence
	}
	return LicenceExpression(name)
}

// hubLicences is what the identifiers of the Hugging Face hub mean that are not
// SPDX's, in lower case. Those that name several licences, or a family without a
// version, are unknown; those of models and of vendors, which SPDX does not list,
// are references by their own names.
var hubLicences = map[string]string{
	"agpl-3.0": "AGPL-3.0-only", "gpl-2.0": "GPL-2.0-only", "gpl-3.0": "GPL-3.0-only", "lgpl-2.1": "LGPL-2.1-only", "lgpl-3.0": "LGPL-3.0-only",
	"c-uda": "C-UDA-1.0", "odc-by": "ODC-By-1.0", "odbl": "ODbL-1.0", "pddl": "PDDL-1.0", "lgpl-lr": "LGPLLR", "apache license 2.0": "Apache-2.0",
	"mit license": "MIT", "cc0": "CC0-1.0", "cc-0": "CC0-1.0",

	"bsd": unknownLicence, "cc": unknownLicence, "gfdl": unknownLicence, "gpl": unknownLicence, "lgpl": unknownLicence, "other": unknownLicence, "unknown": unknownLicence,
	"none": unknownLicence, "public": unknownLicence, "": unknownLicence,

	"openrail": "LicenseRef-openrail", "openrail++": "LicenseRef-openrail-plus-plus", "bigscience-openrail-m": "LicenseRef-bigscience-openrail-m",
	"creativeml-openrail-m": "LicenseRef-creativeml-openrail-m", "bigscience-bloom-rail-1.0": "LicenseRef-bigscience-bloom-rail-1.0", "bigcode-openrail-m": "LicenseRef-bigcode-openrail-m",
	"h-research": "LicenseRef-h-research", "intel-research": "LicenseRef-intel-research", "apple-ascl": "LicenseRef-apple-ascl", "apple-amlr": "LicenseRef-apple-amlr",
	"deepfloyd-if-license": "LicenseRef-deepfloyd-if-license", "fair-noncommercial-research-license": "LicenseRef-fair-noncommercial-research-license",
	"openmdw-1.0": "LicenseRef-openmdw-1.0", "grok2-community": "LicenseRef-grok2-community", "gemma": "LicenseRef-gemma",
	"llama2": "LicenseRef-llama2", "llama3": "LicenseRef-llama3", "llama3.1": "LicenseRef-llama3.1", "llama3.2": "LicenseRef-llama3.2", "llama3.3": "LicenseRef-llama3.3", "llama4": "LicenseRef-llama4",
}
