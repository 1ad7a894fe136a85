#!/usr/bin/env python3
"""Warmset's codec beside PyPI's zipnn on the same synthetic BF16 weights.

    python compare_zipnn.py PATH/TO/warmset-bench [--mib 64] [--rounds 11]

Needs numpy, torch and zipnn. Writes the weights to a temporary safetensors file,
lets `warmset-bench codec --file` measure it, and measures zipnn between its runs
by CPU time as warmset-bench does (zipnn decodes on a thread of its own). Prints JSON.
"""

import argparse
import json
import pathlib
import statistics
import struct
import subprocess
import tempfile
import time

import numpy as np
import zipnn


def bf16_weights(rows, columns, seed):
    """Gaussian rows with log-normal scales, as raw BF16."""
    random = np.random.default_rng(seed)
    scales = 0.02 * np.exp(0.5 * random.standard_normal((rows, 1), dtype=np.float32))
    bits = (scales * random.standard_normal((rows, columns), dtype=np.float32)).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()


def write_safetensors(path, data, rows, columns):
    entry = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [0, len(data)]}
    header = json.dumps({"weight": entry}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def seconds(function):
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warmset_bench")
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()

    columns = 4096
    rows = options.mib * 2**20 // (2 * columns)
    data = bf16_weights(rows, columns, seed=1)
    codec = zipnn.ZipNN(bytearray_dtype="bfloat16", input_format="byte", threads=1)
    ours, encode, decode = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "weights.safetensors"
        write_safetensors(path, data, rows, columns)
        for _ in range(options.rounds):
            # zipnn changes the buffer that it compresses.
            elapsed, compressed = seconds(lambda: codec.compress(bytearray(data)))
            encode.append(elapsed)
            elapsed, decoded = seconds(lambda: codec.decompress(compressed))
            decode.append(elapsed)
            if bytes(decoded) != data:
                raise SystemExit("zipnn lost data")
            command = [options.warmset_bench, "codec", "--file", path, "--rounds", "3"]
            figures = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            ours.append(figures["dtypes"]["BF16"])

    def median(name, key):
        return statistics.median(figures[name][key] for figures in ours)

    gigabytes = len(data) / 1e9
    best = "layered_avx512" if "layered_avx512" in ours[0] else "layered_avx2"
    report = {
        "bytes": len(data),
        "memcpy_gb_s": statistics.median(figures["memcpy_gb_s"] for figures in ours),
        best: {key: median(best, key) for key in ("ratio", "encode_gb_s", "decode_gb_s")},
        "zipnn": {
            "ratio": len(data) / len(compressed),
            "encode_gb_s": gigabytes / statistics.median(encode),
            "decode_gb_s": gigabytes / statistics.median(decode),
        },
    }
    report["decode_by_zipnn"] = report[best]["decode_gb_s"] / report["zipnn"]["decode_gb_s"]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
