// Package remotetest is servers on loopback that speak the protocols of the object
// stores that package remote reads, as far as reading goes, from bytes in memory.
// They count what they serve, and fail when they are told to.
package remotetest

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Kind is what a server speaks.
type Kind string

// The kinds, and how a path of theirs begins.
const (
	S3     Kind = "s3"  // /BUCKET/KEY
	Google Kind = "gs"  // /storage/v1/b/BUCKET/o/KEY and /download/...
	Azure  Kind = "az"  // /ACCOUNT/CONTAINER/PATH
	Web    Kind = "web" // /PATH, which is /BUCKET/KEY of Files
)

// Fault is what goes wrong with one answer. The zero Fault is nothing.
type Fault struct {
	Status  int    // in the place of an answer
	Cut     int    // the connection breaks after so many bytes of the body
	Silence bool   // after Cut bytes nothing comes any more, and nothing breaks
	Tag     string // the version that the answer says, in the place of the right one
	Header  http.Header
}

// Server is one server. Its fields are set before the first request.
type Server struct {
	*httptest.Server
	Kind    Kind
	Files   map[string][]byte // by bucket/key
	NoRange bool              // ranges are not known; also no version is told
	NoSize  bool              // neither is the length
	// Fault is asked before each answer, by the number of requests before it.
	Fault func(n int64, r *http.Request) Fault

	Served   atomic.Int64 // bytes of files
	Requests atomic.Int64

	mu     sync.Mutex
	ranges []string // asked for
	end    chan struct{}
}

// New starts a server, which Close ends. What sets it is called before it starts.
func New(kind Kind, files map[string][]byte, set ...func(*Server)) *Server {
	s := &Server{Kind: kind, Files: files, end: make(chan struct{})}
	for _, f := range set {
		f(s)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// Close ends the server and what waits in it.
func (s *Server) Close() {
	close(s.end)
	s.Server.CloseClientConnections()
	s.Server.Close()
}

// Ranges are the ranges of files that were asked for, in order; "" is all.
func (s *Server) Ranges() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ranges)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	n := s.Requests.Add(1) - 1
	var f Fault
	if s.Fault != nil {
		f = s.Fault(n, r)
	}
	for k, v := range f.Header {
		w.Header()[k] = v
	}
	if f.Status != 0 {
		s.refuse(w, r, f.Status, "Injected")
		return
	}
	path, q := strings.TrimPrefix(r.URL.Path, "/"), r.URL.Query()
	switch s.Kind {
	case Google:
		escaped := r.URL.EscapedPath()
		media := strings.HasPrefix(escaped, "/download/")
		escaped = strings.TrimPrefix(strings.TrimPrefix(escaped, "/download"), "/storage/v1/b/")
		bucket, key, file := strings.Cut(escaped, "/o/")
		key, _ = url.PathUnescape(key)
		bucket = strings.TrimSuffix(bucket, "/o")
		switch {
		case !file:
			s.list(w, bucket, q.Get("prefix"), q.Get("delimiter"), q.Get("pageToken"))
		case media:
			s.file(w, r, bucket+"/"+key, f)
		default:
			s.describe(w, r, bucket, key)
		}
		return
	case Azure:
		_, path, _ = strings.Cut(path, "/")
		if q.Get("comp") == "list" {
			s.list(w, path, q.Get("prefix"), q.Get("delimiter"), q.Get("marker"))
			return
		}
	case S3:
		if bucket := strings.TrimSuffix(path, "/"); !strings.Contains(bucket, "/") {
			s.list(w, bucket, q.Get("prefix"), q.Get("delimiter"), q.Get("continuation-token"))
			return
		}
	}
	s.file(w, r, path, f)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	switch s.Kind {
	case S3:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
		}
	case Azure:
		w.Header().Set("x-ms-error-code", code)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
	default:
		http.Error(w, code, status)
	}
}

