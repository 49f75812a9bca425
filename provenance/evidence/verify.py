#!/usr/bin/env python3
"""Verifies a dossier of custody, offline.

    python3 verify.py DIR [--key FINGERPRINT-OR-VERIFIER-KEY]

DIR is the dossier, or its folder evidence/ alone. Exits 0 when everything is
proved, 1 otherwise, with a line "FILE: what is wrong" for each problem.

This program shares no code with custody. It needs Python 3.9 and the package
cryptography, for Ed25519; all else is here: the signed note (C2SP signed-note,
tlog-checkpoint), the Merkle proofs (RFC 6962 as RFC 9162 describes their
checking), the signature (DSSE) of an in-toto Statement v1, and the opening of
the ledger's commitments (HMAC-SHA-256). It does not look at cosignatures of
witnesses and at time-stamps; openssl ts -verify does the latter.
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import hmac
import json
import os
import re
import stat
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://custody.dev/evidence/v1"
MAX_FILES = 10_000
MAX_SMALL = 16 << 20
MAX_LARGE = 512 << 20


class Wrong(Exception):
    """What is wrong with a file."""


# -- forms ---------------------------------------------------------------------


def unbase64(text):
    """Standard base64 with padding, and no second spelling of the same bytes."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise Wrong("not base64")
    if base64.b64encode(raw).decode("ascii") != text:
        raise Wrong("base64 in another form")
    return raw


def unhex(text, size):
    if not isinstance(text, str) or not re.fullmatch("[0-9a-f]{%d}" % (2 * size), text):
        raise Wrong("not %d hex digits" % (2 * size))
    return bytes.fromhex(text)


def parse_json(raw, what):
    """JSON without a key that comes twice."""

    def pairs(items):
        out = dict(items)
        if len(out) != len(items):
            raise Wrong("%s: a key comes twice" % what)
        return out

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        raise Wrong("%s: not JSON" % what)


def members(obj, what, required, optional=()):
    """The object has the required members, and no others but the optional ones."""
    if not isinstance(obj, dict):
        raise Wrong("%s: not an object" % what)
    for name in required:
        if name not in obj:
            raise Wrong("%s: no %s" % (what, name))
    for name in obj:
        if name not in required and name not in optional:
            raise Wrong("%s: a member that does not belong" % what)
    return obj


def integer(n, what):
    if not isinstance(n, int) or isinstance(n, bool) or n < 0 or n >= 1 << 63:
        raise Wrong("%s: not a number" % what)
    return n


def hashes(value):
    if not isinstance(value, list) or len(value) > 128:
        raise Wrong("not a list of hashes")
    out = [unbase64(h) if isinstance(h, str) else b"" for h in value]
    if any(len(h) != 32 for h in out):
        raise Wrong("not a list of hashes")
    return out


# -- the folder ----------------------------------------------------------------


class Folder:
    """The plain files under a folder; everything else in it is a problem."""

    def __init__(self, top, problems):
        self.top = top
        self.sizes = {}
        self._walk("", problems)

    def _walk(self, prefix, problems):
        with os.scandir(os.path.join(self.top, *prefix.split("/")) if prefix else self.top) as it:
            listing = sorted(it, key=lambda e: e.name)
        for e in listing:
            name = prefix + "/" + e.name if prefix else e.name
            if len(self.sizes) > MAX_FILES:
                problems.append((".", "more than %d files" % MAX_FILES))
                return
            info = e.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                self._walk(name, problems)
            elif not stat.S_ISREG(info.st_mode):
                problems.append((name, "not a plain file"))
            else:
                self.sizes[name] = info.st_size

    def read(self, name, limit):
        if name not in self.sizes:
            raise Wrong("is missing")
        if self.sizes[name] > limit:
            raise Wrong("has %d bytes, more than the %d that it may have" % (self.sizes[name], limit))
        try:
            with open(os.path.join(self.top, *name.split("/")), "rb") as f:
                raw = f.read(limit + 1)
        except OSError as e:
            raise Wrong("cannot be read: %s" % e.strerror)
        if len(raw) != self.sizes[name]:
            raise Wrong("changed while it was being read")
        return raw


# -- keys and notes ------------------------------------------------------------


class Key:
    """A verifier key: NAME+ID+BASE64, with one line end."""

    def __init__(self, raw):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Wrong("not UTF-8")
        if not text.endswith("\n"):
            raise Wrong("does not end with a line end")
        self.text = text[:-1]
        parts = self.text.split("+", 2)
        if len(parts) != 3:
            raise Wrong("not NAME+ID+KEY")
        self.name, key_id, encoded = parts
        if not self.name or re.search(r"[\s\x00-\x1f\x7f]", self.name):
            raise Wrong("not a name of a key")
        kind_and_key = unbase64(encoded)
        if len(kind_and_key) != 33 or kind_and_key[0] != 1:
            raise Wrong("not the Ed25519 key of a ledger")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + kind_and_key).digest()[:4]
        if key_id != self.id.hex():
            raise Wrong("the key id is not that of the name and key")
        self.fingerprint = "sha256:" + hashlib.sha256(kind_and_key[1:]).hexdigest()
        self._public = Ed25519PublicKey.from_public_bytes(kind_and_key[1:])

    def signed(self, message, signature):
        try:
            self._public.verify(signature, message)
            return True
        except InvalidSignature:
            return False


