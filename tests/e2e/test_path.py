"""`warmset path`: files in RAM that any program can open."""

import concurrent.futures
import mmap
import os
import pathlib
import subprocess

import pytest
import warmset

from harness.daemon import MIB, wait_until


def memory(daemon):
    return {key: int(value) for key, value in daemon.cli("ps")["memory"].items()}


def row(daemon, name):
    return next(model["state"] for model in daemon.cli("ps")["models"]
                if model["state"]["name"] == name)


def reads(daemon):
    """How many components were read from disk since the start."""
    return daemon.log.read_text(errors="replace").count(" read in ")


def test_the_printed_path_opens_reads_and_maps(serve, models, fixtures):
    file = fixtures.make_file(models, 8)
    daemon = serve()
    daemon.cli("cache", "tiny")
    path = daemon.run("path", "tiny").stdout.strip()
    assert subprocess.run(["cmp", path, file]).returncode == 0
    with open(path, "rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == file.read_bytes()
    assert pathlib.Path(path).suffix == ".safetensors"


def test_it_is_a_real_file_in_a_folder_that_nobody_changes_by_mistake(serve, models, fixtures):
    fixtures.make_file(models, 1)
    daemon = serve()
    reply = daemon.cli("path", "tiny")
    path = pathlib.Path(reply["path"])
    assert pathlib.Path(os.path.realpath(path)) == path and not path.is_symlink()
    assert [part["guarded"] for part in reply["parts"]] == [True] and not reply.get("reason")
    assert path.stat().st_mode & 0o777 == 0o400
    assert path.parent.stat().st_mode & 0o777 == 0o555
    with open(path, "rb") as opened:
        with pytest.raises(PermissionError):
            mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    detail = daemon.cli("show", "tiny")
    assert [component["protection"] for component in detail["components"]] == ["guarded"]
    assert detail["ram_path"] == str(path) and detail["files"][0]["guarded"]
    assert f"{path} (guarded)" in daemon.run("show", "tiny").stdout


def test_a_program_that_writes_it_nevertheless_gets_no_others_bytes_changed(
        serve, models, fixtures):
    file = fixtures.make_file(models, 2)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    os.chmod(path, 0o600)
    with open(path, "r+b") as opened:  # waits until the daemon has withdrawn the file
        opened.seek(0)
        opened.write(b"harm" * 1000)
    assert "for writing" in daemon.log.read_text(errors="replace")
    wait_until(lambda: os.path.exists(path), "the file, filled again")
    assert pathlib.Path(path).read_bytes() == file.read_bytes()
    with warmset.connect(str(daemon.socket)) as session, session.attach("tiny") as model:
        again = pathlib.Path(session.path("tiny")).read_bytes()
        assert again == file.read_bytes()
        assert bytes(model["half"].memoryview().cast("B")) in file.read_bytes()


@pytest.mark.parametrize("kind", ["file", "checkpoint"])
def test_holders_are_told_when_a_program_writes_their_file(serve, models, fixtures, kind):
    fixtures.KINDS[kind](models, 2)
    daemon = serve()
    model, = daemon.cli("list")["models"]
    path = daemon.cli("path", model["name"])["path"]
    with daemon.session(minor=2) as session:
        held = session.attach(model["name"])
        os.chmod(path, 0o600)
        with open(path, "r+b") as opened:
            opened.write(b"harm")
        event, fds = session.receive()
        assert int(event.get("id", 0)) == 0 and not fds
        assert event["leases_ended"]["model"] == model["name"]
        assert event["leases_ended"]["why"]["code"] == "file_changed"
        del held


def test_attach_and_path_share_the_memory(serve, models, fixtures):
    file = fixtures.make_file(models, 8)
    daemon = serve()
    daemon.cli("path", "tiny")
    held = memory(daemon)["entries"]
    with warmset.connect(str(daemon.socket)) as session, session.attach("tiny") as model:
        name = next(key for key in model.keys() if key.startswith("model.layers"))
        tensor = bytes(model[name].memoryview().cast("B"))
        assert tensor in file.read_bytes()
        assert memory(daemon)["entries"] == held


def test_both_count_while_the_first_one_is_leased(serve, models, fixtures):
    fixtures.make_file(models, 8)
    daemon = serve()
    with warmset.connect(str(daemon.socket)) as session, session.attach("tiny") as model:
        before = reads(daemon)
        daemon.cli("path", "tiny")
        assert reads(daemon) == before, "copied, not read"
        use = memory(daemon)
        assert use["entries"] >= 8 * MIB and use["uncached_but_mapped"] >= 8 * MIB
        assert len(model.keys()) > 4
        del model
    wait_until(lambda: memory(daemon).get("uncached_but_mapped", 0) == 0, "the end of the first")
    assert memory(daemon)["entries"] >= 8 * MIB


def test_components_of_a_file_are_views_of_it(serve, models, fixtures):
    file = fixtures.make_checkpoint(models, 9)
    daemon = serve()
    daemon.cli("cache", "checkpoint")
    with warmset.connect(str(daemon.socket)) as session:
        plain = {name: bytes(tensor.memoryview().cast("B"))
                 for name, tensor in session.attach("checkpoint").items()}
        path = session.path("checkpoint")
        before = reads(daemon)
        wait_until(lambda: memory(daemon)["entries"] < 10 * MIB, "the parts' own entries to go")
        states = daemon.cli("show", "checkpoint")["components"]
        assert len(states) == 3
        for state in states:
            assert (state["cache_state"], state["protection"]) == ("cached", "guarded")
        assert session.state("checkpoint").cache_state == "cached"
        for state in states:
            with session.attach("checkpoint", component=state["name"]) as part:
                assert len(part.keys()) == int(state["tensors"])
                for name, tensor in part.items():
                    assert bytes(tensor.memoryview().cast("B")) == plain[name]
        assert session.cache("checkpoint").loaded_bytes == 0
        assert reads(daemon) == before and memory(daemon)["entries"] < 10 * MIB
        assert pathlib.Path(path).read_bytes() == file.read_bytes()
    daemon.cli("uncache", "checkpoint")
    assert memory(daemon).get("entries", 0) == 0


def write_onnx(folder):
    import onnx

    def tensor(name, raw):
        return onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[64, 1024],
                                raw_data=raw)

    data = bytes(range(256)) * 1024
    weights = tensor("w", b"")
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "ext.onnx.data"), ("offset", "0"), ("length", str(len(data)))):
        weights.external_data.add(key=key, value=value)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [64, 1024])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [64, 1024])], [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    (folder / "ext.onnx.data").write_bytes(data)
    (folder / "ext.onnx").write_bytes(model.SerializeToString())
    return data


def test_onnx_opens_its_data_beside_it(serve, models):
    import onnx

    data = write_onnx(models)
    daemon = serve()
    path = daemon.cli("path", "ext.onnx")["path"]
    assert pathlib.Path(path).name == "ext.onnx"
    loaded = onnx.load(path)
    assert loaded.graph.initializer[0].raw_data == data
    onnx.checker.check_model(path)


def test_it_opens_in_another_process_namespace(serve, models, fixtures):
    file = fixtures.make_file(models, 1)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    seen = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "cmp", path, file],
                          capture_output=True, text=True)
    if "unshare" in seen.stderr:
        pytest.skip(seen.stderr)
    assert seen.returncode == 0, seen.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_an_allowed_user_opens_it_and_no_other_does(serve, models, fixtures, tmp_path):
    fixtures.make_file(models, 1)
    folder = pathlib.Path("/dev/shm") / f"warmset-test-{os.getpid()}"
    daemon = serve("--allow-uid", "4242", "--path-dir", str(folder))
    path = daemon.cli("path", "tiny")["path"]
    assert path.startswith(str(folder))
    read = lambda uid: subprocess.run(["head", "-c", "8", path], user=uid, group=uid,
                                      capture_output=True).returncode
    assert read(4242) == 0
    assert read(4243) != 0
    daemon.cli("shutdown")
    daemon.process.wait(10)
    assert not folder.exists()


