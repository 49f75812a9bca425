package ledger

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha512" // imprints and signatures with it
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// maxToken is the length in bytes of a time-stamp that is looked at.
const maxToken = 1 << 20

// The object identifiers of RFC 3161, 5652, 5035 and 5816.
var (
	oidSignedData     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCert    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertV2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidSHA256         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidRSAPSS         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidExtKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 37}
	asn1NULL          = asn1.RawValue{Tag: asn1.TagNull}
	errMalformedToken = errors.New("time-stamp: not a token of RFC 3161 in DER")
)

type messageImprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Hash      []byte
}

// TimestampRequest is the body of a request (RFC 3161, application/timestamp-query)
// for a time-stamp of a signed checkpoint: of its text, without the signatures,
// so that cosignatures can come in before and after. It asks for the
// authority's certificate and has no nonce: the answer counts whenever it comes.
func TimestampRequest(signed []byte) ([]byte, error) {
	text, err := timestamped(signed)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return asn1.Marshal(struct {
		Version int
		Imprint messageImprint
		CertReq bool
	}{1, messageImprint{pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1NULL}, sum[:]}, true})
}

func timestamped(signed []byte) ([]byte, error) {
	text, _, err := splitNote(signed)
	if err == nil {
		_, err = ParseCheckpoint(text)
	}
	return []byte(text), err
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      asn1.RawValue
	Encapsulated struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version    int
	ID         asn1.RawValue // issuer and serial number, or [0] the subject key id
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
	Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
}

type tstInfo struct {
	Version    int
	Policy     asn1.ObjectIdentifier
	Imprint    messageImprint
	Serial     *big.Int
	Time       asn1.RawValue // GeneralizedTime, with fractions, which encoding/asn1 does not read
	Accuracy   asn1.RawValue `asn1:"optional"`
	Ordering   bool          `asn1:"optional"`
	Nonce      *big.Int      `asn1:"optional"`
	TSA        asn1.RawValue `asn1:"optional,tag:0"`
	Extensions asn1.RawValue `asn1:"optional,tag:1"`
}

// VerifyTimestamp checks that an RFC 3161 time-stamp, a TimeStampResp or the
// token in it, is of a signed checkpoint and was signed by an authority: one of
// the trusted certificates, or one that leads to one of them, good for
// time-stamping at the time of the stamp. Revocation is not looked at. The
// anchor's time is the stamp's own; the authority says how accurate that is.
//
// It reads DER, SHA-256 to SHA-512, and RSA (PKCS #1 v1.5), ECDSA and Ed25519.
func VerifyTimestamp(token, signed []byte, trusted []*x509.Certificate) (Anchor, error) {
	text, err := timestamped(signed)
	if err != nil {
		return Anchor{}, err
	}
	if len(trusted) == 0 {
		return Anchor{}, errors.New("time-stamp: no certificate to check it with")
	}
	data, err := tokenData(token)
	if err != nil {
		return Anchor{}, err
	}
	info, at, err := readTSTInfo(data.Encapsulated.Content)
	if err != nil {
		return Anchor{}, err
	}
	hash, err := hashOf(info.Imprint.Algorithm)
	if err != nil {
		return Anchor{}, err
	}
	if !bytes.Equal(info.Imprint.Hash, sumOf(hash, text)) {
		return Anchor{}, errors.New("time-stamp: it is of something else than this checkpoint")
	}
	var embedded []*x509.Certificate
	if len(data.Certificates.Bytes) > 0 {
		// Attribute certificates and the like are no reason to fail.
		for rest := data.Certificates.Bytes; len(rest) > 0; {
			var one asn1.RawValue
			if rest, err = asn1.Unmarshal(rest, &one); err != nil {
				return Anchor{}, errMalformedToken
			}
			if c, err := x509.ParseCertificate(one.FullBytes); err == nil {
				embedded = append(embedded, c)
			}
		}
	}
	if len(data.Signers) != 1 {
		return Anchor{}, errMalformedToken
	}
	signer := data.Signers[0]
	cert := signer.certificate(append(append([]*x509.Certificate(nil), trusted...), embedded...))
	if cert == nil {
		return Anchor{}, errors.New("time-stamp: the certificate of its signer is neither in it nor among those given")
	}
	if err := signer.verify(cert, data.Encapsulated.Content); err != nil {
		return Anchor{}, err
	}
	if err := mayStamp(cert, trusted, embedded, at); err != nil {
		return Anchor{}, err
	}
	return Anchor{AnchorTimestamp, cert.Subject.String(), at}, nil
}

