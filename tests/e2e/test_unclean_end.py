"""What a daemon brings back after one that was killed, and what it remembers of uses."""

import os
import signal

from harness.daemon import children, wait_until

CARD = ("--device", "host:0,memory=64MiB,pool=dedicated")


def _brought_back(daemon):
    """The names of models in RAM, when what comes back has come."""
    def settled():
        usage = daemon.call("get_cache_usage")
        restart = [one for one in usage.get("preloads", ()) if one["reason"] == "restart"]
        return not restart or restart[0]["issued"] == restart[0].get("loaded", 0)
    wait_until(settled, "the models that come back")
    return {model["state"]["name"] for model in daemon.call("list_active").get("models", ())}


def test_less_comes_back_after_each_unclean_end(serve, models, fixtures):
    for name in "abcd":
        fixtures.save(models / f"{name}.safetensors", fixtures.layers(1, 4, prefix=name))
    daemon = serve()
    for name in "abcd":
        daemon.cli("cache", name)
    daemon.kill()
    daemon.start()
    wait_until(lambda: len(_brought_back(daemon)) == 2, "half of it")
    assert _brought_back(daemon) == {"c.safetensors", "d.safetensors"}, "the last used"
    notice = daemon.call("list_active")["notices"][0]
    assert "killed or crashed" in notice and "MiB" in notice
    assert notice in daemon.run("ps").stdout
    assert notice in daemon.run("doctor").stdout
    assert notice in daemon.log.read_text()

    daemon.kill()
    daemon.start()
    assert _brought_back(daemon) == set()
    assert "nothing is read back" in daemon.call("list_active")["notices"][0]

    daemon.cli("cache", "a")
    daemon.end()
    daemon.start()
    wait_until(lambda: _brought_back(daemon) == {"a.safetensors"}, "all of it")
    assert "notices" not in daemon.call("list_active")


def test_sighup_is_a_clean_end(serve, models, fixtures):
    fixtures.make_file(models, 4)
    daemon = serve()
    daemon.cli("cache", "tiny")
    daemon.signal(signal.SIGHUP)
    assert daemon.process.wait(60) == 0
    daemon.start()
    assert "notices" not in daemon.call("list_active")
    wait_until(lambda: daemon.state("tiny")["cache_state"] == "CACHED", "the cached model")


def test_a_use_survives_a_crash(serve, models, fixtures):
    fixtures.make_file(models, 1)
    daemon = serve()
    daemon.cli("cache", "tiny")
    used = daemon.state("tiny")["last_used_unix_ms"]
    daemon.kill()
    daemon.start()
    assert daemon.state("tiny")["last_used_unix_ms"] == used


def _worker(daemon):
    return int(daemon.device().get("worker_pid", 0))


def test_a_worker_that_is_filled_again_uses_no_model(serve, models, fixtures):
    fixtures.make_file(models, 4)
    daemon = serve(*CARD)
    daemon.cli("load", "tiny")
    used = daemon.state("tiny")["last_used_unix_ms"]
    accesses = daemon.call("get_cache_usage").get("loaded_accesses")
    first = _worker(daemon)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: _worker(daemon) not in (0, first) and daemon.state("tiny").get("devices"),
               "a new worker with the model")
    assert daemon.state("tiny")["last_used_unix_ms"] == used
    assert daemon.call("get_cache_usage").get("loaded_accesses") == accesses
    log = daemon.log.read_text()
    assert f"host:0: its worker (process {first}) was killed by SIGKILL; 1 have ended" in log
    assert log.count("its worker (process") == 1