def test_a_killed_daemons_files_serve_on_and_are_taken_over(serve, models, fixtures):
    file = fixtures.make_file(models, 4)
    fixtures.make_sharded(models / "several", 4)
    daemon = serve()
    names = [model["name"] for model in daemon.cli("list")["models"]]
    paths = {name: daemon.cli("path", name)["path"] for name in names}
    inodes = {name: {p: p.stat().st_ino for p in pathlib.Path(path).parent.rglob("*.safetensors")}
              for name, path in paths.items()}
    daemon.kill()
    assert pathlib.Path(paths["tiny.safetensors"]).read_bytes() == file.read_bytes()
    before = reads(daemon)
    daemon.start()
    wait_until(lambda: len(daemon.cli("ps").get("models", [])) == 2, "paths that are open again")
    for name, path in paths.items():
        assert daemon.cli("path", name)["path"] == path
        for file_path, inode in inodes[name].items():
            assert file_path.stat().st_ino == inode
    assert reads(daemon) == before, "taken over, not read"
    state, = daemon.cli("show", "tiny")["components"]
    assert state["protection"] == "guarded"
    daemon.cli("uncache", "tiny")
    assert not os.path.lexists(paths["tiny.safetensors"])


def test_a_file_that_changed_while_no_daemon_ran_is_not_taken_over(serve, models, fixtures):
    file = fixtures.make_file(models, 2)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    daemon.kill()
    os.chmod(path, 0o600)
    with open(path, "r+b") as opened:
        opened.write(b"harm")
    daemon.start()
    assert pathlib.Path(daemon.cli("path", "tiny")["path"]).read_bytes() == file.read_bytes()


