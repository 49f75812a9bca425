package declare

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"custody/provenance"
	"custody/provenance/corpus"
)

// LogForm says what the rows of a file of calls are. The zero LogForm is a file
// of call windows with the columns of the contract.
type LogForm struct {
	Form   string            // "windows", "log" (a row a call) or "combined" (lines of the Apache and nginx combined form)
	Fields map[string]string // our column -> the file's field, where they differ
	Window int64             // seconds: a log is rolled up into windows of this length; windows without their own have it
	App    provenance.AppID  // whose calls, for credentials that nobody declared
	Source provenance.SourceID
}

// columns are what a row of calls can say.
var columns = []string{"credential", "endpoint", "start", "seconds", "calls", "ok", "throttled", "limit", "remaining", "reset", "records", "job", "status"}

// calls reads call_windows: a file, or a list of files and of mappings that
// describe a log.
func (r *reader) calls(top *object) {
	v := top.value("call_windows")
	if v == nil {
		return
	}
	entries := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		entries = v.Content
	}
	for i, e := range entries {
		f := CallFile{From: r.at(e, "call_windows"), Folder: r.env.Folder}
		if e.Kind == yaml.ScalarNode {
			f.Path, f.Log.Form = e.Value, "windows"
			r.out.Calls = append(r.out.Calls, f)
			continue
		}
		o := r.object(e, fmt.Sprintf("call_windows[%d]", i+1))
		if o == nil {
			continue
		}
		f.Path = o.id("file")
		f.Log = LogForm{Form: cmp.Or(o.oneOf("form", "windows", "log", "combined"), "windows"), Window: o.seconds("window"),
			App: provenance.AppID(o.refer("app", provenance.KindApp)), Source: provenance.SourceID(o.refer("source", provenance.KindSource))}
		if fields := o.under("fields"); fields != nil {
			f.Log.Fields = map[string]string{}
			for _, c := range columns {
				if s := fields.text(c); s != "" {
					f.Log.Fields[c] = s
				}
			}
			fields.done()
		}
		if f.Log.Form != "windows" && f.Log.Window == 0 {
			f.Log.Window = 900 // a quarter of an hour: the window that limits are most often counted in
		}
		o.done()
		r.out.Calls = append(r.out.Calls, f)
	}
}

// CallEnv is what reading calls needs to know of credentials.
type CallEnv struct {
	// Label is the label of a credential that is known by this label or by the
	// keyed hash of this token.
	Label func(value string) (provenance.CredentialLabel, bool)
	Hash  func(token string) string
}

// Calls is a file of calls as windows: sorted by credential, endpoint and
// start, none overlapping another of the same credential and endpoint.
type Calls struct {
	Batch   provenance.CallBatch // without its Table
	Windows []provenance.CallWindow
	New     []provenance.Credential // credentials that nobody declared, met by their hash
}

// Leaves gives windows their canonical encodings, which Batch.Root is over.
func Leaves(windows []provenance.CallWindow) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i := range windows {
			b, err := Leaf(&windows[i])
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// Leaf is the canonical encoding of a window (see provenance.Canonical), made
// without a detour: a million of them are hashed when a log is read.
func Leaf(w *provenance.CallWindow) ([]byte, error) {
	b := make([]byte, 0, 256)
	num := func(key string, n int64) {
		b = append(b, key...)
		b = strconv.AppendInt(b, n, 10)
	}
	text := func(key, s string) error {
		b = append(b, key...)
		if !strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
			b = append(append(append(b, '"'), s...), '"')
			return nil
		}
		q, err := provenance.Canonical(s)
		b = append(b, q...)
		return err
	}
	num(`{"calls":`, w.Calls)
	if w.Counters != 0 {
		num(`,"counters":`, w.Counters)
	}
	err := text(`,"credential":`, string(w.Credential))
	if w.Endpoint != "" {
		err = errors.Join(err, text(`,"endpoint":`, w.Endpoint))
	}
	if w.Job != "" {
		err = errors.Join(err, text(`,"job":`, w.Job))
	}
	num(`,"limit":`, w.Limit)
	num(`,"ok":`, w.OK)
	num(`,"records":`, w.Records)
	num(`,"remaining":`, w.Remaining)
	if !w.Reset.IsZero() {
		b = append(w.Reset.AppendFormat(append(b, `,"reset":"`...), time.RFC3339Nano), '"')
	}
	num(`,"seconds":`, w.Seconds)
	b = append(w.Start.AppendFormat(append(b, `,"start":"`...), time.RFC3339Nano), '"')
	num(`,"throttled":`, w.Throttled)
	return append(b, '}'), err
}

// call is one row of a file, before windows are made of the rows.
type call struct {
	provenance.CallWindow
	where   int64
	resetIn int64    // seconds from the call on, as some sources say it; below 0: not given
	series  []series // of a log's window that is still filled
}

