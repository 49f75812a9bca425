package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// maxNote is the length in bytes of a signed note that is looked at.
const maxNote = 1 << 20

// Checkpoint says what a log was at a size. As text (C2SP tlog-checkpoint) it
// is three lines, and as a file it is a signed note: the text, an empty line
// and a line for each signature.
//
//	example.com/custody
//	3
//	<base64 of the root>
//
//	— example.com/custody <base64 of the key id and the signature>
type Checkpoint struct {
	Origin     string
	Size       int64
	Root       tlog.Hash
	Extensions []string // further lines; custody writes none
}

// Text is what is signed.
func (c Checkpoint) Text() string {
	text := fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
	for _, e := range c.Extensions {
		text += e + "\n"
	}
	return text
}

// ParseCheckpoint reads the text of a checkpoint, in exactly the form that Text
// writes.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[len(lines)-1] != "" {
		return Checkpoint{}, errors.New("checkpoint: want lines of origin, size and root")
	}
	if !utf8.ValidString(text) {
		return Checkpoint{}, errors.New("checkpoint: not UTF-8")
	}
	lines = lines[:len(lines)-1]
	for _, l := range lines {
		if l == "" || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' }) {
			return Checkpoint{}, errors.New("checkpoint: an empty line, or a control character")
		}
	}
	c := Checkpoint{Origin: lines[0], Extensions: append([]string(nil), lines[3:]...)}
	var err error
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return Checkpoint{}, errors.New("checkpoint: not a size")
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return Checkpoint{}, errors.New("checkpoint: not a root")
	}
	if c.Text() != text {
		return Checkpoint{}, errors.New("checkpoint: not in its canonical form")
	}
	return c, nil
}

// At returns what the log is at a size, for a Key to sign.
func (l *Log) At(origin string, size int64) (Checkpoint, error) {
	root, err := l.Root(size)
	return Checkpoint{Origin: origin, Size: size, Root: root}, err
}

// Opened is a checkpoint whose signatures were checked.
type Opened struct {
	Checkpoint
	Anchors   []Anchor // cosignatures of the witnesses whose keys were given
	Unchecked []string // names on signatures by keys that were not given; they prove nothing
}

// OpenCheckpoint reads a signed checkpoint of a log and checks its signature
// and those of the witnesses. A wrong signature by a key that was given is an
// error, as is a note in any form but the one that is written.
func OpenCheckpoint(signed []byte, log Verifier, witnesses ...Verifier) (Opened, error) {
	text, sigs, err := splitNote(signed)
	if err != nil {
		return Opened{}, err
	}
	c, err := ParseCheckpoint(text)
	if err != nil {
		return Opened{}, err
	}
	if log.Witness() {
		return Opened{}, errors.New("checkpoint: the key is a witness's, not a log's")
	}
	if c.Origin != log.name {
		return Opened{}, fmt.Errorf("checkpoint of %q: the key is that of %q", c.Origin, log.name)
	}
	o, found := Opened{Checkpoint: c}, false
	for _, s := range sigs {
		v, known := s.by(append([]Verifier{log}, witnesses...))
		switch {
		case !known:
			o.Unchecked = append(o.Unchecked, s.name)
		case !v.Verify([]byte(text), s.bytes):
			return Opened{}, fmt.Errorf("checkpoint: the signature by %q is wrong", s.name)
		case v.Witness():
			at := time.Unix(int64(binary.BigEndian.Uint64(s.bytes)), 0).UTC()
			o.Anchors = append(o.Anchors, Anchor{AnchorWitness, s.name, at})
		case v.id == log.id && v.name == log.name:
			found = true
		}
	}
	if !found {
		return Opened{}, fmt.Errorf("checkpoint: not signed with the key of %q (%s)", log.name, log.Fingerprint())
	}
	return o, nil
}

