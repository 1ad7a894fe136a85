"""The command itself: what a path stands for, exit codes, and names nobody would choose."""

import json
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess

import onnx
import pytest

from conftest import BIN, run_inspect


def write_file(path, header, data=b""):
    """A safetensors file with that header, as text or bytes."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
        header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def small(path, name="t"):
    return write_file(path, {name: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, b"abcd")


def test_a_file_is_described(tmp_path, fixtures, inspect_one):
    path = fixtures.make_file(tmp_path, 1)
    line = inspect_one(path)
    assert line["verdict"] == "ok"
    assert line["format"] == "safetensors"
    assert line["layout"] == "file"
    assert line["tensors"] == 10
    assert line["bytes"] == sum(line["dtypes"].values())
    assert line["dtypes"]["F8_E4M3"] == 16
    assert [component["name"] for component in line["components"]] == ["model"]
    assert line["findings"] == []
    assert "tensor_list" not in line


def test_tensors_lie_where_it_says(tmp_path, fixtures, tensors_of):
    path = fixtures.make_file(tmp_path, 1)
    raw = path.read_bytes()
    tensors = tensors_of(path)
    assert len(tensors) == 10
    for name, tensor in tensors.items():
        assert tensor["file"] == path.name
        assert tensor["storage"] == "contiguous"
        begin = tensor["offset"]
        assert raw[begin:begin + tensor["bytes"]] == fixtures.content(name, tensor["bytes"])
    assert tensors["scalar"]["shape"] == []
    assert tensors["empty"]["shape"] == [0, 4]
    assert tensors["half"]["dtype"] == "BF16"


def test_tensors_of_a_split_checkpoint_lie_where_it_says(tmp_path, fixtures, inspect_one):
    path = fixtures.make_checkpoint(tmp_path, 2)
    raw = path.read_bytes()
    line = inspect_one(path, tensors=True)
    assert len(line["components"]) == 3
    for tensor in line["tensor_list"]:
        begin = tensor["offset"]
        expected = fixtures.content(tensor["name"], tensor["bytes"])
        assert raw[begin:begin + tensor["bytes"]] == expected
        assert tensor["component"] in {component["name"] for component in line["components"]}


def test_tensors_of_shards_name_their_shard(tmp_path, fixtures, inspect_one):
    folder = fixtures.make_sharded(tmp_path / "m", 1)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    for path in (folder, folder / "model.safetensors.index.json"):
        line = inspect_one(path, tensors=True)
        assert line["verdict"] == "ok"
        assert line["layout"] == "sharded"
        assert {tensor["name"]: tensor["file"] for tensor in line["tensor_list"]} == index
        for tensor in line["tensor_list"]:
            with open(folder / tensor["file"], "rb") as file:
                file.seek(tensor["offset"])
                expected = fixtures.content(tensor["name"], tensor["bytes"])
                assert file.read(tensor["bytes"]) == expected


def test_content_decides_and_not_the_name(tmp_path, inspect_one):
    for name in ("model.bin", "model.ckpt", "weights", "model.safetensors.tmp", "a.txt"):
        line = inspect_one(small(tmp_path / name))
        assert (line["verdict"], line["format"]) == ("ok", "safetensors"), name


def test_a_folder_of_one_model_is_that_model(tmp_path, fixtures, inspect, inspect_one):
    for make, layout in ((fixtures.make_transformers, "transformers"),
                         (fixtures.make_diffusers, "diffusers"),
                         (fixtures.make_sharded, "sharded")):
        folder = tmp_path / layout
        make(folder, 1)
        line = inspect_one(folder)
        assert (line["verdict"], line["layout"]) == ("ok", layout)
        # As it is given, in whatever words.
        assert inspect(f"{folder}/")[0]["path"] == f"{folder}/"
        assert inspect(".", cwd=folder)[0]["path"] == "."


def test_a_config_stands_for_its_folder(tmp_path, fixtures, inspect_one):
    fixtures.make_transformers(tmp_path / "t", 1)
    fixtures.make_diffusers(tmp_path / "d", 1)
    assert inspect_one(tmp_path / "t" / "config.json")["layout"] == "transformers"
    line = inspect_one(tmp_path / "d" / "model_index.json")
    assert line["layout"] == "diffusers"
    assert {"unet", "vae", "text_encoder"} <= {part["name"] for part in line["components"]}


def test_a_hub_repo_is_its_snapshot(tmp_path, fixtures, inspect, inspect_one):
    repo = fixtures.make_hub(tmp_path, 1, revisions=1)
    assert inspect_one(repo)["verdict"] == "ok"
    snapshot = next((repo / "snapshots").iterdir())
    assert inspect_one(snapshot)["verdict"] == "ok"
    assert inspect_one(snapshot / "model.safetensors")["verdict"] == "ok"
    # The cache's own folder holds the same one model.
    assert inspect_one(tmp_path)["verdict"] == "ok"
    two = fixtures.make_hub(tmp_path / "two", 1, revisions=2)
    paths = [line["path"] for line in inspect(two)]
    assert sorted(paths) == sorted(str(path) for path in (two / "snapshots").iterdir())


def test_problems_of_a_hub_repo_are_the_models(tmp_path, fixtures, inspect_one):
    repo = fixtures.make_hub(tmp_path, 1, revisions=1)
    (repo / "blobs" / ("0" * 64 + ".incomplete")).write_bytes(b"half")
    line = inspect_one(repo)
    assert line["verdict"] == "incomplete"
    assert any("incomplete" in finding.get("path", "") for finding in line["findings"])
    assert line["tensors"] > 0


def test_a_folder_of_several_has_a_line_for_each(tmp_path, inspect):
    small(tmp_path / "a.safetensors")
    (tmp_path / "below").mkdir()
    small(tmp_path / "below" / "b.safetensors")
    write_file(tmp_path / "below" / "c.safetensors", b"[]")
    lines = {line["path"]: line["verdict"] for line in inspect(tmp_path)}
    assert lines == {f"{tmp_path}/a.safetensors": "ok", f"{tmp_path}/below/b.safetensors": "ok",
                     f"{tmp_path}/below/c.safetensors": "corrupt"}
    relative = [line["path"] for line in inspect(".", cwd=tmp_path)]
    assert relative == ["./a.safetensors", "./below/b.safetensors", "./below/c.safetensors"]


def test_arguments_keep_their_order(tmp_path, inspect):
    paths = [small(tmp_path / f"{name}.safetensors") for name in "cab"]
    assert [line["path"] for line in inspect(*paths)] == [str(path) for path in paths]


def test_nothing_to_find_is_unrecognized(tmp_path, verdict_of):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "text.txt").write_text("Call me Ishmael.")
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty", "file", "text.txt", "pipe"):
        assert verdict_of(tmp_path / name) == "unrecognized", name
    assert verdict_of("/dev/null") == "unrecognized"


def test_a_link_to_nowhere_is_incomplete(tmp_path, verdict_of):
    (tmp_path / "m.safetensors").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    assert verdict_of(tmp_path / "m.safetensors") == "incomplete"
    assert verdict_of(tmp_path / "loop") == "incomplete"


def test_a_git_lfs_pointer_is_incomplete(tmp_path, inspect_one):
    path = tmp_path / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\n"
                    f"oid sha256:{'0' * 64}\nsize 123456\n")
    line = inspect_one(path)
    assert line["verdict"] == "incomplete"
    assert "git lfs pull" in line["findings"][0]["message"]


def test_what_is_not_there_is_an_error_and_the_rest_goes_on(tmp_path, inspect):
    good = small(tmp_path / "good.safetensors")
    missing = tmp_path / "missing.safetensors"
    below_a_file = good / "x"
    lines = inspect(missing, good, below_a_file)
    assert lines[0]["path"] == str(missing)
    assert lines[0]["error"]["code"] == "file_not_found"
    assert lines[1]["verdict"] == "ok"
    assert "error" in lines[2]
    finished = run_inspect(missing)
    assert finished.returncode == 1
    assert finished.out == b""
    assert finished.err.startswith(b"warmset: file_not_found: ")


def test_wrong_usage_is_a_document_for_json():
    finished = run_inspect("--json")
    assert finished.returncode == 2
    assert json.loads(finished.out)["error"]["code"] == "usage"


@pytest.mark.parametrize("arguments", [[], ["--no-such-flag", "x"],
                                       ["--device", "abacus", "x"], ["--runtime", "none", "x"]])
def test_wrong_usage(arguments):
    finished = run_inspect(*arguments)
    assert finished.returncode == 2
    assert finished.out == b""
    assert finished.err.startswith(b"warmset: usage: ")


def test_shards(tmp_path, fixtures, inspect_one):
    folder = fixtures.make_sharded(tmp_path / "m", 1)
    index = folder / "model.safetensors.index.json"
    (folder / "model-00002-of-00003.safetensors").unlink()
    line = inspect_one(index)
    assert line["verdict"] == "incomplete"
    assert "model-00002-of-00003.safetensors" in line["findings"][0]["message"]
    # A shard itself is a file as any other.
    assert inspect_one(folder / "model-00001-of-00003.safetensors")["verdict"] == "ok"


@pytest.mark.parametrize("name, verdict", [("../m.safetensors", "unsafe"), ("/m", "unsafe"),
                                           ("..", "unsafe"), ("a/b.safetensors", "unsafe"),
                                           ("", "corrupt"), ("gone.safetensors", "incomplete")])
def test_what_an_index_may_name(tmp_path, inspect_one, name, verdict):
    small(tmp_path / "m.safetensors")
    folder = tmp_path / "m"
    folder.mkdir()
    small(folder / "there.safetensors", "a")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "there.safetensors", "t": name}}))
    assert inspect_one(index)["verdict"] == verdict


HOSTILE = ["\x1b[31mred\x1b[0m", "a\nb", "a\tb", "nul\x00nul", 'quote"', "back\\slash",
           "\u202etxt.exe", "\u2028", "é日本\U0001f600", "x" * 5000, ""]


def test_hostile_tensor_names(tmp_path, tensors_of):
    tensors = {name: {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]}
               for i, name in enumerate(HOSTILE)}
    path = write_file(tmp_path / "m.safetensors", tensors, bytes(len(tensors)))
    assert set(tensors_of(path)) == set(HOSTILE)
    finished = run_inspect("--tensors", path)
    assert finished.returncode == 0
    assert b"\x1b" not in finished.out
    assert "\u202e" not in finished.out.decode()
    # A row is one line: the table's head, the model, an empty line and its name, the head.
    assert len(finished.out.decode().split("\n")) == 5 + len(HOSTILE) + 1


@pytest.mark.parametrize("name", [b"\xff\xfe.safetensors", b"a\nb.safetensors", b"\x1b[2Jx",
                                  b"-x.safetensors", b"quote\".safetensors", b"a\\b", b" "])
def test_hostile_file_names(tmp_path, inspect, name):
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        header = b'{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
        file.write(struct.pack("<Q", len(header)) + header + b"x")
    line, = inspect(path)
    assert line["verdict"] == "ok"
    assert line["path"] == path.decode("utf-8", "replace")
    text = run_inspect(path)
    assert b"\x1b" not in text.out + text.err
    assert len(text.out.splitlines()) == 2
    # Below a folder it is told as well, if only as a name that can't be used.
    run_inspect(tmp_path)
    inspect("--", name, cwd=tmp_path)


def test_a_terminal_gets_colours_and_nothing_else(tmp_path):
    small(tmp_path / "good.safetensors")
    write_file(tmp_path / "bad.safetensors", {"\x1b]0;title\x07": 1})
    primary, secondary = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen([BIN / "warmset", "inspect", tmp_path], stdout=secondary,
                          stderr=secondary, env=environment | {"TERM": "xterm"}) as process:
        os.close(secondary)
        output = b""
        while True:
            try:
                chunk = os.read(primary, 65536)
            except OSError:  # the other side is closed
                break
            output += chunk
    os.close(primary)
    assert process.returncode == 1
    assert b"\x1b[32mok" in output
    assert b"\x1b[31mcorrupt" in output
    assert b"\x1b" not in re.sub(rb"\x1b\[[0-9]*m", b"", output)


def test_text_says_what_to_do(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    finished = run_inspect(path)
    assert finished.returncode == 1
    head, row, finding = finished.out.decode().splitlines()
    assert head.split()[:2] == ["VERDICT", "PATH"]
    assert row.split()[0] == "incomplete"
    assert "git lfs pull" in finding


def tensor_of(path, dtype, nbytes):
    return write_file(path, {"t": {"dtype": dtype, "shape": [nbytes // 2],
                                   "data_offsets": [0, nbytes]}}, bytes(nbytes))


@pytest.mark.parametrize("dtype, device, verdict, category", [
    ("BF16", "nvidia:8.6", "ok", None), ("BF16", "nvidia:7.5", "unsupported", "dtype_support"),
    ("BF16", "amd:gfx1100", "ok", None), ("BF16", "intel:arc", "ok", None),
    ("F16", "nvidia:t4", "ok", None), ("BF16", "cpu", "ok", None), ("F16", "host:0", "ok", None),
    ("F16", "nvidia:8.6,memory=1KiB", "unsupported", "device_memory"),
    ("F16", "cpu,memory=2100", "ok", "device_memory"),
    ("F16", "cpu,memory=1MiB", "ok", None)])
def test_a_device_counts(tmp_path, inspect, dtype, device, verdict, category):
    path = tensor_of(tmp_path / "m.safetensors", dtype, 2048)
    line, = inspect(path, flags=["--device", device])
    assert line["verdict"] == verdict
    assert [finding["category"] for finding in line["findings"]] == ([category] if category else [])
    assert all(finding["category"] == "device_memory" or "take a copy" in finding["message"]
               for finding in line["findings"])


def test_a_model_fits_component_by_component(tmp_path, fixtures, inspect):
    folder = fixtures.make_diffusers(tmp_path / "m", 4)
    line, = inspect(folder, flags=["--device", "nvidia:8.6,memory=3MiB"])
    assert line["verdict"] == "ok"
    finding, = line["findings"]
    assert finding["category"] == "device_memory"
    assert "one at a time" in finding["message"]
    line, = inspect(folder, flags=["--device", "nvidia:8.6,memory=1MiB"])
    assert line["verdict"] == "unsupported"
    assert "'unet'" in line["findings"][0]["message"]


def children_of(pid):
    try:
        return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()]
    except OSError:
        return []


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def holds(pid, path):
    """Whether the process has the file open."""
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(descriptor) == str(path):
            return True
    return False


def test_who_opens_a_model_is_in_a_sandbox(tmp_path):
    """Whenever a process has the model open, it has the filter and no new privileges."""
    count = 300_000  # so that it is open for a while
    header = ",".join(f'"{i}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{i + 1}]}}'
                      for i in range(count))
    path = write_file(tmp_path / "m.safetensors", f"{{{header}}}".encode(), bytes(count))
    seen = 0
    with subprocess.Popen([BIN / "warmset", "inspect", "--json", path],
                          stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for pid in [process.pid, *children_of(process.pid)]:
                try:
                    if not holds(pid, path):
                        continue
                    status = status_of(pid)
                except OSError:  # it has ended meanwhile
                    continue
                if "Seccomp" not in status or status["State"].startswith("Z"):
                    continue
                assert status["Seccomp"] == "2"
                assert status["NoNewPrivs"] == "1"
                assert pid != process.pid
                seen += 1
    assert process.returncode == 0
    assert seen


def test_a_reader_that_dies_is_a_finding_and_the_rest_goes_on(tmp_path):
    """The first reader that has the large model open is killed."""
    folder = tmp_path / "m"
    folder.mkdir()
    small(folder / "a.safetensors")
    count = 300_000
    header = ",".join(f'"{i}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{i + 1}]}}'
                      for i in range(count))
    large = write_file(folder / "b.safetensors", f"{{{header}}}".encode(), bytes(count))
    small(folder / "c.safetensors")
    with subprocess.Popen([BIN / "warmset", "inspect", "--json", folder],
                          stdout=subprocess.PIPE) as process:
        killed = False
        while not killed and process.poll() is None:
            for pid in children_of(process.pid):
                try:
                    if holds(pid, large):
                        os.kill(pid, signal.SIGKILL)
                        killed = True
                except OSError:
                    continue
        out = process.stdout.read()
    assert killed
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["path"][-13:] for line in lines] == [
        "a.safetensors", "b.safetensors", "c.safetensors"]
    assert [line["verdict"] for line in lines] == ["ok", "unsupported", "ok"]
    assert "was killed by SIGKILL" in lines[1]["findings"][0]["message"]
    assert process.returncode == 1


def test_the_users_own_links_are_followed(tmp_path, verdict_of):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    small(elsewhere / "real.safetensors")
    models = tmp_path / "models"
    models.mkdir()
    (models / "link.safetensors").symlink_to(elsewhere / "real.safetensors")
    assert verdict_of(models / "link.safetensors") == "ok"
    assert verdict_of(models) == "ok"
    (models / "link.safetensors").unlink()
    (models / "folder").symlink_to(elsewhere)
    assert verdict_of(models) == "ok"


def test_a_config_beside_a_model_is_no_model(tmp_path, fixtures, inspect_one):
    """As in folders of sentence-transformers."""
    folder = tmp_path / "m"
    fixtures.make_transformers(folder, 1)
    fixtures.write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    assert inspect_one(folder)["verdict"] == "ok"
    assert inspect_one(folder / "1_Pooling")["verdict"] == "unrecognized"


def test_a_runtime_counts(tmp_path, inspect):
    """FusedMatMul is an operator of ONNX Runtime's own."""
    helper = onnx.helper
    value = helper.make_tensor_value_info
    node = helper.make_node("FusedMatMul", ["a", "b"], ["y"], domain="com.microsoft")
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph([node], "g", [value("a", floats, [2, 2]), value("b", floats, [2, 2])],
                              [value("y", floats, [2, 2])])
    model = helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    line, = inspect(path)
    assert line["verdict"] == "ok", line["findings"]
    line, = inspect(path, flags=["--runtime", "onnxruntime"])
    assert line["verdict"] == "ok"
    line, = inspect(path, flags=["--runtime", "onnx"])
    assert line["verdict"] == "unsupported"
    assert any(finding["category"] == "unsupported_operations" and
               "FusedMatMul" in finding["message"] for finding in line["findings"])