// tokenData unwraps a TimeStampResp or a TimeStampToken.
func tokenData(token []byte) (*signedData, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("time-stamp: %d bytes, more than %d", len(token), maxToken)
	}
	var response struct {
		Status struct {
			Status  int
			Strings asn1.RawValue  `asn1:"optional"`
			Failure asn1.BitString `asn1:"optional"`
		}
		Token asn1.RawValue `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(token, &response); err == nil && len(rest) == 0 {
		if response.Status.Status > 1 || len(response.Token.FullBytes) == 0 {
			return nil, fmt.Errorf("time-stamp: the authority refused, with status %d", response.Status.Status)
		}
		token = response.Token.FullBytes
	}
	var content contentInfo
	if rest, err := asn1.Unmarshal(token, &content); err != nil || len(rest) > 0 || !content.Type.Equal(oidSignedData) {
		return nil, errMalformedToken
	}
	var data signedData
	if rest, err := asn1.Unmarshal(content.Content.Bytes, &data); err != nil || len(rest) > 0 || !data.Encapsulated.Type.Equal(oidTSTInfo) {
		return nil, errMalformedToken
	}
	return &data, nil
}

func readTSTInfo(der []byte) (tstInfo, time.Time, error) {
	var info tstInfo
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 || info.Version != 1 {
		return info, time.Time{}, errMalformedToken
	}
	s := string(info.Time.Bytes)
	if info.Time.Class != asn1.ClassUniversal || info.Time.Tag != asn1.TagGeneralizedTime || !strings.HasSuffix(s, "Z") {
		return info, time.Time{}, errMalformedToken
	}
	at, err := time.Parse("20060102150405Z", s) // a fraction may follow the seconds
	if err != nil {
		return info, time.Time{}, errMalformedToken
	}
	return info, at.UTC(), nil
}

func hashOf(a pkix.AlgorithmIdentifier) (crypto.Hash, error) {
	switch {
	case a.Algorithm.Equal(oidSHA256):
		return crypto.SHA256, nil
	case a.Algorithm.Equal(oidSHA384):
		return crypto.SHA384, nil
	case a.Algorithm.Equal(oidSHA512):
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("time-stamp: digest algorithm %v is not one of SHA-256, SHA-384 and SHA-512", a.Algorithm)
}

func sumOf(h crypto.Hash, b []byte) []byte {
	w := h.New()
	w.Write(b)
	return w.Sum(nil)
}

// certificate finds the signer's.
func (s signerInfo) certificate(among []*x509.Certificate) *x509.Certificate {
	var byIssuer struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	if s.ID.Class == asn1.ClassUniversal {
		if rest, err := asn1.Unmarshal(s.ID.FullBytes, &byIssuer); err != nil || len(rest) > 0 {
			return nil
		}
	}
	for _, c := range among {
		switch {
		case byIssuer.Serial != nil && c.SerialNumber.Cmp(byIssuer.Serial) == 0 && bytes.Equal(c.RawIssuer, byIssuer.Issuer.FullBytes),
			s.ID.Class == asn1.ClassContextSpecific && s.ID.Tag == 0 && len(c.SubjectKeyId) > 0 && bytes.Equal(c.SubjectKeyId, s.ID.Bytes):
			return c
		}
	}
	return nil
}

// verify checks the signed attributes against the content and the certificate,
// and the signature of the attributes.
func (s signerInfo) verify(cert *x509.Certificate, content []byte) error {
	if len(s.Attributes.FullBytes) == 0 {
		return errMalformedToken
	}
	// They are signed as a SET OF, not with the tag that they have here.
	attributes := append([]byte{asn1.TagSet | 0x20}, s.Attributes.FullBytes[1:]...)
	var list []struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	if rest, err := asn1.UnmarshalWithParams(attributes, &list, "set"); err != nil || len(rest) > 0 {
		return errMalformedToken
	}
	hash, err := hashOf(s.Digest)
	if err != nil {
		return err
	}
	var isTSTInfo, isDigest, isCertificate bool
	for _, a := range list {
		if len(a.Values) != 1 {
			continue
		}
		value := a.Values[0]
		switch {
		case a.Type.Equal(oidContentType):
			var oid asn1.ObjectIdentifier
			_, err := asn1.Unmarshal(value.FullBytes, &oid)
			isTSTInfo = err == nil && oid.Equal(oidTSTInfo)
		case a.Type.Equal(oidMessageDigest):
			var sum []byte
			_, err := asn1.Unmarshal(value.FullBytes, &sum)
			isDigest = err == nil && bytes.Equal(sum, sumOf(hash, content))
		case a.Type.Equal(oidSigningCert), a.Type.Equal(oidSigningCertV2):
			isCertificate = namesCertificate(value.FullBytes, a.Type.Equal(oidSigningCertV2), cert)
		}
	}
	switch {
	case !isTSTInfo:
		return errMalformedToken
	case !isDigest:
		return errors.New("time-stamp: its signature is of another content")
	case !isCertificate:
		return errors.New("time-stamp: it does not name the certificate that it was signed with")
	}
	algorithm, err := s.algorithm(cert, hash)
	if err != nil {
		return err
	}
	if err := cert.CheckSignature(algorithm, attributes, s.Signature); err != nil {
		return errors.New("time-stamp: its signature is wrong")
	}
	return nil
}

// namesCertificate reads the first certificate id of a SigningCertificate or
// SigningCertificateV2 attribute.
func namesCertificate(value []byte, v2 bool, cert *x509.Certificate) bool {
	var signing struct {
		Certs    []asn1.RawValue
		Policies asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(value, &signing); err != nil || len(signing.Certs) == 0 {
		return false
	}
	first, hash := signing.Certs[0].Bytes, crypto.SHA1
	if v2 {
		hash = crypto.SHA256
		var a pkix.AlgorithmIdentifier
		if rest, err := asn1.Unmarshal(first, &a); err == nil {
			if hash, err = hashOf(a); err != nil {
				return false
			}
			first = rest
		}
	}
	var sum []byte
	if _, err := asn1.Unmarshal(first, &sum); err != nil {
		return false
	}
	if hash == crypto.SHA1 { // only names the certificate; the signature has a better hash
		old := sha1.Sum(cert.Raw)
		return bytes.Equal(sum, old[:])
	}
	return bytes.Equal(sum, sumOf(hash, cert.Raw))
}

func (s signerInfo) algorithm(cert *x509.Certificate, hash crypto.Hash) (x509.SignatureAlgorithm, error) {
	i := map[crypto.Hash]int{crypto.SHA256: 0, crypto.SHA384: 1, crypto.SHA512: 2}[hash]
	switch cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if s.Algorithm.Algorithm.Equal(oidRSAPSS) {
			break
		}
		return [...]x509.SignatureAlgorithm{x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA}[i], nil
	case *ecdsa.PublicKey:
		return [...]x509.SignatureAlgorithm{x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512}[i], nil
	case ed25519.PublicKey:
		return x509.PureEd25519, nil
	}
	return 0, fmt.Errorf("time-stamp: signature algorithm %v is not one that this program knows", s.Algorithm.Algorithm)
}

// mayStamp checks that a certificate is for nothing but time-stamping (RFC
// 3161, section 2.3) and leads to a trusted one.
func mayStamp(cert *x509.Certificate, trusted, embedded []*x509.Certificate, at time.Time) error {
	critical := false
	for _, e := range cert.Extensions {
		critical = critical || e.Id.Equal(oidExtKeyUsage) && e.Critical
	}
	if !critical || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(cert.UnknownExtKeyUsage) > 0 {
		return errors.New("time-stamp: the certificate of its signer is not one for time-stamping alone")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range trusted {
		roots.AddCert(c)
	}
	for _, c := range embedded {
		between.AddCert(c)
	}
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	if err != nil {
		return errors.New("time-stamp: the certificate of its signer does not lead to one that is trusted, or was not valid then")
	}
	return nil
}
