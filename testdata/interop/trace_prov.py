"""Reads a PROV-JSON document of custody with PyPI prov; standard input says what it has to hold."""

import json
import sys
from collections import Counter

from prov.identifier import QualifiedName
from prov.model import ProvDocument

want = json.load(sys.stdin)
doc = ProvDocument.deserialize(sys.argv[1], format="json")
records = list(doc.get_records())
bad = []


def check(what, got, wanted):
    if got != wanted:
        bad.append(f"{what}: got {got!r}, want {wanted!r}")


def times(kind, name):
    return sorted(int(v.timestamp()) for r in records if r.get_type().localpart == kind
                  for k, v in r.formal_attributes if k.localpart == name and v is not None)


check("records", dict(Counter(r.get_type().localpart for r in records)), want["counts"])
check("labels", sorted(r.label for r in records if r.is_element()), want["labels"])

# Every end of a relation is an element of the document.
names = {r.identifier for r in records if r.is_element()}
for r in records:
    for k, v in r.formal_attributes:
        if r.is_relation() and isinstance(v, QualifiedName) and v not in names:
            bad.append(f"{r}: {k.localpart} {v} is no element")
for kind, attribute in (("Generation", "time"), ("Invalidation", "time"), ("Usage", "time"), ("Activity", "startTime"), ("Activity", "endTime")):
    check(f"{kind} {attribute}", times(kind, attribute), want["times"].get(f"{kind} {attribute}", []))

# What is written again, in both languages, is the same document.
check("again", ProvDocument.deserialize(content=doc.serialize(format="json"), format="json") == doc, True)
doc.get_provn()
sys.exit("\n".join(bad) or 0)
