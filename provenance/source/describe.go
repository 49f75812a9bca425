package source

import "strings"

// Shape is one shape of a source's records, in the words of its file: paths
// joined by ".", "|" between alternatives.
type Shape struct {
	Name     string   `json:"name"`
	Requires []string `json:"requires"` // keys by which an object is one
	ID       []string `json:"id"`       // where the native id sits; empty: taken for no record
	Parts    []string `json:"parts"`    // "title = title"
	Author   []string `json:"author"`
	Created  []string `json:"created"`
}

// Shapes are the shapes of the source's records, in the order in which they are
// tried. A source that takes any row with text has none.
func (s *Source) Shapes() []Shape {
	shapes := make([]Shape, 0, len(s.kinds))
	for _, k := range s.kinds {
		sh := Shape{Name: k.name, Requires: pathNames(k.requires), ID: []string{}, Parts: []string{}, Author: pathNames(k.author), Created: pathNames(k.created)}
		for i := range k.id {
			sh.ID = append(sh.ID, written(&k.id[i]))
		}
		for _, p := range k.parts {
			sh.Parts = append(sh.Parts, p.name+" = "+strings.Join(pathNames(p.paths), " | "))
		}
		shapes = append(shapes, sh)
	}
	return shapes
}

func pathNames(paths []*path) []string {
	names := make([]string, 0, len(paths))
	for _, p := range paths {
		name := p.name
		if p.want != "" {
			name += " = " + p.want
		}
		names = append(names, name)
	}
	return names
}

// written is a template as its file has it, where a lone place has no braces.
func written(t *template) string {
	if len(t.paths) == 1 && t.text[0] == "" && t.text[1] == "" {
		return t.paths[0].name
	}
	return t.String()
}
