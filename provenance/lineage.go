package provenance

import (
	"maps"
	"slices"
)

// Descendants are the datasets that hold what a dataset held: itself, and all
// that were made of it, directly or by way of others, as parents and
// transformations say. They are in order; a circle is walked once.
func (b *Book) Descendants(id DatasetID) []DatasetID {
	children := map[DatasetID][]DatasetID{}
	for _, d := range b.Datasets.All() {
		for _, p := range d.Value.Parents {
			children[p] = append(children[p], d.Value.ID())
		}
	}
	for _, t := range b.Transformations.All() {
		for _, in := range t.Value.Inputs {
			children[in] = append(children[in], t.Value.Output)
		}
	}
	seen := map[DatasetID]bool{}
	for todo := []DatasetID{id}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[next] {
			seen[next] = true
			todo = append(todo, children[next]...)
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// UsesOf are the uses of a dataset, in the order of their ids.
func (b *Book) UsesOf(id DatasetID) []Stated[Use] {
	var out []Stated[Use]
	for _, u := range b.Uses.All() {
		if u.Value.Dataset == id {
			out = append(out, u)
		}
	}
	return out
}
