"""The drop-in beside safetensors itself: same results, same refusals."""

from __future__ import annotations

import copy
import errno
import gc
import os
import pathlib
import pickle
import random
import threading
import warnings
from typing import Any, Callable, Iterator, List

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

import warmset
import warmset.safetensors as warm
from conftest import DaemonProcess, PACKAGE_PARENT, accepts, mapped_entries, run_python
from warmset import _serving, hook

PLAIN: Any = safetensors.safe_open


@pytest.fixture
def required(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> DaemonProcess:
    """Nothing may fall back unseen."""
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    monkeypatch.setenv("WARMSET", "require")
    return daemon


@pytest.fixture(autouse=True)
def no_warnings_yet() -> Iterator[None]:
    _serving._warned.clear()
    _serving._silent_until.clear()
    yield
    gc.collect()


def raw(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        flat = torch.empty(value.numel(), dtype=value.dtype)
        return bytes(flat.copy_(value.reshape(-1)).view(torch.uint8).numpy())
    return bytes(value.tobytes())


def assert_same(mine: Any, theirs: Any, label: object = "") -> None:
    assert type(mine) is type(theirs), label
    assert mine.dtype == theirs.dtype and tuple(mine.shape) == tuple(theirs.shape), label
    assert raw(mine) == raw(theirs), label


def outcome(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except Exception as error:
        return error


def small(daemon: DaemonProcess) -> str:
    return str(daemon.models / "small.safetensors")


def test_load_file(required: DaemonProcess) -> None:
    mine, theirs = warm.load_file(small(required)), safetensors.torch.load_file(small(required))
    assert set(mine) == set(theirs)
    for name, tensor in theirs.items():
        assert_same(mine[name], tensor, name)
    assert isinstance(warm.safe_open(small(required), "pt"), warm.safe_open), "not the plain one"


def test_load_file_twice_is_isolated(required: DaemonProcess) -> None:
    first, second = (warm.load_file(pathlib.Path(small(required))) for _ in range(2))
    first["float32"].zero_()
    assert second["float32"].any() and warm.load_file(small(required))["float32"].any()


def test_load_file_shares_pages_and_gives_them_back(required: DaemonProcess) -> None:
    before = mapped_entries()
    loaded = warm.load_file(str(required.models / "wide.safetensors"))
    assert mapped_entries() == before + 1
    del loaded
    assert mapped_entries() == before


@pytest.mark.parametrize("framework", ["pt", "np", "torch", "numpy"])
def test_names_and_metadata(required: DaemonProcess, framework: str) -> None:
    with warm.safe_open(small(required), framework) as mine, PLAIN(
        small(required), framework
    ) as theirs:
        for method in ("keys", "metadata"):
            assert getattr(mine, method)() == getattr(theirs, method)()
        assert set(mine.offset_keys()) == set(theirs.offset_keys())
        begins = [theirs.get_slice(name).get_shape() for name in theirs.offset_keys()]
        assert [mine.get_slice(name).get_shape() for name in theirs.offset_keys()] == begins
        for name in theirs.keys():
            assert mine.get_slice(name).get_dtype() == theirs.get_slice(name).get_dtype()


def test_offset_keys_in_the_files_order(required: DaemonProcess) -> None:
    with warm.safe_open(small(required), "pt") as mine, PLAIN(small(required), "pt") as theirs:
        assert mine.offset_keys() == theirs.offset_keys()


def test_a_file_without_metadata_and_outside_the_roots(
    required: DaemonProcess, folder: pathlib.Path
) -> None:
    path = folder / "elsewhere.safetensors"
    safetensors.torch.save_file({"x": torch.ones(3)}, path)
    with warm.safe_open(path, "pt") as mine, PLAIN(path, "pt") as theirs:
        assert mine.metadata() is None and theirs.metadata() is None
        assert_same(mine.get_tensor("x"), theirs.get_tensor("x"))


def test_numpy(required: DaemonProcess) -> None:
    with warm.safe_open(small(required), "np") as mine, PLAIN(small(required), "np") as theirs:
        for name in theirs.keys():
            expected = outcome(lambda: theirs.get_tensor(name))
            if not isinstance(expected, Exception):
                assert_same(mine.get_tensor(name), expected, name)
        one, other = mine.get_tensor("float32"), mine.get_tensor("float32")
        one[:] = 0
        assert other.any() and mine.get_tensor("float32").any() and one.flags.writeable
        whole = mine.get_tensors()
        assert whole["float32"].any()
        whole["float32"][:] = 0
        assert mine.get_tensors()["float32"].any() and mine.get_tensor("float32").any()
        assert str(whole["bfloat16"].dtype) == "bfloat16", "more than safetensors can"


def test_torch_tensors_of_one_file_share_memory_as_they_do_there(required: DaemonProcess) -> None:
    for opener in (warm.safe_open, PLAIN):
        with opener(small(required), "pt") as f:
            tensor = f.get_tensor("float32")
            f.get_tensor("float32").zero_()
            assert not tensor.any() and not f.get_slice("float32")[0].any()
            assert tensor.untyped_storage().nbytes() == tensor.nbytes
            assert not tensor.requires_grad and tensor.is_leaf and tensor.is_contiguous()


INDEXES = [
    (), 0, -1, 1, 2, -3, 9, True, None, ..., 1.5, "x", [], [0], [0, 1], ([0],), (None, 0),
    (..., 0), (0, ...), (0, ..., 1), (..., ...), (0, 1, 2), (0, 1, 2, 3), (0, 1, 2, 3, 4),
    slice(None), slice(1), slice(1, 2), slice(None, None, 2), slice(None, None, -1),
    slice(None, None, 0), (slice(None),) * 3, (slice(None),) * 4, (..., *(slice(None),) * 3),
    (slice(None), 1), (slice(None), slice(None), slice(0, 0)), np.int64(1), 1 << 31, -(1 << 40),
]  # fmt: skip


def random_index(random_: random.Random, rank: int) -> Any:
    items: List[Any] = []
    for _ in range(random_.randrange(rank + 2)):
        items.append(
            random_.choice(
                [
                    random_.randrange(-5, 6),
                    slice(random_.choice([None, 0, 1]), random_.choice([None, 1, 2, 3])),
                    slice(None, None, random_.choice([1, 2, 3])),
                    slice(*sorted((random_.randrange(5), random_.randrange(5)))),
                    slice(None),
                    ...,
                ]
            )
        )
    return items[0] if len(items) == 1 and random_.random() < 0.5 else tuple(items)


@pytest.mark.parametrize("framework", ["pt", "np"])
def test_slices_fuzzed(required: DaemonProcess, folder: pathlib.Path, framework: str) -> None:
    random_ = random.Random(11)
    path = str(folder / "slices.safetensors")
    shapes = {"s": (), "v": (4,), "m": (3, 4), "t": (2, 3, 4), "e": (2, 0, 3), "f": (1, 2, 1, 3)}
    safetensors.torch.save_file(
        {name: torch.randn(shape) for name, shape in shapes.items()}, path
    )
    served = refused = 0
    with warm.safe_open(path, framework) as mine, PLAIN(path, framework) as theirs:
        for name, shape in shapes.items():
            indexes = INDEXES + [random_index(random_, len(shape)) for _ in range(400)]
            for index in indexes:
                label = (name, index)
                expected = outcome(lambda: theirs.get_slice(name)[index])
                got = outcome(lambda: mine.get_slice(name)[index])
                if not isinstance(expected, Exception):
                    assert_same(got, expected, label)
                    served += 1
                elif framework == "pt":
                    assert type(got) is type(expected) and str(got) == str(expected), label
                    refused += 1
                elif np_would_answer(index, shape, expected):
                    # safetensors fails for want of support; we answer as numpy does.
                    assert_same(got, np.array(theirs.get_tensor(name)[index]), label)
                else:
                    assert isinstance(got, safetensors.SafetensorError), (label, got, expected)
                    # Which of several bad items is named may differ: after ": index".
                    assert str(got).split(": index")[0] == str(expected).split(": index")[0], label
                    refused += 1
    assert served > 300 and refused > 100


def np_would_answer(index: Any, shape: Any, error: Exception) -> bool:
    """Whether bounds are negative or reversed, or the tensor is empty."""
    if not isinstance(error, safetensors.SafetensorError):
        return True  # OverflowError and SystemError
    if "out of bounds" not in str(error) or index is True:  # numpy takes True for a mask
        return False
    if any(past_the_end(item, size) for item, size in zip(items_of(index, shape), shape)):
        return False
    return not isinstance(outcome(lambda: np.empty(shape)[index]), Exception)


def items_of(index: Any, shape: Any) -> List[Any]:
    given = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in given:
        at = given.index(Ellipsis)
        given[at : at + 1] = [slice(None)] * (len(shape) - len(given) + 1)
    return given


def past_the_end(item: Any, size: int) -> bool:
    if not isinstance(item, slice):
        return False
    start = item.start or 0
    stop = max(start, size) if item.stop is None else item.stop
    return 0 <= start <= stop and (stop > size or start >= size > 0 or start > size)


def test_a_slice_past_the_end_is_refused_as_safetensors_does(required: DaemonProcess) -> None:
    with warm.safe_open(small(required), "np") as mine, PLAIN(small(required), "np") as theirs:
        for index in (
            slice(0, 100), slice(3, 3), slice(3, 5), slice(4, 4), slice(9, None), slice(None, 4),
            slice(0, 10, 2), (slice(None), slice(0, 9)), (0, slice(2, 5)), (slice(1, 9), 5),
        ):  # fmt: skip
            got, expected = (
                outcome(lambda: f.get_slice("int32")[index]) for f in (mine, theirs)
            )
            assert isinstance(expected, safetensors.SafetensorError), index
            assert type(got) is type(expected) and str(got) == str(expected), index


def test_refusals_in_the_same_words(required: DaemonProcess) -> None:
    for framework in ("pt", "np"):
        with warm.safe_open(small(required), framework) as mine, PLAIN(
            small(required), framework
        ) as theirs:
            piece = mine.get_slice("float32")
            for action in (
                lambda f: f.get_tensor("nope"),
                lambda f: f.get_slice("nope"),
                lambda f: f.get_tensor(1),
                pickle.dumps,
                copy.deepcopy,
                lambda f: copy.copy(f.get_slice("int8")),
            ):
                got, expected = outcome(lambda: action(mine)), outcome(lambda: action(theirs))
                assert type(got) is type(expected) and str(got) == str(expected)
        for method, arguments in (
            ("keys", ()), ("offset_keys", ()), ("metadata", ()), ("get_tensors", ()),
            ("get_tensor", ("int8",)), ("get_slice", ("int8",)),
        ):  # fmt: skip
            got = outcome(lambda: getattr(mine, method)(*arguments))
            expected = outcome(lambda: getattr(theirs, method)(*arguments))
            assert type(got) is type(expected) and str(got) == str(expected)
        assert piece[0].shape == (3, 4), "slices live on after their file is closed"


def test_arguments_are_refused_in_the_same_words(required: DaemonProcess) -> None:
    path = small(required)
    for arguments, options in (
        ((path, "xx"), {}),
        ((path, "pt", "bogus"), {}),
        ((path, "pt", -1), {}),
        ((path, "pt", "meta"), {}),
        ((path, "np", "cuda"), {}),
        ((path, "pt"), {"backend": "zz"}),
        ((path, "pt"), {"unknown": 1}),
        ((path.encode(), "pt"), {}),
        ((3, "pt"), {}),
        ((path + ".nope", "pt"), {}),
        ((os.path.dirname(path), "pt"), {}),
    ):
        got, expected = (
            outcome(lambda: opener(*arguments, **options)) for opener in (warm.safe_open, PLAIN)
        )
        assert isinstance(expected, Exception), arguments
        assert type(got) is type(expected) and str(got) == str(expected), arguments
    for arguments, options in (((path, "pt", None), {}), ((path, "pt"), {"backend": "pread"})):
        assert isinstance(warm.safe_open(*arguments, **options), warm.safe_open)


def test_components_of_one_file_keep_its_order(
    make_daemon: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = make_daemon(fault="components")
    daemon.start()
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    monkeypatch.setenv("WARMSET", "require")
    path = str(folder / "x.safetensors")
    safetensors.torch.save_file({"b": torch.ones(2), "a": torch.ones(2, dtype=torch.int8)}, path)
    with warm.safe_open(path, "pt") as mine, PLAIN(path, "pt") as theirs:
        assert mine.offset_keys() == theirs.offset_keys()
        assert list(mine.get_tensors()) == theirs.offset_keys()


def test_threads(required: DaemonProcess) -> None:
    failures: List[BaseException] = []
    with warm.safe_open(small(required), "pt") as shared:
        expected = PLAIN(small(required), "pt").get_tensors()

        def work() -> None:
            try:
                for _ in range(5):
                    for name in shared.keys():
                        assert_same(shared.get_tensor(name), expected[name])
                    warm.load_file(small(required))["float32"].zero_()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


# Falling back.


def write(folder: pathlib.Path) -> str:
    path = folder / "plain.safetensors"
    safetensors.torch.save_file({"x": torch.arange(4)}, path, metadata={"a": "b"})
    return str(path)


def test_no_daemon_falls_back_with_one_warning(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMSET_SOCKET", str(folder / "nobody.sock"))
    with pytest.warns(warm.WarmsetWarning, match=r"no daemon at .*\[daemon_unavailable\]") as seen:
        for _ in range(3):
            assert warm.load_file(write(folder))["x"].tolist() == [0, 1, 2, 3]
        assert warm.load_file_numpy(write(folder))["x"].tolist() == [0, 1, 2, 3]
        with warm.safe_open(write(folder), "pt") as f:
            assert isinstance(f, PLAIN)
    assert len(seen) == 1


def test_modes(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMSET_SOCKET", str(folder / "nobody.sock"))
    monkeypatch.setenv("WARMSET", "off")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert warm.load_file(write(folder))["x"].tolist() == [0, 1, 2, 3]
    monkeypatch.setenv("WARMSET", "require")
    with pytest.raises(safetensors.SafetensorError, match="WARMSET=require") as caught:
        warm.load_file(write(folder))
    assert isinstance(caught.value, warmset.WarmsetError)
    assert caught.value.code == "daemon_unavailable"
    with pytest.raises(FileNotFoundError):
        warm.load_file(folder / "nope")


@pytest.mark.parametrize(
    "fault, code",
    [
        ("unknown_dtype", "unsupported_format"),
        ("limit", "ram_limit_exceeded"),
        ("die", "daemon_unavailable"),
        ("unsealed", "corrupted_model"),
        ("half_frame", "daemon_unavailable"),
        ("wrong_id", "internal"),
    ],
)
def test_whatever_fails_falls_back(
    make_daemon: Any,
    folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    code: str,
) -> None:
    daemon = make_daemon(fault=fault)
    daemon._answers = lambda models: accepts(daemon.socket)
    daemon.start()
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    path = str(folder / "x.safetensors")
    safetensors.torch.save_file({"x": torch.arange(4, dtype=torch.float32)}, path)
    with pytest.warns(warm.WarmsetWarning, match=rf"\[{code}\]"):
        assert warm.load_file(path)["x"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("mode", ["auto", "require"])
def test_a_read_error_is_raised_and_the_file_is_not_mapped(
    make_daemon: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A page of a mapping that can't be read ends the process by SIGBUS."""
    daemon = make_daemon(fault="unreadable")
    daemon.start()
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    monkeypatch.setenv("WARMSET", mode)
    monkeypatch.setattr(warm, "plain_safe_open", None)
    path = write(folder)
    for load in (warm.load_file, warm.load_file_numpy):
        with pytest.raises(OSError, match="at offset 4096") as caught:
            load(path)
        assert isinstance(caught.value, warmset.ModelReadError)
        assert caught.value.errno == errno.EIO
        assert caught.value.filename == path and caught.value.offset == 4096


def test_a_dtype_that_torch_lacks_falls_back(
    make_daemon: Any, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = make_daemon()
    daemon.start()
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    header = b'{"x":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}'
    path = folder / "six.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"abc")
    with pytest.warns(warm.WarmsetWarning, match=r"\[unsupported_format\]"):
        f = warm.safe_open(str(path), "pt")
    assert isinstance(f, PLAIN) and f.get_slice("x").get_shape() == [4]


# In place of safetensors' own.

CHECK = """
import safetensors, warmset.safetensors as warm
assert safetensors.safe_open is warm.safe_open
import safetensors.torch, safetensors.numpy
assert safetensors.torch.load_file is warm.load_file
assert safetensors.torch.safe_open is safetensors.numpy.safe_open is warm.safe_open
assert safetensors.numpy.load_file is warm.load_file_numpy
import os, torch
path = os.environ["FILE"]
assert safetensors.torch.load_file(path)["w"][0, 1] == 1
module = torch.nn.Module()
module.w = torch.nn.Parameter(torch.zeros(1 << 10, 1 << 11))
safetensors.torch.load_model(module, path)
assert module.w[0, 1] == 1
print("served")
"""


def served(code: str, daemon: DaemonProcess, **environment: str) -> None:
    result = run_python(
        code,
        WARMSET_SOCKET=daemon.socket,
        FILE=str(daemon.models / "wide.safetensors"),
        **{"WARMSET": "require", **environment},
    )
    assert result.stdout == "served\n", result.stderr


def test_auto_before_other_imports(daemon: DaemonProcess) -> None:
    served("import warmset.auto\n" + CHECK, daemon)


def test_auto_after_other_imports(daemon: DaemonProcess) -> None:
    served(
        "from safetensors.torch import load_file\nimport safetensors.numpy, warmset.auto\n"
        + CHECK
        + "assert load_file is safetensors.torch.load_file",
        daemon,
    )


def test_auto_imports_nothing_heavy_and_can_be_off() -> None:
    code = "import sys, warmset.auto; print({'torch', 'numpy', 'ctypes'} & set(sys.modules))"
    assert run_python(code).stdout == "set()\n"
    code = "import warmset.auto, safetensors; print(safetensors.safe_open.__module__)"
    assert run_python(code, WARMSET="off").stdout == "builtins\n"
    assert run_python(code, WARMSET="auto").stdout == "warmset.safetensors\n"


def test_hook(daemon: DaemonProcess, folder: pathlib.Path) -> None:
    """What `warmset run` does, with nothing else on the path."""
    (folder / "sitecustomize.py").write_text("import builtins; builtins.chained = True")
    path = os.pathsep.join([hook.path(), str(folder)])
    served(CHECK + "assert chained", daemon, PYTHONPATH=path)
    served(
        "import sys\nassert not any('torch' in name for name in sys.modules)\n" + CHECK,
        daemon,
        PYTHONPATH=hook.path(),
    )
    code = "import sys; print('warmset' in sys.modules, chained)"
    assert run_python(code, PYTHONPATH=path, WARMSET="off").stdout == "False True\n"
    assert run_python("import warmset.hook", PYTHONPATH=str(PACKAGE_PARENT)).returncode == 0


@pytest.mark.parametrize(
    "first",
    [
        "import warmset.safetensors",
        "from warmset.safetensors import load_file",
        "import safetensors.torch, warmset.safetensors",
        "import pickle; pickle.loads(b'cwarmset.safetensors\\nsafe_open\\n.')",
    ],
)
def test_hook_when_warmset_safetensors_is_imported_first(daemon: DaemonProcess, first: str) -> None:
    """As in a worker that unpickles what its parent took from safetensors."""
    served(first + "\n" + CHECK, daemon, PYTHONPATH=hook.path(), PYTHONWARNINGS="error")


def test_hook_in_spawned_workers(daemon: DaemonProcess, folder: pathlib.Path) -> None:
    (folder / "program.py").write_text(
        "import os, sys\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from safetensors import safe_open\n"
        "from safetensors.torch import load_file\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(1, get_context('spawn')) as pool:\n"
        "        kind = type(pool.submit(safe_open, os.environ['FILE'], 'np').exception())\n"
        "        assert kind is TypeError, kind  # a handle can't be sent back\n"
        "        assert pool.submit(load_file, os.environ['FILE']).result()['w'][0, 1] == 1\n"
        "    print('served')\n"
    )
    served(
        "import runpy, sys; sys.argv[0] = sys.path[0] + '/program.py'\n"
        "import os; os.execv(sys.executable, [sys.executable, os.environ['PROGRAM']])",
        daemon,
        PYTHONPATH=hook.path(),
        PYTHONWARNINGS="error::UserWarning",
        PROGRAM=str(folder / "program.py"),
    )


def test_hook_with_a_package_that_does_not_import(folder: pathlib.Path) -> None:
    (folder / "warmset.py").write_text("raise RuntimeError('broken')")
    path = os.pathsep.join([hook.path(), str(folder)])
    result = run_python("print('runs')", PYTHONPATH=path)
    assert result.stdout == "runs\n" and "warmset: safetensors stays as it is" in result.stderr
    assert run_python("print('runs')", PYTHONPATH=path, WARMSET="require").returncode != 0


def test_a_daemon_that_is_stopped(daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors serves, with one warning, and the daemon is not waited for again."""
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    monkeypatch.setattr(_serving, "_local", threading.local())
    file = daemon.models / "wide.safetensors"
    warm.load_file(file)
    with daemon.stopped():
        monkeypatch.setattr(_serving.channel(), "_silence", 0.05)
        with pytest.warns(warm.WarmsetWarning, match=r"\[timeout\]") as warned:
            first = warm.load_file(file)
            monkeypatch.setattr(_serving, "Channel", None)  # nobody is asked
            assert_same(warm.load_file(file)["w"], first["w"])
        assert len(warned) == 1
    with PLAIN(file, "pt") as plain:
        assert_same(first["w"], plain.get_tensor("w"))
