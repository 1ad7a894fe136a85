"""torch.load beside torch itself: what comes out is the same, and lies in warm RAM."""

from __future__ import annotations

import collections
import gc
import io
import os
import pathlib
import warnings
import zipfile
from typing import Any, Dict, Iterator, List, Tuple

import pytest
import torch

import warmset
from conftest import DaemonProcess, PACKAGE_PARENT, mapped_entries, run_python
from warmset import _serving, hook
from warmset._torch_load import NotServedError, wrap

PLAIN: Any = torch.load
LOAD = wrap(PLAIN)


def zoo() -> Dict[str, Any]:
    """Checkpoints by name, each with what is easy to lose."""
    big = torch.arange(4096, dtype=torch.float32).reshape(64, 64)
    tied = torch.randn(8, 8)
    parameter = torch.nn.Parameter(torch.randn(4))
    dtypes = [
        torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.int16,
        torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64,
        torch.bool, torch.complex64, torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2,
    ]  # fmt: skip
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
    optimiser = torch.optim.AdamW(net.parameters())
    net(torch.ones(2, 4)).sum().backward()
    optimiser.step()
    return {
        "state dict": net.state_dict(),
        "dtypes": {str(dtype): torch.arange(6).to(dtype) for dtype in dtypes},
        "views": {"whole": big, "row": big[3], "column": big[:, 5], "turned": big.t()},
        "a view alone": {"part": big[10:12]},
        "steps and expansion": [big[::2, ::3], torch.ones(1).expand(1000), big[5:5]],
        "tied": {"a": tied, "b": tied, "c": tied.view(-1)},
        "empty": {"none": torch.empty(0), "shape": torch.empty(3, 0, 2), "scalar": torch.tensor(2)},
        "parameters": {"p": parameter, "twice": parameter, "grad": torch.ones(2).requires_grad_()},
        # Without a plain tensor beside them the daemon has nothing to serve: torch loads.
        "conjugate": {"a": tied, "conj": torch.randn(4, dtype=torch.complex64).conj()},
        "negative": {"neg": torch.randn(4, dtype=torch.complex64).conj().imag, "a": tied},
        "only altered": {
            "conj": torch.randn(4, dtype=torch.complex64).conj(),
            "neg": torch.randn(4, dtype=torch.complex64).conj().imag,
        },
        "only quantised": [torch.quantize_per_tensor(torch.randn(8), 0.1, 3, torch.qint8)],
        "only turned": {"column": big[:, 5], "turned": tied.t()},
        "only a storage": {"storage": tied.untyped_storage()},
        "sparse": {"coo": torch.eye(4).to_sparse(), "csr": torch.eye(4).to_sparse_csr()},
        "quantised": {
            "a": tied,
            "q": torch.quantize_per_tensor(torch.randn(8), 0.1, 3, torch.qint8),
        },
        "keys": {("a", 1): torch.ones(2), None: torch.zeros(2), 3: torch.ones(1), "": tied},
        "values": {"step": 7, "rate": 1e-3, "name": "ü", "flag": True, "none": None, "b": b"x"},
        "nested": collections.OrderedDict(
            model=collections.OrderedDict(w=tied), optimizer=optimiser.state_dict(), epoch=3
        ),
        "a tensor": tied,
        "a list": [tied, [tied[0], (tied[1], {"x": torch.Size([2, 3]), "d": torch.float16})]],
        "a storage": {"storage": tied.untyped_storage(), "beside": torch.ones(2)},
        "counter": collections.Counter({"a": 2}),
    }


NAMES = list(zoo())


