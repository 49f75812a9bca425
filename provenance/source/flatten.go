package source

import (
	"strconv"

	"github.com/valyala/fastjson"

	"custody/provenance/corpus"
)

// flattener makes rows of JSON values as the formats make them of a corpus.
type flattener struct {
	paths map[string]*corpus.Path
	r     corpus.Row
}

// row is valid until the next call.
func (f *flattener) row(v *fastjson.Value) *corpus.Row {
	if f.paths == nil {
		f.paths = map[string]*corpus.Path{}
	}
	f.r = corpus.Row{Number: f.r.Number + 1, Leaves: f.r.Leaves[:0]}
	f.add("", "", v)
	return &f.r
}

func (f *flattener) add(path, name string, v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeObject:
		o, _ := v.Object()
		if o.Len() == 0 {
			f.leaf(path, name, corpus.Empty, "")
			return
		}
		o.Visit(func(key []byte, v *fastjson.Value) {
			if path == "" {
				f.add(string(key), string(key), v)
			} else {
				f.add(path+"."+string(key), name+"."+string(key), v)
			}
		})
	case fastjson.TypeArray:
		items, _ := v.Array()
		numbers := true
		for _, item := range items {
			numbers = numbers && item.Type() == fastjson.TypeNumber
		}
		if numbers {
			f.leaf(path, name, corpus.Empty, "")
			return
		}
		for i, item := range items {
			f.add(path+"[]", name+"["+strconv.Itoa(i)+"]", item)
		}
	case fastjson.TypeString:
		f.leaf(path, name, corpus.String, scalar(v))
	case fastjson.TypeNumber:
		f.leaf(path, name, corpus.Number, scalar(v))
	case fastjson.TypeTrue, fastjson.TypeFalse:
		f.leaf(path, name, corpus.Bool, scalar(v))
	default:
		f.leaf(path, name, corpus.Null, "")
	}
}

func (f *flattener) leaf(path, name string, kind corpus.Kind, text string) {
	p := f.paths[path]
	if p == nil {
		p = &corpus.Path{Name: path, ID: int32(len(f.paths))}
		f.paths[path] = p
	}
	f.r.Leaves = append(f.r.Leaves, corpus.Leaf{Path: p, Name: name, Kind: kind, Text: text})
}