func tag(b []byte) string {
	sum := md5.Sum(b)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

const modified = "Tue, 05 Mar 2024 10:00:00 GMT"

// file answers with a file, or a range of it.
func (s *Server) file(w http.ResponseWriter, r *http.Request, name string, f Fault) {
	data, ok := s.Files[name]
	if !ok {
		code := map[Kind]string{S3: "NoSuchKey", Azure: "BlobNotFound"}[s.Kind]
		s.refuse(w, r, http.StatusNotFound, code)
		return
	}
	h := w.Header()
	asked := cmp.Or(r.Header.Get("Range"), r.Header.Get("x-ms-range"))
	if !s.NoRange {
		h.Set("ETag", cmp.Or(f.Tag, tag(data)))
		h.Set("Last-Modified", modified)
	}
	h.Set("Content-Type", "application/octet-stream")
	h.Set("x-ms-blob-type", "BlockBlob")
	h.Set("x-ms-creation-time", modified)
	status, from, to := http.StatusOK, 0, len(data)
	if asked != "" && !s.NoRange {
		a, b, _ := strings.Cut(strings.TrimPrefix(asked, "bytes="), "-")
		from, _ = strconv.Atoi(a)
		if b != "" {
			to, _ = strconv.Atoi(b)
			to = min(to+1, len(data))
		}
		if from >= len(data) {
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", len(data)))
			s.refuse(w, r, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(data)))
	}
	if !s.NoSize {
		h.Set("Content-Length", strconv.Itoa(to-from))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	s.mu.Lock()
	s.ranges = append(s.ranges, asked)
	s.mu.Unlock()
	data = data[from:to]
	broken := (f.Cut > 0 || f.Silence) && f.Cut < len(data)
	if broken {
		data = data[:f.Cut]
	}
	for len(data) > 0 { // by small pieces, so that little is counted that nobody took
		n, err := w.Write(data[:min(len(data), 16<<10)])
		s.Served.Add(int64(n))
		if err != nil {
			return
		}
		data = data[n:]
	}
	if !broken {
		return
	}
	_ = http.NewResponseController(w).Flush()
	if f.Silence {
		select {
		case <-r.Context().Done():
		case <-s.end:
		}
	}
	panic(http.ErrAbortHandler)
}

func (s *Server) describe(w http.ResponseWriter, r *http.Request, bucket, key string) {
	data, ok := s.Files[bucket+"/"+key]
	if !ok {
		s.refuse(w, r, http.StatusNotFound, "notFound")
		return
	}
	_ = json.NewEncoder(w).Encode(googleItem(key, data))
}

func googleItem(key string, data []byte) map[string]string {
	return map[string]string{"name": key, "size": strconv.Itoa(len(data)), "updated": "2024-03-05T10:00:00Z", "etag": tag(data)}
}

const listed = 3 // keys of an answer, so that there are several

// list answers with the keys of a bucket, in their order, some at a time.
func (s *Server) list(w http.ResponseWriter, bucket, prefix, delimiter, after string) {
	var keys []string
	known := false
	for name := range s.Files {
		of, key, _ := strings.Cut(name, "/")
		if of != bucket {
			continue
		}
		known = true
		rest, below := strings.CutPrefix(key, prefix)
		if below && key > after && (delimiter == "" || !strings.Contains(rest, delimiter)) {
			keys = append(keys, key)
		}
	}
	if !known {
		s.refuse(w, &http.Request{}, http.StatusNotFound, map[Kind]string{S3: "NoSuchBucket", Azure: "ContainerNotFound"}[s.Kind])
		return
	}
	slices.Sort(keys)
	next := ""
	if len(keys) > listed {
		keys = keys[:listed]
		next = keys[listed-1]
	}
	type properties struct {
		Modified string `xml:"Last-Modified"`
		Etag     string
		Length   int    `xml:"Content-Length"`
		Type     string `xml:"BlobType"`
	}
	type item struct {
		Key          string      `xml:",omitempty"`
		Name         string      `xml:",omitempty"`
		LastModified string      `xml:",omitempty"`
		Size         int         `xml:",omitempty"`
		Properties   *properties `xml:",omitempty"`
	}
	switch s.Kind {
	case Google:
		items := []map[string]string{}
		for _, k := range keys {
			items = append(items, googleItem(k, s.Files[bucket+"/"+k]))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"items": items, "nextPageToken": next})
	case Azure:
		v := struct {
			XMLName xml.Name `xml:"EnumerationResults"`
			Blobs   []item   `xml:"Blobs>Blob"`
			Next    string   `xml:"NextMarker"`
		}{Next: next}
		for _, k := range keys {
			data := s.Files[bucket+"/"+k]
			v.Blobs = append(v.Blobs, item{Name: k, Properties: &properties{modified, tag(data), len(data), "BlockBlob"}})
		}
		w.Header().Set("Content-Type", "application/xml")
		_ = xml.NewEncoder(w).Encode(v)
	default:
		v := struct {
			XMLName   xml.Name `xml:"ListBucketResult"`
			Truncated bool     `xml:"IsTruncated"`
			Next      string   `xml:"NextContinuationToken,omitempty"`
			Contents  []item
		}{Truncated: next != "", Next: next}
		for _, k := range keys {
			v.Contents = append(v.Contents, item{Key: k, LastModified: "2024-03-05T10:00:00.000Z", Size: len(s.Files[bucket+"/"+k])})
		}
		w.Header().Set("Content-Type", "application/xml")
		_ = xml.NewEncoder(w).Encode(v)
	}
}
