package remote

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	azblobblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	gcaws "gocloud.dev/aws"
	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"

	"custody/formats"
)

// bucket is an open bucket or container.
type bucket struct {
	*blob.Bucket
	store  *Store
	scheme string
	root   string // "s3://name/"
}

// findBucket is Find of NAME/KEY in a bucket.
func (s *Store) findBucket(scheme, rest, query string) ([]formats.Object, error) {
	name, key, _ := strings.Cut(rest, "/")
	shown := formats.ShownPath(scheme + "://" + rest)
	if name == "" {
		return nil, &Error{Name: shown, Reason: "which bucket?", Hint: "an address is " + scheme + "://BUCKET/KEY"}
	}
	b, err := s.bucket(scheme, name, query)
	if err != nil {
		return nil, fail(shown, err)
	}
	if key != "" && !strings.HasSuffix(key, "/") {
		a, err := again(s, func() (*blob.Attributes, error) { return b.Attributes(b.context(s.ctx), key) })
		switch {
		case err == nil:
			return []formats.Object{b.object(key, a.Size, 0)}, nil
		case gcerrors.Code(err) != gcerrors.NotFound:
			return nil, fail(shown, err)
		}
	}
	literal, pattern := key, strings.ContainsAny(key, "*?[")
	if pattern {
		literal = key[:strings.IndexAny(key, "*?[")]
		if _, err := path.Match(key, ""); err != nil {
			return nil, &Error{Name: shown, Reason: "malformed pattern"}
		}
	} else if key != "" && !strings.HasSuffix(key, "/") {
		key += "/"
		literal = key
	}
	var out []formats.Object
	err = b.list(literal, "", func(o *blob.ListObject) bool {
		folder := len(key)
		if pattern {
			var ok bool
			if folder, ok = matches(key, o.Key); !ok {
				return true
			}
		}
		if !strings.HasSuffix(o.Key, "/") { // of no bytes: a mark of a folder
			out = append(out, b.object(o.Key, o.Size, folder))
		}
		return true
	})
	switch {
	case err != nil && gcerrors.Code(err) == gcerrors.NotFound:
		return nil, &Error{Name: b.root, Reason: "no such bucket", Hint: "nothing was read; check the address"}
	case err != nil:
		return nil, fail(shown, err)
	case len(out) == 0 && pattern:
		return nil, &Error{Name: shown, Reason: "no file matches"}
	case len(out) == 0:
		return nil, &Error{Name: shown, Reason: "no such file or folder", Hint: "nothing was read; check the address"}
	}
	if folderOf := len(b.root); !pattern {
		for i := range out {
			out[i].Folder = folderOf + len(key)
		}
	}
	return out, nil
}

// matches reports whether a pattern matches a key, or a folder that it is in;
// folder is then the length of that with its "/", else 0.
func matches(pattern, key string) (folder int, ok bool) {
	parts := strings.Count(strings.TrimSuffix(pattern, "/"), "/") + 1
	at := 0
	for ; parts > 0; parts-- {
		i := strings.IndexByte(key[at:], '/')
		if i < 0 {
			if parts > 1 || strings.HasSuffix(pattern, "/") {
				return 0, false
			}
			at = len(key) + 1
			break
		}
		at += i + 1
	}
	ok, _ = path.Match(strings.TrimSuffix(pattern, "/"), key[:at-1])
	if at > len(key) {
		at = 0
	}
	return at, ok
}

// list calls for each file whose key has a prefix, in the order of the keys,
// until the call says no. With a delimiter, what is in folders below is left out.
func (b *bucket) list(prefix, delimiter string, each func(o *blob.ListObject) bool) error {
	token := blob.FirstPageToken
	for {
		type page struct {
			list []*blob.ListObject
			next []byte
		}
		p, err := again(b.store, func() (page, error) {
			list, next, err := b.ListPage(b.context(b.store.ctx), token, 1000, &blob.ListOptions{Prefix: prefix, Delimiter: delimiter})
			return page{list, next}, err
		})
		if err != nil {
			return err
		}
		for _, o := range p.list {
			if !o.IsDir && !each(o) {
				return nil
			}
		}
		if token = p.next; len(token) == 0 {
			return nil
		}
	}
}

func (b *bucket) object(key string, size int64, folder int) formats.Object {
	if folder > 0 {
		folder += len(b.root)
	}
	o := &object{store: b.store, src: &blobKey{b, key}, size: size, ranges: true}
	return formats.Object{Name: b.root + key, Size: size, Folder: folder, Content: o}
}

// Beside implements formats.Remote: in a bucket the first 1000 files of the
// folder, of which READMEs and licences, in capitals, are the first; none on the
// web. Where they may not be listed there are none.
func (s *Store) Beside(o formats.Object) []formats.Object {
	obj, ok := o.Content.(*object)
	if !ok {
		return nil
	}
	k, ok := obj.src.(*blobKey)
	if !ok {
		return nil
	}
	prefix := k.key[:strings.LastIndexByte(k.key, '/')+1]
	var out []formats.Object
	_ = k.b.list(prefix, "/", func(o *blob.ListObject) bool {
		out = append(out, k.b.object(o.Key, o.Size, 0))
		return len(out) < 1000
	})
	return out
}

