"""Every command on its happy path, as text and as JSON, and the errors users meet."""

import json
import os
import stat
import subprocess
import sys

import pytest

from harness.daemon import BIN, MIB, CommandFailed, alive, wait_until

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
    assert cached["state"]["cache_state"] == "CACHED"
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


def test_run_puts_warmset_in_place_of_safetensors(serve, tiny):
    daemon = serve()
    code = ("import safetensors, sys; f = safetensors.safe_open(sys.argv[1], 'np'); "
            "print(type(f).__module__, len(list(f.keys())))")
    result = daemon.run("run", "--", sys.executable, "-c", code, tiny)
    assert result.returncode == 0, result.stderr
    module, tensors = result.stdout.split()
    assert module.startswith("warmset") and tensors == "10"
    assert daemon.cli("ps")["models"][0]["state"]["name"] == "tiny.safetensors"
