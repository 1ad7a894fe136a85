"""The cases of the safetensors library's own tests, and what it makes of ours.

Cases: huggingface/safetensors, safetensors/src/tensor.rs and attacks/. Where the
format's documentation forbids what the library accepts, we refuse (DIFFERENCES).
"""

import json
import random
import struct

import pytest
import safetensors
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

TEST = {"dtype": "I32", "shape": [2, 2], "data_offsets": [0, 16]}


def file_of(header, data=b"", length=None):
    header = header if isinstance(header, bytes) else json.dumps(
        header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def info(**changes):
    return {"test": TEST | changes}


def overlapping(count, shape, pad_to_header):
    """Many tensors that all claim the same bytes."""
    size = shape[0] * shape[1] * 4
    header = json.dumps({f"weight_{i}": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}
                         for i in range(count)}).encode()
    return file_of(header, bytes(len(header) if pad_to_header else size))


CASES = {
    "empty_shape": ("ok", file_of(info(shape=[], data_offsets=[0, 4]), bytes(4))),
    "plain": ("ok", file_of(info(), bytes(16))),
    "zero_sized": ("ok", file_of(info(shape=[2, 0], data_offsets=[0, 0]))),
    "whitespace_padded": ("ok", file_of(b"{}\r \t\n")),
    "whitespace_before": ("ok", file_of(b"\t\n{}\r ")),
    "same_bytes_ten_times": ("corrupt", overlapping(10, [2, 2], False)),
    "polyglot": ("corrupt", file_of(info(), bytes(16) + b"extra_bogus_data_for_polyglot_file")),
    "two_bytes_missing": ("incomplete", file_of(info(), bytes(14))),
    "header_too_large": ("corrupt", b"<\0\0\0\0\xff\xff\xff" + file_of(info(), bytes(16))[8:]),
    "header_too_small": ("incomplete", b""),
    "header_is_not_there": ("incomplete", b"<\0\0\0\0\0\0\0"),
    "header_is_not_utf8": ("corrupt", file_of(b"\xff")),
    "header_is_not_json": ("corrupt", file_of(b"{")),
    "info_too_small": ("corrupt", file_of(info(data_offsets=[0, 4]))),
    "elements_overflow": ("corrupt", file_of(info(shape=[2, (1 << 64) - 2]), bytes(16))),
    "bytes_overflow": ("corrupt", file_of(info(shape=[2, (1 << 63) - 1]), bytes(16))),
    # attacks/
    "length_beyond_the_file": (
        "incomplete", file_of({"weight": TEST | {"dtype": "F32"}}, bytes(16), length=1000)),
    "same_bytes_in_bulk": ("corrupt", overlapping(100_000, [200, 200], True)),
    "same_bytes_in_greater_bulk": ("corrupt", overlapping(1_000_000, [2, 2], True)),
    # What the facts of the format add.
    "zero_before_overflow": ("ok", file_of(
        info(shape=[0, (1 << 64) - 1, (1 << 64) - 1], data_offsets=[0, 0]))),
    "overflow_before_zero": ("corrupt", file_of(
        info(shape=[(1 << 64) - 1, (1 << 64) - 1, 0], data_offsets=[0, 0]))),
    "float_dim": ("corrupt", file_of(b'{"t":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}',
                                     bytes(2))),
    "minus_zero": ("corrupt", file_of(b'{"t":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}')),
    "byte_order_mark": ("corrupt", file_of(b"\xef\xbb\xbf{}")),
    "trailing_nul": ("corrupt", file_of(b"{}\0")),
    "metadata_twice": ("corrupt", file_of(b'{"__metadata__":{},"__metadata__":{}}')),
    "metadata_number": ("corrupt", file_of({"__metadata__": {"a": 1}})),
    "info_field_twice": ("corrupt", file_of(
        b'{"t":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x")),
    "lone_surrogate": ("corrupt", file_of(
        b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x")),
    "unknown_dtype": ("unsupported", file_of(info(dtype="I31"), bytes(16))),
    "half_a_byte": ("corrupt", file_of(info(dtype="F4", shape=[3], data_offsets=[0, 1]), b"x")),
    "two_f4": ("ok", file_of(info(dtype="F4", shape=[2], data_offsets=[0, 1]), b"x")),
    "unknown_field": ("ok", file_of(info(note="hello"), bytes(16))),
    "hole": ("corrupt", file_of({
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "b": {"dtype": "U8", "shape": [1], "data_offsets": [2, 3]}}, bytes(3))),
    "duplicate_name": ("corrupt", file_of(
        b'{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x")),
    "nested_deep": ("corrupt", file_of(
        b'{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":' + b"[" * 200 + b"]" * 200 +
        b"}}", b"x")),
}
DIFFERENCES = {"duplicate_name"}


def accepted_by_the_library(data):
    try:
        safetensors.deserialize(data)
        return True
    except safetensors.SafetensorError:
        return False


@pytest.mark.parametrize("name", CASES)
def test_case(tmp_path, verdict_of, name):
    verdict, data = CASES[name]
    path = tmp_path / "case.safetensors"
    path.write_bytes(data)
    assert verdict_of(path) == verdict
    if name not in DIFFERENCES:
        assert accepted_by_the_library(data) == (verdict == "ok")


def test_a_file_cut_off_anywhere_is_incomplete(tmp_path, inspect):
    whole = CASES["plain"][1]
    paths = []
    for size in range(len(whole)):
        paths.append(tmp_path / f"{size:03}.safetensors")
        paths[-1].write_bytes(whole[:size])
    for line in inspect(*paths):
        assert line["verdict"] == "incomplete", line
        assert "download it again" in line["findings"][0]["message"]


def old_layout(path, tensors, metadata):
    """What safetensors 0.2 wrote: sorted by name, the header without padding."""
    header, data = {"__metadata__": metadata}, b""
    for name in sorted(tensors):
        raw = tensors[name].numpy().tobytes()
        dtype = {torch.float32: "F32", torch.uint8: "U8"}[tensors[name].dtype]
        header[name] = {"dtype": dtype, "shape": list(tensors[name].shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    path.write_bytes(file_of(header, data))


def test_an_old_file_is_named_and_saving_it_again_migrates_it(tmp_path, inspect_one):
    """docs/formats/safetensors-versions.md, with its own commands."""
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    tensors = {"a.odd": torch.arange(3, dtype=torch.uint8), "b.weight": torch.ones(2, 2)}
    old_layout(old, tensors, {"format": "pt"})
    line = inspect_one(old)
    assert line["verdict"] == "ok"
    [finding] = line["findings"]
    assert finding["category"] == "format_version" and finding["severity"] == "warning"
    assert "to migrate, load the file with the safetensors library" in finding["message"]
    with safe_open(old, "pt") as file:
        metadata = file.metadata()
    save_file(load_file(old), new, metadata)
    line = inspect_one(new)
    assert line["verdict"] == "ok" and line["findings"] == []
    with safe_open(new, "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert all(torch.equal(file.get_tensor(name), tensors[name]) for name in tensors)


def test_bytes_behind_the_last_tensor_are_said_in_words(tmp_path, inspect_one):
    path = tmp_path / "tail.safetensors"
    path.write_bytes(file_of(info(), bytes(16)) + b"abc")
    line = inspect_one(path)
    assert line["verdict"] == "corrupt" and line["tensors"] == 1
    assert "3 bytes follow the last tensor" in line["findings"][0]["message"]
    assert "--force takes them" in line["findings"][0]["message"]


def test_a_header_of_99_mb_of_metadata_is_read(tmp_path, verdict_of):
    path = tmp_path / "large.safetensors"
    path.write_bytes(file_of({"__metadata__": {"tags": "x" * 99_000_000}, **info()}, bytes(16)))
    assert verdict_of(path) == "ok"


def test_flipped_bits_are_judged_as_the_library_does(tmp_path, inspect):
    """Differential: any change of one header byte, with the library as the oracle."""
    random_numbers = random.Random(3)
    whole = file_of({"__metadata__": {"format": "pt"}, **info()}, bytes(16))
    header_end = len(whole) - 16
    paths, expected = [], []
    for number in range(400):
        changed = bytearray(whole)
        changed[random_numbers.randrange(header_end)] = random_numbers.randrange(256)
        paths.append(tmp_path / f"{number:03}.safetensors")
        paths[-1].write_bytes(changed)
        expected.append(accepted_by_the_library(bytes(changed)))
    lines = inspect(*paths)
    wrong = [(path.read_bytes(), line["findings"]) for path, line, ok in zip(paths, lines, expected)
             if (line["verdict"] == "ok") != ok]
    assert not wrong
    assert any(expected) and not all(expected)


def test_tensors_as_the_library_lists_them(tmp_path, fixtures, tensors_of):
    path = fixtures.make_file(tmp_path, 1)
    listed = tensors_of(path)
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == set(listed)
        for name in file.keys():
            of_library = file.get_slice(name)
            assert of_library.get_shape() == listed[name]["shape"]
            assert of_library.get_dtype() == listed[name]["dtype"]
