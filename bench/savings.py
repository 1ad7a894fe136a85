#!/usr/bin/env python3
"""What Warmset saves, and where: time and memory of the same programs with and without it.

Each program is a process of its own that has imported its library before the clock
starts, opens the files, takes every tensor and reads every byte; then it holds them
until all programs of the round have them, and its memory (Pss) is taken. Without and
with Warmset take turns. Warmset's loaders are put in place as by `warmset run`.

Cases:
  safetensors          load_file, the file in the page cache, the model in Warmset
  safetensors-dropped  the same, the file dropped from the page cache
  torch                torch.load of a .pt, in the page cache
  torch-dropped        the same, dropped
  gguf                 GGUFReader, in the page cache
  gguf-dropped         the same, dropped
  compressed-dropped   load_file, dropped; Warmset has it compressed only (--strategy memory)
  pipeline-cold        the files of three components one after another, on the disk only,
                       and Warmset has nothing of them

Usage: bench/savings.py [--mib N] [--rounds N] [--programs N] [--bin-dir DIR] [CASE...]
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import peers

CASES = ("safetensors", "safetensors-dropped", "torch", "torch-dropped", "gguf", "gguf-dropped",
         "compressed-dropped", "pipeline-cold")
SHARES = (0.75, 0.2, 0.05)  # of a pipeline's components, as of SDXL's


def sum_of(array):
    """Of all bytes, eight at a time."""
    flat = array.reshape(-1).view("uint8")
    whole = flat[:flat.size // 8 * 8].view("uint64")
    return (int(whole.sum()) + int(flat[whole.nbytes:].sum())) % 2**64


def loader_of(kind):
    """Imports what loads; gives a function from a path to arrays and what keeps them."""
    if kind == "gguf":
        import gguf

        def load(path):
            reader = gguf.GGUFReader(path)
            return [tensor.data for tensor in reader.tensors], reader
    else:
        import torch
        from safetensors.torch import load_file

        def load(path):
            state = torch.load(path) if kind == "torch" else load_file(path)
            return [tensor.view(torch.uint8).numpy() for tensor in state.values()], state
    return load


def pss():
    for line in pathlib.Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024


def child(kind, paths):
    """A program. Says when it is ready, what loading took, and then what it takes in memory."""
    load = loader_of(kind)
    print("ready", flush=True)
    sys.stdin.readline()
    before, started = pss(), time.perf_counter()
    kept, total = [], 0
    for path in paths:
        arrays, owner = load(path)
        total += sum(sum_of(array) for array in arrays)
        kept.append(owner)
    print(json.dumps({"seconds": time.perf_counter() - started, "sum": total % 2**64}),
          flush=True)
    sys.stdin.readline()
    print(pss() - before, flush=True)
    sys.stdin.readline()


def run_programs(kind, paths, environment, count):
    """Seconds of the first program's load, and the memory of all in bytes."""
    programs = [subprocess.Popen([sys.executable, __file__, "--child", kind, *paths],
                                 env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 text=True) for _ in range(count)]
    def tell(program):
        program.stdin.write("\n")
        program.stdin.flush()
    loaded = []
    for program in programs:
        assert program.stdout.readline() == "ready\n"
    for program in programs:  # one after another
        tell(program)
        loaded.append(json.loads(program.stdout.readline()))
    memory = 0
    for program in programs:
        tell(program)
        memory += int(program.stdout.readline())
    for program in programs:
        program.communicate("\n")
    return loaded, memory


