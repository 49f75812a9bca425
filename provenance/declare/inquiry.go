package declare

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"custody/provenance"
	"custody/provenance/inquiry"
)

// ParseInquiry reads an inquiry:
//
//	custody: 1
//	inquiry: letter-7
//	title: Demands of the letter of 3 March
//	questions: [apps, pooling, {id: destroyed, text: "What was deleted?"}]
//	sources: [x-api]
//	apps: [trends]
//	from: 2021-05-18
//	until: 2023-05-18
//
// Without questions all of preset twitter-2023 are asked; without sources, apps
// or a period, about all of them. What is wrong is an error with its line.
func ParseInquiry(file string, data []byte) (inquiry.Inquiry, error) {
	r := &reader{file: file, out: &Declaration{}, keys: map[string]int{}}
	var in inquiry.Inquiry
	r.readTop(data, func(top *object) {
		in = inquiry.Inquiry{ID: top.id("inquiry"), Title: top.text("title"), Period: top.period(), AsOf: top.time("as_of"), Texts: map[string]string{}}
		for _, s := range top.names("sources") {
			in.Sources = append(in.Sources, provenance.SourceID(s))
		}
		for _, s := range top.names("apps") {
			in.Apps = append(in.Apps, provenance.AppID(s))
		}
		v := top.value("questions")
		if v == nil {
			in.Questions = inquiry.LetterQuestions()
			return
		}
		if v.Kind != yaml.SequenceNode || len(v.Content) == 0 {
			top.fail(v, "questions", "want a list of questions")
			return
		}
		for _, e := range v.Content {
			id := e.Value
			if e.Kind == yaml.MappingNode {
				o := r.object(e, "questions")
				id = o.id("id")
				if t := o.text("text"); t != "" {
					in.Texts[id] = t
				}
				o.done()
			}
			if !slices.Contains(inquiry.QuestionIDs(), id) {
				top.fail(e, "questions", "no such question; there are %s", strings.Join(inquiry.QuestionIDs(), ", "))
				continue
			}
			in.Questions = append(in.Questions, id)
		}
	})
	return in, r.err()
}
