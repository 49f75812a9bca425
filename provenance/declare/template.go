package declare

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Templates are tables that somebody without a command line can fill in with a
// spreadsheet: a file a list, named after it, with a header. custody declare
// reads them as it reads YAML. A "." in a column leads into a value ("what.source"),
// and ";" separates the entries of a list.
var Templates = map[string][]string{
	"organisations":   {"id", "name", "kind"},
	"acceptances":     {"terms", "organisation", "app", "by", "at"},
	"rate_rules":      {"source", "endpoint", "window", "limit", "scope", "from", "until"},
	"apps":            {"id", "name", "product", "owner", "purpose"},
	"credentials":     {"label", "app", "source", "kind", "account", "issued", "revoked"},
	"fetches":         {"id", "app", "credential", "source", "endpoint", "from", "until", "calls", "records", "throttled", "on_behalf_of"},
	"datasets":        {"name", "version", "parents", "made"},
	"transformations": {"id", "inputs", "output", "kind", "code", "at"},
	"uses":            {"id", "dataset", "product", "run", "kind", "purpose", "from", "until", "recipient"},
	"holdings":        {"id", "what.source", "what.app", "what.dataset", "location", "from", "until"},
	"notices":         {"id", "source", "records", "kind", "received", "due"},
	"destructions":    {"id", "what.source", "what.app", "what.dataset", "what.from", "what.until", "count", "at", "by", "method", "verified.how", "verified.at", "except"},
	"holds":           {"id", "matter", "what.source", "what.app", "from", "until"},
	"licences":        {"what.dataset", "what.source", "kind", "expression", "by"},
	"coverage":        {"app", "source", "from", "until", "known", "how"},
	"call_windows":    {"credential", "endpoint", "start", "seconds", "calls", "ok", "throttled", "limit", "remaining", "records", "job"},
}

// manyOf are the columns whose entries are separated by ";".
var manyOf = []string{"hosts", "parents", "inputs", "except", "records"}

// Template is the header of the template of a list, as CSV.
func Template(list string) ([]byte, bool) {
	columns, ok := Templates[list]
	return []byte(strings.Join(columns, ",") + "\n"), ok
}

// isTable reports whether a file is a filled-in template, and of which list.
func isTable(name string) (list string, ok bool) {
	list, ok = strings.CutSuffix(path.Base(strings.ReplaceAll(name, "\\", "/")), ".csv")
	return list, ok
}

// tableNode is a filled-in template as the YAML that says the same, with the
// lines of the table.
func tableNode(list string, data []byte) (*yaml.Node, error) {
	if !slices.ContainsFunc(lists, func(l listReader) bool { return l.name == list }) {
		var names []string
		for _, l := range lists {
			names = append(names, l.name+".csv")
		}
		return nil, fmt.Errorf("a table is named after its list: %s; calls are named by call_windows in a YAML file", strings.Join(names, ", "))
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	r.FieldsPerRecord = -1
	if head, _, _ := bytes.Cut(data, []byte("\n")); bytes.Count(head, []byte(";")) > bytes.Count(head, []byte(",")) {
		r.Comma = ';' // as spreadsheets in much of Europe write it
	}
	header, err := r.Read()
	if err != nil {
		return nil, errors.New("no header")
	}
	rows := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: 1}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := r.FieldPos(0)
		if err != nil {
			return nil, fmt.Errorf("line %d: not CSV", line)
		}
		row := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: line}
		for i, v := range record {
			if v = strings.TrimSpace(v); v == "" {
				continue
			}
			if i >= len(header) {
				return nil, fmt.Errorf("line %d: more values than the header has columns", line)
			}
			put(row, strings.Split(strings.TrimSpace(header[i]), "."), v, line, r.Comma)
		}
		if len(row.Content) > 0 {
			rows.Content = append(rows.Content, row)
		}
	}
	for _, row := range rows.Content {
		for _, need := range []string{"what"} { // a selector of nothing means everything, and has to be said
			if slices.ContainsFunc(header, func(h string) bool { return strings.HasPrefix(h, need+".") }) && child(row, need) == nil {
				row.Content = append(row.Content, scalar(need, row.Line), &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: row.Line})
			}
		}
	}
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Content: []*yaml.Node{
		scalar("custody", 1), scalar("1", 1), scalar(list, 1), rows}}, nil
}

func scalar(s string, line int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Line: line}
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// put sets a value at a path of keys.
func put(n *yaml.Node, keys []string, value string, line int, comma rune) {
	if len(keys) > 1 {
		under := child(n, keys[0])
		if under == nil {
			under = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: line}
			n.Content = append(n.Content, scalar(keys[0], line), under)
		}
		put(under, keys[1:], value, line, comma)
		return
	}
	v := scalar(value, line)
	if slices.Contains(manyOf, keys[0]) && !strings.HasSuffix(value, ".txt") {
		separator := ";"
		if comma == ';' {
			separator = ","
		}
		v = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: line}
		for s := range strings.SplitSeq(value, separator) {
			if s = strings.TrimSpace(s); s != "" {
				v.Content = append(v.Content, scalar(s, line))
			}
		}
	}
	n.Content = append(n.Content, scalar(keys[0], line), v)
}