def describe(value: Any, storages: Dict[int, int]) -> Any:
    """Everything that can be seen of it, with which tensors share a storage."""
    if isinstance(value, torch.storage.TypedStorage):
        value = value._untyped_storage
    if isinstance(value, torch.UntypedStorage):
        return "storage", storages.setdefault(value.data_ptr(), len(storages)), bytes(value)
    if isinstance(value, torch.Tensor):
        facts: List[Any] = [type(value), value.dtype, value.shape, value.layout, value.device]
        facts += [value.requires_grad, value.is_leaf, value.is_conj(), value.is_neg()]
        facts += [sorted(vars(value))]
        if value.layout is torch.sparse_coo:
            return *facts, describe([value._indices(), value._values()], storages)
        if value.layout is torch.sparse_csr:
            parts = [value.crow_indices(), value.col_indices(), value.values()]
            return *facts, describe(parts, storages)
        if value.is_quantized:
            facts += [value.q_scale(), value.q_zero_point()]
        storage = value.untyped_storage()
        shared = storages.setdefault(storage.data_ptr(), len(storages)) if len(storage) else None
        facts += [value.stride(), value.storage_offset(), shared, storage.nbytes()]
        return *facts, bytes(storage)
    if isinstance(value, dict):
        attributes = getattr(value, "_metadata", None)
        items = [(key, describe(item, storages)) for key, item in value.items()]
        return type(value), items, repr(attributes)
    if isinstance(value, (list, tuple)):
        return type(value), [describe(item, storages) for item in value]
    return type(value), value


@pytest.fixture(autouse=True)
def no_warnings_yet() -> Iterator[None]:
    _serving._warned.clear()
    _serving._silent_until.clear()
    yield
    gc.collect()


