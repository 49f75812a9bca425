package main

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"custody/cmd/internal/ui"
	"custody/index"
	"custody/index/scan"
	"custody/provenance"
	"custody/provenance/evidence"
	"custody/provenance/ledger"
)

const ledgerHelp = `The ledger is a Merkle log with one entry a fact: a commitment, never the fact
itself. A checkpoint is its size and root, signed with the store's own key, which
is made at first use (with a passphrase where CUSTODY_KEY_PASSPHRASE is set).

Who holds an earlier checkpoint can prove that nothing under it was changed. The
key proves order, not dates: for a date, have a checkpoint time-stamped (RFC 3161)
or cosigned by a witness, and import what they answer.`

func ledgerCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ledger",
		GroupID: "keep",
		Short:   "The tamper-evident log of all facts: sign, prove, export, verify",
		Long:    ledgerHelp,
		Example: examples("custody ledger checkpoint", "custody ledger verify", "custody ledger verify dossier"),
		Args:    oneOfVerbs,
		RunE:    subVerbs,
	}
	cmd.AddCommand(ledgerCheckpointCmd(a), ledgerProveCmd(a), ledgerExportCmd(a), ledgerVerifyCmd(a))
	return cmd
}

// passphrase is of the key that signs checkpoints; it may be empty.
func passphrase() []byte { return []byte(os.Getenv("CUSTODY_KEY_PASSPHRASE")) }

// openLedger opens the store to read its ledger, and to keep checkpoints.
func (a *app) openLedger(cmd *cobra.Command) (*index.Writer, *ledger.Log, *ledger.Key, error) {
	w, err := index.OpenWriter(cmd.Context(), a.store, a.writer("ledger"))
	if err != nil {
		return nil, nil, nil, err
	}
	log, err := w.Ledger()
	if err == nil {
		var key *ledger.Key
		if key, err = w.SigningKey(passphrase()); err == nil {
			return w, log, key, nil
		}
		if errors.Is(err, ledger.ErrPassphrase) {
			err = hinted(err, "set CUSTODY_KEY_PASSPHRASE to the passphrase of the store's signing key")
		}
	}
	return nil, nil, nil, errors.Join(err, w.Close())
}

// signed is a checkpoint of the ledger at its present size: the one that was
// kept last, where nothing came since.
func signed(log *ledger.Log, key *ledger.Key) (ledger.Checkpoint, ledger.Kept, error) {
	c, err := log.At(key.Verifier().Name(), log.Size())
	if err != nil {
		return c, ledger.Kept{}, err
	}
	if n := log.Checkpoints(); n > 0 {
		kept, err := log.Checkpoint(n - 1)
		if err != nil {
			return c, kept, err
		}
		if was, err := ledger.OpenCheckpoint([]byte(kept.Note), key.Verifier()); err == nil && was.Text() == c.Text() {
			return c, kept, nil
		}
	}
	note, err := key.SignCheckpoint(c)
	if err != nil {
		return c, ledger.Kept{}, err
	}
	kept := ledger.Kept{Note: string(note)}
	return c, kept, log.Keep(kept)
}

// checkpointAnswer is what `custody ledger checkpoint --json` prints.
type checkpointAnswer struct {
	Schema      string       `json:"schema"` // custody.checkpoint/1
	Origin      string       `json:"origin"`
	Size        int64        `json:"size"`
	Root        string       `json:"root"` // hex
	Key         string       `json:"key"`  // verifier key
	Fingerprint string       `json:"fingerprint"`
	Note        string       `json:"note"`
	Anchors     []anchorInfo `json:"anchors"`
}

// anchorInfo is an outsider's word on when a checkpoint was there.
type anchorInfo struct {
	Kind string    `json:"kind"`
	Name string    `json:"name"`
	Time time.Time `json:"time"`
}

type checkpointFlags struct{ out, request, cosignatures, timestamp, authority, witness string }

