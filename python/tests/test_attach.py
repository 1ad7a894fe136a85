"""Attaching: the right bytes, private writes, shared pages."""

from __future__ import annotations

import copy
import io
import pathlib
import pickle
import re
import subprocess
import sys
from typing import Any, Dict

import numpy as np
import pytest
import torch

import warmset
from conftest import DaemonProcess, run_python


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and left.contiguous().flatten().view(torch.uint8).equal(
            right.contiguous().flatten().view(torch.uint8)
        )
    )


def test_every_dtype(session: warmset.Session, tensors: Dict[str, torch.Tensor]) -> None:
    with session.attach("small") as model:
        assert set(model) == set(tensors) and len(model) == len(tensors)
        assert "nope" not in model and "scalar" in model
        assert model.metadata == {"format": "pt", "k": "v"}
        for name, tensor in model.items():
            expected = tensors[name]
            assert same(tensor.torch(), expected), name
            assert tensor.shape == tuple(expected.shape)
            assert tensor.nbytes == expected.nbytes == tensor.memoryview().nbytes
            array = tensor.numpy()
            assert array.tobytes() == tensor.memoryview().tobytes()
            assert array.shape == tensor.shape and array.dtype.itemsize == expected.itemsize

            assert same(torch.from_dlpack(tensor), expected), name
        assert model["bfloat16"].dtype == "BF16"
        assert str(model["bfloat16"].numpy().dtype) == "bfloat16"


def test_unknown_names(session: warmset.Session) -> None:
    with pytest.raises(warmset.ModelNotFoundError) as caught:
        session.attach("nope")
    assert caught.value.code == "model_not_found" and isinstance(caught.value, LookupError)
    with pytest.raises(warmset.ComponentNotFoundError):
        session.attach("small", component="nope")
    model = session.attach("small")
    with pytest.raises(KeyError, match="has no tensor 'nope'") as missing:
        model["nope"]
    assert isinstance(missing.value, warmset.TensorNotFoundError)
    model.close()
    with pytest.raises(warmset.InvalidRequestError, match="closed"):
        model["scalar"]


def test_models_states_and_cache(session: warmset.Session) -> None:
    assert len(session.models()) == 2
    [found] = session.models("small")
    assert session.state(found.name) == found and found.bytes > 0
    seen = []
    result = session.cache("small", progress=seen.append)
    assert result.loaded_bytes + result.already_bytes > 0
    assert result.state.cache_state == "cached"
    assert all(isinstance(progress.done, int) for progress in seen)
    assert session.status().pid > 0
    with pytest.raises(warmset.ModelNotFoundError):
        session.state("nope")


def test_a_path_is_a_file_with_the_bytes(session: warmset.Session, daemon: DaemonProcess) -> None:
    path = pathlib.Path(session.path("wide"))
    if path.is_dir():
        [path] = path.iterdir()
    assert path.read_bytes() == (daemon.models / "wide.safetensors").read_bytes()


def test_writes_are_private(session: warmset.Session) -> None:
    first, second = session.attach("wide"), session.attach("wide")
    tensor = first["w"].torch()
    tensor.add_(1)
    first["w"].numpy()[0, 1] = -5
    assert tensor[0, 1] == -5, "exports of one attached model share bytes"
    assert second["w"].torch()[0, :3].tolist() == [0, 1, 2]
    assert session.attach("wide")["w"].numpy()[0, 0] == 0


def test_writes_are_seen_by_no_other_process(
    session: warmset.Session, daemon: DaemonProcess
) -> None:
    model = session.attach("wide")
    model["w"].numpy()[:] = 7
    other = run_python(
        "import warmset\n"
        f"w = warmset.connect({daemon.socket!r}).attach('wide')['w'].numpy()\n"
        "print(int(w[0, 0]), int(w[-1, -1])); w[:] = 9"
    )
    assert other.stdout.split() == ["0", "2097151"], other.stderr
    assert model["w"].numpy().min() == model["w"].numpy().max() == 7


def pss_of_entries(smaps: str) -> Dict[str, int]:
    """Sums in KiB over the mappings of model memory."""
    sums = {"Rss": 0, "Pss": 0, "Private_Dirty": 0}
    ours = False
    for line in smaps.splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ours = "memfd:warmset-entry" in line
        elif ours and (field := line.split(":")[0]) in sums:
            sums[field] += int(line.split()[1])
    return sums