// series is the answers of one limit and reset within a window.
type series struct {
	limit, reset int64
	provenance.Counters
}

// callReader makes windows of rows.
type callReader struct {
	file   string
	form   LogForm
	env    CallEnv
	errs   []error
	more   int
	labels map[string]provenance.CredentialLabel
	fresh  map[provenance.CredentialLabel]string // hash
	names  map[string]string                     // interned
	calls  []call
	slots  map[slot]int
	filled map[slot]int // the newest window of each, by a slot without its start
}

func newCallReader(file string, form LogForm, env CallEnv) *callReader {
	return &callReader{file: file, form: form, env: env, labels: map[string]provenance.CredentialLabel{},
		fresh: map[provenance.CredentialLabel]string{}, names: map[string]string{}, slots: map[slot]int{}, filled: map[slot]int{}}
}

// ReadCalls makes windows of the rows of a file. A row that can't be read, a
// window that overlaps another of the same credential and endpoint, a limit of
// zero are errors; all of them are given, joined, and then there are no windows.
func ReadCalls(file string, rows iter.Seq2[*corpus.Row, error], form LogForm, env CallEnv) (*Calls, error) {
	r := newCallReader(file, form, env)
	fields := map[string]string{} // the file's name -> our column
	for _, c := range columns {
		fields[cmp.Or(form.Fields[c], c)] = c
	}
	if _, ok := form.Fields["start"]; !ok && form.Form == "log" {
		fields["time"] = "start"
	}
	for row, err := range rows {
		if err != nil {
			var in *corpus.InputError
			if !errors.As(err, &in) {
				return nil, err
			}
			r.add(err)
			continue
		}
		c := call{CallWindow: provenance.CallWindow{Limit: -1, Remaining: -1, Records: -1, OK: -1, Calls: -1}, where: row.Number, resetIn: -1}
		status := int64(-1)
		ok := true
		for i := range row.Leaves {
			l := &row.Leaves[i]
			if column, known := fields[l.Name]; known && l.Kind != corpus.Null {
				ok = r.set(&c, &status, column, l) && ok
			}
		}
		if ok && r.finish(&c, status) {
			r.take(c)
		}
	}
	return r.windows()
}

// ReadCombined makes windows of the lines of an access log in the combined
// form of Apache and nginx: the credential is the user's name, and nothing is
// kept of the host, the referrer or the agent.
func ReadCombined(file string, in io.Reader, form LogForm, env CallEnv) (*Calls, error) {
	r := newCallReader(file, form, env)
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), 1<<20)
	var n int64
	for lines.Scan() {
		n++
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		c, status, ok := parseCombined(lines.Text())
		if !ok {
			r.fail(n, "", "not a line of the combined log form")
			continue
		}
		c.where = n
		if c.Credential, ok = r.label(string(c.Credential), n); ok && r.finish(&c, status) {
			r.take(c)
		}
	}
	if err := lines.Err(); err != nil {
		r.fail(n+1, "", "%s", err)
	}
	return r.windows()
}

