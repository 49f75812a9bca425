// Package remote reads the files that addresses name: s3://bucket/key,
// gs://bucket/key, az://container/path and https://host/path.
//
// Nothing is downloaded to disk, and of a file no more than some MiB is in memory:
// it streams, or is read in ranges. A connection that breaks, stalls or is
// answered with 408, 429 or 5xx is tried again with growing waits, and goes on at
// the byte where it stopped, if the file is still the same. No connection is made
// before an address is named, and what is secret in an address, or is sent with
// it, is in no name and no error.
//
// Credentials come from where each vendor's tools look: the environment, the
// shared configuration, the role of the machine. ?anonymous=true goes without. The
// other parameters of a bucket are those of gocloud.dev/blob: region, endpoint,
// profile, use_path_style, disable_https for s3; storage_account, domain, protocol,
// localemu for az, or a SAS token; endpoint and user_project for gs. A blob of
// Azure with one of \ # % ? in its name is listed and can't be read: azureblob
// writes them otherwise.
package remote

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"custody/formats"
)

// Options are for tests, and for those that are in a hurry.
type Options struct {
	Client *http.Client  // nil: one with the system's certificates and proxy
	Pause  time.Duration // before the second try; each further one waits twice as long, up to 10 s; 0: 200 ms
	Stall  time.Duration // how long a read may wait for a byte; 0: a minute
	Tries  int           // of one request without a byte of progress; 0: 8, some 25 s
}

// Store reads addresses. It may be used concurrently.
type Store struct {
	ctx    context.Context
	opt    Options
	client *http.Client

	mu      sync.Mutex
	buckets map[string]*bucket // by the address without a key, with its parameters
}

var _ formats.Remote = (*Store)(nil)

// New is a Store whose reads all end with the context. It opens no connection.
func New(ctx context.Context, opt Options) *Store {
	opt.Pause = cmp.Or(opt.Pause, 200*time.Millisecond)
	opt.Stall = cmp.Or(opt.Stall, time.Minute)
	opt.Tries = cmp.Or(opt.Tries, 8)
	s := &Store{ctx: ctx, opt: opt, client: opt.Client, buckets: map[string]*bucket{}}
	if s.client == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableCompression = true // what is stored is asked for
		t.MaxIdleConnsPerHost = 16
		s.client = &http.Client{Transport: t}
	}
	own := *s.client
	own.CheckRedirect = func(to *http.Request, via []*http.Request) error {
		switch {
		case len(via) >= 10:
			return errors.New("more than 10 redirects")
		case via[0].URL.Scheme == "https" && to.URL.Scheme != "https":
			return errors.New("a redirect from https to " + to.URL.Scheme)
		}
		return nil
	}
	s.client = &own
	return s
}

// Schemes are the schemes of the addresses that can be read.
var Schemes = []string{"s3", "gs", "az", "https", "http"}

// Find implements formats.Remote: a file, or in a bucket also a folder (a key
// that ends in "/", or has others below it) or a pattern with *, ? and [ that are
// as in path.Match. What a pattern matches may be a folder too. Errors are *Error.
func (s *Store) Find(address string) ([]formats.Object, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case !slices.Contains(Schemes, scheme):
		return nil, &Error{Name: formats.ShownPath(address), Reason: "of an unknown scheme", Hint: "addresses begin with " + strings.Join(Schemes[:4], "://, ") + "://"}
	case scheme == "http" || scheme == "https":
		return s.findWeb(address)
	}
	rest, query := formats.CutQuery(scheme, rest)
	return s.findBucket(scheme, rest, query)
}

// wait pauses before try n+1 of a request, from 1; false when the context ends or
// there were enough.
func (s *Store) wait(n int) bool {
	if n >= s.opt.Tries {
		return false
	}
	pause := min(s.opt.Pause<<(n-1), 10*time.Second)
	t := time.NewTimer(pause/2 + rand.N(pause/2+1)) // not all at once
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// caught is a call into a client, some of which panic when an answer is without
// what it always has.
func caught[T any](call func() (T, error)) (v T, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the server's answer is not one of its kind")
		}
	}()
	return call()
}

// again calls until an answer is not transient.
func again[T any](s *Store, call func() (T, error)) (T, error) {
	for n := 1; ; n++ {
		v, err := caught(call)
		if err == nil || !transient(err) || s.ctx.Err() != nil || !s.wait(n) {
			return v, err
		}
	}
}
