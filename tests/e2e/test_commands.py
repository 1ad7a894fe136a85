"""Every command on its happy path, as text and as JSON, and the errors users meet."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest

from harness.daemon import BIN, MIB, CommandFailed, alive, wait_until

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 9\n" % ("a" * 64)
COMMANDS = ("serve", "run", "scan", "list", "show", "override", "cache", "uncache", "path", "load",
            "unload", "plan cache", "plan load", "ps", "devices", "inspect", "doctor", "config", "shutdown")


@pytest.fixture
def tiny(models, fixtures):
    return fixtures.make_file(models, mib=8)


def test_a_model_from_disk_to_ram_to_a_device_and_back(serve, tiny):
    daemon = serve()
    listed = daemon.cli("list")["models"]
    assert [model["name"] for model in listed] == ["tiny.safetensors"]
    size = tiny.stat().st_size
    assert int(listed[0]["bytes"]) == size

    cached = daemon.cli("cache", "tiny")
    assert int(cached["loaded_bytes"]) >= size - 4096  # without the file's header, perhaps
    assert cached["state"]["cache_state"] == "cached"
    again = daemon.cli("cache", "tiny")
    assert int(again["loaded_bytes"]) == 0 and int(again["already_bytes"]) > 0

    loaded = daemon.cli("load", "tiny", "--device", "host:0")
    assert loaded["device"] == "host:0" and loaded["pool"] == "shared"
    active = daemon.cli("ps")["models"]
    assert [model["state"]["devices"][0]["device"] for model in active] == ["host:0"]
    assert active[0]["state"]["strategy"] == "speed"

    shown = daemon.cli("show", "tiny", "--worker")
    assert shown["workers"]["host:0"]["equal_to_mirror"] is True
    assert len(shown["workers"]["host:0"]["placements"]) == 1
    component = shown["model"]["components"][0]
    assert int(component["tensors"]) == 10
    assert int(component["dtype_bytes"]["F16"]) == pytest.approx(8 * MIB, rel=0.01)
    assert shown["model"]["metadata"] == {"format": "pt"}

    devices = daemon.cli("devices")["devices"]
    assert [(device["id"], device["worker_state"]) for device in devices] == [("host:0", "ready")]
    daemon.cli("unload", "tiny")
    freed = int(daemon.cli("uncache", "tiny")["freed_bytes"])
    assert freed >= size - 4096
    assert daemon.cli("ps")["models"] == []
    assert daemon.memory()["entries"] == 0


def test_ps_says_who_holds_a_model(serve, tiny):
    daemon = serve()
    with daemon.session() as session:
        session.attach("tiny")
        holders = daemon.cli("ps")["models"][0]["holders"]
        assert [holder["pid"] for holder in holders] == [os.getpid()]
        text = daemon.run("ps").stdout
        for title in ("NAME", "ID", "SIZE", "WHERE", "STRATEGY", "HELD BY", "LAST USED"):
            assert title in text
        assert str(os.getpid()) in text and "ram" in text
    wait_until(lambda: not daemon.cli("ps")["models"][0]["holders"], "the end of the lease")


def test_shutdown_ends_the_daemon_and_its_workers(serve, tiny):
    daemon = serve()
    worker = daemon.device()["worker_pid"]
    daemon.cli("cache", "tiny")
    daemon.cli("shutdown")
    assert daemon.process.wait(10) == 0
    assert not alive(worker)
    assert not daemon.socket.exists()
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("ps")
    assert failure.value.code == "daemon_unavailable"
    assert "warmset serve" in failure.value.stderr


def test_config_tells_where_each_value_comes_from(serve, tiny):
    daemon = serve("--log-level", "debug")
    values = {value["key"]: value for value in daemon.cli("config")["values"]}
    assert values["log_level"]["value"] == "debug" and values["log_level"]["source"] == "flag"
    assert values["models.watch"]["source"] == "default"


def test_doctor_needs_no_daemon_and_looks_at_everything(serve, models):
    daemon = serve()
    for running in (True, False):
        if not running:
            daemon.cli("shutdown")
            daemon.process.wait(10)
        result = daemon.run("doctor", "--json")
        text = result.stdout.lower()
        assert result.returncode in (0, 1), result.stderr
        json.loads(result.stdout)
        for subject in ("kernel", "huge pages", "isolation", "locked memory", "io_uring", "cgroup",
                        "open files"):
            assert subject in text, subject


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    result = subprocess.run([BIN / "warmset", *command.split(), "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "Example" in result.stdout and "warmset" in result.stdout and "--json" in result.stdout


def test_a_second_daemon_on_the_same_socket_is_refused(serve, models):
    daemon = serve()
    second = daemon.run("serve", "--root", models)
    assert second.returncode != 0
    assert "already_running" in second.stderr
    assert daemon.cli("ps")["models"] == []


def test_the_socket_is_the_users_alone(serve, models):
    daemon = serve()
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600


def test_errors_name_the_thing_and_the_code(serve, models, fixtures):
    fixtures.save(models / "alpha-one.safetensors", {"a": ("F32", [4])})
    fixtures.save(models / "alpha-two.safetensors", {"b": ("F32", [4])})
    daemon = serve()
    for arguments, code, words in (
            (("cache", "gamma"), "model_not_found", "gamma"),
            (("cache", "alpha"), "ambiguous_name", "alpha-one.safetensors"),
            (("load", "alpha-one", "--device", "host:7"), "device_not_found", "host:7"),
            (("cache", "alpha-one", "--component", "unet"), "component_not_found", "unet"),
            (("unload", "alpha-one"), "not_loaded", "alpha-one"),
            (("path", ""), "invalid_name", "")):
        with pytest.raises(CommandFailed) as failure:
            daemon.cli(*arguments)
        assert failure.value.code == code, arguments
        assert code in failure.value.stderr and words in failure.value.stderr


def test_json_has_numbers_and_small_words(serve, tiny):
    daemon = serve()
    daemon.cli("cache", "tiny")
    state = daemon.cli("list")["models"][0]
    assert state["bytes"] == tiny.stat().st_size and state["cache_state"] == "cached"
    assert isinstance(state["last_used_unix_ms"], int) and state["settings"] is None

    def words(value):
        if isinstance(value, dict):
            return [word for each in value.values() for word in words(each)]
        if isinstance(value, list):
            return [word for each in value for word in words(each)]
        return [value] if isinstance(value, str) else []

    for command in ("list", "ps", "devices", "show tiny --worker", "plan cache tiny", "scan"):
        for word in words(daemon.cli(*command.split())):
            assert word not in ("CACHED", "UNCACHED", "PARTLY_CACHED", "DEEP"), command


def test_cache_says_which_settings_it_changed_and_uncache_what_it_freed(serve, models, fixtures):
    fixtures.make_diffusers(models / "sd", 4)
    daemon = serve()
    reply = daemon.cli("cache", "sd", "--strategy", "standard", "--pin", "--keep", "30m")
    assert [(change["setting"], change["before"], change["after"])
            for change in reply["changed"]] == [("strategy", "default", "speed"),
                                                ("pin", "no", "yes"), ("keep", "no", "30m")]
    assert daemon.cli("cache", "sd", "--pin")["changed"] == []
    assert "pin no (was yes)" in daemon.run("cache", "sd", "--no-pin").stdout
    reply = daemon.cli("uncache", "sd")
    assert {part["component"] for part in reply["freed"]} == {"unet", "vae", "text_encoder"}
    assert reply["model"] == "sd" and reply["freed_bytes"] == sum(
        part["bytes"] for part in reply["freed"])
    assert daemon.run("uncache", "sd").stdout == "sd: was not in RAM\n"


def test_components_are_found_in_the_words_of_others(serve, models, fixtures):
    fixtures.make_diffusers(models / "sd", 4)
    daemon = serve()
    assert daemon.cli("cache", "sd", "--component", "TextEncoder")["loaded_bytes"] > 0
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("cache", "sd", "--component", "decoder")
    assert failure.value.stderr.splitlines()[0].count("sd") == 1, "the name stands there once"
    assert daemon.state("sd").get("error_code", "") == "", "a slip is no fault of the model"


def test_list_filters_without_case(serve, models, fixtures):
    fixtures.save(models / "Style-XL.safetensors", {"a": ("F32", [4])})
    (models / "half.safetensors").write_text(LFS_POINTER)
    daemon = serve()

    def names(*flags):
        return [model["name"] for model in daemon.cli("list", *flags)["models"]]

    assert names("--filter", "style-xl") == ["Style-XL.safetensors"]
    assert names("--verdict", "Incomplete") == ["half.safetensors"]
    assert names("--kind", "LORA") == []


def test_a_half_download_is_incomplete_everywhere(serve, models):
    (models / "half.safetensors").write_text(LFS_POINTER)
    daemon = serve()
    assert daemon.cli("list")["models"][0]["verdict"] == "incomplete"
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("cache", "half")
    assert failure.value.code == "incomplete_model"
    assert "incomplete, can't be used" in failure.value.stderr
    for command in ("list", "show half", "scan", "show half --compatibility"):
        text = daemon.run(*command.split()).stdout
        assert "incomplete" in text and "corrupt" not in text, command


def test_show_describes_the_weights(serve, tiny):
    shown = serve().cli("show", "tiny")
    elements = sum(1 if not shape else shape[0] * (shape[1] if len(shape) > 1 else 1)
                   for shape in ([], [0, 4], [3], [5], [4, 4], [16]))
    assert shown["parameters"] == elements + 4 * shown_rows(tiny) * 512
    assert shown["quantisation"] == "F8_E4M3" and shown["context_length"] == 0


def shown_rows(file):
    header = json.loads(file.read_bytes()[8:8 + int.from_bytes(file.read_bytes()[:8], "little")])
    return header["model.layers.0.weight"]["shape"][0]


@pytest.mark.parametrize("flags, words", [
    (("--ram-limit", "8"), "write 8GiB or 8MiB"),
    (("--root", "/no/such/folder"), "/no/such/folder does not exist"),
    (("--device", "cuda:0"), "no device backend 'cuda'"),
    (("--ram-limit", "128MiB", "--reserve", "256MiB"), "more than the RAM limit of 128 MiB"),
])
def test_serve_refuses_at_once_what_can_not_work(serve, models, flags, words):
    daemon = serve()
    daemon.cli("shutdown")
    daemon.process.wait(10)
    refused = daemon.run("serve", "--json", *flags)
    assert refused.returncode == 1
    error = json.loads(refused.stdout)["error"]
    assert error["code"] == "invalid_config" and words in error["message"]
    assert words in refused.stderr


def test_serve_prints_a_document_when_it_listens(serve, models):
    daemon = serve()
    daemon.cli("shutdown")
    daemon.process.wait(10)
    process = subprocess.Popen([BIN / "warmset", "serve", "--json"], env=daemon.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline())
        ready = json.loads("".join(lines))
        assert ready["pid"] == process.pid and ready["socket"] == str(daemon.socket)
        daemon.cli("ps")  # it listens
    finally:
        process.terminate()
        log = process.communicate()[1]
    assert process.returncode == 0
    assert "no root is configured" in log and "warmset scan DIR" in log
    for line in log.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (info|warning) ", line), line


def test_run_puts_warmset_in_place_of_safetensors(serve, tiny):
    daemon = serve()
    code = ("import safetensors, sys; f = safetensors.safe_open(sys.argv[1], 'np'); "
            "print(type(f).__module__, len(list(f.keys())))")
    result = daemon.run("run", "--", sys.executable, "-c", code, tiny)
    assert result.returncode == 0, result.stderr
    module, tensors = result.stdout.split()
    assert module.startswith("warmset") and tensors == "10"
    assert daemon.cli("ps")["models"][0]["state"]["name"] == "tiny.safetensors"
