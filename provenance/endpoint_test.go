package provenance

import "testing"

func TestEndpointFamily(t *testing.T) {
	for in, want := range map[string]string{
		"/2/tweets/1234567890123456789":                               "/2/tweets/:id",
		"GET /1.1/search/tweets.json?q=a":                             "GET /1.1/search/tweets.json",
		"https://api.example.com/v1/items/abc123de9?key=x":            "/v1/items/:id",
		"/statuses/show/99.json":                                      "/statuses/show/:id.json",
		"https://api.example.com":                                     "",
		"search":                                                      "search",
		"/users/@somebody/posts/":                                     "/users/:id/posts",
		"/repos/go/tools/commits/9f86d081884c7d659a2feaa0c55ad015a3b": "/repos/go/tools/commits/:id",
	} {
		if got := EndpointFamily(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
