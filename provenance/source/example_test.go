package source_test

import (
	"fmt"

	"custody/provenance/source"
)

func ExampleSource_Extract() {
	s, err := source.Default().Lookup("x-api")
	if err != nil {
		fmt.Println(err)
		return
	}
	page := `{"data":[{"id":"1577267287151345669","text":"The library lends garden tools.","author_id":"2001"}],"meta":{"result_count":1}}`
	took, err := s.Extract(source.Exchange{Body: []byte(page)}, func(r source.Record) error {
		fmt.Println(r.Native, r.Author, r.Created.Format("2006-01-02"), r.Parts[0].Text)
		return nil
	})
	fmt.Println(took.Taken, err)
	// Output:
	// 1577267287151345669 2001 2022-10-04 The library lends garden tools.
	// map[tweet v2:1] <nil>
}
