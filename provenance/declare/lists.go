package declare

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"strings"

	"custody/provenance"
)

// lists are the lists of a declare file, each with the function that reads one
// entry. A new kind of statement is one entry here.
var lists = []listReader{
	{"organisations", organisation}, {"sources", sourceInfo}, {"terms", terms}, {"acceptances", acceptance}, {"rate_rules", rateRule},
	{"apps", app}, {"credentials", credential}, {"fetches", fetch}, {"datasets", dataset}, {"transformations", transformation},
	{"uses", use}, {"holdings", holding}, {"notices", notice}, {"destructions", destruction}, {"holds", hold}, {"licences", licence},
	{"opt_outs", optOut}, {"coverage", coverage}, {"retract", retraction},
}

// listReader reads the entries of one list.
type listReader struct {
	name string
	read func(*reader, *object)
}

func organisation(r *reader, o *object) {
	v := provenance.Organisation{ID: o.id("id"), Name: o.text("name"),
		Kind: provenance.OrganisationKind(o.oneOf("kind", "company", "government", "rightsholder", "person"))}
	r.state(o, provenance.KindOrganisation, v.ID, provenance.Period{}, v)
}

var scopes = []string{"app", "user", "client", "ip"}

func sourceInfo(r *reader, o *object) {
	v := provenance.SourceInfo{ID: provenance.SourceID(o.id("id")), Name: o.text("name"), Owner: o.text("owner"), Hosts: o.names("hosts"),
		LimitScope: provenance.Scope(o.oneOf("limit_scope", scopes...))}
	r.state(o, provenance.KindSource, string(v.ID), provenance.Period{}, v)
}

func terms(r *reader, o *object) {
	t := provenance.Terms{ID: provenance.TermsID(o.id("id")), Source: provenance.SourceID(o.refer("source", provenance.KindSource)),
		Title: o.text("title"), URL: o.text("url"), Effective: o.periodOf("effective")}
	t.Stated = t.Effective.From
	if t.Source == "" {
		o.fail(nil, "source", "is missing")
	}
	if t.Effective.From.IsZero() {
		o.fail(nil, "effective", "is missing: since when was it in force?")
	}
	if v := o.value("text"); v != nil {
		data, err := r.env.ReadFile(v.Value)
		if err != nil {
			o.fail(v, "text", "%s", fileReason(err))
		}
		sum := sha256.Sum256(data)
		t.Digest = hex.EncodeToString(sum[:])
	}
	if rights := o.under("rights"); rights != nil {
		t.Rights = rights.rights("training", "redistribution", "government", "commercial")
		rights.done()
	}
	if limits := o.under("limits"); limits != nil {
		t.Limits = limits.rights("circumvention", "excessive_use", "pooling")
		limits.done()
	}
	if duties := o.under("duties"); duties != nil {
		t.Duties = map[string]string{}
		for i := 0; i+1 < len(duties.node.Content); i += 2 {
			k, v := duties.node.Content[i], duties.node.Content[i+1]
			if _, ok := parseDuration(v.Value); strings.HasSuffix(k.Value, "_within") && !ok {
				duties.fail(v, k.Value, "want a length of time, such as 24h or 10d")
			}
			t.Duties[k.Value] = duties.check(v, k.Value)
		}
	}
	for _, f := range r.out.Facts { // versions of one document follow each other
		if f.Kind != provenance.KindTerms || !f.Valid.Overlaps(t.Effective) {
			continue
		}
		if other := decode[provenance.Terms](f); other.Source == t.Source && other.Title == t.Title && other.ID != t.ID {
			o.fail(nil, "effective", "overlaps %q of the same source and title: give the earlier one an until", string(other.ID))
		}
	}
	r.state(o, provenance.KindTerms, string(t.ID), t.Effective, t)
}

func (o *object) rights(keys ...string) map[string]provenance.Right {
	out := map[string]provenance.Right{}
	for _, k := range keys {
		if right, ok := o.right(k); ok {
			out[k] = right
		}
	}
	return out
}

