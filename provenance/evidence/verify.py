#!/usr/bin/env python3
"""Verifies a dossier of custody, offline.

    python3 verify.py DIR [--key FINGERPRINT-OR-VERIFIER-KEY]
                      [--witness VERIFIER-KEY]... [--authority CERTIFICATES.pem]

DIR is the dossier, or its folder evidence/ alone. Exits 0 when everything is
proved, 1 otherwise, with a line "FILE: what is wrong" for each problem.

When the checkpoint existed is proved by the cosignatures of witnesses and the
time-stamps of authorities that you trust: name them. Those of others are listed
as not checked, and prove nothing.

This program shares no code with custody. It needs Python 3.9 and the package
cryptography (40 or later), for signatures and certificates; all else is here: the
signed note (C2SP signed-note, tlog-checkpoint, tlog-cosignature v1), the Merkle
proofs (RFC 6962 as RFC 9162 describes their checking), the signature (DSSE) of an
in-toto Statement v1, the time-stamps (RFC 3161, in CMS), and the opening of the
ledger's commitments (HMAC-SHA-256).
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

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes as digests
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

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


LEDGER, WITNESS = 1, 4  # kinds of key, by C2SP signed-note


class Key:
    """A verifier key: NAME+ID+BASE64, with one line end."""

    def __init__(self, raw, kinds=(LEDGER,)):
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
        if len(kind_and_key) != 33 or kind_and_key[0] not in kinds:
            raise Wrong("not the Ed25519 key of a ledger" if kinds == (LEDGER,) else "not an Ed25519 key of a witness")
        self.id = self._id(kind_and_key)
        if key_id != self.id.hex():
            raise Wrong("the key id is not that of the name and key")
        self.fingerprint = "sha256:" + hashlib.sha256(kind_and_key[1:]).hexdigest()
        self._public = Ed25519PublicKey.from_public_bytes(kind_and_key[1:])

    def _id(self, kind_and_key):
        return hashlib.sha256(self.name.encode() + b"\n" + kind_and_key).digest()[:4]

    def signed(self, message, signature):
        try:
            self._public.verify(signature, message)
            return True
        except InvalidSignature:
            return False


class Witness(Key):
    """The key of a witness. One that is published as a note key signs
    cosignatures under the id that it has for these."""

    def __init__(self, text):
        super().__init__(text.strip().encode() + b"\n", (LEDGER, WITNESS))
        self.id = self._id(bytes([WITNESS]) + unbase64(self.text.split("+", 2)[2])[1:])

    def time(self, message, signature):
        """When the witness says it saw the message (C2SP tlog-cosignature v1)."""
        if len(signature) != 8 + 64 or signature[0] >= 0x80:
            raise Wrong("the cosignature by %s is wrong" % ascii(self.name))
        at = int.from_bytes(signature[:8], "big")
        if not self.signed(b"cosignature/v1\ntime %d\n%s" % (at, message), signature[8:]):
            raise Wrong("the cosignature by %s is wrong" % ascii(self.name))
        return at


class Checkpoint:
    """A signed checkpoint: three lines and more, an empty one, the signatures."""

    def __init__(self, raw, key, witnesses=()):
        self.anchors, self.unchecked = [], []
        try:
            note = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Wrong("not UTF-8")
        cut = note.rfind("\n\n")
        if cut < 0 or not note.endswith("\n"):
            raise Wrong("not a signed note")
        text, signatures = note[: cut + 1], note[cut + 2 :]
        self.text = text.encode()
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
            if name == key.name and sig[:4] == key.id:
                if not key.signed(self.text, sig[4:]):
                    raise Wrong("its signature is wrong")
                continue
            known = [w for w in witnesses if (w.name, w.id) == (name, sig[:4])]
            for w in known[:1]:
                self.anchors.append(("witness", name, utc(w.time(self.text, sig[4:]))))
            if not known:
                self.unchecked.append("cosignature by %s: its key was not given" % ascii(name))
        if (key.name, key.id) not in seen:
            raise Wrong("not signed with this key")


# -- time-stamps ---------------------------------------------------------------


def utc(seconds):
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (OverflowError, OSError, ValueError):
        raise Wrong("not a time")


class DER:
    """One value of ASN.1 in DER: its tag, its content, and both as they stand."""

    def __init__(self, raw, at=0):
        try:
            self.tag, n, body = raw[at], raw[at + 1], at + 2
            if self.tag & 31 == 31:
                raise Wrong("not DER")
            if n >= 0x80:
                size = n & 0x7F
                if not 0 < size <= 4 or len(raw) < body + size or raw[body] == 0:
                    raise Wrong("not DER")
                n, body = int.from_bytes(raw[body : body + size], "big"), body + size
                if n < 0x80:
                    raise Wrong("not DER")
        except IndexError:
            raise Wrong("not DER")
        self.end = body + n
        if self.end > len(raw):
            raise Wrong("not DER")
        self.content, self.whole = raw[body : self.end], raw[at : self.end]

    @classmethod
    def only(cls, raw):
        one = cls(raw)
        if one.end != len(raw):
            raise Wrong("not DER")
        return one

    def __iter__(self):
        at = 0
        while at < len(self.content):
            one = DER(self.content, at)
            yield one
            at = one.end

    def list(self, tag=0x30):
        if self.tag != tag:
            raise Wrong("not DER of its kind")
        return list(self)

    def oid(self):
        if self.tag != 6 or not self.content or self.content[-1] & 0x80:
            raise Wrong("not an object identifier")
        out, n = [], 0
        for b in self.content:
            n = n << 7 | b & 0x7F
            if b < 0x80:
                out.append(n)
                n = 0
        first = min(out[0] // 40, 2)
        return ".".join(map(str, [first, out[0] - 40 * first] + out[1:]))

    def number(self):
        if self.tag != 2 or not self.content:
            raise Wrong("not a number")
        return int.from_bytes(self.content, "big", signed=True)


SIGNED_DATA, TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
SIGNING_CERT, SIGNING_CERT_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
RSA_PSS = "1.2.840.113549.1.1.10"
SHA2 = {
    "2.16.840.1.101.3.4.2.1": digests.SHA256(),
    "2.16.840.1.101.3.4.2.2": digests.SHA384(),
    "2.16.840.1.101.3.4.2.3": digests.SHA512(),
}
GENERAL_TIME = re.compile(r"([0-9]{14})(?:\.([0-9]*[1-9]))?Z")


def algorithm(value):
    oid = value.list()[0].oid()
    if oid not in SHA2:
        raise Wrong("its digest is not SHA-256, SHA-384 or SHA-512")
    return SHA2[oid]


def digest_of(how, data):
    h = digests.Hash(how)
    h.update(data)
    return h.finalize()


class Stamp:
    """An RFC 3161 time-stamp, or the whole answer with one, checked."""

    def __init__(self, token, text, trusted):
        if len(token) > 1 << 20:
            raise Wrong("more than 1 MiB")
        if not trusted:
            raise Wrong("no certificate to check it with was given")
        try:
            self._open(token, text, trusted)
        except (IndexError, ValueError, TypeError, UnsupportedAlgorithm):
            raise Wrong("not a token of RFC 3161 in DER")

    def _open(self, token, text, trusted):
        outer = DER.only(token).list()
        if outer[0].tag == 0x30:  # TimeStampResp
            if outer[0].list()[0].number() > 1 or len(outer) < 2:
                raise Wrong("the authority refused")
            outer = outer[1].list()
        if outer[0].oid() != SIGNED_DATA:
            raise Wrong("not a token of RFC 3161 in DER")
        data = DER.only(outer[1].content).list()
        info = data[2].list()  # version, digests, content
        if info[0].oid() != TST_INFO:
            raise Wrong("not a token of RFC 3161 in DER")
        octets = DER.only(info[1].content)
        if octets.tag != 4:
            raise Wrong("not a token of RFC 3161 in DER")
        content = octets.content
        at = self._info(content, text)
        embedded = []
        for part in data[3:-1]:
            if part.tag == 0xA0:
                for one in part:
                    try:
                        embedded.append(x509.load_der_x509_certificate(one.whole))
                    except ValueError:
                        pass  # an attribute certificate, or the like
        signers = data[-1].list(0x31)
        if len(signers) != 1:
            raise Wrong("not one signer")
        signer = signers[0].list()
        cert = self._signer(signer[1], trusted + embedded)
        self._signature(signer, cert, content)
        self._may_stamp(cert, trusted, embedded, at)
        self.anchor = ("timestamp", cert.subject.rfc4514_string(), at)

    def _info(self, content, text):
        info = DER.only(content).list()  # version, policy, imprint, serial, time
        how, imprint = info[2].list()
        if imprint.content != digest_of(algorithm(how), text):
            raise Wrong("it is of something else than this checkpoint")
        m = GENERAL_TIME.fullmatch(info[4].content.decode("ascii")) if info[4].tag == 0x18 else None
        if not m:
            raise Wrong("not a time")
        at = datetime.datetime.strptime(m.group(1), "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc)
        return at + datetime.timedelta(microseconds=int(((m.group(2) or "") + "000000")[:6]))

    def _signer(self, sid, among):
        for cert in among:
            if sid.tag == 0x30:
                issuer, serial = sid.list()
                if cert.serial_number == serial.number() and cert.issuer.public_bytes() == issuer.whole:
                    return cert
            elif sid.tag == 0x80:
                try:
                    if cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest == sid.content:
                        return cert
                except x509.ExtensionNotFound:
                    pass
        raise Wrong("the certificate of its signer is neither in it nor among those given")

    def _signature(self, signer, cert, content):
        how = algorithm(signer[2])
        if signer[3].tag != 0xA0:
            raise Wrong("nothing is signed")
        signed = b"\x31" + signer[3].whole[1:]  # as a SET OF
        attributes = {}
        for a in signer[3]:
            kind, values = a.list()
            if len(values.list(0x31)) == 1:
                attributes[kind.oid()] = values.list(0x31)[0]
        if CONTENT_TYPE not in attributes or attributes[CONTENT_TYPE].oid() != TST_INFO:
            raise Wrong("not a token of RFC 3161 in DER")
        if MESSAGE_DIGEST not in attributes or attributes[MESSAGE_DIGEST].content != digest_of(how, content):
            raise Wrong("its signature is of another content")
        if not self._names(attributes, cert):
            raise Wrong("it does not name the certificate that it was signed with")
        key, signature = cert.public_key(), signer[5].content
        try:
            if isinstance(key, rsa.RSAPublicKey) and signer[4].list()[0].oid() != RSA_PSS:
                key.verify(signature, signed, padding.PKCS1v15(), how)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, signed, ec.ECDSA(how))
            elif isinstance(key, Ed25519PublicKey):
                key.verify(signature, signed)
            else:
                raise Wrong("its signature algorithm is not one that this program knows")
        except InvalidSignature:
            raise Wrong("its signature is wrong")

    def _names(self, attributes, cert):
        raw = cert.public_bytes(Encoding.DER)
        for oid, old in ((SIGNING_CERT_V2, digests.SHA256()), (SIGNING_CERT, digests.SHA1())):
            if oid in attributes:
                how, parts = old, attributes[oid].list()[0].list()[0].list()
                if oid == SIGNING_CERT_V2 and parts[0].tag == 0x30:
                    how, parts = algorithm(parts[0]), parts[1:]
                if parts[0].tag == 4 and parts[0].content == digest_of(how, raw):
                    return True
        return False

    def _may_stamp(self, cert, trusted, embedded, at):
        """For nothing but time-stamping (RFC 3161, 2.3), and leads to a trusted one."""
        try:
            usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        except x509.ExtensionNotFound:
            usage = None
        if not usage or not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
            raise Wrong("the certificate of its signer is not one for time-stamping alone")
        if not self._leads(cert, trusted, embedded, at, 8):
            raise Wrong("the certificate of its signer does not lead to one that is trusted, or was not valid then")

    def _leads(self, cert, trusted, embedded, at, steps):
        try:
            valid = cert.not_valid_before_utc <= at <= cert.not_valid_after_utc
        except AttributeError:  # of cryptography before 42
            valid = cert.not_valid_before <= at.replace(tzinfo=None) <= cert.not_valid_after
        if not valid:
            return False
        if cert in trusted:
            return True
        for issuer in trusted + embedded if steps else ():
            try:
                if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                    continue
                cert.verify_directly_issued_by(issuer)
            except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
                continue
            if self._leads(issuer, trusted, embedded, at, steps - 1):
                return True
        return False


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
        r = members(parse_json(line, "line"), "line", ("batch", "index", "key", "proof", "record"), ("statement",))
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
        if "statement" in r:
            if not isinstance(r["statement"], str) or hashlib.sha256(r["statement"].encode("utf-8", "surrogatepass")).digest() != record:
                raise Wrong("record %d of batch %d: the statement is not the one that was recorded" % (at[1], at[0]))
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
    def __init__(self, top, pin=None, witnesses=(), authorities=()):
        self.problems = []
        self.anchors, self.unchecked = [], []
        self.witnesses, self.authorities = list(witnesses), list(authorities)
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
        c = self._with("checkpoint", lambda raw: Checkpoint(raw, key, self.witnesses))
        if not c:
            return
        self.anchors, self.unchecked = c.anchors, c.unchecked
        self._stamps(c)
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

    def _stamps(self, c):
        for name in self.folder.sizes:
            if not name.startswith(self.prefix + "timestamps/") or name in self.bad:
                continue
            try:
                stamp = Stamp(self.folder.read(name, MAX_SMALL), c.text, self.authorities)
                self.anchors.append(stamp.anchor)
            except Wrong as w:
                self.unchecked.append("%s: time-stamp: %s" % (name, w))

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
    parser.add_argument("--witness", action="append", default=[], help="the verifier key of a witness that you trust; may be given again")
    parser.add_argument("--authority", help="certificates, in PEM, of the time-stamping authorities that you trust")
    args = parser.parse_args(argv)
    try:
        witnesses = [Witness(w) for w in args.witness]
    except Wrong as w:
        print("verify.py: --witness: %s" % w, file=sys.stderr)
        return 1
    try:
        authorities = []
        if args.authority:
            with open(args.authority, "rb") as f:
                authorities = x509.load_pem_x509_certificates(f.read())
    except (OSError, ValueError) as e:
        print("verify.py: --authority: %s" % (getattr(e, "strerror", None) or "no certificates in PEM"), file=sys.stderr)
        return 1
    try:
        d = Dossier(args.dir, args.key, witnesses, authorities)
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
    for kind, name, at in sorted(d.anchors, key=lambda a: a[2]):
        print("outside      %s of %s: %s" % (kind, ascii(name)[1:-1], at.isoformat().replace("+00:00", "Z")))
    if not d.anchors:
        print("outside      nobody vouches for a time: the order of the facts is proved, their dates are not")
    for what in d.unchecked:
        print("not checked  " + ascii(what)[1:-1])
    print("PROVEN")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
