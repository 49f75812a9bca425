//go:build ignore

// Makes demo/company/calls-2022.csv: the calls of an invented company, by week
// from its billing and by quarter of an hour where its gateway kept the headers.
package main

import (
	"bufio"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"time"
)

// app is how an app's credentials were used, one group after another.
type app struct {
	stem     string
	endpoint string
	weekly   int64 // calls of a credential in a week
	records  int64 // a call
	phases   []phase
}

// phase is which credentials were in use from one day to another.
type phase struct {
	from, until string
	keys        []int
}

var apps = []app{
	{"console", "/2/tweets", 190_000, 1, []phase{{"2022-01-03", "2023-05-01", []int{1}}}},
	{"reader", "/1.1/statuses/lookup.json", 2_750_000, 62, []phase{{"2022-01-03", "2022-09-05", []int{1}}, {"2022-09-05", "2022-11-14", []int{1, 2, 3}}, {"2022-11-14", "2023-05-01", []int{1}}}},
	{"pages2", "/2/users/:id/tweets", 1_900_000, 30, []phase{{"2022-01-03", "2022-05-02", []int{1}}, {"2022-05-02", "2023-05-01", []int{2}}}},
	{"cloud", "/2/tweets/search/recent", 1_100_000, 31, []phase{{"2022-01-03", "2022-06-06", []int{1}}, {"2022-06-06", "2023-04-03", []int{1, 2, 6}}}},
	{"flow", "/2/tweets/search/recent", 980_000, 22, []phase{{"2022-01-03", "2023-05-01", []int{1}}}},
	{"ads", "/2/tweets/search/recent", 1_480_000, 35, []phase{{"2022-07-04", "2023-05-01", []int{1, 2}}}},
	{"trends", "/2/tweets/search/recent", 840_000, 44, []phase{{"2022-01-03", "2022-03-07", []int{1}}, {"2022-03-07", "2022-11-07", []int{1, 2, 3, 4}}, {"2022-11-10", "2023-05-01", []int{1, 2}}}},
}

func main() {
	f, err := os.Create("demo/company/calls-2022.csv")
	if err != nil {
		log.Fatal(err)
	}
	w := bufio.NewWriter(f)
	r := rand.New(rand.NewPCG(2022, 5))
	fmt.Fprintln(w, "credential,endpoint,start,seconds,calls,ok,throttled,limit,remaining,records,job")
	const week = 7 * 24 * time.Hour
	for _, a := range apps {
		for _, p := range a.phases {
			for t := day(p.from); t.Before(day(p.until)); t = t.Add(week) {
				for _, k := range p.keys {
					calls := a.weekly + r.Int64N(a.weekly/5) - a.weekly/10
					throttled := r.Int64N(calls/900 + 1)
					seconds := int64(min(week, day(p.until).Sub(t)) / time.Second)
					fmt.Fprintf(w, "%s-key-%d,%s,%s,%d,%d,%d,%d,,,%d,\n", a.stem, k, a.endpoint, t.Format(time.RFC3339), seconds,
						calls, calls-throttled, throttled, (calls-throttled)*a.records)
				}
			}
		}
	}
	// Three days of the trends gateway: when one key is out, the next goes on.
	for t := day("2022-11-07"); t.Before(day("2022-11-10")); t = t.Add(15 * time.Minute) {
		left := int64(700 + r.IntN(700))
		for k := 1; k <= 4 && left > 0; k++ {
			calls := min(left, 450)
			left -= calls
			throttled, remaining := int64(0), 450-calls
			if left > 0 {
				throttled = 3 + r.Int64N(9)
			}
			fmt.Fprintf(w, "trends-key-%d,/2/tweets/search/recent,%s,900,%d,%d,%d,450,%d,%d,trend-sweep\n", k, t.Format(time.RFC3339),
				calls+throttled, calls, throttled, remaining, calls*44)
		}
	}
	if err := w.Flush(); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		log.Fatal(err)
	}
	return t
}