func acceptance(r *reader, o *object) {
	v := provenance.Acceptance{Terms: provenance.TermsID(o.refer("terms", provenance.KindTerms)), Organisation: o.refer("organisation", provenance.KindOrganisation),
		App: provenance.AppID(o.refer("app", provenance.KindApp)), By: o.text("by"), At: o.time("at")}
	if v.Terms == "" {
		o.fail(nil, "terms", "is missing")
		return
	}
	r.state(o, provenance.KindAcceptance, joinKey(string(v.Terms), v.Organisation, string(v.App)), provenance.Period{From: v.At}, v)
}

func rateRule(r *reader, o *object) {
	v := provenance.RateRule{Source: provenance.SourceID(o.refer("source", provenance.KindSource)), Endpoint: o.text("endpoint"), Window: o.seconds("window"),
		Scope: provenance.Scope(o.oneOf("scope", scopes...)), Period: o.period()}
	if n := o.number("limit", 1); n != nil {
		v.Limit = *n
	} else if !o.has("limit") {
		o.fail(nil, "limit", "is missing")
	}
	if v.Source == "" {
		o.fail(nil, "source", "is missing")
	}
	if v.Window == 0 && !o.has("window") {
		o.fail(nil, "window", "is missing: the limit is counted over how long, such as 15m?")
	}
	r.state(o, provenance.KindRateRule, joinKey(string(v.Source), v.Endpoint, string(v.Scope), stamp(v.Period)), v.Period, v)
}

func app(r *reader, o *object) {
	v := provenance.App{ID: provenance.AppID(o.id("id")), Name: o.text("name"), Product: o.text("product"), Owner: o.refer("owner", provenance.KindOrganisation),
		Purpose: o.text("purpose")}
	o.each("declared_uses", func(u *object) {
		v.Uses = append(v.Uses, provenance.DeclaredUse{From: u.time("from"), Purpose: u.text("purpose"), Approved: u.yes("approved")})
	})
	r.state(o, provenance.KindApp, string(v.ID), provenance.Period{}, v)
}

func credential(r *reader, o *object) {
	v := provenance.Credential{Label: provenance.CredentialLabel(o.id("label")), App: provenance.AppID(o.refer("app", provenance.KindApp)),
		Source: provenance.SourceID(o.refer("source", provenance.KindSource)), Kind: o.text("kind"), Account: o.text("account"),
		Issued: o.time("issued"), Revoked: o.time("revoked")}
	if !v.Issued.IsZero() && !v.Revoked.IsZero() && !v.Issued.Before(v.Revoked) {
		o.fail(nil, "revoked", "the period ends before it starts")
	}
	if n := o.value("token_env"); n != nil {
		switch token, ok := r.secret(n.Value); {
		case r.env.Secret == nil || r.env.Hash == nil:
			o.fail(n, "token_env", "tokens can't be hashed here")
		case !ok || token == "":
			o.fail(n, "token_env", "the environment variable is not set")
		default:
			v.Hash = r.env.Hash(token)
		}
	}
	r.state(o, provenance.KindCredential, string(v.Label), provenance.Period{From: v.Issued, Until: v.Revoked}, v)
}

func (r *reader) secret(name string) (string, bool) {
	if r.env.Secret == nil {
		return "", false
	}
	return r.env.Secret(name)
}

func fetch(r *reader, o *object) {
	v := provenance.Fetch{ID: provenance.FetchID(o.id("id")), App: provenance.AppID(o.refer("app", provenance.KindApp)),
		Credential: provenance.CredentialLabel(o.refer("credential", provenance.KindCredential)), Source: provenance.SourceID(o.refer("source", provenance.KindSource)),
		Endpoint: o.text("endpoint"), Period: o.period(), Calls: o.number("calls", 0), Throttled: o.number("throttled", 0),
		OnBehalfOf: o.refer("on_behalf_of", provenance.KindOrganisation)}
	if n := o.number("records", 0); n != nil {
		v.Records = *n
	}
	if v.Source == "" {
		o.fail(nil, "source", "is missing")
	}
	if v.Calls != nil && v.Throttled != nil && *v.Throttled > *v.Calls {
		o.fail(nil, "throttled", "more than the calls")
	}
	r.state(o, provenance.KindFetch, string(v.ID), v.Period, v)
}

