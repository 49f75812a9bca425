package remote

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"custody/formats"
)

// page is one file of a web server.
type page struct {
	s       *Store
	address string // with what is secret
}

// findWeb is Find of an http or https address. The file is asked for its first
// byte, not for its HEAD: an address that is signed for reading refuses that.
func (s *Store) findWeb(address string) ([]formats.Object, error) {
	shown := formats.ShownPath(address)
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, &Error{Name: shown, Reason: "malformed address"}
	}
	u.Fragment, u.RawFragment = "", ""
	if strings.HasSuffix(u.Path, "/") || u.Path == "" {
		return nil, &Error{Name: shown, Reason: "a web server does not list its folders", Hint: "name each file: https://HOST/PATH/FILE"}
	}
	p := &page{s, u.String()}
	o := &object{store: s, src: p, size: -1}
	_, err = again(s, func() (struct{}, error) {
		body, cancel, err := o.open(0, 1)
		if err == nil {
			_ = body.Close()
			cancel()
		}
		return struct{}{}, err
	})
	if st, _ := status(err); st == http.StatusNotFound || st == http.StatusGone {
		return nil, &Error{Name: shown, Reason: "no such file", Hint: "nothing was read; check the address"}
	}
	if err != nil {
		return nil, fail(shown, err)
	}
	return []formats.Object{{Name: shown, Size: o.size, Content: o}}, nil
}

func rangeHeader(from, n int64) string {
	switch {
	case n > 0:
		return fmt.Sprintf("bytes=%d-%d", from, from+n-1)
	case from > 0:
		return fmt.Sprintf("bytes=%d-", from)
	}
	return ""
}

// sizeOf is the size of the whole file, -1 where an answer does not say.
func sizeOf(resp *http.Response) int64 {
	if resp.StatusCode != http.StatusPartialContent {
		return resp.ContentLength
	}
	_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	if n, err := strconv.ParseInt(total, 10, 64); err == nil && n >= 0 {
		return n
	}
	return -1
}

func (p *page) get(ctx context.Context, from, n int64) (io.ReadCloser, answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address, nil)
	if err != nil {
		return nil, answer{}, errors.New("malformed address")
	}
	req.Header.Set("Accept-Encoding", "identity")
	if h := rangeHeader(from, n); h != "" {
		req.Header.Set("Range", h)
	}
	resp, err := p.s.client.Do(req)
	if err != nil {
		return nil, answer{}, err
	}
	a := answer{size: sizeOf(resp), tag: resp.Header.Get("ETag")}
	if a.tag == "" {
		a.tag = resp.Header.Get("Last-Modified")
	}
	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && from == 0: // an empty file
		_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
		_ = resp.Body.Close()
		if total != "0" {
			return nil, answer{}, &statusError{resp.StatusCode}
		}
		a.size = 0
		return http.NoBody, a, nil
	case resp.StatusCode == http.StatusPartialContent:
		if begin := fmt.Sprintf("bytes %d-", from); !strings.HasPrefix(resp.Header.Get("Content-Range"), begin) {
			_ = resp.Body.Close()
			return nil, answer{}, errors.New("the server gives another range than it was asked for")
		}
	case resp.StatusCode == http.StatusOK:
		a.all = true
	default:
		_ = resp.Body.Close()
		return nil, answer{}, &statusError{resp.StatusCode}
	}
	return resp.Body, a, nil
}

// plainBody is the body of an answer in JSON, which may be compressed.
func plainBody(resp *http.Response) (io.Reader, error) {
	if resp.Header.Get("Content-Encoding") == "gzip" {
		return gzip.NewReader(resp.Body)
	}
	return resp.Body, nil
}