func ledgerCheckpointCmd(a *app) *cobra.Command {
	var f checkpointFlags
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Sign what the ledger is now, and keep it",
		Long: `Signs the ledger's size and root and keeps the checkpoint in the store. With
--request the body of an RFC 3161 request for a time-stamp is written; --timestamp
takes the answer in, checked against the authority's certificate, and
--cosignatures the lines that a witness answered with.`,
		Example: examples("custody ledger checkpoint", "custody ledger checkpoint --out checkpoint.txt --request stamp.tsq",
			"custody ledger checkpoint --timestamp stamp.tsr --authority tsa.pem",
			"custody ledger checkpoint --cosignatures answer.txt --witness 'NAME+ID+KEY'"),
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.checkpoint(cmd, f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.out, "out", "", "write the signed checkpoint to `FILE`")
	fs.StringVar(&f.request, "request", "", "write a request for a time-stamp of it to `FILE`, .tsq")
	fs.StringVar(&f.timestamp, "timestamp", "", "take in the time-stamp in `FILE`, .tsr; needs --authority")
	fs.StringVar(&f.authority, "authority", "", "the certificate of the time-stamping authority, or of who vouches for it, in `FILE`, PEM")
	fs.StringVar(&f.cosignatures, "cosignatures", "", "take in the signature lines of a witness in `FILE`; needs --witness")
	fs.StringVar(&f.witness, "witness", "", "the witness's verifier `KEY`")
	return cmd
}

func (a *app) checkpoint(cmd *cobra.Command, f checkpointFlags) error {
	w, log, key, err := a.openLedger(cmd)
	if err != nil {
		return err
	}
	defer w.Close()
	c, kept, err := signed(log, key)
	if err != nil {
		return err
	}
	ans := checkpointAnswer{Schema: "custody.checkpoint/1", Origin: c.Origin, Size: c.Size, Root: hex.EncodeToString(c.Root[:]),
		Key: key.Verifier().String(), Fingerprint: key.Verifier().Fingerprint(), Anchors: []anchorInfo{}}
	if kept, err = a.anchor(log, kept, f, &ans); err != nil {
		return err
	}
	if len(ans.Anchors) > 0 {
		if err := a.keepAnchors(c, ans.Anchors); err != nil {
			return err
		}
	}
	if ans.Anchors, err = a.anchorsOf(c); err != nil {
		return err
	}
	ans.Note = kept.Note
	if f.out != "" {
		if err := writeWhole(f.out, []byte(kept.Note)); err != nil {
			return err
		}
	}
	if f.request != "" {
		body, err := ledger.TimestampRequest([]byte(kept.Note))
		if err != nil {
			return err
		}
		if err := writeWhole(f.request, body); err != nil {
			return err
		}
	}
	return a.answer(ans, func(w io.Writer) {
		fmt.Fprintf(w, "%s\nkey %s\n     %s\n", strings.TrimSpace(ans.Note), ans.Key, ans.Fingerprint)
		printAnchors(w, ans.Anchors)
	})
}

func printAnchors(w io.Writer, anchors []anchorInfo) {
	for _, x := range anchors {
		fmt.Fprintf(w, "%s of %s: it was there on %s\n", x.Kind, ui.Clean(x.Name), x.Time.UTC().Format(time.RFC3339))
	}
	if len(anchors) == 0 {
		fmt.Fprintln(w, "no outside anchor: the order of entries is proved, their dates are not")
	}
}