func dataset(r *reader, o *object) {
	v := provenance.Dataset{Name: o.id("name"), Version: o.text("version"), Made: o.time("made")}
	for _, p := range o.names("parents") {
		v.Parents = append(v.Parents, provenance.DatasetID(p))
		r.refer(o.value("parents"), keyName(o.where, "parents"), provenance.KindDataset, p)
	}
	if strings.Contains(v.Name, "@") || strings.Contains(v.Version, "@") {
		o.fail(nil, "name", "@ stands between name and version, and in neither")
	}
	o.each("files", func(f *object) {
		v.Files = append(v.Files, provenance.DatasetFile{Path: f.id("path"), SHA256: f.digest("sha256")})
	})
	files := v.Files
	if len(files) > maxList {
		v.Files, v.Count = nil, int64(len(files))
	}
	i := r.state(o, provenance.KindDataset, string(v.ID()), provenance.Period{From: v.Made}, v)
	if i >= 0 && v.Count > 0 {
		r.out.Lists = append(r.out.Lists, List{Fact: i, Files: files})
	}
}

func transformation(r *reader, o *object) {
	v := provenance.Transformation{ID: o.id("id"), Output: provenance.DatasetID(o.refer("output", provenance.KindDataset)),
		Kind: o.oneOf("kind", "filter", "dedup", "redact", "translate", "synthetic", "other"), Code: o.text("code"), At: o.time("at")}
	for _, in := range o.names("inputs") {
		v.Inputs = append(v.Inputs, provenance.DatasetID(in))
		r.refer(o.value("inputs"), keyName(o.where, "inputs"), provenance.KindDataset, in)
	}
	if v.Output == "" {
		o.fail(nil, "output", "is missing")
	}
	r.state(o, provenance.KindTransformation, v.ID, provenance.Period{From: v.At}, v)
}

func use(r *reader, o *object) {
	v := provenance.Use{ID: o.id("id"), Dataset: provenance.DatasetID(o.refer("dataset", provenance.KindDataset)), Product: o.text("product"), Run: o.text("run"),
		Kind: o.oneOf("kind", "training", "evaluation", "product", "search", "other"), Purpose: o.text("purpose"), Period: o.period(),
		Recipient: o.refer("recipient", provenance.KindOrganisation)}
	if v.Dataset == "" {
		o.fail(nil, "dataset", "is missing")
	}
	r.state(o, provenance.KindUse, v.ID, v.Period, v)
}

func holding(r *reader, o *object) {
	v := provenance.Holding{ID: o.id("id"), What: o.selector("what"), Location: o.text("location"), Period: o.period()}
	r.state(o, provenance.KindHolding, v.ID, v.Period, v)
}

func notice(r *reader, o *object) {
	v := provenance.Notice{ID: o.id("id"), Source: provenance.SourceID(o.refer("source", provenance.KindSource)), Records: o.ids("records"),
		Kind: o.oneOf("kind", "delete", "protect", "withhold", "terms"), Received: o.time("received"), Due: o.time("due")}
	if !v.Received.IsZero() && !v.Due.IsZero() && v.Due.Before(v.Received) {
		o.fail(nil, "due", "before it was received")
	}
	ids := v.Records
	if len(ids) > maxList {
		v.Records, v.Count = nil, int64(len(ids))
	}
	i := r.state(o, provenance.KindNotice, v.ID, provenance.Period{From: v.Received}, v)
	if i >= 0 && v.Count > 0 {
		r.out.Lists = append(r.out.Lists, List{Fact: i, IDs: ids})
	}
}

