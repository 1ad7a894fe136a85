"""The cases of the safetensors library's own tests, and what it makes of ours.

Cases: huggingface/safetensors, safetensors/src/tensor.rs and attacks/. Where the
format's documentation forbids what the library accepts, we refuse (DIFFERENCES).
"""

import json
import random
import struct

import pytest
import safetensors
from safetensors import safe_open

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
    "two_bytes_missing": ("corrupt", file_of(info(), bytes(14))),
    "header_too_large": ("corrupt", b"<\0\0\0\0\xff\xff\xff" + file_of(info(), bytes(16))[8:]),
    "header_too_small": ("corrupt", b""),
    "header_is_not_there": ("corrupt", b"<\0\0\0\0\0\0\0"),
    "header_is_not_utf8": ("corrupt", file_of(b"\xff")),
    "header_is_not_json": ("corrupt", file_of(b"{")),
    "info_too_small": ("corrupt", file_of(info(data_offsets=[0, 4]))),
    "elements_overflow": ("corrupt", file_of(info(shape=[2, (1 << 64) - 2]), bytes(16))),
    "bytes_overflow": ("corrupt", file_of(info(shape=[2, (1 << 63) - 1]), bytes(16))),
    # attacks/
    "length_beyond_the_file": (
        "corrupt", file_of({"weight": TEST | {"dtype": "F32"}}, bytes(16), length=1000)),
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
    "unknown_dtype": ("corrupt", file_of(info(dtype="I31"), bytes(16))),
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


def test_a_file_cut_off_anywhere_is_corrupt(tmp_path, inspect):
    whole = CASES["plain"][1]
    paths = []
    for size in range(len(whole)):
        paths.append(tmp_path / f"{size:03}.safetensors")
        paths[-1].write_bytes(whole[:size])
    assert {line["verdict"] for line in inspect(*paths)} == {"corrupt"}


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