// anchor takes in what outsiders said of the checkpoint.
func (a *app) anchor(log *ledger.Log, kept ledger.Kept, f checkpointFlags, ans *checkpointAnswer) (ledger.Kept, error) {
	note := func(x ledger.Anchor) { ans.Anchors = append(ans.Anchors, anchorInfo{string(x.Kind), x.Name, x.Time}) }
	if f.cosignatures != "" {
		witness, err := ledger.ParseWitness(f.witness)
		if err != nil {
			return kept, hinted(fmt.Errorf("--witness: %w", err), "the witness publishes it, as NAME+ID+KEY")
		}
		lines, err := os.ReadFile(f.cosignatures)
		if err != nil {
			return kept, err
		}
		grown, err := ledger.AddSignatures([]byte(kept.Note), lines, witness)
		if err != nil {
			return kept, fmt.Errorf("%s: %w", f.cosignatures, err)
		}
		kept.Note = string(grown)
		own, err := ledger.ParseVerifier(ans.Key)
		if err != nil {
			return kept, err
		}
		opened, err := ledger.OpenCheckpoint(grown, own, witness)
		if err != nil {
			return kept, err
		}
		for _, x := range opened.Anchors {
			note(x)
		}
	}
	if f.timestamp != "" {
		token, err := os.ReadFile(f.timestamp)
		if err != nil {
			return kept, err
		}
		trusted, err := readCertificates(f.authority)
		if err != nil {
			return kept, err
		}
		x, err := ledger.VerifyTimestamp(token, []byte(kept.Note), trusted)
		if err != nil {
			return kept, hinted(fmt.Errorf("%s: %w", f.timestamp, err), "a time-stamp is of one checkpoint: facts that came since need a new one")
		}
		note(x)
		kept.Tokens = append(kept.Tokens, token)
	}
	if f.cosignatures == "" && f.timestamp == "" {
		return kept, nil
	}
	return kept, log.Keep(kept)
}

func readCertificates(name string) ([]*x509.Certificate, error) {
	if name == "" {
		return nil, hinted(errors.New("--timestamp: whose certificate vouches for it?"), "give it with --authority FILE.pem")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no certificate in PEM form", name)
	}
	return out, nil
}

// proveAnswer is what `custody ledger prove --json` prints: all that a stranger
// needs to check one fact against a checkpoint.
type proveAnswer struct {
	Schema     string   `json:"schema"` // custody.proof/1
	Index      int64    `json:"index"`
	Entry      string   `json:"entry"`     // the log's entry, canonical JSON
	LeafKey    string   `json:"leaf_key"`  // hex; opens this entry and no other
	Statement  string   `json:"statement"` // the fact, canonical JSON
	Proof      []string `json:"proof"`     // hashes, base64, from the leaf up (RFC 6962)
	Checkpoint string   `json:"checkpoint"`
	Key        string   `json:"key"`
}

func ledgerProveCmd(a *app) *cobra.Command {
	var record string
	cmd := &cobra.Command{
		Use:   "prove KIND:KEY | --record SOURCE:NATIVE-ID",
		Short: "Prove that one fact is in the ledger, or one record in its fetch",
		Long: `Opens the entry of one fact: the fact itself, the key that opens its commitment
and no other, and the proof that a signed checkpoint has it. With --record it
proves that a fetch brought a record, for each fetch and version, without showing
any other record of the fetch.`,
		Example: examples("custody ledger prove destruction:reader-lake-2023", "custody ledger prove app:trends --json > proof.json",
			"custody ledger prove --record x-api:1234567890123456789"),
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case record != "" && len(args) == 0:
				return a.proveRecord(cmd, record)
			case record == "" && len(args) == 1:
				return a.prove(cmd, args[0])
			}
			return usage(cmd, errors.New("prove: want one fact, as KIND:KEY or by its id, or --record"))
		},
	}
	cmd.Flags().StringVar(&record, "record", "", "a record, as `SOURCE:NATIVE-ID`")
	return cmd
}

// recordProofAnswer is what `custody ledger prove --record --json` prints.
type recordProofAnswer struct {
	Schema     string        `json:"schema"` // custody.record-proof/1
	Record     string        `json:"record"`
	Proofs     []recordProof `json:"proofs"`
	Checkpoint string        `json:"checkpoint"`
	Key        string        `json:"key"`
}