// parseCombined reads: host ident user [02/Jan/2006:15:04:05 -0700] "GET /path HTTP/1.1" 200 ...
func parseCombined(line string) (c call, status int64, ok bool) {
	c.Limit, c.Remaining, c.Records, c.Calls, c.OK, c.resetIn = -1, -1, -1, -1, -1, -1
	head, rest, ok := strings.Cut(line, " [")
	if !ok {
		return c, 0, false
	}
	who := strings.Fields(head)
	stamp, rest, ok := strings.Cut(rest, "] \"")
	if !ok || len(who) < 3 {
		return c, 0, false
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", stamp)
	if err != nil {
		return c, 0, false
	}
	request, rest, ok := strings.Cut(rest, "\" ")
	words := strings.Fields(request)
	codes := strings.Fields(rest)
	if !ok || len(words) < 2 || len(codes) == 0 {
		return c, 0, false
	}
	status, err = strconv.ParseInt(codes[0], 10, 64)
	if err != nil {
		return c, 0, false
	}
	c.Start, c.Endpoint, c.Credential = at.UTC(), words[1], provenance.CredentialLabel(who[2])
	return c, status, true
}

func (r *callReader) add(err error) {
	if len(r.errs) >= maxErrors {
		r.more++
		return
	}
	r.errs = append(r.errs, err)
}

func (r *callReader) fail(where int64, field, format string, args ...any) {
	r.add(corpus.LineError(r.file, where, field, fmt.Sprintf(format, args...)))
}

func (r *callReader) intern(s string) string {
	if have, ok := r.names[s]; ok {
		return have
	}
	s = strings.Clone(s)
	r.names[s] = s
	return s
}

// label is the label of the credential that a row names. In a log a token may
// stand there: it is hashed, and known by its hash from then on.
func (r *callReader) label(value string, where int64) (provenance.CredentialLabel, bool) {
	value = strings.TrimSpace(value)
	for _, scheme := range []string{"Bearer ", "bearer ", "OAuth ", "token ", "Basic "} {
		value = strings.TrimPrefix(value, scheme)
	}
	if value == "" || value == "-" {
		return "none", true
	}
	if l, ok := r.labels[value]; ok {
		return l, true
	}
	label, ok := r.env.Label(value)
	switch {
	case ok:
	case r.form.Form == "windows" && provenance.LooksLikeToken(value):
		r.fail(where, "credential", "this has the form of a token: give its label, or read the file as a log (form: log), which hashes it")
		return "", false
	case r.form.Form == "windows":
		label = provenance.CredentialLabel(strings.Clone(value))
	default:
		hash := r.env.Hash(value)
		label = provenance.CredentialLabel("hash:" + hash[:16])
		r.fresh[label] = hash
	}
	r.labels[strings.Clone(value)] = label
	return label, true
}

// set takes one value of a row.
func (r *callReader) set(c *call, status *int64, column string, l *corpus.Leaf) bool {
	s := strings.TrimSpace(l.Text)
	if s == "" {
		return true
	}
	bad := func(want string) bool {
		r.fail(c.where, column, "want %s", want)
		return false
	}
	number := func(to *int64) bool {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			f, ferr := strconv.ParseFloat(s, 64)
			if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
				return bad("a whole number")
			}
			n = int64(f)
		}
		if n < 0 {
			return bad("a number that is not below zero")
		}
		*to = n
		return true
	}
	switch column {
	case "credential":
		var ok bool
		c.Credential, ok = r.label(s, c.where)
		return ok
	case "endpoint":
		c.Endpoint = r.intern(s)
	case "job":
		c.Job = r.intern(s)
	case "start", "reset":
		if f, err := strconv.ParseFloat(s, 64); column == "reset" && err == nil && f >= 0 && f < 1e8 {
			c.resetIn = int64(math.Round(f)) // seconds left
			return true
		}
		t, ok := parseCallTime(s)
		if !ok {
			return bad("a time: RFC 3339 with its offset, a date, or Unix seconds or milliseconds" + map[bool]string{true: "; or the seconds left"}[column == "reset"])
		}
		if column == "start" {
			c.Start = t
		} else {
			c.Reset = t
		}
	case "seconds":
		return number(&c.Seconds)
	case "calls":
		return number(&c.Calls)
	case "ok":
		return number(&c.OK)
	case "throttled":
		return number(&c.Throttled)
	case "limit":
		return number(&c.Limit)
	case "remaining":
		return number(&c.Remaining)
	case "records":
		return number(&c.Records)
	case "status":
		return number(status)
	}
	return true
}

