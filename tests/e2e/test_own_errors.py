"""A request's own error is its own: other clients see a healthy model."""

import resource

import pytest

from harness.daemon import Daemon, CommandFailed


def _fails(daemon, code, *command):
    with pytest.raises(CommandFailed) as failure:
        daemon.cli(*command)
    assert failure.value.code == code


def test_what_a_client_does_wrong_does_not_mark_the_model(serve, models, fixtures):
    fixtures.make_file(models, 48)
    daemon = serve("--device", "host:0,memory=8MiB,pool=dedicated", ram_limit="32MiB")
    _fails(daemon, "component_not_found", "cache", "tiny", "--component", "nope")
    _fails(daemon, "ram_limit_exceeded", "cache", "tiny")
    state = daemon.state("tiny")
    assert state["cache_state"] == "UNCACHED" and "error_code" not in state
    assert daemon.call("list_active").get("models", []) == []


def test_a_broken_file_marks_it(serve, models, fixtures):
    file = fixtures.make_file(models, 1)
    daemon = serve()
    file.unlink()
    _fails(daemon, "file_not_found", "cache", "tiny")


def test_a_limit_on_file_sizes_is_an_error(serve, models, fixtures, monkeypatch):
    """Not the daemon's end by SIGXFSZ."""
    fixtures.make_file(models, 32)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    start = Daemon.start

    def limited(daemon):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, before[1]))
        try:
            return start(daemon)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(Daemon, "start", limited)
    daemon = serve()
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("cache", "tiny")
    assert "too large" in failure.value.stderr
    assert daemon.state("tiny")["cache_state"] != "CACHED"