// recordProof leads from a record's statement to the checkpoint: its SHA-256 is
// under the record key a leaf of the batch, the batch is the statement of an entry,
// and the entry is a leaf of the log.
type recordProof struct {
	Statement   string   `json:"statement"` // fetch, record, source, version; canonical JSON
	RecordKey   string   `json:"record_key"`
	RecordIndex int64    `json:"record_index"`
	RecordProof []string `json:"record_proof"`
	Batch       string   `json:"batch"` // canonical JSON
	LeafKey     string   `json:"leaf_key"`
	Index       int64    `json:"index"`
	Entry       string   `json:"entry"`
	Proof       []string `json:"proof"`
}

func (a *app) proveRecord(cmd *cobra.Command, name string) error {
	id, err := parseRecordID(name)
	if err != nil {
		return usage(cmd, fmt.Errorf("--record: %w", err))
	}
	v, err := a.openView()
	if err != nil {
		return err
	}
	defer v.Close()
	keys, err := v.SourceKeys()
	if err != nil {
		return err
	}
	w, log, key, err := a.openLedger(cmd)
	if err != nil {
		return err
	}
	defer w.Close()
	c, kept, err := a.signedAt(log, key, v)
	if err != nil {
		return err
	}
	ans := recordProofAnswer{Schema: "custody.record-proof/1", Record: id.String(), Proofs: []recordProof{}, Checkpoint: kept.Note, Key: key.Verifier().String()}
	proofs, err := proveBrought(v, []recordID{id})
	if err != nil {
		return err
	}
	for _, p := range proofs {
		e, opening, err := ledger.SealBatch(keys, p.Source, p.Batch)
		if err != nil {
			return err
		}
		raw, err := e.Bytes()
		if err != nil {
			return err
		}
		proof, err := log.Inclusion(p.Index, c.Size)
		if err != nil {
			return err
		}
		if err := ledger.CheckInclusion(c, p.Index, raw, proof); err != nil {
			return err
		}
		ans.Proofs = append(ans.Proofs, recordProof{Statement: string(p.Statement), RecordKey: hex.EncodeToString(p.Opening.Key[:]), RecordIndex: p.Opening.Index,
			RecordProof: hashes(p.Opening.Proof), Batch: string(opening.Statement), LeafKey: hex.EncodeToString(opening.Key[:]), Index: p.Index, Entry: string(raw), Proof: hashes(proof)})
	}
	return a.answer(ans, func(w io.Writer) {
		for _, p := range ans.Proofs {
			fmt.Fprintf(w, "%s\n  is record %d of the batch %s\n  which is entry %d of the ledger\n", ui.Clean(p.Statement), p.RecordIndex, ui.Clean(p.Batch), p.Index)
		}
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(kept.Note))
	})
}

// proveBrought proves of each record which fetches brought it, in each version,
// fetch by fetch. A record that the store does not have is an error.
func proveBrought(v *index.View, ids []recordID) ([]index.RecordProof, error) {
	type batch struct {
		fetch  provenance.FetchID
		source string
	}
	wanted := map[batch][]index.RecordVersion{}
	var order []batch
	for _, id := range ids {
		brought := scan.Brought(v, id.source, id.native)
		if len(brought) == 0 {
			return nil, hinted(fmt.Errorf("no record %s", redact(id.String())), "records are ingested; see: custody trace --id")
		}
		for _, at := range brought {
			b := batch{at.Fetch, id.source}
			if wanted[b] == nil {
				order = append(order, b)
			}
			if r := (index.RecordVersion{Native: id.native, Version: at.Version}); !slices.Contains(wanted[b], r) {
				wanted[b] = append(wanted[b], r)
			}
		}
	}
	var out []index.RecordProof
	for _, b := range order {
		proofs, err := v.ProveRecords(b.fetch, provenance.SourceID(b.source), wanted[b])
		if err != nil {
			return nil, err
		}
		out = append(out, proofs...)
	}
	return out, nil
}