// blobKey is one key of a bucket.
type blobKey struct {
	b   *bucket
	key string
}

func (k *blobKey) get(ctx context.Context, from, n int64) (io.ReadCloser, answer, error) {
	r, err := caught(func() (*blob.Reader, error) { return k.b.NewRangeReader(k.b.context(ctx), k.key, from, n, nil) })
	if err != nil {
		return nil, answer{}, err
	}
	return r, answer{size: r.Size(), tag: tagOf(r)}, nil
}

// tagOf is the version of what a reader reads.
func tagOf(r *blob.Reader) string {
	var a3 s3.GetObjectOutput
	var az azblobblob.DownloadStreamResponse
	var gs gsTag
	switch {
	case r.As(&a3) && a3.ETag != nil:
		return *a3.ETag
	case r.As(&az) && az.ETag != nil:
		return string(*az.ETag)
	case r.As(&gs):
		return string(gs)
	}
	return r.ModTime().UTC().Format(time.RFC3339Nano)
}

// context is one for a call: it is tried again here, and not below too.
func (b *bucket) context(ctx context.Context) context.Context {
	if b.scheme == "az" {
		return policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1})
	}
	return ctx
}

// bucket opens a bucket, or gives the one that is open.
func (s *Store) bucket(scheme, name, query string) (*bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := scheme + "://" + name + "?" + query
	if b := s.buckets[id]; b != nil {
		return b, nil
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("malformed parameters")
	}
	open := map[string]func(context.Context, string, url.Values) (*blob.Bucket, error){"s3": s.openS3, "az": s.openAzure, "gs": s.openGoogle}[scheme]
	opened, err := open(s.ctx, name, q)
	if err != nil {
		return nil, err
	}
	b := &bucket{opened, s, scheme, scheme + "://" + name + "/"}
	s.buckets[id] = b
	return b, nil
}

// take takes a parameter that is true or false.
func take(q url.Values, name string) (bool, error) {
	v := q.Get(name)
	q.Del(name)
	if v == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, errors.New(name + ": want true or false")
	}
	return b, nil
}

// openS3 is s3blob's opener with our client, and without its second layer of
// tries.
func (s *Store) openS3(ctx context.Context, name string, q url.Values) (*blob.Bucket, error) {
	style, err := take(q, "use_path_style")
	style2, err2 := take(q, "s3ForcePathStyle")
	plain, err3 := take(q, "disable_https")
	accelerate, err4 := take(q, "accelerate")
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return nil, err
	}
	cfg, err := gcaws.V2ConfigFromURLParams(ctx, q)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // S3 names the right one where it is not
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = s.client
		o.RetryMaxAttempts = 1
		o.UsePathStyle = style || style2
		o.EndpointOptions.DisableHTTPS = plain
		o.UseAccelerate = accelerate
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return s3blob.OpenBucket(ctx, client, name, nil)
}

// openAzure takes the parameters and the environment that azureblob's opener
// does, and a SAS token in the address.
func (s *Store) openAzure(ctx context.Context, name string, q url.Values) (*blob.Bucket, error) {
	anonymous, err := take(q, "anonymous")
	if err != nil {
		return nil, err
	}
	opt := azureblob.NewDefaultServiceURLOptions()
	if q.Has("sig") {
		sas := url.Values{}
		for k, v := range q {
			switch k {
			case "domain", "protocol", "cdn", "localemu", "storage_account":
			default:
				sas[k] = v
				q.Del(k)
			}
		}
		opt.SASToken, anonymous = sas.Encode(), true
	} else if anonymous || os.Getenv("AZURE_STORAGE_KEY") != "" {
		opt.SASToken = ""
	}
	if opt.AccountName == "" && !q.Has("storage_account") {
		return nil, errors.New("no account: set AZURE_STORAGE_ACCOUNT, or add ?storage_account=NAME")
	}
	if opt.SASToken != "" && !q.Has("sig") && !anonymous && (q.Has("domain") || q.Has("protocol") || q.Has("storage_account")) {
		return nil, errors.New("the SAS token of the environment is for the account of the environment: the address may not name another")
	}
	u := &url.URL{Scheme: azureblob.Scheme, Host: name, RawQuery: q.Encode()}
	o := &azureblob.URLOpener{ServiceURLOptions: *opt, MakeClient: azureblob.NewDefaultClient}
	if anonymous {
		o.MakeClient = func(service azureblob.ServiceURL, name azureblob.ContainerName) (*container.Client, error) {
			at, err := url.JoinPath(string(service), string(name))
			if err != nil {
				return nil, err
			}
			return container.NewClientWithNoCredential(at, nil)
		}
	}
	return o.OpenBucketURL(ctx, u)
}
