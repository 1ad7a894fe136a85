#!/usr/bin/env python3
"""Compares Warmset with other ways from a safetensors file to tensors on the CPU.

Each measurement is a process of its own that has imported its loader before the
clock starts. Inside the timed region it opens the file, takes every tensor, and
reads it: every byte (a sum), or one byte per 4 KiB. Loaders take turns over the
same file, so that what else the machine does hits all of them. "cold": the
file's pages are dropped from the page cache before; "warm": they are read before.
All loaders must come to the same sum.

Usage: bench/peers.py [--mib N | --file FILE] [--rounds N] [--json]
"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = "peer-model.safetensors"


# The loaders: name -> function that imports, and gives a function from a path to
# an iterable of (name, tensor).

def safetensors_mmap():
    from safetensors.torch import load_file
    return lambda path: load_file(path).items()


def safetensors_pread():
    from safetensors.torch import load_file
    return lambda path: load_file(path, backend="pread").items()


def runai():
    from runai_model_streamer import SafetensorsStreamer

    def tensors(path):
        with SafetensorsStreamer() as streamer:
            streamer.stream_file(path)
            yield from streamer.get_tensors()
    return tensors


def fastsafetensors():
    from fastsafetensors import fastsafe_open

    def tensors(path):
        with fastsafe_open(path, device="cpu", nogds=True) as file:
            for name in file.keys():
                yield name, file.get_tensor(name)
    return tensors


def warmset():
    from warmset import connect  # which imports the rest

    def tensors(_path):
        with connect() as session, session.attach(MODEL) as model:
            for name in model:
                yield name, model[name].torch()
    return tensors


def warmset_drop_in():
    from warmset.safetensors import load_file
    return lambda path: load_file(path).items()


LOADERS = {
    "warmset": warmset,
    "warmset (drop-in load_file)": warmset_drop_in,
    "safetensors (mmap)": safetensors_mmap,
    "safetensors (pread)": safetensors_pread,
    "runai-model-streamer": runai,
    "fastsafetensors (CPU)": fastsafetensors,
}


def measure(loader, path, touch):
    """Runs in the child. Prints seconds to the first tensor and to the end, and the sum."""
    import torch
    sys.path.insert(0, str(ROOT / "python"))
    tensors = LOADERS[loader]()
    torch.zeros(8).sum()  # its threads are there
    first, total = None, 0
    start = time.perf_counter()
    for _, tensor in tensors(path):
        if first is None:
            first = time.perf_counter() - start
        flat = tensor.reshape(-1).view(torch.uint8)
        if touch == "pages":
            total += int(flat[::4096].sum())
        else:
            total += int(flat.view(torch.int64).sum()) & (2**64 - 1)
    seconds = time.perf_counter() - start
    print(json.dumps({"first": first, "seconds": seconds, "sum": total & (2**64 - 1)}))


class Daemon:
    """A private daemon over the file's folder. `reserve`: "" for the daemon's own default."""

    def __init__(self, programs, folder, size, model=MODEL, reserve=None):
        self.warmset = programs / "warmset"
        self.home = tempfile.TemporaryDirectory(prefix="peers-")
        self.environment = os.environ | {
            "WARMSET_SOCKET": self.home.name + "/socket", "WARMSET_HOME": self.home.name + "/home",
            "WARMSET": "require", "PYTHONPATH": str(ROOT / "python")}
        self.reserve = size + (4 << 20) if reserve is None else 0
        flags = ["--reserve", str(reserve or self.reserve)] if reserve != "" else []
        self.process = subprocess.Popen(
            [self.warmset, "serve", "--root", folder, "--log-level", "error",
             "--ram-limit", str(4 * size + (512 << 20)), *flags], env=self.environment)
        deadline = time.monotonic() + 60
        while subprocess.run([self.warmset, "show", model], env=self.environment,
                             capture_output=True).returncode != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.close()
                raise SystemExit("the daemon does not answer")
            time.sleep(0.05)

    def ask(self, *arguments):
        result = subprocess.run([self.warmset, *arguments, "--json"], env=self.environment,
                                check=True, capture_output=True, text=True)
        return json.loads(result.stdout)

    def drop(self):
        """Nothing of the model in RAM, and the reserve full again."""
        self.ask("uncache", MODEL)
        deadline = time.monotonic() + 60
        while (int(self.ask("ps")["memory"]["reserve"]) + (8 << 20) < self.reserve
               and time.monotonic() < deadline):
            time.sleep(0.05)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.home.cleanup()


def make_cold(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def make_warm(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(16 << 20):
            pass


# (what the table calls it, which loaders, how the file and Warmset are prepared)
def conditions(daemon, path):
    def cold():
        daemon.drop()
        make_cold(path)

    def page_cache():
        daemon.drop()
        make_warm(path)

    def warm():
        make_warm(path)
        daemon.ask("cache", MODEL)

    return {
        "cold": cold,
        "page cache warm, not in Warmset": page_cache,
        "page cache warm, in Warmset": warm,
    }


def run(arguments, path, daemon):
    """{condition: {loader: [measurement]}}, loaders interleaved, in turning order."""
    found, sums = {}, set()
    names = list(LOADERS)
    for condition, prepare in conditions(daemon, path).items():
        rows = found[condition] = {name: [] for name in names}
        for number in range(arguments.rounds + 1):
            for name in names[number % len(names):] + names[:number % len(names)]:
                prepare()
                result = subprocess.run(
                    [sys.executable, __file__, "--child", name, "--touch", arguments.touch,
                     "--file", path], env=daemon.environment, capture_output=True, text=True)
                if result.returncode != 0:
                    raise SystemExit(f"{name}: {result.stderr[-2000:]}")
                measured = json.loads(result.stdout.splitlines()[-1])
                sums.add(measured["sum"])
                if number > 0:  # the first round is a rehearsal
                    rows[name].append(measured)
    if len(sums) != 1:
        raise SystemExit("the loaders do not agree on the bytes")
    return found


def table(found, size):
    gib = size / 2**30
    for condition, rows in found.items():
        print(f"\n{condition}")
        print(f"  {'loader':30} {'first tensor':>14} {'all':>12} {'GiB/s':>8} {'slowest':>12}")
        ordered = sorted(rows.items(),
                         key=lambda row: statistics.median(m["seconds"] for m in row[1]))
        for name, measured in ordered:
            seconds = [m["seconds"] for m in measured]
            first = statistics.median(m["first"] for m in measured)
            middle = statistics.median(seconds)
            print(f"  {name:30} {first * 1e3:11.2f} ms {middle * 1e3:9.1f} ms "
                  f"{gib / middle:8.2f} {max(seconds) * 1e3:9.1f} ms")


def write_model(path, mib):
    spec = importlib.util.spec_from_file_location("fixtures", ROOT / "scripts/make-fixtures.py")
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    fixtures.save(path, fixtures.layers(max(1, mib // 64), mib))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", help="safetensors file; one is made if not given")
    parser.add_argument("--mib", type=int, default=1024, help="size of the file that is made")
    parser.add_argument("--dir", default="/var/tmp", help="where the file is made")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--touch", choices=("bytes", "pages"), default="bytes",
                        help="what is read of each tensor: all, or one byte per 4 KiB")
    parser.add_argument("--bin-dir", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--child", choices=list(LOADERS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return measure(arguments.child, arguments.file, arguments.touch)

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="peers-", dir=arguments.dir))
        path = os.path.join(folder, MODEL)
        if arguments.file:
            os.link(os.path.realpath(arguments.file), path)
        else:
            write_model(path, arguments.mib)
        size = os.path.getsize(path)
        daemon = Daemon(arguments.bin_dir.resolve(), folder, size)
        stack.callback(daemon.close)
        found = run(arguments, path, daemon)
        if arguments.json:
            print(json.dumps({"bytes": size, "touch": arguments.touch, "rounds": arguments.rounds,
                              "conditions": found}))
        else:
            print(f"{size / 2**20:.0f} MiB, medians of {arguments.rounds}; "
                  f"read: {'every byte' if arguments.touch == 'bytes' else 'a byte per 4 KiB'}")
            table(found, size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
