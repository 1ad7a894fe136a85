#!/usr/bin/env python3
"""Measures identification with every layout that diffusers, transformers and spandrel define,
all sizes changed: with the atlas as it is, and with each family's own rows left out of it, as
if the model were newer than the atlas. Counts what is right, related, open and wrong.

Usage: measure-identification.py FORMS WARMSET_BENCH [--own-sizes] [--held-out] [--show WORD]
  FORMS         what make-model-atlas.py --forms wrote
  --show WORD   prints the cases of that outcome: "wrong", "sure", "right", ...
  --cases FILE  keeps the cases
  --own-sizes   sizes are those of the libraries' defaults
  --held-out    only with rows left out
Ends with 1 when a case is wrong with a confidence of 0.8 or more.
"""

import argparse
import collections
import json
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import zlib

from atlas import libraries, naming
from atlas.expressions import generalized

SURE = 0.8
BANDS = (0.8, 0.6, 0.0)
Case = collections.namedtuple("Case", "name names shapes")


def names_of(form):
    """What the architecture of a form is called, and what rows of it are."""
    if form.library == "spandrel":
        return {naming.spandrel_name(form.kind_of)}
    if form.library == "diffusers":
        return set(naming.diffusers_name(form.cls).lstrip("?").split("|"))
    return {naming.transformers_name(form.kind_of)}


def resized(name, shapes):
    """Every size another one, the same for the same; small ones (channels, kernels) stay."""
    salt = zlib.crc32(name.encode())
    factors = ((3, 4), (5, 4), (3, 2), (7, 8))
    up, down = factors[salt % len(factors)]
    return {each: [dim if dim < 32 else max(1, dim * up // down) for dim in shape]
            for each, shape in shapes.items()}


def cases_of(forms, own_sizes):
    for form in forms:
        if form.library == "diffusers" and form.cls in naming.LEFT_OUT:
            continue
        name = " ".join(filter(None, (form.library, form.kind_of, form.cls, form.layout)))
        first = {}
        for each, shape in form.shapes.items():
            first.setdefault((generalized(each), len(shape)), (each, shape))
        shapes = dict(first.values())
        yield Case(name, names_of(form), shapes if own_sizes else resized(name, shapes))


def write_cases(path, cases, held_out):
    with open(path, "w") as file:
        for case in sorted(cases, key=lambda c: sorted(c.names)):
            print("case", case.name, sep="\t", file=file)
            if held_out:
                for name in sorted(case.names):
                    print("without", name, sep="\t", file=file)
            for name, shape in case.shapes.items():
                print("tensor", name, *shape, sep="\t", file=file)


def is_related(name, other):
    """One says more than the other of the same: "qwen2", "qwen2-moe"."""
    short, long = sorted((name, other), key=len)
    return long.startswith(short) and not long[len(short):len(short) + 1].isalpha()


def judge(case, found):
    name = found["architecture"]
    if not name:
        return "open"
    if any(name == each or (is_related(name, each) and len(name) > len(each))
           for each in case.names):
        return "right"
    return "related" if any(is_related(name, each) for each in case.names) else "wrong"


def measure(bench, cases, held_out, arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.cases or pathlib.Path(folder, "cases.tsv")
        write_cases(path, cases, held_out)
        output = subprocess.run([bench, "identify-cases", path], stdout=subprocess.PIPE, text=True,
                                check=True).stdout
    by_name = {case.name: case for case in cases}
    counts = collections.Counter()
    for line in output.splitlines():
        found = json.loads(line)
        verdict = judge(by_name[found["name"]], found)
        band = next(each for each in BANDS if found["confidence"] >= each)
        counts[verdict, band] += 1
        if arguments.show and arguments.show in (
                verdict, "sure" if verdict == "wrong" and band == SURE else ""):
            print(f"{found['name']}: {found['kind']} {found['architecture'] or '-'} "
                  f"{found['confidence']:.2f} ({found.get('evidence', '')})")
    print(f"{len(cases)} layouts, {'own rows left out' if held_out else 'all rows'}:")
    for verdict in ("right", "related", "open", "wrong"):
        bands = [counts[verdict, band] for band in BANDS]
        print(f"  {sum(bands):5} {verdict:8} " + "  ".join(
            f"{count} at {band}" for band, count in zip(BANDS, bands)))
    return counts["wrong", SURE]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("forms", type=pathlib.Path)
    parser.add_argument("bench")
    parser.add_argument("--show", default="")
    parser.add_argument("--cases", type=pathlib.Path)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--own-sizes", action="store_true")
    arguments = parser.parse_args()
    forms = [libraries.Form(*each) for each in pickle.loads(arguments.forms.read_bytes())["forms"]]
    unique = {case.name: case for case in cases_of([f for f in forms if f.base], arguments.own_sizes)}
    cases = list(unique.values())
    sure = 0 if arguments.held_out else measure(arguments.bench, cases, False, arguments)
    sure += measure(arguments.bench, cases, True, arguments)
    return 1 if sure else 0


if __name__ == "__main__":
    sys.exit(main())
