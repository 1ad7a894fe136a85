"""ONNX: what the reader lists is what the `onnx` package reads, and it believes no less.

The models: Debian's libonnx-testdata (21 MB installed), which are the standard's own
tests, and models built here.
"""

import os
import pathlib
import subprocess
import sys

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = pathlib.Path("/usr/share/libonnx-testdata/data")

DTYPES = {
    TensorProto.FLOAT: "F32", TensorProto.UINT8: "U8", TensorProto.INT8: "I8",
    TensorProto.UINT16: "U16", TensorProto.INT16: "I16", TensorProto.INT32: "I32",
    TensorProto.INT64: "I64", TensorProto.STRING: "?", TensorProto.BOOL: "BOOL",
    TensorProto.FLOAT16: "F16", TensorProto.DOUBLE: "F64", TensorProto.UINT32: "U32",
    TensorProto.UINT64: "U64", TensorProto.COMPLEX64: "C64", TensorProto.COMPLEX128: "C128",
    TensorProto.BFLOAT16: "BF16", TensorProto.FLOAT8E4M3FN: "F8_E4M3",
    TensorProto.FLOAT8E4M3FNUZ: "F8_E4M3FNUZ", TensorProto.FLOAT8E5M2: "F8_E5M2",
    TensorProto.FLOAT8E5M2FNUZ: "F8_E5M2FNUZ", TensorProto.UINT4: "U4", TensorProto.INT4: "I4",
    TensorProto.FLOAT4E2M1: "F4", TensorProto.FLOAT8E8M0: "F8_E8M0",
}


def sparse_tensors(sparse, name):
    yield f"{name}/values", sparse.values
    if sparse.HasField("indices"):
        yield f"{name}/indices", sparse.indices


def node_tensors(node, prefix):
    for attribute in node.attribute:
        name = f"{prefix}{node.name or next(filter(None, node.output), node.op_type)}/{attribute.name}"
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            name = prefix + node.output[0]
        if attribute.HasField("t"):
            yield name, attribute.t
        if attribute.HasField("sparse_tensor"):
            yield from sparse_tensors(attribute.sparse_tensor, name)
        for index, tensor in enumerate(attribute.tensors):
            yield f"{name}/{index}", tensor
        if attribute.HasField("g"):
            yield from graph_tensors(attribute.g, f"{name}/")
        for index, graph in enumerate(attribute.graphs):
            yield from graph_tensors(graph, f"{name}/{index}/")


def graph_tensors(graph, prefix=""):
    for tensor in graph.initializer:
        yield prefix + tensor.name, tensor
    for sparse in graph.sparse_initializer:
        yield from sparse_tensors(sparse, prefix + sparse.values.name)
    for node in graph.node:
        yield from node_tensors(node, prefix)


def model_tensors(model):
    """Every tensor of a model under the name that `warmset inspect` gives it."""
    found = list(graph_tensors(model.graph))
    for function in model.functions:
        for node in function.node:
            found += node_tensors(node, f"{function.domain}.{function.name}/")
    counts = {}
    for name, tensor in found:
        counts[name] = counts.get(name, 0) + 1
        yield name if counts[name] == 1 else f"{name}#{counts[name]}", tensor


def check_tensors(line, path):
    """The same names, dtypes and shapes, and at each place the same bytes."""
    expected = dict(model_tensors(onnx.load(path, load_external_data=False)))
    listed = {tensor["name"]: tensor for tensor in line["tensor_list"]}
    assert set(listed) == set(expected), path
    for name, tensor in listed.items():
        proto = expected[name]
        assert tensor["dtype"] == DTYPES[proto.data_type], (path, name)
        assert tensor["shape"] == list(proto.dims), (path, name)
        if tensor["storage"] != "contiguous":
            continue
        with open(pathlib.Path(path).parent / pathlib.Path(tensor["file"]).name, "rb") as file:
            file.seek(tensor["offset"])
            data = file.read(tensor["bytes"])
        if proto.HasField("raw_data"):
            assert data == proto.raw_data[:tensor["bytes"]], (path, name)
            assert len(proto.raw_data) >= tensor["bytes"]
        else:
            array = numpy_helper.to_array(proto, base_dir=str(pathlib.Path(path).parent))
            assert data == array.tobytes(), (path, name)


@pytest.fixture(scope="module")
def standard_models(inspect):
    assert TESTDATA.is_dir(), "install libonnx-testdata (scripts/install-deps.sh)"
    models = sorted(TESTDATA.rglob("*.onnx"))
    assert len(models) > 1000
    return dict(zip(models, inspect(*models, tensors=True)))


def test_all_models_of_the_standards_tests_are_ok(standard_models):
    assert not [(path, line["findings"]) for path, line in standard_models.items()
                if line["verdict"] != "ok" or line["format"] != "onnx"]


def test_their_tensors_are_those_that_onnx_reads(standard_models):
    for path, line in standard_models.items():
        check_tensors(line, path)


