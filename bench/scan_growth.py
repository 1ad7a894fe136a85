#!/usr/bin/env python3
"""How the time and the memory of a scan grow with the library: `warmset-bench scan` at sizes.

Usage: bench/scan_growth.py [--bin-dir DIR] [--dir DIR] [FILES...]

Without FILES: 10000, 100000 and 1000000, which takes some minutes and 5 GB in DIR. Needs as
many inodes there as files. Both figures per file should stay as they are.
"""

import argparse
import json
import pathlib
import subprocess

SIZES = (10_000, 100_000, 1_000_000)
FILES_IN_A_FOLDER = 1_000


def main():
    root = pathlib.Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=int, default=SIZES)
    parser.add_argument("--bin-dir", type=pathlib.Path, default=root / "build" / "release" / "bin")
    parser.add_argument("--dir", help="folder for the library (warmset-bench's own default)")
    arguments = parser.parse_args()
    print(f"{'files':>9} {'first scan':>11} {'ms/file':>8} {'again':>8} {'RssAnon B/file':>15}")
    for files in arguments.files:
        command = [arguments.bin_dir / "warmset-bench", "scan", "--files", str(files), "--folders",
                   str(max(1, files // FILES_IN_A_FOLDER)), "--rounds", "1"]
        if arguments.dir:
            command += ["--dir", arguments.dir]
        out = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(f"{files:9} {out['first_scan_s']['p50']:9.1f} s {out['first_scan_ms_per_file']:8.3f}"
              f" {out['unchanged_scan_s']['p50']:6.1f} s"
              f" {out['daemon_rss_anon_bytes_per_file']:15.0f}", flush=True)


if __name__ == "__main__":
    main()