@pytest.fixture
def required(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> DaemonProcess:
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    monkeypatch.setenv("WARMSET", "require")
    return daemon


def save(folder: pathlib.Path, value: Any, name: str = "model.pt", **options: Any) -> str:
    path = str(folder / name)
    torch.save(value, path, **options)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_the_same_comes_out(required: DaemonProcess, folder: pathlib.Path, name: str) -> None:
    path = save(folder, zoo()[name])
    expected = describe(PLAIN(path), {})
    for arguments, options in (
        ((path,), {}),
        ((pathlib.Path(path), "cpu"), {"weights_only": True}),
        ((path,), {"map_location": torch.device("cpu"), "mmap": True, "pickle_module": None}),
    ):
        assert describe(LOAD(*arguments, **options), {}) == expected
    with open(path, "rb") as file:
        assert describe(LOAD(file), {}) == expected


def test_it_lies_in_warm_ram_and_is_private(
    required: DaemonProcess, folder: pathlib.Path
) -> None:
    path = save(folder, {"w": torch.zeros(1 << 20)})
    before = mapped_entries()
    first, second = LOAD(path), LOAD(path)
    assert mapped_entries() == before + 2
    first["w"].fill_(1)
    assert not second["w"].any() and not LOAD(path)["w"].any() and not PLAIN(path)["w"].any()
    with warmset.connect() as session:
        assert session.status()
    del first, second
    gc.collect()
    assert mapped_entries() == before


def test_what_no_part_in_ram_holds_is_read(
    make_daemon: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = make_daemon(fault="gap")
    daemon.start()
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    monkeypatch.setenv("WARMSET", "require")
    path = save(folder, {str(i): torch.full((100,), float(i)) for i in range(20)})
    assert describe(LOAD(path), {}) == describe(PLAIN(path), {})


class Own:
    pass


def untouched(folder: pathlib.Path) -> Iterator[Tuple[str, Any, Dict[str, Any]]]:
    path = save(folder, {"w": torch.ones(3)})
    yield "weights_only", path, {"weights_only": False}
    yield "location", path, {"map_location": "meta"}
    yield "location", path, {"map_location": {"cuda:0": "cpu"}}
    yield "location", path, {"map_location": lambda storage, location: storage}
    yield "bytes", io.BytesIO(pathlib.Path(path).read_bytes()), {}
    yield "legacy", save(folder, {"w": torch.ones(3)}, "old.pt",
                         _use_new_zipfile_serialization=False), {}  # fmt: skip
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(
        folder / "packed.pt", "w", zipfile.ZIP_DEFLATED
    ) as packed:
        for entry in source.infolist():
            packed.writestr(entry.filename, source.read(entry))
    yield "packed", str(folder / "packed.pt"), {}
    class_path = save(folder, {"own": Own()}, "class.pt")
    yield "refused", class_path, {}
    yield "absent", str(folder / "none.pt"), {}
    (folder / "text.pt").write_text("PK no")
    yield "no checkpoint", str(folder / "text.pt"), {}
    module = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(module, str(folder / "script.pt"))
    yield "script", str(folder / "script.pt"), {}


def test_everything_else_is_torchs(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon is there: what is untouched does not notice."""
    monkeypatch.setenv("WARMSET_SOCKET", str(folder / "nobody.sock"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", _serving.WarmsetWarning)
        for name, f, options in untouched(folder):
            outcomes = []
            for load in (PLAIN, LOAD):
                try:
                    outcomes.append(describe(load(f, **options), {}))
                except Exception as error:
                    outcomes.append((type(error), str(error)))
                if isinstance(f, io.BytesIO):
                    f.seek(0)
            assert outcomes[0] == outcomes[1], name


def test_a_caller_s_file_is_left_where_it_was(
    required: DaemonProcess, folder: pathlib.Path
) -> None:
    with open(save(folder, {"w": torch.ones(3)}), "rb") as file:
        assert LOAD(file)["w"].tolist() == [1, 1, 1]
        assert file.tell() == 0 and os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
        assert PLAIN(file)["w"].tolist() == [1, 1, 1]


def test_without_a_daemon_torch_loads_and_says_so_once(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMSET_SOCKET", str(folder / "nobody.sock"))
    path = save(folder, {"w": torch.ones(3)})
    with pytest.warns(_serving.WarmsetWarning, match="torch itself serves .*model.pt") as seen:
        assert LOAD(path)["w"].tolist() == LOAD(path)["w"].tolist() == [1, 1, 1]
    assert len(seen) == 1
    monkeypatch.setenv("WARMSET", "require")
    with pytest.raises(NotServedError, match="WARMSET=require"):
        LOAD(path)
    monkeypatch.setenv("WARMSET", "off")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LOAD(path)["w"].tolist() == [1, 1, 1]


def test_a_read_error_is_raised(
    make_daemon: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = make_daemon(fault="unreadable")
    daemon.start()
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    path = save(folder, {"w": torch.ones(3)})
    with pytest.raises(OSError) as caught:
        LOAD(path)
    assert isinstance(caught.value, warmset.ModelReadError) and caught.value.filename == path


CHECK = """
import os, pickle, torch, torch.serialization
assert torch.load is torch.serialization.load and torch.load.by_warmset
assert pickle.loads(pickle.dumps(torch.load)) is torch.load
before = open("/proc/self/maps").read().count("memfd:warmset-entry")
state = torch.load(os.environ["FILE"])
assert open("/proc/self/maps").read().count("memfd:warmset-entry") == before + 1
assert state["w"].tolist() == [0, 1, 2]
print("served")
"""


@pytest.mark.parametrize("first", ["", "import torch\nfrom torch import load", "import warmset"])
@pytest.mark.parametrize("by", ["hook", "auto"])
def test_auto_and_hook(
    daemon: DaemonProcess, folder: pathlib.Path, first: str, by: str
) -> None:
    path = save(folder, {"w": torch.arange(3)})
    code = first + "\n" + ("" if by == "hook" else "import warmset.auto\n") + CHECK
    if "load" in first:
        code += "assert load is torch.load"
    result = run_python(
        code,
        WARMSET_SOCKET=daemon.socket,
        WARMSET="require",
        FILE=path,
        PYTHONPATH=hook.path() if by == "hook" else str(PACKAGE_PARENT),
    )
    assert result.stdout == "served\n", result.stderr


def test_the_hook_imports_no_torch() -> None:
    code = "import sys; print('torch' in sys.modules or 'numpy' in sys.modules)"
    assert run_python(code, PYTHONPATH=hook.path()).stdout == "False\n"