def test_a_path_comes_back_after_a_restart(serve, models, fixtures):
    file = fixtures.make_file(models, 2)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    daemon.cli("shutdown")
    daemon.process.wait(10)
    assert not os.path.lexists(path)
    daemon.start()
    wait_until(lambda: os.path.exists(path), "the path of before")
    assert pathlib.Path(path).read_bytes() == file.read_bytes()
    # What is pinned stays in RAM for the next daemon.
    daemon.cli("cache", "tiny", "--pin")
    daemon.cli("shutdown")
    daemon.process.wait(10)
    assert pathlib.Path(path).read_bytes() == file.read_bytes()
    daemon.start()
    daemon.cli("cache", "tiny", "--no-pin")


def test_two_daemons_do_not_meet(serve, models, fixtures):
    file = fixtures.make_file(models, 1)
    one, two = serve(), serve()
    first, second = (daemon.cli("path", "tiny")["path"] for daemon in (one, two))
    assert first != second
    one.cli("shutdown")
    one.process.wait(10)
    assert not os.path.lexists(first)
    assert pathlib.Path(second).read_bytes() == file.read_bytes()


def test_a_file_is_that_file_and_no_other_of_its_name(serve, models, fixtures, tmp_path):
    fixtures.make_file(models, 1)  # known as "tiny"
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    file = fixtures.make_file(outside, 2)
    daemon = serve()
    path = daemon.cli("path", str(file))["path"]
    assert pathlib.Path(path).name == file.name
    assert pathlib.Path(path).read_bytes() == file.read_bytes()
    cached = daemon.cli("cache", str(file))
    assert int(cached["already_bytes"]) >= 2 * MIB and int(cached["state"]["bytes"]) > 2 * MIB
    with warmset.connect(str(daemon.socket)) as session:
        assert session.path(file) == path
        assert session.cache(file).already_bytes >= 2 * MIB
        assert session.preload(file).bytes == file.stat().st_size
        with session.attach(file) as model:
            assert model.name == cached["state"]["name"]
    shown = daemon.run("path", str(outside / "none.safetensors"))
    assert shown.returncode != 0 and "none.safetensors" in shown.stderr


