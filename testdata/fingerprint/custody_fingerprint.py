#!/usr/bin/env python3
"""N1, N2, winnowing and fingerprints of custody, norm 1: a second implementation.

It is written from the package comment of index/fingerprint, for reading and not for speed,
with the standard library only; of Unicode it knows what the tables beside that package say.

    custody_fingerprint.py run                < a text in hex a line, > a JSON object a line
    custody_fingerprint.py check FILE.jsonl   recomputes the vectors; exit 1 where one differs
"""
import hashlib
import json
import os
import re
import struct
import sys

TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "index", "fingerprint")
K = 16
M64 = (1 << 64) - 1


def lines(name):
    with open(os.path.join(TABLES, name), encoding="utf-8") as f:
        for line in f:
            field = line.split()
            if field and field[0] != "#":
                yield field


def span(s):
    lo, _, hi = s.partition("..")
    return range(int(lo, 16), int(hi or lo, 16) + 1)


def text(codes):
    return "".join(chr(int(c, 16)) for c in codes)


CLASS, MAP = {}, {}
for f in lines("n2.txt"):
    if f[0] == "c":
        CLASS.update((c, f[2]) for c in span(f[1]))
    elif f[2][0] in "+-":
        MAP.update((c, chr(c + int(f[2]))) for c in span(f[1]))
    else:
        MAP[int(f[1], 16)] = text(f[2:])

CCC, STEP, PAIR = {}, {}, {}
for f in lines("nfc.txt"):
    if f[0] == "r":
        CCC.update((c, int(f[2])) for c in span(f[1]))
    else:
        STEP[int(f[1], 16)] = text(f[2:])
        if f[0] == "d":
            PAIR[text(f[2:])] = text(f[1:2])

NAMES = {f[0]: text(f[1:]) for f in lines("entities.txt")}

WORDS = {"element": [], "boolean": [], "holder": [], "bare": []}
for f in lines("tokens.txt"):
    WORDS[f[0]] += f[1:]


# Texts are Python strings; a byte that is not UTF-8 is a surrogate, as "surrogateescape" has it.

ENTITY = re.compile(r"&(#[0-9]+|#[xX][0-9a-fA-F]+|[0-9A-Za-z]+);")


def entity(m):
    body = m.group(1)
    if len(body) > 31:
        return m.group(0)
    if body[0] != "#":
        return NAMES.get(body, m.group(0))
    n = int(body[2:], 16) if body[1] in "xX" else int(body[1:])
    if n == 0 or n > 0x10FFFF or 0xD800 <= n <= 0xDFFF:
        return "\ufffd"
    return NAMES.get("#%d" % n, chr(n))


def decode(s):
    for _ in range(3):
        s = ENTITY.sub(entity, s)
    return s


# N1

WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
RUN = re.compile("[" + WHITE + "]+")


