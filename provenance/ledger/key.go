package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/scrypt"
	"golang.org/x/mod/sumdb/note"
)

// Signature types of C2SP signed-note, the first byte of a key's bytes.
const (
	typeEd25519     = 1 // a log's own
	typeCosignature = 4 // a witness's, tlog-cosignature v1
)

// Key signs the checkpoints of one log, and statements about them. It is
// Ed25519, so the same text has the same signature. Any number of goroutines
// may use it.
type Key struct {
	verifier Verifier
	private  ed25519.PrivateKey
}

// NewKey makes the key of a log from 32 random bytes. The name is the log's
// origin: a URL without its scheme, such as "example.com/custody"; it has no
// white space and no "+".
func NewKey(name string, rand io.Reader) (*Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, err
	}
	return keyFromSeed(name, seed)
}

func keyFromSeed(name string, seed []byte) (*Key, error) {
	private := ed25519.NewKeyFromSeed(seed)
	v, err := newVerifier(name, typeEd25519, private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return &Key{v, private}, nil
}

// Verifier is the public half.
func (k *Key) Verifier() Verifier { return k.verifier }

func (k *Key) String() string { return "[signing key of " + k.verifier.name + "]" }

// Sign signs any bytes but a checkpoint's, which SignCheckpoint does. A
// message's first line has a blank in it, as DSSE's encoding has; a
// checkpoint's never has, so neither can be taken for the other.
func (k *Key) Sign(message []byte) ([]byte, error) {
	line, _, _ := bytes.Cut(message, []byte("\n"))
	if !bytes.Contains(line, []byte(" ")) {
		return nil, errors.New("a message that could be read as a checkpoint")
	}
	return ed25519.Sign(k.private, message), nil
}

// SignCheckpoint returns the checkpoint as a signed note. The origin has to be
// the key's name.
func (k *Key) SignCheckpoint(c Checkpoint) ([]byte, error) {
	if c.Origin != k.verifier.name {
		return nil, fmt.Errorf("checkpoint of %q: this is the key of %q", c.Origin, k.verifier.name)
	}
	text := c.Text()
	if _, err := ParseCheckpoint(text); err != nil {
		return nil, err
	}
	signature := ed25519.Sign(k.private, []byte(text))
	return []byte(text + "\n" + signatureLine(k.verifier.name, k.verifier.id, signature)), nil
}

// The key files.
const (
	plainPrefix = "PRIVATE+KEY+"
	keyHeader   = "custody-key/1"
	scryptLogN  = 17 // 128 MiB, about half a second
	maxLogN     = 20
	saltSize    = 16
)

// ErrPassphrase means that a key file's passphrase is missing or wrong, or that
// the file was changed.
var ErrPassphrase = errors.New("the key's passphrase is missing or wrong")

// Encode returns the key as the text of a file. Without a passphrase that is
// one line, which golang.org/x/mod/sumdb/note reads too:
//
//	PRIVATE+KEY+<name>+<key id>+<base64 of 0x01 and the 32-byte seed>
//
// With one it is four lines:
//
//	custody-key/1
//	<the verifier key>
//	scrypt 17 <base64 of 16 bytes of salt, from rand>
//	<base64 of the seed, sealed>
//
// sealed with ChaCha20-Poly1305 under scrypt(passphrase, salt, N=2^17, r=8,
// p=1, 32 bytes), a nonce of zeros (the salt is new every time, so a key seals
// once), and the first three lines, with their line ends, as associated data.
func (k *Key) Encode(passphrase []byte, rand io.Reader) ([]byte, error) {
	return k.encode(passphrase, rand, scryptLogN)
}

func (k *Key) encode(passphrase []byte, rand io.Reader, logN int) ([]byte, error) {
	seed := k.private.Seed()
	if len(passphrase) == 0 {
		return fmt.Appendf(nil, "%s%s+%08x+%s\n", plainPrefix, k.verifier.name, k.verifier.id,
			base64.StdEncoding.EncodeToString(append([]byte{typeEd25519}, seed...))), nil
	}
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return nil, err
	}
	head := fmt.Appendf(nil, "%s\n%s\nscrypt %d %s\n", keyHeader, k.verifier, logN, base64.StdEncoding.EncodeToString(salt))
	secret, err := scrypt.Key(passphrase, salt, 1<<logN, 8, 1, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.New(secret)
	if err != nil {
		return nil, err
	}
	sealed := aead.Seal(nil, make([]byte, aead.NonceSize()), seed, head)
	return append(append(head, base64.StdEncoding.EncodeToString(sealed)...), '\n'), nil
}

// ParseKey reads what Encode wrote.
func ParseKey(text, passphrase []byte) (*Key, error) {
	if rest, ok := strings.CutPrefix(string(text), plainPrefix); ok {
		parts := strings.SplitN(strings.TrimSuffix(rest, "\n"), "+", 3)
		if len(parts) != 3 {
			return nil, errors.New("key file: want PRIVATE+KEY+NAME+ID+KEY")
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
		if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != typeEd25519 {
			return nil, errors.New("key file: not an Ed25519 key")
		}
		k, err := keyFromSeed(parts[0], raw[1:])
		if err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		if parts[1] != fmt.Sprintf("%08x", k.verifier.id) {
			return nil, errors.New("key file: the key id is not that of the key")
		}
		return k, nil
	}
	lines := strings.SplitAfter(string(text), "\n")
	if len(lines) < 4 || lines[0] != keyHeader+"\n" {
		return nil, errors.New("key file: not a key of custody")
	}
	v, err := ParseVerifier(strings.TrimSuffix(lines[1], "\n"))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	how := strings.Fields(lines[2])
	if len(how) != 3 || how[0] != "scrypt" {
		return nil, errors.New("key file: sealed in a way that this program does not know")
	}
	logN, err := strconv.Atoi(how[1])
	if err != nil || logN < 10 || logN > maxLogN {
		return nil, fmt.Errorf("key file: scrypt: want a work factor from 10 to %d", maxLogN)
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(how[2])
	if err != nil || len(salt) != saltSize {
		return nil, errors.New("key file: scrypt: not a salt")
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(lines[3], "\n"))
	if err != nil {
		return nil, errors.New("key file: not base64")
	}
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	secret, err := scrypt.Key(passphrase, salt, 1<<logN, 8, 1, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.New(secret)
	if err != nil {
		return nil, err
	}
	seed, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, []byte(strings.Join(lines[:3], "")))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, ErrPassphrase
	}
	k, err := keyFromSeed(v.name, seed)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if k.verifier.String() != v.String() {
		return nil, errors.New("key file: the verifier key is not that of the key")
	}
	return k, nil
}

// Verifier is a public key with its name: a log's, or a witness's. Its text
// form, a verifier key or vkey, is
//
//	<name>+<key id, 8 hex digits>+<base64 of the type and the 32-byte key>
//
// with type 1 for a log and 4 for a witness, and the key id the first four
// bytes of SHA-256(name, 0x0a, type, key).
type Verifier struct {
	name   string
	id     uint32
	kind   byte
	public ed25519.PublicKey
}

func newVerifier(name string, kind byte, public ed25519.PublicKey) (Verifier, error) {
	v := Verifier{name: name, kind: kind, public: public}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%c", name, kind)
	h.Write(public)
	v.id = binary.BigEndian.Uint32(h.Sum(nil))
	// note knows what a name may be.
	if _, err := note.NewVerifier(Verifier{name, noteID(name, public), typeEd25519, public}.String()); err != nil {
		return Verifier{}, fmt.Errorf("key name %q: want no white space and no +", name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(name) > 255 {
		return Verifier{}, errors.New("key name: want at most 255 bytes and no control characters")
	}
	return v, nil
}

func noteID(name string, public ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n\x01"), public...))
	return binary.BigEndian.Uint32(sum[:])
}

// ParseVerifier reads a verifier key, in exactly the form that String writes.
func ParseVerifier(text string) (Verifier, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return Verifier{}, errors.New("verifier key: want NAME+ID+KEY")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != typeEd25519 && raw[0] != typeCosignature {
		return Verifier{}, errors.New("verifier key: not an Ed25519 key of a log or a witness")
	}
	v, err := newVerifier(parts[0], raw[0], raw[1:])
	if err != nil {
		return Verifier{}, err
	}
	if v.String() != text {
		return Verifier{}, errors.New("verifier key: the key id is not that of the name and key")
	}
	return v, nil
}

// ParseWitness reads the key of a witness, given as one of type 4 or, as older
// witnesses publish theirs, of type 1.
func ParseWitness(text string) (Verifier, error) {
	v, err := ParseVerifier(text)
	if err != nil || v.Witness() {
		return v, err
	}
	return newVerifier(v.name, typeCosignature, v.public)
}

// Name is the log's origin, or the witness's name.
func (v Verifier) Name() string { return v.name }

// KeyHash is the key id; it makes a Verifier a note.Verifier.
func (v Verifier) KeyHash() uint32 { return v.id }

// Witness reports whether the key is a witness's.
func (v Verifier) Witness() bool { return v.kind == typeCosignature }

func (v Verifier) String() string {
	return fmt.Sprintf("%s+%08x+%s", v.name, v.id, base64.StdEncoding.EncodeToString(append([]byte{v.kind}, v.public...)))
}

// Fingerprint is what two people compare: "sha256:" and the SHA-256 of the 32
// bytes of the public key, hex.
func (v Verifier) Fingerprint() string {
	sum := sha256.Sum256(v.public)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Verify reports whether a signature of a log's key is that of a message, or a
// witness's is that of a checkpoint's text.
func (v Verifier) Verify(message, signature []byte) bool {
	switch {
	case len(v.public) != ed25519.PublicKeySize:
		return false
	case v.kind == typeEd25519:
		return ed25519.Verify(v.public, message, signature)
	case v.kind == typeCosignature && len(signature) == 8+ed25519.SignatureSize && signature[0] < 0x80:
		return ed25519.Verify(v.public, cosigned(binary.BigEndian.Uint64(signature), message), signature[8:])
	}
	return false
}

// cosigned is what a witness signs at a time, in Unix seconds.
func cosigned(at uint64, text []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), text...)
}