func (a *app) prove(cmd *cobra.Command, name string) error {
	v, err := index.OpenView(a.store)
	if err != nil {
		return err
	}
	defer v.Close()
	kind, key, _ := strings.Cut(name, ":")
	f, ok := v.Book().Fact(provenance.Kind(kind), key)
	if !ok {
		if f, ok = v.Book().Fact(provenance.Kind(kind), name); !ok {
			return hinted(fmt.Errorf("no fact %s", redact(name)), "KIND:KEY, such as app:trends; fetches are fetch:ID")
		}
	}
	keys, err := v.SourceKeys()
	if err != nil {
		return err
	}
	e, opening, err := ledger.Seal(keys, index.SealedWith(f), f)
	if err != nil {
		return err
	}
	w, log, key2, err := a.openLedger(cmd)
	if err != nil {
		return err
	}
	defer w.Close()
	c, kept, err := signed(log, key2)
	if err != nil {
		return err
	}
	at := v.LedgerIndex(f)
	proof, err := log.Inclusion(at, c.Size)
	if err != nil {
		return err
	}
	raw, err := e.Bytes()
	if err != nil {
		return err
	}
	if err := ledger.CheckInclusion(c, at, raw, proof); err != nil {
		return err
	}
	ans := proveAnswer{Schema: "custody.proof/1", Index: at, Entry: string(raw), LeafKey: hex.EncodeToString(opening.Key[:]), Statement: string(opening.Statement),
		Proof: hashes(proof), Checkpoint: kept.Note, Key: key2.Verifier().String()}
	return a.answer(ans, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s is entry %d of %d\n", f.Kind, ui.Clean(f.Key), at, c.Size)
		fmt.Fprintf(w, "  recorded %s, %s\n", f.Recorded.UTC().Format(time.RFC3339), f.Origin)
		fmt.Fprintf(w, "  entry %s\n  opened by %s\n  statement %s\n", ans.Entry, ans.LeafKey, ui.Clean(ans.Statement))
		fmt.Fprintf(w, "  proved by %s up to the root of\n\n%s\n", ui.Count(int64(len(proof)), "hash|hashes"), strings.TrimSpace(kept.Note))
	})
}

func hashes(list []tlog.Hash) []string {
	out := []string{}
	for _, h := range list {
		out = append(out, h.String())
	}
	return out
}

func ledgerExportCmd(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export --out DIR",
		Short: "Write the ledger for others, as C2SP tiles",
		Long: `Writes the ledger at a signed checkpoint to a new folder, in the layout of C2SP
tlog-tiles that witnesses, monitors and other programs read. It holds commitments
alone: nothing of what they commit to.`,
		Example: examples("custody ledger export --out tiles", "custody ledger verify tiles"),
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usage(cmd, errors.New("--out: which folder?"))
			}
			w, log, key, err := a.openLedger(cmd)
			if err != nil {
				return err
			}
			defer w.Close()
			c, kept, err := signed(log, key)
			if err != nil {
				return err
			}
			if err := log.Export(out, []byte(kept.Note), key.Verifier()); err != nil {
				return err
			}
			ans := checkpointAnswer{Schema: "custody.checkpoint/1", Origin: c.Origin, Size: c.Size, Root: hex.EncodeToString(c.Root[:]),
				Key: key.Verifier().String(), Fingerprint: key.Verifier().Fingerprint(), Note: kept.Note, Anchors: []anchorInfo{}}
			return a.answer(ans, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s, signed by\n%s\n%s\n", ui.Clean(filepath.ToSlash(out)), ui.Count(c.Size, "entry|entries"), ans.Key, ans.Fingerprint)
			})
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the `DIR` to make")
	return cmd
}

// verifyAnswer is what `custody ledger verify --json` prints.
type verifyAnswer struct {
	Schema      string       `json:"schema"` // custody.verify/1
	What        string       `json:"what"`   // store, export, dossier
	OK          bool         `json:"ok"`
	Origin      string       `json:"origin"`
	Size        int64        `json:"size"`
	Root        string       `json:"root"`
	Fingerprint string       `json:"fingerprint"`
	Entries     int64        `json:"entries"`   // of a dossier: the facts that it proves
	Sealed      int64        `json:"sealed"`    // in their place, and not shown
	Claims      int64        `json:"claims"`    // of a dossier's answer, each resting on facts that are proved
	Absent      []string     `json:"absent"`    // files of the answer, where only the evidence was given
	Unchecked   []string     `json:"unchecked"` // cosignatures and time-stamps by nobody whose key was given
	Anchors     []anchorInfo `json:"anchors"`
	Problems    []problem    `json:"problems"`
}

