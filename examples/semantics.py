"""Do tensors from Warmset behave as those from safetensors, and from torch.load, do?

Does the same things to both and prints a table; exits with 1 if any differs.
Uses the daemon at $WARMSET_SOCKET or the default place; with $WARMSET_BIN_DIR it
starts one of its own from the programs there.

    python examples/semantics.py
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from typing import Callable, Dict, Iterator, List, Tuple

import safetensors
import safetensors.torch
import torch

import warmset
import warmset.safetensors
from warmset._torch_load import wrap

Tensors = Dict[str, torch.Tensor]
Load = Callable[[], Tensors]
LoadFile = Callable[[str], Tensors]


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(64, 128)
        self.second = torch.nn.Linear(128, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(torch.relu(self.first(x)))
        return out


def add_in_place(load: Load) -> torch.Tensor:
    return load()["first.weight"].add_(1)


def add_is_not_seen_by_the_next_load(load: Load) -> torch.Tensor:
    load()["first.weight"].add_(1)
    return load()["first.weight"]


def requires_grad(load: Load) -> torch.Tensor:
    weight = load()["first.weight"].requires_grad_()
    (weight * weight).sum().backward()
    assert weight.grad is not None and weight.is_leaf
    return weight.grad


def optimiser_step(load: Load) -> torch.Tensor:
    net = Net()
    net.load_state_dict(load(), assign=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.1)
    net(torch.ones(2, 64)).square().sum().backward()
    optimiser.step()
    return net.first.weight.detach()


def load_state_dict(load: Load) -> torch.Tensor:
    net = Net()
    net.load_state_dict(load())
    return net(torch.ones(2, 64)).detach()


def load_state_dict_assign(load: Load) -> torch.Tensor:
    state = load()
    net = Net()
    net.load_state_dict(state, assign=True)
    assert net.first.weight.data_ptr() == state["first.weight"].data_ptr(), "copied"
    return net(torch.ones(2, 64)).detach()


def meta_device(load: Load) -> torch.Tensor:
    with torch.device("meta"):
        net = Net()
    net.load_state_dict(load(), assign=True)
    assert load()["first.weight"].to("meta").is_meta
    return net(torch.ones(2, 64)).detach()


def cast(load: Load) -> torch.Tensor:
    net = Net()
    net.load_state_dict(load(), assign=True)
    return net.to(torch.bfloat16)(torch.ones(2, 64, dtype=torch.bfloat16)).detach()


def view_as_other_dtype(load: Load) -> torch.Tensor:
    return load()["half"].view(torch.int16).bitwise_and_(0x7FFF)


def low_precision(load: Load) -> torch.Tensor:
    tensors = load()
    return tensors["float8"].to(torch.float32) + tensors["half"].to(torch.float32)


def pickle_round_trip(load: Load) -> torch.Tensor:
    made: torch.Tensor = pickle.loads(pickle.dumps(load()["first.weight"]))
    return made.add_(1)


def save_and_load(load: Load) -> torch.Tensor:
    file = io.BytesIO()
    torch.save(load(), file)
    file.seek(0)
    made: Tensors = torch.load(file)
    return made["second.bias"]


def saved_size(load: Load) -> torch.Tensor:
    file = io.BytesIO()
    torch.save(load()["second.bias"], file)
    return torch.tensor(file.tell() < 4096)


def save_as_safetensors(load: Load) -> torch.Tensor:
    return safetensors.torch.load(safetensors.torch.save(load()))["first.weight"]


def deep_copy(load: Load) -> torch.Tensor:
    net = Net()
    net.load_state_dict(load(), assign=True)
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.first.weight.zero_()
    return net.first.weight.detach()


def share_memory(load: Load) -> torch.Tensor:
    tensor = load()["first.weight"].share_memory_()
    assert tensor.is_shared()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=tensor.add_, args=(1,))
    child.start()
    child.join()
    return tensor


def private_in_a_forked_child(load: Load) -> torch.Tensor:
    tensor = load()["first.weight"]
    child = multiprocessing.get_context("fork").Process(target=tensor.add_, args=(1,))
    child.start()
    child.join()
    assert child.exitcode == 0
    return tensor


def numpy_bridge(load: Load) -> torch.Tensor:
    tensor = load()["first.weight"]
    tensor.numpy()[:] = 3
    return tensor


def resize(load: Load) -> torch.Tensor:
    return load()["second.bias"].resize_(1000)[:8]


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.rows[index] * 2


def data_loader(load: Load, method: str) -> torch.Tensor:
    loader = torch.utils.data.DataLoader(
        Rows(load()["first.weight"]),
        batch_size=16,
        num_workers=2,
        multiprocessing_context=method,
    )
    return torch.cat(list(loader))


def data_loader_fork(load: Load) -> torch.Tensor:
    return data_loader(load, "fork")


def data_loader_spawn(load: Load) -> torch.Tensor:
    return data_loader(load, "spawn")


CHECKS: List[Callable[[Load], torch.Tensor]] = [
    add_in_place,
    add_is_not_seen_by_the_next_load,
    requires_grad,
    optimiser_step,
    load_state_dict,
    load_state_dict_assign,
    meta_device,
    cast,
    view_as_other_dtype,
    low_precision,
    pickle_round_trip,
    save_and_load,
    saved_size,
    save_as_safetensors,
    deep_copy,
    share_memory,
    private_in_a_forked_child,
    numpy_bridge,
    resize,
    data_loader_fork,
    data_loader_spawn,
]


def outcome(check: Callable[[Load], torch.Tensor], load: Load) -> Tuple[str, bytes]:
    """What to print, and the bytes of what came out."""
    try:
        result = check(load)
    except Exception as error:
        return f"fail: {type(error).__name__}", str(error).encode()
    file = io.BytesIO()
    torch.save(result.detach().clone(), file)
    return "pass", file.getvalue()


@contextlib.contextmanager
def daemon(folder: str) -> Iterator[None]:
    programs = os.environ.get("WARMSET_BIN_DIR")
    if not programs:
        yield
        return
    os.environ["WARMSET_SOCKET"] = os.path.join(folder, "warmset.sock")
    command = [os.path.join(programs, "warmset"), "serve", "--root", folder, "--home"]
    command += [os.path.join(folder, "home"), "--socket", os.environ["WARMSET_SOCKET"]]
    process = subprocess.Popen(command)
    try:
        while True:
            try:
                warmset.connect().close()
                break
            except warmset.DaemonUnavailableError:
                if process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def compare(name: str, plain: LoadFile, warm: LoadFile, path: str, extra: str) -> int:
    """Prints a table. Returns how many differ."""
    differ = 0
    print(f"{'':34}{name:24}{'warmset':24}")
    for check in CHECKS:
        chosen = extra if check in (view_as_other_dtype, low_precision) else path
        expected = outcome(check, lambda: plain(chosen))
        got = outcome(check, lambda: warm(chosen))
        differ += expected != got
        mark = "" if expected == got else "DIFFERS"
        label = check.__name__.replace("_", " ")
        print(f"{label:34}{expected[0]:24}{got[0]:24}{mark}", flush=True)
    print(f"{len(CHECKS)} checks, {differ} differ\n")
    return differ


def main() -> int:
    warnings.simplefilter("ignore")
    os.environ["WARMSET"] = "require"  # nothing may be served by the library unseen
    differ = 0
    with tempfile.TemporaryDirectory(prefix="warmset-") as folder, daemon(folder):
        torch.manual_seed(0)
        path = os.path.join(folder, "net.safetensors")
        half = torch.randn(1000, dtype=torch.bfloat16)
        extra = {"half": half, "float8": half.to(torch.float8_e4m3fn)}
        safetensors.torch.save_file(Net().state_dict(), path)
        extra_path = os.path.join(folder, "extra.safetensors")
        safetensors.torch.save_file(extra, extra_path)

        plain, warm = safetensors.torch.load_file, warmset.safetensors.load_file
        differ += compare("safetensors", plain, warm, path, extra_path)

        pickle_path, extra_pickle = (each + ".pt" for each in (path, extra_path))
        torch.save(Net().state_dict(), pickle_path)
        torch.save(extra, extra_pickle)
        # Its storages can't grow either.
        mapped = functools.partial(torch.load, mmap=True)
        differ += compare("torch.load(mmap=True)", mapped, wrap(torch.load), pickle_path,
                          extra_pickle)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
