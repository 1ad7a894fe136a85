"""GGUF: what PyPI's gguf writes and reads, the kinds of files of llama.cpp's own
tests (tests/test-gguf.cpp), and split files.
"""

import os
import random
import struct

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

ALIGNMENT = 32
U32, I32, BOOL, STRING, ARRAY = 4, 5, 7, 8, 9
# The package takes Q8_1's blocks for 40 bytes, ggml for 36; no file has them, they
# are what llama.cpp computes with.
TYPES = [kind for kind in Type if kind is not Type.Q8_1]
VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def rows(kind, shape, seed=1):
    """The bytes of a tensor of that type and logical shape, as the gguf package stores them."""
    random_ = np.random.default_rng(seed)
    values = random_.standard_normal(shape).astype(np.float32)
    plain = {Type.I8: np.int8, Type.I16: np.int16, Type.I32: np.int32, Type.I64: np.int64,
             Type.F64: np.float64}
    if kind in plain:
        return (values * 100).astype(plain[kind])
    try:
        return gguf.quants.quantize(values, kind)
    except NotImplementedError:  # its blocks may be any bytes
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        return random_.integers(
            0, 256, (*shape[:-1], shape[-1] // elements * size), dtype=np.uint8)


def write(path, tensors, alignment=None, **options):
    """A file of the gguf package's: tensors by name, as (type, logical shape)."""
    writer = gguf.GGUFWriter(path, "llama", **options)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_block_count(2)
    writer.add_string("tokenizer.chat_template", "{{ ''.__class__ }}" * 1000)
    writer.add_token_list([f"token {i}" for i in range(1000)])
    writer.add_array("scores", [0.5, 1.5])
    for seed, (name, (kind, shape)) in enumerate(tensors.items()):
        data = rows(kind, shape, seed)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def as_gguf_reads(path):
    """By name: dtype, logical shape, the file's range."""
    return {
        tensor.name: (tensor.tensor_type.name, [int(dim) for dim in reversed(tensor.shape)],
                      int(tensor.data_offset), int(tensor.n_bytes))
        for tensor in gguf.GGUFReader(path).tensors
    }


def as_warmset_reads(tensors):
    return {name: (tensor["dtype"], tensor["shape"], tensor["offset"], tensor["bytes"])
            for name, tensor in tensors.items()}


@pytest.mark.parametrize("alignment", [None, 8, 4096])
def test_every_type_is_listed_as_gguf_reads_it(tmp_path, tensors_of, alignment):
    path = tmp_path / "all.gguf"
    write(path, {f"blk.0.{kind.name}.weight": (kind, (3, 512)) for kind in TYPES}, alignment)
    expected = as_gguf_reads(path)
    assert len(expected) == len(TYPES)
    assert as_warmset_reads(tensors_of(path)) == expected


def test_shapes_are_outermost_first(tmp_path, tensors_of):
    path = tmp_path / "shapes.gguf"
    shapes = {"one": (7,), "two": (2, 3), "three": (2, 1, 5), "four": (1, 2, 3, 4)}
    write(path, {name: (Type.F16, shape) for name, shape in shapes.items()})
    found = tensors_of(path)
    assert {name: tuple(tensor["shape"]) for name, tensor in found.items()} == shapes
    assert as_warmset_reads(found) == as_gguf_reads(path)


def test_random_files(tmp_path, tensors_of):
    random_ = random.Random(3)
    for number in range(5):
        path = tmp_path / f"{number}.gguf"
        tensors = {}
        for i in range(random_.randrange(1, 40)):
            kind = random_.choice(TYPES)
            elements, _ = gguf.GGML_QUANT_SIZES[kind]
            shape = [random_.randrange(1, 6) for _ in range(random_.randrange(4))]
            tensors[f"t.{i}"] = (kind, (*shape, elements * random_.randrange(1, 4)))
        write(path, tensors, random_.choice([None, 16, 64]))
        assert as_warmset_reads(tensors_of(path)) == as_gguf_reads(path)


def test_big_endian_files_are_unsupported(tmp_path, inspect_one):
    path = tmp_path / "big.gguf"
    write(path, {"a": (Type.F32, (4,))}, endianess=gguf.GGUFEndian.BIG)
    line = inspect_one(path)
    assert line["verdict"] == "unsupported" and line["format_version"] == "3"
    assert "big-endian" in line["findings"][0]["message"]


# llama.cpp's kinds of files.


def string(text):
    return struct.pack("<Q", len(text)) + text


def padded(content, alignment=ALIGNMENT):
    return content + bytes(-len(content) % alignment)


def header(tensors=0, pairs=0, version=3, magic=b"GGUF"):
    return magic + struct.pack("<Iqq", version, tensors, pairs)


def some_pairs(random_, count=60):
    """Of all types, with random values, as (key, rest)."""
    pairs = []
    for i in range(count):
        kind = random_.choice([*VALUE_BYTES, STRING, ARRAY])
        value = struct.pack("<I", kind)
        if kind == STRING:
            value += string(random_.randbytes(random_.randrange(64)))
        elif kind == ARRAY:
            element = random_.choice([*VALUE_BYTES, STRING])
            number = random_.randrange(17)
            value += struct.pack("<IQ", element, number)
            value += (b"".join(string(random_.randbytes(random_.randrange(5)))
                               for _ in range(number)) if element == STRING
                      else random_.randbytes(number * VALUE_BYTES[element]))
        else:
            value += random_.randbytes(VALUE_BYTES[kind])
        pairs.append((f"my_key_{i}".encode(), value))
    return pairs


def alignment_pair(value, kind=U32):
    return (b"general.alignment", struct.pack("<II", kind, value))


def some_tensors(random_, count=40):
    """As (type, dims innermost first, bytes)."""
    tensors = []
    for _ in range(count):
        kind = random_.choice(TYPES)
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random_.randrange(1, 11)
        dims = [blocks * elements, *(random_.randrange(1, 11) for _ in range(random_.randrange(4)))]
        tensors.append((int(kind), dims, int(np.prod(dims)) // elements * size))
    return tensors


def infos(tensors, alignment, name=lambda i: f"my_tensor_{i}", dims=None, kind=None, offset=None,
          rank=None):
    content, at = b"", 0
    for i, (its_kind, its_dims, size) in enumerate(tensors):
        shape = its_dims if dims is None else dims
        content += string(name(i).encode())
        content += struct.pack("<I", len(shape) if rank is None else rank)
        content += struct.pack(f"<{len(shape)}q", *shape)
        content += struct.pack("<IQ", its_kind if kind is None else kind,
                               at if offset is None else offset)
        at += -(-size // alignment) * alignment
    return content, at


def pairs_file(pairs, key=lambda key, i: string(key), alignment=ALIGNMENT):
    content = b"".join(key(name, i) + value for i, (name, value) in enumerate(pairs))
    return padded(header(0, len(pairs)) + content, alignment)


def tensors_file(random_, pairs=(), alignment=ALIGNMENT, missing=0, tensors=None, data=None,
                 **changes):
    tensors = some_tensors(random_) if tensors is None else tensors
    pairs = [*some_pairs(random_), *pairs]
    described, size = infos(tensors, alignment, **changes)
    content = header(len(tensors), len(pairs))
    content += b"".join(string(key) + value for key, value in pairs)
    content = padded(content + described, alignment)
    size = size - missing if data is None else data
    return content + bytes(i % 256 for i in range(size))


def handcrafted(random_):
    """By the names of test-gguf.cpp: what the file is to be taken for, and the file.

    The kinds without data, which llama.cpp accepts as long as none is asked for, are
    in here with their data.
    """
    pairs = some_pairs(random_)
    huge = 0x7FFFFFFFFFFFFFC0
    return {
        "header_bad_magic": ("corrupt", padded(header(magic=b"FUGG"))),
        "header_bad_version_0": ("unsupported", padded(header(version=0))),
        "header_bad_version_1": ("unsupported", padded(header(version=1))),
        "header_bad_version_future": ("unsupported", padded(header(version=4))),
        "header_bad_n_tensors": ("corrupt", padded(header(tensors=-1))),
        "header_bad_n_kv": ("corrupt", padded(header(pairs=-1))),
        "header_empty": ("ok", padded(header())),
        "kv_bad_key_size": ("corrupt", pairs_file(pairs, lambda key, i: b"\xff" * 8 + key)),
        "kv_empty_key": ("corrupt", pairs_file(pairs, lambda key, i: string(b""))),
        "kv_bad_type": ("corrupt", pairs_file([(key, struct.pack("<IB", 13, 1))
                                               for key, _ in pairs])),
        "kv_duplicate_key": ("corrupt", pairs_file(
            pairs, lambda key, i: string(b"my_key_%d" % (i // 2)))),
        "kv_bad_align": ("corrupt", pairs_file([*pairs, alignment_pair(13)])),
        "kv_wrong_type_align": ("corrupt", pairs_file([*pairs, alignment_pair(32, I32)])),
        "kv_success": ("ok", pairs_file(pairs)),
        "tensors_bad_name_size": ("corrupt", tensors_file(
            random_, name=lambda i: f"my_tensor_{i}_with_a_very_long_name".ljust(64, "_"))),
        "tensors_bad_n_dims": ("corrupt", tensors_file(random_, rank=5)),
        "tensors_bad_shape": ("corrupt", tensors_file(random_, dims=[-1])),
        "tensors_zero_dim": ("ok", tensors_file(
            random_, tensors=[(kind, [dims[0], 0], 0) for kind, dims, _ in some_tensors(random_)])),
        "tensors_ne_too_big": ("corrupt", tensors_file(random_, dims=[4 * (2**31 - 1)] * 2)),
        "tensors_nbytes_too_big": ("corrupt", tensors_file(
            random_, dims=[1_533_916_892] * 2, kind=int(Type.I64))),
        "tensors_bad_type": ("corrupt", tensors_file(random_, kind=0x7FFFFFFF)),
        "tensors_bad_offset": ("corrupt", tensors_file(random_, offset=2**64 - 1)),
        "tensors_duplicate_name": ("corrupt", tensors_file(random_, name=lambda i: "my_tensor")),
        "tensors_bad_align": ("corrupt", tensors_file(random_, [alignment_pair(13)])),
        "tensors_inconsistent_align": ("corrupt", tensors_file(
            random_, alignment=1, tensors=[(24, [3], 3), (24, [5], 5)])),
        "data_not_enough_data": ("incomplete", tensors_file(
            random_, tensors=[*some_tensors(random_), (0, [8], 32)], missing=1)),
        "data_padding_missing": ("ok", tensors_file(
            random_, tensors=[*some_tensors(random_), (0, [7], 28)], missing=4)),
        "data_mem_size_overflow": ("corrupt", tensors_file(
            random_, tensors=[(24, [huge], huge), (24, [huge], huge)], data=32)),
        "data_success": ("ok", tensors_file(random_)),
        "data_custom_align": ("ok", tensors_file(random_, [alignment_pair(1)], alignment=1)),
    }


@pytest.mark.parametrize("seed", [1, 42])
@pytest.mark.parametrize("kind", handcrafted(random.Random(0)))
def test_handcrafted(tmp_path, inspect_one, kind, seed):
    verdict, content = handcrafted(random.Random(seed))[kind]
    for extra in (b"", bytes(7) if verdict not in ("corrupt", "incomplete") else b""):
        path = tmp_path / f"{kind}.gguf"
        path.write_bytes(content + extra)
        line = inspect_one(path)
        assert line["verdict"] == verdict, line["findings"]
        assert line["format"] == "gguf"


def test_a_large_sparse_file_takes_no_time_and_no_memory(tmp_path, verdict_of):
    path = tmp_path / "sparse.gguf"
    for content in (
            header(0, 1) + string(b"k") + struct.pack("<IIQ", ARRAY, STRING, 2**30),
            header(0, 1) + string(b"k") + struct.pack("<IQ", STRING, 2**30),
            header(0, 1) + struct.pack("<Q", 2**30),
            header(2**28, 0),
            header(0, 2**28)):
        path.write_bytes(content)
        os.truncate(path, 20 << 30)
        assert verdict_of(path) in ("ok", "corrupt", "incomplete", "unsupported")


# Split files.


def write_parts(folder, count=3):
    write(folder / "m.gguf", {f"t.{i}": (Type.Q8_0, (2, 64)) for i in range(count)},
          split_max_tensors=1)
    parts = sorted(folder.iterdir())
    assert [part.name for part in parts] == [
        f"m-{i + 1:05}-of-{count:05}.gguf" for i in range(count)]
    return parts


def test_parts_are_one_model(tmp_path, inspect):
    parts = write_parts(tmp_path)
    [line] = inspect(tmp_path, tensors=True)
    assert line["verdict"] == "ok", line["findings"]
    assert line["tensors"] == 3 and line["dtypes"] == {"Q8_0": 3 * 2 * 2 * 34}
    expected = {name: tensor for part in parts for name, tensor in as_gguf_reads(part).items()}
    assert as_warmset_reads({tensor["name"]: tensor for tensor in line["tensor_list"]}) == expected


def test_a_missing_part(tmp_path, inspect):
    write_parts(tmp_path)[1].unlink()
    [line] = inspect(tmp_path)
    assert line["verdict"] == "incomplete"
    assert any("m-00002-of-00003.gguf" in finding["message"] for finding in line["findings"])


def test_parts_that_do_not_fit(tmp_path, inspect):
    parts = write_parts(tmp_path)
    parts[2].write_bytes(parts[1].read_bytes())
    [line] = inspect(tmp_path)
    assert line["verdict"] == "corrupt"


def test_a_part_by_its_own_path(tmp_path, inspect_one):
    """It is nothing without the others, so that any of them stands for the model."""
    parts = write_parts(tmp_path)
    for part in parts:
        line = inspect_one(part)
        assert line["verdict"] == "ok" and line["tensors"] == 3
    parts[0].unlink()
    assert inspect_one(parts[1])["verdict"] == "incomplete"


def test_parts_joined_by_cat(tmp_path, inspect_one):
    parts = write_parts(tmp_path)
    joined = tmp_path / "joined.gguf"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    line = inspect_one(joined)
    assert line["verdict"] == "incomplete"
    [finding] = [finding for finding in line["findings"] if finding["severity"] == "error"]
    assert "joined byte by byte" in finding["message"]
    assert "llama-gguf-split --merge" in finding["message"]


def test_five_dimensions_and_original_shapes_as_comfyui_writes_them(tmp_path, inspect_one):
    path = tmp_path / "wan.gguf"
    writer = gguf.GGUFWriter(path, arch="wan")
    writer.add_tensor("patch_embedding.weight", np.zeros((6, 4, 1, 2, 2), np.float32))
    writer.add_array("comfy.gguf.orig_shape.conv", (8, 4, 2, 4))
    writer.add_tensor("conv", np.zeros((1, 256), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    line = inspect_one(path, tensors=True)
    assert line["verdict"] == "ok"
    shapes = {tensor["name"]: tensor["shape"] for tensor in line["tensor_list"]}
    assert shapes == {"patch_embedding.weight": [6, 4, 1, 2, 2], "conv": [8, 4, 2, 4]}
    assert any("llama.cpp reads at most 4" in finding["message"] for finding in line["findings"])
