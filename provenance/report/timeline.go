package report

import (
	"fmt"
	"time"
)

// timeline is what happened when, drawn as rows of bars and points.
type timeline struct {
	Width, Height int
	Years         []tick
	Rows          []lane
}

type tick struct {
	X    float64
	Text string
}

type lane struct {
	Y, TextY int
	Name     string
	Bars     []lineBar
}

type lineBar struct {
	X, W  float64
	Class string
	Title string
}

const (
	lineWidth  = 1000
	lineLeft   = 150
	laneHeight = 26
	tickWidth  = 36
)

// span is a stretch of time with what was then.
type span struct {
	from, until time.Time
	title       string
}

// laneSpans is one row of a time line before it is drawn.
type laneSpans struct {
	name, class string
	back        bool // goes far back, as versions of terms do: the other rows set the scale
	spans       []span
}

// drawTimeline draws the rows that have spans; nil when they are all at one time.
func drawTimeline(rows []laneSpans) *timeline {
	var first, last time.Time
	for _, r := range rows {
		for _, s := range r.spans {
			for _, t := range []time.Time{s.from, s.until} {
				if r.back || t.IsZero() {
					continue
				}
				if first.IsZero() || t.Before(first) {
					first = t
				}
				if t.After(last) {
					last = t
				}
			}
		}
	}
	if !first.Before(last) {
		return nil
	}
	scale := func(t time.Time) float64 {
		x := float64(t.Sub(first)) / float64(last.Sub(first))
		return lineLeft + min(1, max(0, x))*(lineWidth-lineLeft-10)
	}
	out := &timeline{Width: lineWidth}
	y := 24
	for _, r := range rows {
		if len(r.spans) == 0 {
			continue
		}
		row := lane{Y: y, TextY: y + 13, Name: r.name}
		for _, s := range r.spans {
			if s.until.Before(first) || s.from.After(last) {
				continue
			}
			x := scale(s.from)
			row.Bars = append(row.Bars, lineBar{x, max(3, scale(s.until)-x-1), r.class, s.title})
		}
		out.Rows = append(out.Rows, row)
		y += laneHeight
	}
	out.Height = y + 6
	for year := first.Year(); year <= last.Year(); year++ {
		if t := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); !t.Before(first) || year == first.Year() {
			if n := len(out.Years); n > 0 && scale(t)-out.Years[n-1].X < tickWidth {
				out.Years = out.Years[:n-1] // the first, late in its year
			}
			out.Years = append(out.Years, tick{scale(t), fmt.Sprint(year)})
		}
	}
	return out
}