class Checkpoint:
    """A signed checkpoint: three lines and more, an empty one, the signatures."""

    def __init__(self, raw, key):
        try:
            note = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Wrong("not UTF-8")
        cut = note.rfind("\n\n")
        if cut < 0 or not note.endswith("\n"):
            raise Wrong("not a signed note")
        text, signatures = note[: cut + 1], note[cut + 2 :]
        lines = text.split("\n")[:-1]
        if len(lines) < 3 or not all(lines) or re.search(r"[\x00-\x09\x0b-\x1f]", text):
            raise Wrong("not a checkpoint")
        self.origin = lines[0]
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
            raise Wrong("not a size")
        self.size = integer(int(lines[1]), "size")
        self.root = unbase64(lines[2])
        if len(self.root) != 32:
            raise Wrong("not a root")
        if self.origin != key.name:
            raise Wrong("a checkpoint of another ledger than the key's")
        seen = set()
        for line in signatures.split("\n")[:-1]:
            m = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
            if not m:
                raise Wrong("not a signature line")
            name, sig = m.group(1), unbase64(m.group(2))
            if len(sig) < 5 or (name, sig[:4]) in seen:
                raise Wrong("not a signature, or one that comes twice")
            seen.add((name, sig[:4]))
            if name == key.name and sig[:4] == key.id and not key.signed(text.encode(), sig[4:]):
                raise Wrong("its signature is wrong")
        if (key.name, key.id) not in seen:
            raise Wrong("not signed with this key")


# -- the tree ------------------------------------------------------------------


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def proves_inclusion(index, size, leaf, proof, root):
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and hmac.compare_digest(r, root)


def proves_consistency(first, second, first_root, second_root, proof):
    """RFC 9162, section 2.1.4.2."""
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof
    if first > second or not proof:
        return False
    if first & (first - 1) == 0:
        proof = [first_root] + proof
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


# -- facts ---------------------------------------------------------------------

ENTRY = re.compile(
    r'\{"commitment":"([0-9a-f]{64})","kind":"([a-z][a-z_]{0,63})",'
    r'"recorded":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6})Z","v":1\}'
)
TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z")