type problem struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

func ledgerVerifyCmd(a *app) *cobra.Command {
	var key string
	var witnesses []string
	var authority string
	cmd := &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Verify a dossier, an export, or the store itself",
		Long: `Verifies a dossier that custody answer wrote (or its evidence folder alone), or an
exported ledger, with nothing but the folder: every file, every proof, every
signature. Without a DIR the store's facts are held against its own ledger. Exits
with 0, or with 1 and says what is wrong and where. --key pins the key that must
have signed: without it a folder proves that it is whole, not whose it is.`,
		Example: examples("custody ledger verify", "custody ledger verify dossier", "custody ledger verify dossier/evidence --key sha256:8f1c..."),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ans := verifyAnswer{Schema: "custody.verify/1", Anchors: []anchorInfo{}, Problems: []problem{}, Absent: []string{}, Unchecked: []string{}}
			var err error
			if len(args) == 0 {
				err = a.verifyStore(cmd, key, &ans)
			} else {
				err = verifyFolder(args[0], key, witnesses, authority, &ans)
			}
			if err != nil {
				return err
			}
			ans.OK = len(ans.Problems) == 0
			if err := a.answer(ans, func(w io.Writer) { printVerify(w, ans) }); err != nil {
				return err
			}
			if !ans.OK {
				return &exitError{code: 1, answered: true, err: errors.New("not verified")}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "the `KEY` that must have signed: a verifier key, or its fingerprint")
	cmd.Flags().StringVar(&authority, "authority", "", "certificates of time-stamping authorities that count, in `FILE`, PEM")
	cmd.Flags().StringArrayVar(&witnesses, "witness", nil, "the verifier `KEY` of a witness whose cosignature counts; may be given again")
	return cmd
}

func (a *app) verifyStore(cmd *cobra.Command, pinned string, ans *verifyAnswer) error {
	w, log, key, err := a.openLedger(cmd)
	if err != nil {
		return err
	}
	defer w.Close()
	ans.What, ans.Origin, ans.Size, ans.Fingerprint = "store", key.Verifier().Name(), log.Size(), key.Verifier().Fingerprint()
	root, err := log.Root(log.Size())
	if err != nil {
		return err
	}
	ans.Root = hex.EncodeToString(root[:])
	var faults []string
	if ans.Entries, ans.Sealed, faults, err = w.VerifyLedger(100); err != nil {
		return err
	}
	for _, f := range faults {
		ans.Problems = append(ans.Problems, problem{"store", f})
	}
	if pinned != "" && pinned != key.Verifier().Fingerprint() && pinned != key.Verifier().String() {
		ans.Problems = append(ans.Problems, problem{"store", "its key is another one"})
	}
	return nil
}

