"""gguf.GGUFReader over warm RAM beside the one over the file."""

from __future__ import annotations

import gc
import os
import pathlib
from typing import Any, List

import gguf
import numpy as np
import pytest

import warmset
from conftest import DaemonProcess, mapped_entries, run_python
from warmset import _gguf, _serving, hook


@pytest.fixture
def file(folder: pathlib.Path) -> str:
    path = str(folder / "tiny.gguf")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "ü", "c"])
    writer.add_tensor("token_embd.weight", np.arange(64, dtype=np.float32).reshape(2, 32))
    quantised = gguf.quantize(np.ones((4, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor(
        "output.weight", quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    _serving._warned.clear()
    _serving._silent_until.clear()
    monkeypatch.setattr(gguf.gguf_reader, "np", _gguf.Numpy(np))


def describe(reader: gguf.GGUFReader) -> List[Any]:
    fields = [(name, [part.tobytes() for part in field.parts], field.types, field.offset)
              for name, field in reader.fields.items()]  # fmt: skip
    tensors = [
        (tensor.name, tensor.tensor_type, tensor.shape.tolist(), tensor.n_bytes,
         tensor.data_offset, type(tensor.data), tensor.data.dtype, tensor.data.shape,
         tensor.data.flags.writeable, tensor.data.tobytes())
        for tensor in reader.tensors
    ]  # fmt: skip
    return [type(reader.data), reader.data.nbytes, fields, tensors]


def test_the_same_comes_out(
    daemon: DaemonProcess, file: str, warm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMSET", "off")
    expected = describe(gguf.GGUFReader(file))
    monkeypatch.setenv("WARMSET", "require")
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    before = mapped_entries()
    for path in (file, pathlib.Path(file)):
        reader = gguf.GGUFReader(path)
        assert describe(reader) == expected
        assert mapped_entries() == before + 1
    data = reader.tensors[0].data
    del reader
    gc.collect()
    assert data.tobytes() == np.arange(64, dtype=np.float32).tobytes()
    with pytest.raises(ValueError, match="read-only"):
        data[0] = 1
    del data
    gc.collect()
    assert mapped_entries() == before
    assert gguf.GGUFReader(file, "r+").data.flags.writeable, "other modes map the file"


def test_a_file_that_gguf_refuses_is_refused_in_its_words(
    daemon: DaemonProcess, folder: pathlib.Path, warm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMSET_SOCKET", daemon.socket)
    (folder / "broken.gguf").write_bytes(b"GGUX" + bytes(60))
    with pytest.raises(ValueError, match="magic invalid"):
        gguf.GGUFReader(str(folder / "broken.gguf"))
    with pytest.raises(FileNotFoundError):
        gguf.GGUFReader(str(folder / "none.gguf"))


def test_without_a_daemon(folder: pathlib.Path, file: str, warm: None,
                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("WARMSET_SOCKET", str(folder / "nobody.sock"))
    with pytest.warns(_serving.WarmsetWarning, match="gguf itself serves .*tiny.gguf"):
        assert gguf.GGUFReader(file).tensors
    monkeypatch.setenv("WARMSET", "require")
    with pytest.raises(_gguf.NotServedError) as caught:
        gguf.GGUFReader(file)
    assert isinstance(caught.value, warmset.WarmsetError)


@pytest.mark.parametrize("first", ["", "import gguf\n"])
def test_auto(daemon: DaemonProcess, file: str, first: str) -> None:
    code = first + (
        "import warmset.auto, os, numpy, sys\n"
        "import gguf\n"
        "reader = gguf.GGUFReader(os.environ['FILE'])\n"
        "assert 'memfd:warmset-entry' in open('/proc/self/maps').read()\n"
        "assert gguf.gguf_reader.np is not numpy and gguf.quants.np is numpy\n"
        "print(len(reader.tensors))"
    )
    path = os.pathsep.join([hook.path(), str(pathlib.Path(hook.__file__).parents[1])])
    result = run_python(
        code, WARMSET_SOCKET=daemon.socket, WARMSET="require", FILE=file, PYTHONPATH=path
    )
    assert result.stdout == "2\n", result.stderr