def test_uncache_takes_it_away_and_mappings_stay(serve, models, fixtures):
    file = fixtures.make_file(models, 4)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    with open(path, "rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
    daemon.cli("uncache", "tiny")
    assert not os.path.lexists(path)
    assert mapped[:] == file.read_bytes()


@pytest.mark.parametrize("kind", ["sharded", "diffusers", "transformers"])
def test_a_model_of_several_files_is_a_folder(serve, models, fixtures, kind):
    folder = fixtures.KINDS[kind](models / "several", 6)
    daemon = serve()
    model, = daemon.cli("list")["models"]
    path = pathlib.Path(daemon.cli("path", model["name"])["path"])
    assert path.is_dir()
    weights = list(path.rglob("*.safetensors"))
    assert weights
    for link in weights:
        assert link.read_bytes() == (folder / link.relative_to(path)).read_bytes()


def test_a_checkpoint_of_components_is_its_file(serve, models, fixtures):
    file = fixtures.make_checkpoint(models, 6)
    daemon = serve()
    daemon.cli("cache", "checkpoint")
    assert pathlib.Path(daemon.cli("path", "checkpoint")["path"]).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("kind", ["file", "sharded"])
def test_workers_that_start_together_find_it(serve, models, fixtures, kind):
    fixtures.KINDS[kind](models, 2)
    daemon = serve()
    model, = daemon.cli("list")["models"]

    def work(number):
        with warmset.connect(str(daemon.socket)) as session:
            for _ in range(20):
                path = pathlib.Path(session.path(model["name"]))
                files = list(path.glob("*.safetensors")) if path.is_dir() else [path]
                assert files
                for file in files:
                    with open(file, "rb") as opened:
                        assert opened.read(8)
                if number == 0:
                    daemon.cli("cache", model["name"])

    with concurrent.futures.ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(8)))


def write_split_gguf(folder, parts=3):
    import gguf
    import numpy

    writer = gguf.GGUFWriter(folder / "big.gguf", "llama", split_max_tensors=1)
    for i in range(parts):
        writer.add_tensor(f"blk.{i}.attn_q.weight",
                          numpy.full((64, 1024), i + 1, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(folder.glob("big-*.gguf"))


def test_a_split_gguf_is_its_first_part_with_the_others_beside(serve, models):
    files = write_split_gguf(models)
    assert len(files) == 3
    daemon = serve()
    model, = daemon.cli("list")["models"]
    reply = daemon.cli("path", model["name"])
    path = pathlib.Path(reply["path"])
    assert path.name == "big-00001-of-00003.gguf"
    assert reply["folder"] == str(path.parent)
    assert [pathlib.Path(part["path"]).name for part in reply["parts"]] == [f.name for f in files]
    for file, part in zip(files, reply["parts"]):
        assert pathlib.Path(part["path"]).read_bytes() == file.read_bytes()
        assert os.stat(part["path"]).st_dev != os.stat(file).st_dev, "the part lies on disk"


@pytest.mark.parametrize("kind", ["sharded", "checkpoint"])
def test_every_byte_that_a_path_holds_has_a_row(serve, models, fixtures, kind):
    fixtures.KINDS[kind](models, 6)
    daemon = serve()
    model, = daemon.cli("list")["models"]
    name = model["name"]
    daemon.cli("path", name)
    held = memory(daemon)["entries"]
    assert held >= 6 * MIB
    assert abs(int(row(daemon, name)["raw_bytes"]) - held) < MIB  # but for indexes and pages
    daemon.cli("cache", name)
    held = memory(daemon)["entries"]
    assert abs(int(row(daemon, name)["raw_bytes"]) - held) < MIB
    freed = int(daemon.cli("uncache", name)["freed_bytes"])
    assert abs(freed - held) < MIB
    assert memory(daemon).get("entries", 0) == 0


def test_a_path_that_is_asked_for_again_reads_nothing(serve, models, fixtures):
    fixtures.make_sharded(models, 6)
    daemon = serve()
    model, = daemon.cli("list")["models"]
    first = daemon.cli("path", model["name"])["path"]
    before = reads(daemon), memory(daemon)["entries"]
    for _ in range(3):
        assert daemon.cli("path", model["name"])["path"] == first
    assert (reads(daemon), memory(daemon)["entries"]) == before


def test_a_path_ends_with_its_models_time(serve, models, fixtures):
    fixtures.make_checkpoint(models, 3)
    daemon = serve()
    daemon.cli("cache", "checkpoint", "--keep", "1s")
    path = daemon.cli("path", "checkpoint")["path"]
    wait_until(lambda: not os.path.lexists(path), "the end of a path whose model's time is over")
    wait_until(lambda: memory(daemon).get("entries", 0) == 0, "its memory")


def test_the_end_of_the_daemon_leaves_nothing(serve, models, fixtures):
    fixtures.make_file(models, 1)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    daemon.cli("shutdown")
    daemon.process.wait(10)
    assert not os.path.lexists(path)