def decompose(c):
    n = ord(c) - 0xAC00
    if 0 <= n < 11172:
        t = n % 28
        return chr(0x1100 + n // 588) + chr(0x1161 + n // 28 % 21) + (chr(0x11A7 + t) if t else "")
    if ord(c) in STEP:
        return "".join(decompose(x) for x in STEP[ord(c)])
    return c


def compose(a, b):
    x, y = ord(a) - 0x1100, ord(b) - 0x1161
    if 0 <= x < 19 and 0 <= y < 21:
        return chr(0xAC00 + (x * 21 + y) * 28)
    x, y = ord(a) - 0xAC00, ord(b) - 0x11A7
    if 0 <= x < 11172 and x % 28 == 0 and 0 < y < 28:
        return chr(ord(a) + y)
    return PAIR.get(a + b)


def nfc(s):
    marks, chars = [], []
    for c in "".join(map(decompose, s)):
        if CCC.get(ord(c), 0):
            marks.append(c)
            continue
        chars += sorted(marks, key=lambda m: CCC[ord(m)]) + [c]
        marks = []
    chars += sorted(marks, key=lambda m: CCC[ord(m)])
    out, starter, last = [], -1, -1
    for c in chars:
        k = CCC.get(ord(c), 0)
        if starter >= 0 and last < k:
            both = compose(out[starter], c)
            if both:
                out[starter] = both
                continue
        if k == 0:
            starter, last = len(out), -1
        else:
            last = k
        out.append(c)
    return "".join(out)


def n1(raw):
    s = nfc(decode(raw.decode("utf-8", "surrogateescape")))
    s = RUN.sub(lambda m: "\n" if "\n" in m.group(0) or "\r" in m.group(0) else " ", s)
    return s.strip(" \n").encode("utf-8", "surrogateescape")


# N2

W = "A-Za-z0-9_"
SP = "[ \t\n\v\f\r]"
URL = r"[A-Za-z0-9\-._~:/?#@!$&*+=%]*"


def anycase(words):
    return "(?:" + "|".join("".join("[%s%s]" % (c, c.upper()) if c.isalpha() else c for c in w) for w in words) + ")"


SCHEME = anycase(["http"]) + "[sS]?://" + URL
FREE = "(?<![" + W + "])"
WWW = FREE + "[wW][wW][wW]\\." + URL
MENTION = FREE + "[@\uff20][" + W + "]+"
BARE = FREE + "(?:" + "|".join(WORDS["bare"]) + ")(?![" + W + "])"
HOLDER = r"(?:(?<=[{\[<])|\A)" + anycase(WORDS["holder"]) + r"(?=[}\]>]|\Z)"
VALUE = "(?:\"[^\"<>]*\"|'[^'<>]*'|[^\\x00-\\x20\\x7f\"'<>=`]+)"
ATTR = "(?:[A-Za-z_:@][A-Za-z0-9_:.@\\-]*" + SP + "*=" + SP + "*" + VALUE + "|" + anycase(WORDS["boolean"]) + ")"
TAG = "</?" + anycase(WORDS["element"]) + "(?:" + SP + "+" + ATTR + ")*" + SP + "*/?>"
TOKENS = [re.compile(p) for p in (SCHEME, WWW, MENTION, BARE, HOLDER)]
TAG = re.compile(TAG)
REPOST = re.compile("(" + SP + "*)[rR][tT](?:" + SP + "+[@\uff20][" + W + "]|" + SP + r"*\Z)")


def tag(s, i):
    """The end of the tag at i. Its length is limited in bytes."""
    n, end = 0, i
    while end < len(s) and n < 1024:
        n += len(s[end].encode("utf-8", "surrogateescape"))
        end += n <= 1024
    m = TAG.match(s[i:end])
    return i + m.end() if m else 0


def symbols(raw):
    """The symbols of N2, each part << 24 | code point."""
    s = decode(raw.decode("utf-8", "surrogateescape"))
    m = REPOST.match(s)
    repost = len(m.group(1)) if m else -1
    out, marks, i = [], False, 0
    while i < len(s):
        end = i + 2 if i == repost else 0
        if not end and s[i] == "<":
            end = tag(s, i)
        for token in TOKENS if not end else ():
            m = token.match(s, i)
            if m:
                end = m.end()
                break
        if end:
            i, marks = end, False
            continue
        c = ord(s[i])
        i += 1
        if CLASS.get(c) == "i":
            continue
        for x in map(ord, decompose(chr(c)) if 0xAC00 <= c <= 0xD7A3 else MAP.get(c, chr(c))):
            k = CLASS.get(x, "s")
            if k == "i" or k == "m" and not marks:
                continue
            marks = k in "mltkh"
            if k != "s":
                out += [part << 24 | x for part in range({"k": 2, "h": 3}.get(k, 1))]
    return out


def n2(sym):
    return "".join(chr(x) for x in sym if x >> 24 == 0)


# Winnowing

def xxh64(data, seed=0):
    p1, p2, p3, p4, p5 = (11400714785074694791, 14029467366897019727, 1609587929392839161,
                          9650029242287828579, 2870177450012600261)

    def rotl(x, n):
        return (x << n | x >> (64 - n)) & M64

    def lane(acc, x):
        return rotl((acc + x * p2) & M64, 31) * p1 & M64

    n, i = len(data), 0
    h = (seed + p5) & M64
    if n >= 32:
        v = [(seed + p1 + p2) & M64, (seed + p2) & M64, seed, (seed - p1) & M64]
        while i + 32 <= n:
            v = [lane(a, x) for a, x in zip(v, struct.unpack_from("<4Q", data, i))]
            i += 32
        h = (rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18)) & M64
        for a in v:
            h = ((h ^ lane(0, a)) * p1 + p4) & M64
    h = (h + n) & M64
    while i + 8 <= n:
        h = (rotl(h ^ lane(0, struct.unpack_from("<Q", data, i)[0]), 27) * p1 + p4) & M64
        i += 8
    if i + 4 <= n:
        h = (rotl(h ^ struct.unpack_from("<I", data, i)[0] * p1 & M64, 23) * p2 + p3) & M64
        i += 4
    for x in data[i:]:
        h = rotl(h ^ x * p5 & M64, 11) * p1 & M64
    h = (h ^ h >> 33) * p2 & M64
    h = (h ^ h >> 29) * p3 & M64
    return h ^ h >> 32


def key(sym, seed=0):
    if all(x < 0x80 for x in sym):
        return xxh64(bytes(sym), seed)
    return xxh64(struct.pack("<%dI" % len(sym), *sym), seed)


def splitmix64(x):
    x = (x + 0x9E3779B97F4A7C15) & M64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def select(sym, w):
    """The selected windows as (position, fingerprint)."""
    order = []
    for i in range(len(sym) - K + 1):
        h = 0
        for x in sym[i:i + K]:
            h = ((h << 1 | h >> 63) & M64) ^ splitmix64(x)
        order.append((h * 0x9E3779B97F4A7C15 & M64) >> 20)
    w = min(w, len(order))
    picked = []
    for p in range(len(order) - w + 1 if w else 0):
        best = min(range(p, p + w), key=lambda q: (order[q], -q))
        if best not in picked[-1:]:
            picked.append(best)
    return [(p, key(sym[p:p + K])) for p in picked]


def vector(raw):
    sym = symbols(raw)
    fps = {"fp%d" % w: [[p, "%016x" % h] for p, h in select(sym, w)] for w in (9, 16)}
    return {"n1": hashlib.sha256(n1(raw)).hexdigest(), "n2": n2(sym), "symbols": len(sym),
            "key": "%016x" % key(sym), **fps}


def main(args):
    if args[:1] == ["run"]:
        for line in sys.stdin:
            print(json.dumps(vector(bytes.fromhex(line))))
        return 0
    if len(args) == 2 and args[0] == "check":
        bad = total = 0
        with open(args[1], encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                want = json.loads(line)
                raw = bytes.fromhex(want["bytes"]) if "bytes" in want else want["text"].encode("utf-8")
                for name, value in vector(raw).items():
                    if want[name] != value:
                        bad += 1
                        print("%s:%d: %s is %r, want %r" % (args[1], number, name, value, want[name]))
                total += 1
        print("%d vectors, %d differences" % (total, bad))
        return 1 if bad or not total else 0
    print(__doc__, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