// AddSignatures adds the signature lines that a witness answered with to a
// signed checkpoint. Each has to be a right one by a key that is given. A later
// cosignature of the same witness takes the place of an earlier one only if it
// is older: what an anchor is worth is how early it is.
func AddSignatures(signed []byte, lines []byte, witnesses ...Verifier) ([]byte, error) {
	text, sigs, err := splitNote(signed)
	if err != nil {
		return nil, err
	}
	more, err := parseSignatures(string(lines))
	if err != nil {
		return nil, err
	}
next:
	for _, s := range more {
		v, known := s.by(witnesses)
		if !known || !v.Witness() {
			return nil, fmt.Errorf("cosignature by %q: its key was not given", s.name)
		}
		if !v.Verify([]byte(text), s.bytes) {
			return nil, fmt.Errorf("cosignature by %q: it is not one of this checkpoint", s.name)
		}
		for i, old := range sigs {
			if old.name == s.name && old.id == s.id {
				if v.Verify([]byte(text), old.bytes) && binary.BigEndian.Uint64(old.bytes) <= binary.BigEndian.Uint64(s.bytes) {
					continue next
				}
				sigs[i] = s
				continue next
			}
		}
		sigs = append(sigs, s)
	}
	out := text + "\n"
	for _, s := range sigs {
		out += signatureLine(s.name, s.id, s.bytes)
	}
	return []byte(out), nil
}

// noteSignature is a signature line of a note.
type noteSignature struct {
	name  string
	id    uint32
	bytes []byte
}

func (s noteSignature) by(keys []Verifier) (Verifier, bool) {
	for _, v := range keys {
		if v.name == s.name && v.id == s.id {
			return v, true
		}
	}
	return Verifier{}, false
}

func signatureLine(name string, id uint32, signature []byte) string {
	raw := append(binary.BigEndian.AppendUint32(nil, id), signature...)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

// splitNote takes a signed note apart. It is stricter than note.Open, which
// overlooks doubled signatures and spare bits of base64: here every byte counts.
func splitNote(signed []byte) (text string, sigs []noteSignature, err error) {
	if len(signed) > maxNote {
		return "", nil, fmt.Errorf("note of %d bytes, more than %d", len(signed), maxNote)
	}
	i := strings.LastIndex(string(signed), "\n\n")
	if i < 0 {
		return "", nil, errors.New("note: no signatures")
	}
	text = string(signed[:i+1])
	sigs, err = parseSignatures(string(signed[i+2:]))
	return text, sigs, err
}

func parseSignatures(lines string) ([]noteSignature, error) {
	var sigs []noteSignature
	for line := range strings.Lines(lines) {
		if len(sigs) == 100 {
			return nil, errors.New("note: more than 100 signatures")
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(fields) != 3 || fields[0] != "—" || fields[1] == "" {
			return nil, errors.New("note: not a signature line")
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(fields[2])
		if err != nil || len(raw) < 5 {
			return nil, errors.New("note: not a signature")
		}
		s := noteSignature{fields[1], binary.BigEndian.Uint32(raw), raw[4:]}
		if signatureLine(s.name, s.id, s.bytes) != line {
			return nil, errors.New("note: a signature line that is not in its canonical form")
		}
		for _, o := range sigs {
			if o.name == s.name && o.id == s.id {
				return nil, fmt.Errorf("note: two signatures by %q", s.name)
			}
		}
		sigs = append(sigs, s)
	}
	if len(sigs) == 0 {
		return nil, errors.New("note: no signatures")
	}
	return sigs, nil
}

// parseNote reads a signed note's checkpoint and checks no signature.
func parseNote(signed string) (Checkpoint, error) {
	text, _, err := splitNote([]byte(signed))
	if err != nil {
		return Checkpoint{}, err
	}
	return ParseCheckpoint(text)
}

// AnchorKind says who outside of the house vouches for a time.
type AnchorKind string

// The kinds of anchor.
const (
	AnchorWitness   AnchorKind = "witness"   // C2SP tlog-cosignature v1
	AnchorTimestamp AnchorKind = "timestamp" // RFC 3161
)

// Anchor is an outsider's word that a checkpoint, and so each entry under it,
// existed at a time.
type Anchor struct {
	Kind AnchorKind
	Name string // the witness's, or the subject of the time-stamping certificate
	Time time.Time
}

// Earliest is the anchor with the earliest time. Without one there is no proof
// from outside of when a checkpoint was made, whatever times its entries have.
func Earliest(anchors []Anchor) (Anchor, bool) {
	var first Anchor
	for i, a := range anchors {
		if i == 0 || a.Time.Before(first.Time) {
			first = a
		}
	}
	return first, len(anchors) > 0
}
