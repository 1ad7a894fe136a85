#!/usr/bin/env python3
"""Replays cases of identification: writes each as a model without weights, has `warmset
inspect` say what it is, and counts what is right, wrong and unknown.

A file of cases is JSON, plain or gzipped: {name: {"file", "meta", "keys": {tensor: [dtype,
shape]}, "config" (optional), "expected": [kind, architecture, ...]}}; kinds and architectures
are alternatives with '|' between.

Usage: identify_cases.py WARMSET CASES... [--quiet] [--without-loras]
Ends with 1 when a case is wrong with a confidence of SURE or more.
"""

import argparse
import collections
import gzip
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

SURE = 0.8
BITS = {"F64": 64, "I64": 64, "F32": 32, "I32": 32, "F16": 16, "BF16": 16, "I16": 16,
        "F8_E4M3": 8, "F8_E5M2": 8, "I8": 8, "U8": 8, "BOOL": 8, "F4": 4}

Result = collections.namedtuple("Result", "name expected kind architecture confidence evidence")


def read_cases(path):
    data = pathlib.Path(path).read_bytes()
    return json.loads(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)


def write_sparse(path, tensors, metadata=None):
    """A safetensors file of {name: (dtype, shape)} whose weights are a hole."""
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape) in tensors.items():
        bits = BITS[dtype]
        for dim in shape:
            bits *= dim
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + bits // 8]}
        offset += bits // 8
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)


def write_case(folder, case):
    folder.mkdir(parents=True)
    write_sparse(folder / case["file"], case["keys"], case["meta"])
    if case.get("config"):
        (folder / "config.json").write_text(json.dumps(case["config"]))


def inspect(warmset, folder):
    """{folder of a case: what inspect says of it}."""
    output = subprocess.run([warmset, "inspect", "--json", folder], stdout=subprocess.PIPE, text=True,
                            check=False).stdout
    found = {}
    for line in output.splitlines():
        model = json.loads(line)
        path = pathlib.Path(model["path"])
        found[path.relative_to(folder).parts[0]] = model
    return found


def replay(warmset, cases):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for i, case in enumerate(cases.values()):
            write_case(root / str(i), case)
        found = inspect(warmset, root)
    for i, (name, case) in enumerate(cases.items()):
        model = found.get(str(i), {"kind": "", "architecture": {}})
        first = model["architecture"] or {}
        yield Result(name, case["expected"], model["kind"], first.get("name", ""),
                     first.get("confidence", 0), first.get("evidence", []))


def judge(result):
    kinds, architectures = (each.split("|") for each in result.expected[:2])
    if result.kind in kinds and result.architecture in architectures:
        return "right"
    if not result.architecture and result.kind in (*kinds, "model"):
        return "unknown"
    return "wrong"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("warmset")
    parser.add_argument("cases", nargs="+")
    parser.add_argument("--quiet", action="store_true", help="only the counts")
    parser.add_argument("--without-loras", action="store_true")
    arguments = parser.parse_args()
    counts = collections.Counter()
    for path in arguments.cases:
        cases = read_cases(path)
        if arguments.without_loras:
            cases = {name: each for name, each in cases.items() if each["expected"][0] != "lora"}
        for result in replay(arguments.warmset, cases):
            verdict = judge(result)
            counts[verdict] += 1
            if verdict == "wrong" and result.confidence >= SURE:
                counts["sure"] += 1
            if verdict != "right" and not arguments.quiet:
                print(f"{verdict}: {result.name}: expected {' '.join(map(str, result.expected[:2]))}, got "
                      f"{result.kind} {result.architecture or '-'} {result.confidence:.2f} "
                      f"({'; '.join(result.evidence[:2])})")
    total = counts["right"] + counts["wrong"] + counts["unknown"]
    print(f"{total} cases: {counts['right']} right, {counts['wrong']} wrong, "
          f"{counts['unknown']} unknown; {counts['sure']} wrong at {SURE} or more")
    return 1 if counts["sure"] else 0


if __name__ == "__main__":
    sys.exit(main())
