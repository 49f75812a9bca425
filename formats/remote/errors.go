package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Error says why an address can't be read.
type Error struct {
	Name   string // the address, without anything secret
	Reason string
	Hint   string // what to do about it, or ""
}

func (e *Error) Error() string { return e.Name + ": " + e.Reason }

// statusError is an answer that is no data.
type statusError struct{ status int }

func (e *statusError) Error() string { return statusText(e.status, "") }

func statusText(status int, code string) string {
	text := "the server answers " + strconv.Itoa(status)
	if t := http.StatusText(status); t != "" {
		text += " " + t
	}
	if code != "" && len(code) <= 64 && !strings.ContainsFunc(code, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) {
		text += " (" + code + ")"
	}
	return text
}

var (
	errChanged = errors.New("it changed while it was read")
	errStalled = errors.New("the server sends nothing any more")
	errWhole   = errors.New("the server gives no ranges of it, which this format needs: download it first")
)

// status is the status and the code of the answer behind an error, 0 without one.
func status(err error) (int, string) {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status, ""
	}
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return e.StatusCode, e.ErrorCode
	}
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		code := ""
		if api, ok := errors.AsType[smithy.APIError](err); ok {
			code = api.ErrorCode()
		}
		return e.HTTPStatusCode(), code
	}
	return 0, ""
}

// transient reports whether to try again.
func transient(err error) bool {
	switch st, code := status(err); {
	case st == http.StatusRequestTimeout, st == http.StatusTooManyRequests, code == "SlowDown", code == "RequestTimeout":
		return true
	case st == http.StatusNotImplemented:
		return false
	case st > 0:
		return st >= 500
	}
	if errors.Is(err, errStalled) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return true
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return false
	}
	if n, ok := errors.AsType[net.Error](err); ok {
		if u, ok := n.(*url.Error); ok {
			return transientIn(u.Err)
		}
		return true
	}
	return false
}

// transientIn is transient, of what stands in the error of a client.
func transientIn(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	return isNet || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errStalled) ||
		strings.Contains(err.Error(), "server closed") || strings.Contains(err.Error(), "connection was forcibly closed")
}

// secretIn is what may be secret in the text of an error: parameters, and users.
var secretIn = regexp.MustCompile(`\?[^\s"'<>]*|//[^\s/"'@]*@`)

// reason is an error as it may be shown: without addresses, for those that a
// server redirects to may be signed.
func reason(err error) string {
	if st, code := status(err); st > 0 {
		return statusText(st, code)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "the connection was cut, again and again"
	}
	text := secretIn.ReplaceAllString(strings.Join(strings.Fields(err.Error()), " "), "")
	if noCredentials(err) {
		return "no credentials for it"
	}
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "…"
	}
	return text
}

func noCredentials(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "credential") && !strings.Contains(text, "dial tcp") || strings.Contains(text, "no ec2 imds role")
}

// hints is what to do about an answer of "not you".
var hints = map[string]string{
	"s3":    "check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may list and read it; a public bucket: add ?anonymous=true",
	"gs":    "check GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login; a public bucket: add ?anonymous=true",
	"az":    "check AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or run az login; a public container: add ?anonymous=true",
	"http":  "a signed address may be too old; a user and password can be in it: https://USER:PASSWORD@HOST/PATH",
	"https": "a signed address may be too old; a user and password can be in it: https://USER:PASSWORD@HOST/PATH",
}

// fail is what an error means of an address.
func fail(name string, err error) *Error {
	e := &Error{Name: name, Reason: reason(err)}
	scheme, _, _ := strings.Cut(name, "://")
	st, code := status(err)
	switch {
	case st == http.StatusMovedPermanently && scheme == "s3", code == "AuthorizationHeaderMalformed", code == "PermanentRedirect":
		e.Hint = "the bucket is of another region: add ?region=REGION"
		if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
			if region := r.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
				e.Hint = "the bucket is of another region: add ?region=" + region
			}
		}
	case st == http.StatusForbidden, st == http.StatusUnauthorized, st == 0 && noCredentials(err):
		e.Hint = hints[scheme]
	case transient(err):
		e.Hint = "it was tried again and again: check the network, and the address"
	}
	return e
}