def write_files(kind, folder, mib):
    """The files of the case, and what the daemon calls the model."""
    if kind == "pipeline":
        return write_pipeline(folder, mib), "pipe"
    path = folder / f"savings.{ {'torch': 'pt', 'gguf': 'gguf'}.get(kind, 'safetensors') }"
    if kind == "torch":
        import torch
        layers = max(1, mib // 32)
        torch.save({f"layer.{i}.weight": torch.randn(16 << 20).to(torch.float16)
                    for i in range(layers)}, path)
    elif kind == "gguf":
        import gguf
        import numpy as np
        writer = gguf.GGUFWriter(path, "llama")
        random = np.random.default_rng(1)
        for i in range(max(1, mib // 32)):
            writer.add_tensor(f"blk.{i}.ffn_up.weight",
                              random.standard_normal((4096, 4096), np.float32).astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    else:
        import torch
        from safetensors.torch import save_file
        save_file({f"layer.{i}.weight": (torch.randn(16 << 20) * 0.02).to(torch.bfloat16)
                   for i in range(max(1, mib // 32))}, path)
    return [str(path)], path.name


def write_pipeline(folder, mib):
    paths = []
    root = folder / "pipe"
    root.mkdir()
    index = {"_class_name": "StableDiffusionPipeline"}
    parts = (("unet", "diffusion_pytorch_model", ["diffusers", "UNet2DConditionModel"]),
             ("text_encoder", "model", ["transformers", "CLIPTextModel"]),
             ("vae", "diffusion_pytorch_model", ["diffusers", "AutoencoderKL"]))
    for (name, file, library), share in zip(parts, SHARES):
        index[name] = library
        (root / name).mkdir()
        (root / name / "config.json").write_text("{}")
        path = root / name / f"{file}.safetensors"
        peers.write_model(path, max(1, int(mib * share)))
        paths.append(str(path))
    (root / "model_index.json").write_text(json.dumps(index))
    return paths[1:] + paths[:1]  # the text encoder first, the unet last


def measure(case, arguments):
    kind = {"safetensors": "safetensors", "compressed": "safetensors"}.get(
        case.split("-")[0], case.split("-")[0])
    with tempfile.TemporaryDirectory(prefix="savings-", dir=arguments.dir) as name:
        folder = pathlib.Path(name)
        paths, model = write_files(kind, folder, arguments.mib)
        size = sum(os.path.getsize(path) for path in paths)
        daemon = peers.Daemon(arguments.bin_dir.resolve(), name, size, model,
                              arguments.reserve)
        hook = str(peers.ROOT / "python" / "warmset" / "_hook")
        environments = {"without": daemon.environment | {"WARMSET": "off"},
                        "with": daemon.environment | {"WARMSET": "auto", "PYTHONPATH": hook}}
        found = {way: [] for way in environments}
        sums = set()
        try:
            for number in range(arguments.rounds + 1):
                for way in sorted(environments, reverse=number % 2 == 1):
                    if case == "pipeline-cold":
                        daemon.ask("uncache", model)
                        time.sleep(arguments.settle)
                    else:
                        strategy = "memory" if case.startswith("compressed") else "speed"
                        daemon.ask("cache", model, "--strategy", strategy)
                        wait_compressed(daemon, model, strategy)
                    for path in paths:
                        (peers.make_warm if "-" not in case else peers.make_cold)(path)
                    loaded, memory = run_programs("safetensors" if kind == "pipeline" else kind,
                                                  paths, environments[way], arguments.programs)
                    sums.update(each["sum"] for each in loaded)
                    if number > 0:  # the first round is a rehearsal
                        found[way].append((loaded[0]["seconds"], memory))
        finally:
            daemon.close()
        assert len(sums) == 1, "they do not agree on the bytes"
        return size, found


def wait_compressed(daemon, model, strategy):
    while strategy == "memory":
        memory = daemon.ask("ps")["memory"]
        if int(memory.get("compressed", 0)) > 0 and int(memory.get("entries", 0)) == 0:
            return
        time.sleep(0.1)


def machine(bin_dir):
    """What a reader has to know of the figures, in a line."""
    fields = dict(line.partition(":")[::2] for line in
                  pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    processor = fields.get("model name", os.uname().machine)
    kind = ", family {}, model {}".format(fields["cpu family"], fields["model"]) \
        if "model" in fields else ""
    return (f"{processor}{kind}; {os.cpu_count()} cores; Linux {os.uname().release}; "
            f"build {bin_dir.resolve().parent.name}")


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--programs", type=int, default=3)
    parser.add_argument("--reserve", default="", help="memory.reserve of the daemon; default: the daemon's")
    parser.add_argument("--settle", type=float, default=5.0,
                        help="seconds before a cold load, in which the reserve is filled")
    parser.add_argument("--dir", default="/var/tmp")
    parser.add_argument("--bin-dir", type=pathlib.Path, default=peers.ROOT / "build/release/bin")
    arguments = parser.parse_args()
    print(f"{machine(arguments.bin_dir)}; {arguments.mib} MiB; medians of {arguments.rounds} "
          "rounds, of the seconds also least and most")
    print(f"{'case':20} {'first load, s: without':>26} {'with':>22}"
          f" {f'{arguments.programs} programs, MiB: without':>27} {'with':>7} {'load':>5}")
    for case in arguments.cases or CASES:
        _, found = measure(case, arguments)
        row = [f"{case:20}"]
        for way, width in (("without", 26), ("with", 22)):
            seconds = [each[0] for each in found[way]]
            span = f"{statistics.median(seconds):.3f} ({min(seconds):.3f}-{max(seconds):.3f})"
            row.append(f"{span:>{width}}")
        for way, width in (("without", 27), ("with", 7)):
            memory = statistics.median(each[1] for each in found[way]) / 2**20
            row.append(f"{memory:{width}.0f}")
        # What ran beside, over the last five minutes.
        print(" ".join(row), f"{os.getloadavg()[1]:5.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