def test_two_processes_share_pages(session: warmset.Session, daemon: DaemonProcess) -> None:
    model = session.attach("wide")
    total = model["w"].numpy().sum()
    assert total > 0
    code = (
        "import sys, warmset\n"
        f"w = warmset.connect({daemon.socket!r}).attach('wide')['w'].numpy()\n"
        "assert w.sum() > 0; print('touched', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(pathlib.Path(warmset.__file__).parent.parent)},
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"touched\n"
        mine = pss_of_entries(pathlib.Path("/proc/self/smaps").read_text())
        theirs = pss_of_entries(pathlib.Path(f"/proc/{other.pid}/smaps").read_text())
        assert other.stdin is not None
        other.stdin.close()
    for found in (mine, theirs):
        assert found["Rss"] >= 8 << 10, found
        assert found["Pss"] <= 0.6 * found["Rss"], found
        assert found["Private_Dirty"] == 0, found


def test_mappings_are_aligned_to_huge_pages(session: warmset.Session) -> None:
    model = session.attach("wide")
    [component] = model.components.values()
    assert np.frombuffer(component._buffer, np.uint8).ctypes.data % (2 << 20) == 0


def test_read_only(session: warmset.Session) -> None:
    tensor = session.attach("wide", writable=False)["w"]
    array = tensor.numpy()
    assert not array.flags.writeable and array[0, 1] == 1
    with pytest.raises(ValueError):
        array.setflags(write=True)
    assert tensor.memoryview().readonly
    with pytest.raises(warmset.ReadOnlyError, match="writable=True"):
        tensor.torch()
    with pytest.raises(BufferError):
        tensor.__dlpack__()
    assert not np.from_dlpack(tensor).flags.writeable
    assert np.asarray(tensor).sum() == array.sum()


def test_array_and_dlpack_protocols(session: warmset.Session) -> None:
    model = session.attach("small")
    tensor = model["float32"]
    assert np.shares_memory(np.asarray(tensor), tensor.numpy())
    assert np.asarray(tensor, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(tensor, copy=True), tensor.numpy())
    assert tensor.__dlpack_device__() == (1, 0)
    for arguments in ({}, {"max_version": (1, 0)}, {"max_version": (0, 8)}):
        kind = "versioned" if arguments.get("max_version") == (1, 0) else '"dltensor"'
        assert kind in repr(tensor.__dlpack__(**arguments))
    with pytest.raises(BufferError):
        tensor.__dlpack__(dl_device=(2, 0))
    copied = torch.from_dlpack(tensor.__dlpack__(copy=True))
    copied.zero_()
    assert tensor.numpy().any()
    shared = torch.from_dlpack(tensor)
    shared.zero_()
    assert not tensor.numpy().any()
    assert shared.data_ptr() == tensor.torch().data_ptr()
    with pytest.raises(warmset.UnsupportedFormatError):
        # numpy and torch agree with neither's packing of six bits.
        from warmset import _dlpack, _dtypes

        _dlpack.make_capsule(memoryview(b"abc"), _dtypes.DTYPES[20], (4,), None, False)


def test_dlpack_without_numpy(daemon: DaemonProcess) -> None:
    result = run_python(
        "import sys\nsys.modules['numpy'] = None\n"
        "import torch, warmset\n"
        f"model = warmset.connect({daemon.socket!r}).attach('small')\n"
        "for name, tensor in model.items():\n"
        "    for capsule in (tensor, tensor.__dlpack__(), tensor.__dlpack__(copy=True)):\n"
        "        made, expected = torch.from_dlpack(capsule), tensor.torch()\n"
        "        assert made.dtype == expected.dtype and made.shape == expected.shape, name\n"
        "        assert made.tolist() == expected.tolist(), name\n"
        "print('same')"
    )
    assert result.stdout == "same\n", result.stderr


def test_tensors_copy_and_pickle_like_torchs_own(session: warmset.Session) -> None:
    model = session.attach("small")
    tensor = model["float32"].torch()
    expected = tensor.clone()
    for made in (
        pickle.loads(pickle.dumps(tensor)),
        copy.deepcopy(tensor),
        saved_and_loaded(tensor),
        model["float32"].torch().share_memory_(),
    ):
        made.add_(1)
        assert made.equal(expected + 1)
    assert tensor.equal(expected)
    with pytest.raises(TypeError, match="view"):
        pickle.dumps(model["float32"])
    with pytest.raises(TypeError, match="view"):
        copy.deepcopy(model["float32"])


def saved_and_loaded(tensor: torch.Tensor) -> torch.Tensor:
    file = io.BytesIO()
    torch.save(tensor, file)
    file.seek(0)
    loaded: torch.Tensor = torch.load(file)
    return loaded


def test_several_chunks_are_one_range(make_daemon: Any, tensors: Dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    daemon = make_daemon(fault="chunks")
    save_file({"x": torch.arange(10_000)}, daemon.models / "x.safetensors")
    daemon.start()
    with warmset.connect(daemon.socket) as session:
        assert session.attach("x")["x"].torch().equal(torch.arange(10_000))


def test_names_in_several_components(make_daemon: Any) -> None:
    from safetensors.torch import save_file

    daemon = make_daemon(fault="components")
    save_file({"x": torch.ones(2)}, daemon.models / "x.safetensors")
    daemon.start()
    with warmset.connect(daemon.socket) as session:
        model = session.attach("x")
        assert list(model) == ["unet/x", "vae/x"] and list(model.components) == ["unet", "vae"]
        assert model["vae/x"].torch().sum() == model.components["unet"]["x"].torch().sum() == 2
        with pytest.raises(KeyError):
            model["x"]
        assert list(session.attach("x", component="vae")) == ["x"]