func parseCallTime(s string) (time.Time, bool) {
	if t, err := provenance.ParseTime(s); err == nil {
		return t, true
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 6e8 && f < 1e14 {
		if f > 1e11 {
			return time.UnixMilli(int64(f)).UTC(), true
		}
		whole, part := math.Modf(f)
		return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC(), true
	}
	if t, err := time.Parse("02/Jan/2006:15:04:05 -0700", s); err == nil {
		return t.UTC(), true
	}
	return time.Time{}, false
}

// finish makes a row whole, or reports why it can't be.
func (r *callReader) finish(c *call, status int64) bool {
	if c.Credential == "" {
		r.fail(c.where, "credential", "is missing")
		return false
	}
	if c.Start.IsZero() {
		r.fail(c.where, "start", "is missing")
		return false
	}
	if c.Limit == 0 {
		r.fail(c.where, "limit", "a limit of zero")
		return false
	}
	if c.resetIn >= 0 {
		c.Reset = c.Start.Add(time.Duration(c.resetIn) * time.Second).Truncate(time.Second)
	}
	if r.form.Form != "windows" {
		c.Endpoint = r.intern(provenance.EndpointFamily(c.Endpoint))
		c.Calls, c.OK, c.Throttled = 1, 0, 0
		switch {
		case status == 429:
			c.Throttled = 1
		case status >= 200 && status < 300:
			c.OK = 1
		case status < 0:
			c.OK = 1 // a log without statuses lists what was answered
		}
		return true
	}
	if c.Seconds == 0 {
		c.Seconds = r.form.Window
	}
	switch {
	case c.Seconds == 0:
		r.fail(c.where, "seconds", "is missing: how long is the window?")
	case c.Calls < 0:
		r.fail(c.where, "calls", "is missing")
	case c.OK > c.Calls || c.Throttled > c.Calls || max(c.OK, 0)+c.Throttled > c.Calls:
		r.fail(c.where, "calls", "fewer than ok and throttled together")
	default:
		if c.OK < 0 {
			c.OK = c.Calls - c.Throttled
		}
		return true
	}
	return false
}

// windows sorts what was taken and looks for overlaps.
func (r *callReader) windows() (*Calls, error) {
	calls := r.calls
	slices.SortStableFunc(calls, func(a, b call) int {
		return cmp.Or(strings.Compare(string(a.Credential), string(b.Credential)), strings.Compare(a.Endpoint, b.Endpoint), a.Start.Compare(b.Start),
			strings.Compare(a.Job, b.Job))
	})
	for i := 1; i < len(calls); i++ {
		a, b := &calls[i-1], &calls[i]
		if a.Credential == b.Credential && a.Endpoint == b.Endpoint && a.Job == b.Job && b.Start.Before(a.Until()) {
			r.fail(b.where, "start", "overlaps the window of line %d of the same credential and endpoint", a.where)
		}
	}
	if len(r.errs) == 0 && len(calls) == 0 {
		r.add(corpus.FileError(r.file, "holds no calls"))
	}
	if len(r.errs) > 0 {
		if r.more > 0 {
			r.errs = append(r.errs, corpus.FileError(r.file, fmt.Sprintf("and %d more errors", r.more)))
		}
		return nil, errors.Join(r.errs...)
	}
	out := &Calls{Batch: provenance.CallBatch{Form: r.form.Form, Windows: int64(len(calls))}}
	used := map[provenance.CredentialLabel]bool{}
	var tree provenance.Tree
	for i := range calls {
		w := &calls[i].CallWindow
		out.Windows = append(out.Windows, *w)
		used[w.Credential] = true
		b := &out.Batch
		b.Calls += w.Calls
		b.Throttled += w.Throttled
		b.Records += max(w.Records, 0)
		b.Period = b.Period.Union(provenance.Period{From: w.Start, Until: w.Until()})
		leaf, err := Leaf(w)
		if err != nil {
			return nil, err
		}
		tree.Add(leaf)
	}
	root := tree.Root()
	out.Batch.Root = fmt.Sprintf("%x", root)
	out.Batch.Credentials = slices.Sorted(maps.Keys(used))
	for _, l := range slices.Sorted(maps.Keys(r.fresh)) {
		out.New = append(out.New, provenance.Credential{Label: l, App: r.form.App, Source: r.form.Source, Kind: "met in a log", Hash: r.fresh[l]})
	}
	return out, nil
}

// slot is a window that calls of a log are counted in.
type slot struct {
	credential    provenance.CredentialLabel
	endpoint, job string
	start         int64
}

// take keeps a window, or counts a call of a log in its window: those are
// aligned to the Unix epoch, so memory follows the windows, not the calls.
func (r *callReader) take(c call) {
	if r.form.Form == "windows" {
		r.calls = append(r.calls, c)
		return
	}
	at := c.Start
	start := at.Unix()
	start -= ((start % r.form.Window) + r.form.Window) % r.form.Window
	k := slot{c.Credential, c.Endpoint, c.Job, start}
	i, ok := r.slots[k]
	if !ok {
		i = len(r.calls)
		r.slots[k] = i
		c.Start, c.Seconds = time.Unix(start, 0).UTC(), r.form.Window
		r.calls = append(r.calls, c)
		k.start = 0
		if old, had := r.filled[k]; had && r.calls[old].Start.Before(c.Start) {
			r.calls[old].series = nil // a log is in the order of time
		}
		r.filled[k] = i
		r.calls[i].count(at, &c)
		return
	}
	w := &r.calls[i]
	w.count(at, &c)
	w.Calls += c.Calls
	w.OK += c.OK
	w.Throttled += c.Throttled
	w.Limit = max(w.Limit, c.Limit)
	if c.Records >= 0 {
		w.Records = max(w.Records, 0) + c.Records
	}
	if c.Remaining >= 0 && (w.Remaining < 0 || c.Remaining < w.Remaining) {
		w.Remaining = c.Remaining
	}
	if c.Reset.After(w.Reset) {
		w.Reset = c.Reset
	}
}

const maxSeries = 8 // limits and resets within one window

// count follows the counters that the headers of single calls show.
func (w *call) count(at time.Time, c *call) {
	if c.Remaining < 0 || c.Limit < 0 || c.Reset.IsZero() {
		return
	}
	reset := c.Reset.Unix()
	i := slices.IndexFunc(w.series, func(s series) bool { return s.limit == c.Limit && s.reset == reset })
	if i < 0 {
		if len(w.series) == maxSeries {
			return
		}
		i, w.series = len(w.series), append(w.series, series{limit: c.Limit, reset: reset})
	}
	w.series[i].Add(at, c.Remaining)
	w.Counters = max(w.Counters, w.series[i].Least())
}