def test_models_that_come_with_onnx_get_the_checkers_verdict(inspect):
    models = sorted(pathlib.Path(onnx.__file__).parent.rglob("*.onnx"))
    assert models
    for path, line in zip(models, inspect(*models, tensors=True)):
        try:
            onnx.checker.check_model(path)
        except onnx.checker.ValidationError:
            assert line["verdict"] != "ok", path
            continue
        assert line["verdict"] == "ok", (path, line["findings"])
        check_tensors(line, path)


def test_inputs_of_those_tests_are_no_models(inspect):
    inputs = sorted(TESTDATA.rglob("*.pb"))[::20]
    assert {line["verdict"] for line in inspect(*inputs)} == {"unrecognized"}


def test_real_models_are_listed_as_onnx_reads_them(real_models, inspect_one):
    models = sorted(real_models.rglob("*.onnx"))
    assert len(models) >= 3
    for path in models:
        line = inspect_one(path, tensors=True)
        assert line["verdict"] == "ok", line["findings"]
        check_tensors(line, path)


def test_operator_tables_are_those_of_the_package():
    subprocess.run([sys.executable, ROOT / "scripts" / "make-onnx-operators.py", "--check"],
                   check=True)


# Models built here.

def small_model(weights, opset=17, nodes=(), imports=()):
    graph = helper.make_graph(
        [*nodes, helper.make_node("Identity", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])], initializer=weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *imports],
                             ir_version=10)


@pytest.fixture
def external(tmp_path):
    """A model with two weights in w.bin."""
    weights = [numpy_helper.from_array(numpy.arange(start, start + 2000, dtype=numpy.float32), name)
               for start, name in ((0, "a"), (5000, "b"))]
    path = tmp_path / "model" / "model.onnx"
    path.parent.mkdir()
    onnx.save_model(small_model(weights), path, save_as_external_data=True, location="w.bin",
                    size_threshold=0)
    return path


def test_external_data_is_listed_where_it_lies(external, inspect_one):
    line = inspect_one(external, tensors=True)
    assert line["verdict"] == "ok", line["findings"]
    assert {tensor["file"] for tensor in line["tensor_list"]} == {"w.bin"}
    check_tensors(line, external)


def test_missing_external_data_is_incomplete(external, inspect_one):
    (external.parent / "w.bin").unlink()
    assert inspect_one(external)["verdict"] == "incomplete"


def test_external_data_that_ends_early_is_incomplete(external, inspect_one):
    os.truncate(external.parent / "w.bin", 12_000)
    line = inspect_one(external)
    assert line["verdict"] == "incomplete"
    assert "12000 of " in line["findings"][0]["message"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_external_data_by_a_link_out_of_the_folder_is_unsafe(external, inspect_one, link):
    data = external.parent / "w.bin"
    elsewhere = external.parent.parent / "secret"
    data.rename(elsewhere)
    link(elsewhere, data)
    assert inspect_one(external)["verdict"] == "unsafe"


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret", "..\\secret"])
def test_external_data_outside_of_the_folder_is_unsafe(tmp_path, inspect_one, location):
    weight = helper.make_tensor("a", TensorProto.FLOAT, [1], b"1234", raw=True)
    model = small_model([weight])
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    (tmp_path / "secret").write_bytes(b"1234")
    path = tmp_path / "model" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(model.SerializeToString())
    assert inspect_one(path)["verdict"] == "unsafe"


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_values_in_typed_fields(tmp_path, inspect_one, dtype):
    values = [b"a", b"b"] if dtype == TensorProto.STRING else [1, 0]
    model = small_model([helper.make_tensor("a", dtype, [2], values)])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    line = inspect_one(path, tensors=True)
    assert line["verdict"] == "ok", line["findings"]
    check_tensors(line, path)


def test_operators_that_nothing_has_are_unsupported(tmp_path, inspect_one):
    path = tmp_path / "model.onnx"
    for nodes, imports, verdict, named in (
            ([helper.make_node("NoSuchOp", ["x"], ["z"])], [], "unsupported", "NoSuchOp"),
            ([helper.make_node("Gelu", ["x"], ["z"])], [], "unsupported", "Gelu"),
            ([helper.make_node("Op", ["x"], ["z"], domain="com.example")],
             [helper.make_opsetid("com.example", 1)], "unsupported", "com.example"),
            ([helper.make_node("BiasGelu", ["x", "x"], ["z"], domain="com.microsoft")],
             [helper.make_opsetid("com.microsoft", 1)], "ok", "com.microsoft")):
        path.write_bytes(small_model([], nodes=nodes, imports=imports).SerializeToString())
        line = inspect_one(path)
        assert line["verdict"] == verdict
        assert line["findings"][0]["category"] == "unsupported_operations"
        assert named in line["findings"][0]["message"]


def test_a_content_decides_not_the_name(tmp_path, inspect_one):
    path = tmp_path / "model.safetensors"
    path.write_bytes(small_model([]).SerializeToString())
    assert inspect_one(path)["format"] == "onnx"