func destruction(r *reader, o *object) {
	v := provenance.Destruction{ID: o.id("id"), What: o.selector("what"), Count: o.number("count", 0), At: o.time("at"), By: o.text("by"), Method: o.text("method"),
		Except: o.names("except")}
	if c := o.under("verified"); c != nil {
		v.Verified = &provenance.Verification{How: c.text("how"), At: c.time("at")}
		c.done()
		if at := v.Verified.At; !at.IsZero() && !v.At.IsZero() && at.Before(v.At) {
			o.fail(nil, "verified", "before the destruction itself")
		}
	}
	r.state(o, provenance.KindDestruction, v.ID, provenance.Period{From: v.At}, v)
}

func hold(r *reader, o *object) {
	v := provenance.Hold{ID: o.id("id"), Matter: o.text("matter"), What: o.selector("what"), Period: o.period()}
	r.state(o, provenance.KindHold, v.ID, v.Period, v)
}

func licence(r *reader, o *object) {
	v := provenance.LicenceAssertion{What: o.selector("what"), Kind: provenance.LicenceKind(o.oneOf("kind", "declared", "detected", "concluded")),
		Expression: o.id("expression"), By: o.text("by")}
	v.Valid = ValidExpression(v.Expression)
	if !v.Valid && v.Expression != "" {
		o.fail(o.value("expression"), "expression", "not an SPDX licence expression, such as CC-BY-4.0 or MIT OR Apache-2.0; a licence of one's own is LicenseRef-NAME")
	}
	what, err := provenance.Canonical(v.What)
	if err != nil {
		o.fail(nil, "what", "can't be encoded")
		return
	}
	sum := sha256.Sum256(what)
	r.state(o, provenance.KindLicence, joinKey(hex.EncodeToString(sum[:8]), string(v.Kind), v.By), provenance.Period{}, v)
}

func optOut(r *reader, o *object) {
	v := provenance.OptOut{Host: o.id("host"), Protocol: o.text("protocol"), Seen: o.time("seen")}
	if n := o.value("raw"); n != nil {
		data, err := r.env.ReadFile(n.Value)
		if err != nil {
			o.fail(n, "raw", "%s", fileReason(err))
		}
		sum := sha256.Sum256(data)
		v.Digest, v.File = hex.EncodeToString(sum[:]), path.Base(strings.ReplaceAll(n.Value, "\\", "/"))
	}
	r.state(o, provenance.KindOptOut, joinKey(v.Host, v.Protocol, stamp(provenance.Period{From: v.Seen})), provenance.Period{From: v.Seen}, v)
}

func coverage(r *reader, o *object) {
	v := provenance.Coverage{App: provenance.AppID(o.refer("app", provenance.KindApp)), Source: provenance.SourceID(o.refer("source", provenance.KindSource)), Period: o.period(),
		Known: o.oneOf("known", "yes", "no", "part", "true", "false"), How: o.text("how")}
	switch v.Known { // YAML 1.1 readers turn yes into true; both are taken
	case "true":
		v.Known = "yes"
	case "false":
		v.Known = "no"
	case "":
		if !o.has("known") {
			o.fail(nil, "known", "is missing: want yes, no or part")
		}
	}
	r.state(o, provenance.KindCoverage, joinKey(string(v.App), string(v.Source), stamp(v.Period)), v.Period, v)
}

func retraction(r *reader, o *object) {
	v := provenance.Retraction{ID: o.id("id"), Why: o.text("why")}
	kind, key, ok := strings.Cut(v.ID, ":")
	if !ok {
		o.fail(nil, "id", "want KIND:KEY, such as app:trends, or the id of a fact")
		return
	}
	if r.env.Known != nil && !r.env.Known(provenance.Kind(kind), key) && !r.env.Known(provenance.Kind(kind), v.ID) {
		o.fail(nil, "id", "there is no such fact")
	}
	r.state(o, provenance.KindRetraction, v.ID, provenance.Period{}, v)
}

func joinKey(parts ...string) string {
	if strings.Join(parts, "") == "" {
		return ""
	}
	return strings.Join(parts, "|")
}

func stamp(p provenance.Period) string {
	if p.From.IsZero() {
		return ""
	}
	return p.From.UTC().Format("2006-01-02T15:04:05Z")
}

// fileReason is why a file could not be read, without its path.
func fileReason(err error) string {
	var p *fs.PathError
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
