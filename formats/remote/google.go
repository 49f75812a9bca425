package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// googleBucket reads a bucket of Google Cloud Storage by its JSON API, as
// https://cloud.google.com/storage/docs/json_api/v1 has it: three requests. It is
// here because gcsblob comes with a client that is 30 MB of program, gRPC and all.
type googleBucket struct {
	client  *http.Client
	service string // https://storage.googleapis.com
	name    string
	project string // that pays, or ""
}

const googleScope = "https://www.googleapis.com/auth/devstorage.read_only"

// openGoogle finds the default credentials: GOOGLE_APPLICATION_CREDENTIALS, those
// of gcloud, the machine's.
func (s *Store) openGoogle(ctx context.Context, name string, q url.Values) (*blob.Bucket, error) {
	b := &googleBucket{client: s.client, service: "https://storage.googleapis.com", name: name, project: q.Get("user_project")}
	anonymous, err := take(q, "anonymous")
	if err != nil {
		return nil, err
	}
	anonymous = anonymous || q.Get("access_id") == "-"
	if host := os.Getenv("STORAGE_EMULATOR_HOST"); host != "" {
		if !strings.Contains(host, "://") {
			host = "http://" + host
		}
		b.service, anonymous = host, true
	}
	if at := q.Get("endpoint"); at != "" {
		b.service = at
	}
	b.service = strings.TrimSuffix(b.service, "/")
	for k := range q {
		switch k {
		case "endpoint", "user_project", "access_id":
		default:
			return nil, fmt.Errorf("unknown parameter %q", k)
		}
	}
	if !anonymous {
		ctx = context.WithValue(ctx, oauth2.HTTPClient, s.client)
		found, err := google.FindDefaultCredentials(ctx, googleScope)
		if err != nil {
			return nil, err
		}
		b.client = oauth2.NewClient(ctx, found.TokenSource)
		b.client.CheckRedirect = s.client.CheckRedirect
	}
	return blob.NewBucket(b), nil
}

// gsTag is the ETag of what is read.
type gsTag string

func (b *googleBucket) do(ctx context.Context, path string, q url.Values, byteRange string) (*http.Response, error) {
	if b.project != "" {
		q.Set("userProject", b.project)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.service+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	req.Header.Set("Accept-Encoding", "gzip") // as it is stored; else gzip is undone, and ranges are of what it holds
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		_ = resp.Body.Close()
		return nil, &statusError{resp.StatusCode}
	}
	return resp, nil
}

// ask reads an answer in JSON.
func (b *googleBucket) ask(ctx context.Context, path string, q url.Values, v any) error {
	resp, err := b.do(ctx, path, q, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := plainBody(resp)
	if err != nil {
		return err
	}
	if err := json.NewDecoder(body).Decode(v); err != nil {
		if _, ok := errors.AsType[*json.SyntaxError](err); ok {
			return errors.New("the server's answer is no JSON")
		}
		return err
	}
	return nil
}

func (b *googleBucket) of(kind, key string) string {
	return kind + "/storage/v1/b/" + url.PathEscape(b.name) + "/o/" + url.PathEscape(key)
}

// googleObject is an object as the API has it; its numbers are strings.
type googleObject struct {
	Name    string    `json:"name"`
	Size    int64     `json:"size,string"`
	Updated time.Time `json:"updated"`
	ETag    string    `json:"etag"`
}

func (b *googleBucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	var o googleObject
	if err := b.ask(ctx, b.of("", key), url.Values{"fields": {"name,size,updated,etag"}}, &o); err != nil {
		return nil, err
	}
	return &driver.Attributes{Size: o.Size, ModTime: o.Updated, ETag: o.ETag, AsFunc: func(any) bool { return false }}, nil
}

func (b *googleBucket) ListPaged(ctx context.Context, opt *driver.ListOptions) (*driver.ListPage, error) {
	q := url.Values{"fields": {"nextPageToken,prefixes,items(name,size,updated)"}, "maxResults": {strconv.Itoa(max(opt.PageSize, 1))}}
	for k, v := range map[string]string{"prefix": opt.Prefix, "delimiter": opt.Delimiter, "pageToken": string(opt.PageToken)} {
		if v != "" {
			q.Set(k, v)
		}
	}
	var list struct {
		Next  string         `json:"nextPageToken"`
		Items []googleObject `json:"items"`
	}
	if err := b.ask(ctx, "/storage/v1/b/"+url.PathEscape(b.name)+"/o", q, &list); err != nil {
		return nil, err
	}
	page := &driver.ListPage{NextPageToken: []byte(list.Next)}
	for _, o := range list.Items {
		page.Objects = append(page.Objects, &driver.ListObject{Key: o.Name, Size: o.Size, ModTime: o.Updated, AsFunc: func(any) bool { return false }})
	}
	return page, nil
}

func (b *googleBucket) NewRangeReader(ctx context.Context, key string, from, n int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	resp, err := b.do(ctx, b.of("/download", key), url.Values{"alt": {"media"}}, rangeHeader(from, n))
	if err != nil {
		return nil, err
	}
	r := &googleReader{ReadCloser: resp.Body, tag: gsTag(resp.Header.Get("ETag"))}
	r.attrs.Size = sizeOf(resp)
	if from > 0 && resp.StatusCode == http.StatusOK {
		_ = resp.Body.Close()
		return nil, errors.New("the server gives no ranges")
	}
	if at, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		r.attrs.ModTime = at
	}
	return r, nil
}

type googleReader struct {
	io.ReadCloser
	attrs driver.ReaderAttributes
	tag   gsTag
}

func (r *googleReader) Attributes() *driver.ReaderAttributes { return &r.attrs }

func (r *googleReader) As(v any) bool {
	tag, ok := v.(*gsTag)
	if ok = ok && r.tag != ""; ok {
		*tag = r.tag
	}
	return ok
}

func (b *googleBucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch st, _ := status(err); st {
	case 0:
		return gcerrors.Unknown
	case http.StatusNotFound:
		return gcerrors.NotFound
	case http.StatusForbidden, http.StatusUnauthorized:
		return gcerrors.PermissionDenied
	}
	return gcerrors.Internal
}

func (b *googleBucket) As(any) bool             { return false }
func (b *googleBucket) ErrorAs(error, any) bool { return false }
func (b *googleBucket) Close() error            { return nil }

var errReadOnly = errors.New("it is only read")

func (b *googleBucket) NewTypedWriter(context.Context, string, string, *driver.WriterOptions) (driver.Writer, error) {
	return nil, errReadOnly
}
func (b *googleBucket) Copy(context.Context, string, string, *driver.CopyOptions) error {
	return errReadOnly
}
func (b *googleBucket) Delete(context.Context, string, *driver.DeleteOptions) error {
	return errReadOnly
}
func (b *googleBucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errReadOnly
}