// isDossier reports whether a folder is a dossier, or the evidence of one, rather
// than an exported ledger. One from which all that shows it was taken is neither.
func isDossier(dir string) bool {
	for _, name := range []string{"evidence", "statement.dsse.json", "facts.jsonl", "verify.py"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// verifyDossier verifies what custody answer wrote.
func verifyDossier(dir, key string, witnesses []ledger.Verifier, authority string, ans *verifyAnswer) error {
	opt := evidence.Options{Key: key, Witnesses: witnesses}
	if authority != "" {
		var err error
		if opt.TSA, err = readCertificates(authority); err != nil {
			return err
		}
	}
	r, err := evidence.Verify(dir, opt)
	if err != nil && !errors.Is(err, evidence.ErrNotProven) {
		return err
	}
	ans.What, ans.Origin, ans.Size, ans.Root, ans.Fingerprint = "dossier", r.Checkpoint.Origin, r.Checkpoint.Size, hex.EncodeToString(r.Checkpoint.Root[:]), r.Fingerprint
	ans.Entries, ans.Sealed, ans.Claims = r.Opened+r.Withheld, r.Withheld, r.Claims
	for _, x := range r.Anchors {
		ans.Anchors = append(ans.Anchors, anchorInfo{string(x.Kind), x.Name, x.Time})
	}
	for _, p := range r.Problems {
		ans.Problems = append(ans.Problems, problem{p.File, p.Reason})
	}
	ans.Absent = append(ans.Absent, r.Absent...)
	ans.Unchecked = append(ans.Unchecked, r.Unchecked...)
	if err != nil && len(ans.Problems) == 0 {
		ans.Problems = append(ans.Problems, problem{".", err.Error()})
	}
	return nil
}

// verifyFolder verifies a dossier or an exported ledger.
func verifyFolder(dir, key string, witnesses []string, authority string, ans *verifyAnswer) error {
	if st, err := os.Stat(dir); err != nil {
		return err
	} else if !st.IsDir() {
		return fmt.Errorf("%s: want a folder", dir)
	}
	opt := ledger.VerifyOptions{Key: key}
	for _, text := range witnesses {
		v, err := ledger.ParseWitness(text)
		if err != nil {
			return fmt.Errorf("--witness: %w", err)
		}
		opt.Witnesses = append(opt.Witnesses, v)
	}
	if isDossier(dir) {
		return verifyDossier(dir, key, opt.Witnesses, authority, ans)
	}
	r, err := ledger.Verify(dir, opt)
	if err != nil && !errors.Is(err, ledger.ErrNotProven) {
		return err
	}
	ans.What, ans.Origin, ans.Size, ans.Root, ans.Fingerprint, ans.Entries = "export", r.Origin, r.Size, hex.EncodeToString(r.Root[:]), r.Fingerprint, r.Size
	for _, x := range r.Anchors {
		ans.Anchors = append(ans.Anchors, anchorInfo{string(x.Kind), x.Name, x.Time})
	}
	for _, p := range r.Problems {
		ans.Problems = append(ans.Problems, problem{p.File, p.Reason})
	}
	return nil
}

func printVerify(w io.Writer, ans verifyAnswer) {
	for _, p := range ans.Problems {
		fmt.Fprintf(w, "%s: %s\n", ui.Clean(p.File), ui.Clean(p.Reason))
	}
	if !ans.OK {
		fmt.Fprintf(w, "NOT verified: %s\n", ui.Count(int64(len(ans.Problems)), "problem"))
		return
	}
	if ans.What == "dossier" {
		fmt.Fprintf(w, "verified: %s resting on %s, of the first %s of %s, root %s\n", ui.Count(ans.Claims, "claim"), ui.Count(ans.Entries, "fact"),
			ui.Count(ans.Size, "entry|entries"), ui.Clean(ans.Origin), ans.Root)
	} else {
		fmt.Fprintf(w, "verified: %s of %s, root %s\n", ui.Count(ans.Entries, "entry|entries"), ui.Clean(ans.Origin), ans.Root)
	}
	if ans.Sealed > 0 {
		fmt.Fprintf(w, "%s in place, and not shown\n", ui.Count(ans.Sealed, "entry is|entries are"))
	}
	for _, name := range ans.Absent {
		fmt.Fprintf(w, "not here, and so not checked: %s\n", ui.Clean(name))
	}
	for _, s := range ans.Unchecked {
		fmt.Fprintf(w, "not checked: %s\n", ui.Clean(s))
	}
	fmt.Fprintf(w, "signed by %s\n", ans.Fingerprint)
	printAnchors(w, ans.Anchors)
}

// writeWhole writes a small file whole or not at all.
func writeWhole(path string, data []byte) error {
	f, err := createWhole(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.abort())
	}
	return f.commit()
}