def microseconds(text):
    """An RFC 3339 time in UTC as in an entry, cut to microseconds."""
    m = TIME.fullmatch(text) if isinstance(text, str) else None
    if not m:
        raise Wrong("not a time in UTC")
    try:
        datetime.datetime.strptime(m.group(1), "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise Wrong("not a time")
    return m.group(1) + "." + ((m.group(2) or "") + "000000")[:6]


class Facts:
    def __init__(self, checkpoint):
        self.checkpoint = checkpoint
        self.opened = self.withheld = self.records = 0
        self.ids = {}
        self.batches = {}
        self._last = -1
        self._last_record = (-1, -1)

    def fact(self, line):
        f = members(parse_json(line, "line"), "line", ("entry", "index", "proof"), ("key", "statement"))
        index = integer(f["index"], "index")
        if index <= self._last:
            raise Wrong("fact %d: after fact %d" % (index, self._last))
        m = ENTRY.fullmatch(f["entry"]) if isinstance(f["entry"], str) else None
        if not m:
            raise Wrong("fact %d: not an entry" % index)
        c = self.checkpoint
        if not proves_inclusion(index, c.size, leaf_hash(f["entry"].encode()), hashes(f["proof"]), c.root):
            raise Wrong("entry %d is not proved to be in the ledger of size %d" % (index, c.size))
        fact_id = ""
        if "key" in f or "statement" in f:
            key = unhex(f.get("key"), 32)
            if not isinstance(f.get("statement"), str):
                raise Wrong("fact %d: no statement" % index)
            statement = f["statement"].encode("utf-8", "surrogatepass")
            if not hmac.compare_digest(hmac.new(key, statement, "sha256").hexdigest(), m.group(1)):
                raise Wrong("fact %d: the statement is not what the entry commits to" % index)
            s = parse_json(statement, "statement")
            if not isinstance(s, dict) or microseconds(s.get("recorded")) != m.group(3):
                raise Wrong("fact %d: recorded at another time than the entry says" % index)
            if m.group(2) == "batch":
                members(s, "batch", ("fetch", "records", "recorded", "root"))
                self.batches[index] = (integer(s["records"], "records"), hashes([s["root"]])[0])
            else:
                if s.get("kind") != m.group(2):
                    raise Wrong("fact %d: of another kind than the entry says" % index)
                fact_id = s.get("id")
            self.opened += 1
        else:
            self.withheld += 1
        self._last = index
        self.ids[index] = fact_id

    def record(self, line):
        r = members(parse_json(line, "line"), "line", ("batch", "index", "key", "proof", "record"))
        at = (integer(r["batch"], "batch"), integer(r["index"], "index"))
        if at <= self._last_record:
            raise Wrong("record %d of batch %d: not in its order" % (at[1], at[0]))
        if at[0] not in self.batches:
            raise Wrong("record %d of batch %d: the batch is not among the facts" % (at[1], at[0]))
        size, root = self.batches[at[0]]
        record = unbase64(r["record"]) if isinstance(r["record"], str) else b""
        commitment = hmac.new(unhex(r["key"], 32), record, "sha256").digest()
        if not proves_inclusion(at[1], size, leaf_hash(commitment), hashes(r["proof"]), root):
            raise Wrong("record %d of batch %d is not proved to be in the batch" % (at[1], at[0]))
        self.records += 1
        self._last_record = at

    def answer(self, raw):
        a = parse_json(raw, "answer")
        if not isinstance(a, dict) or a.get("schema") != "custody.answer/1":
            return
        try:
            c = a["checkpoint"]
            if c["size"] != self.checkpoint.size or c["root"] != base64.b64encode(self.checkpoint.root).decode():
                raise Wrong("names another checkpoint than the evidence has")
            for q in a.get("questions") or ():
                for claim in q.get("claims") or ():
                    for e in claim.get("evidence") or ():
                        if e["index"] not in self.ids:
                            raise Wrong("cites entry %d, which is not in the evidence" % e["index"])
                        if self.ids[e["index"]] not in ("", e["fact"]):
                            raise Wrong("cites entry %d as another fact than it is" % e["index"])
        except (KeyError, TypeError, AttributeError):
            raise Wrong("not an answer in its form")


# -- the statement -------------------------------------------------------------


def open_statement(raw, key):
    if not raw.endswith(b"\n"):
        raise Wrong("does not end with a line end")
    e = members(parse_json(raw, "envelope"), "envelope", ("payload", "payloadType", "signatures"))
    if e["payloadType"] != PAYLOAD_TYPE or not isinstance(e["signatures"], list) or len(e["signatures"]) != 1:
        raise Wrong("not one signature of %s" % PAYLOAD_TYPE)
    s = members(e["signatures"][0], "signature", ("keyid", "sig"))
    if not all(isinstance(x, str) for x in (e["payload"], s["keyid"], s["sig"])):
        raise Wrong("not text")
    # One spelling of the envelope: keys in order, no blanks.
    spelled = '{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}\n'
    if spelled % (e["payload"], PAYLOAD_TYPE, s["keyid"], s["sig"]) != raw.decode("utf-8"):
        raise Wrong("not in its canonical form")
    payload = unbase64(e["payload"])
    signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    if s["keyid"] != key.fingerprint or not key.signed(signed, unbase64(s["sig"])):
        raise Wrong("its signature is wrong, or by another key")
    st = members(parse_json(payload, "statement"), "statement", ("_type", "subject", "predicateType", "predicate"))
    if st["_type"] != STATEMENT_TYPE or st["predicateType"] != PREDICATE_TYPE or not isinstance(st["predicate"], dict):
        raise Wrong("not a statement that this program knows")
    subjects = {}
    if not isinstance(st["subject"], list):
        raise Wrong("no subjects")
    for sub in st["subject"]:
        members(sub, "subject", ("name", "digest"))
        members(sub["digest"], "digest", ("sha256",))
        name = sub["name"]
        if not isinstance(name, str) or any(p in ("", ".", "..") for p in name.split("/")) or name in subjects:
            raise Wrong("a subject that is not the path of a file")
        subjects[name] = unhex(sub["digest"]["sha256"], 32).hex()
    return subjects, st["predicate"]


# -- all of it -----------------------------------------------------------------


class Dossier:
    def __init__(self, top, pin=None):
        self.problems = []
        self.key = self.facts = None
        self.folder = Folder(top, self.problems)
        self.bad = {name for name, _ in self.problems}
        self.prefix = "evidence/"
        if "evidence/statement.dsse.json" not in self.folder.sizes and "statement.dsse.json" in self.folder.sizes:
            self.prefix = ""
        self._run(pin)

    def _problem(self, name, reason):
        self.bad.add(name)
        self.problems.append((name, str(reason)))

    def _with(self, name, check, limit=MAX_SMALL):
        """check(content of a file of the evidence), or None and a problem."""
        name = self.prefix + name
        try:
            return check(self.folder.read(name, limit))
        except Wrong as w:
            if name not in self.bad:
                self._problem(name, w)
            return None

    def _run(self, pin):
        key = self.key = self._with("key.pub", Key)
        if not key:
            return
        if pin and pin.strip() != key.text and pin.strip().lower() != key.fingerprint:
            self._problem(self.prefix + "key.pub", "another key than the one asked for: its fingerprint is " + key.fingerprint)
            return
        opened = self._with("statement.dsse.json", lambda raw: open_statement(raw, key))
        if not opened:
            return
        subjects, predicate = opened
        self._subjects(subjects)
        c = self._with("checkpoint", lambda raw: Checkpoint(raw, key))
        if not c:
            return
        if predicate.get("checkpoint") != {"origin": c.origin, "root": base64.b64encode(c.root).decode(), "size": c.size}:
            self._problem(self.prefix + "checkpoint", "not the checkpoint that the statement names")
        if self.prefix + "earlier-checkpoint" in self.folder.sizes or self.prefix + "consistency.json" in self.folder.sizes:
            old = self._with("earlier-checkpoint", lambda raw: Checkpoint(raw, key))
            if old:
                self._with("consistency.json", lambda raw: self._consistency(raw, old, c))
        self.facts = f = Facts(c)
        self._lines("facts.jsonl", f.fact)
        if self.prefix + "records.jsonl" in self.folder.sizes:
            self._lines("records.jsonl", f.record)
        if (f.opened, f.withheld) != (predicate.get("opened"), predicate.get("withheld")):
            self._problem(self.prefix + "facts.jsonl", "not as many facts as the statement says")
        if f.records != predicate.get("records"):
            self._problem(self.prefix + "records.jsonl", "not as many records as the statement says")
        if self.prefix and "answer.json" in self.folder.sizes and "answer.json" not in self.bad:
            try:
                f.answer(self.folder.read("answer.json", MAX_LARGE))
            except Wrong as w:
                self._problem("answer.json", w)

    def _subjects(self, subjects):
        signed = {self.prefix + "statement.dsse.json"}
        for name, want in subjects.items():
            inside = name.startswith("evidence/")
            if not self.prefix:
                if not inside:
                    continue
                name = name[len("evidence/") :]
            signed.add(name)
            if name in self.bad:
                continue
            large = not inside or name in (self.prefix + "facts.jsonl", self.prefix + "records.jsonl")
            try:
                got = hashlib.sha256(self.folder.read(name, MAX_LARGE if large else MAX_SMALL)).hexdigest()
                if got != want:
                    self._problem(name, "not the file that was signed: its SHA-256 is " + got)
            except Wrong as w:
                self._problem(name, w)
        for name in self.folder.sizes:
            if name not in signed:
                self._problem(name, "not among the files that were signed")

    def _consistency(self, raw, old, c):
        p = members(parse_json(raw, "proof"), "proof", ("from", "to", "proof"))
        if (p["from"], p["to"]) != (old.size, c.size):
            raise Wrong("a proof of other sizes than the checkpoints have")
        if not proves_consistency(old.size, c.size, old.root, c.root, hashes(p["proof"])):
            raise Wrong("the ledger is not proved to extend the earlier one")
        return True

    def _lines(self, name, check):
        def each(raw):
            if raw and not raw.endswith(b"\n"):
                raise Wrong("does not end with a line end")
            for n, line in enumerate(raw.split(b"\n")[:-1], 1):
                try:
                    check(line)
                except Wrong as w:
                    raise Wrong("line %d: %s" % (n, w))
            return True

        self._with(name, each, MAX_LARGE)


def main(argv):
    parser = argparse.ArgumentParser(description="Verifies a dossier of custody, offline.")
    parser.add_argument("dir", help="the dossier, or its folder evidence/")
    parser.add_argument("--key", help="the fingerprint or verifier key that it has to be signed with")
    args = parser.parse_args(argv)
    try:
        d = Dossier(args.dir, args.key)
    except OSError as e:
        print("verify.py: %s: %s" % (args.dir, e.strerror), file=sys.stderr)
        return 1
    for name, reason in d.problems:
        print("%s: %s" % (ascii(name)[1:-1], reason))
    if d.key:
        print("key          %s%s" % (d.key.fingerprint, "" if args.key else "  (not pinned: compare it with its owner's)"))
    if d.problems:
        print("NOT PROVEN")
        return 1
    f = d.facts
    print("ledger       %s, %d entries, root %s" % (f.checkpoint.origin, f.checkpoint.size, base64.b64encode(f.checkpoint.root).decode()))
    print("facts        %d shown, %d withheld; %d records" % (f.opened, f.withheld, f.records))
    print("not checked  cosignatures of witnesses, time-stamps")
    print("PROVEN")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
