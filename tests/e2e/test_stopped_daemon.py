"""A daemon that is stopped, or may open few files: clients give up, doctor says why."""

import json
import resource


def test_commands_give_up(serve, models, fixtures):
    fixtures.make_file(models, 1)
    daemon = serve()
    with daemon.stopped():
        for command in (("ps",), ("list",), ("show", "tiny"), ("config",), ("cache", "tiny"),
                        ("shutdown",)):
            result = daemon.run(*command, "--json")
            assert result.returncode == 1, command
            error = json.loads(result.stdout)["error"]
            assert error["code"] == "timeout", command
            assert f"kill -CONT {daemon.pid}" in error["message"], command
        result = daemon.run("doctor", "--json")
        assert result.returncode == 1
        (check,) = [check for check in json.loads(result.stdout)["checks"]
                    if check["name"] == "daemon"]
        assert check["health"] == "fail" and check["mend"] == f"kill -CONT {daemon.pid}"
    assert daemon.run("ps").returncode == 0


def test_doctor_knows_the_daemons_own_limit(serve):
    daemon = serve()
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (200, 200))
    checks = {check["name"]: check for check in
              json.loads(daemon.run("doctor", "--json").stdout)["checks"]}
    assert checks["daemon's files"]["health"] == "warn"
    assert "at most 200" in checks["daemon's files"]["finding"]


def test_a_root_that_is_not_there_is_no_failure(serve, models, tmp_path):
    (tmp_path / "unplugged").mkdir()
    daemon = serve("--root", tmp_path / "unplugged")
    (tmp_path / "unplugged").rmdir()
    result = daemon.run("doctor", "--json")
    (check,) = [check for check in json.loads(result.stdout)["checks"]
                if check["name"] == "root" and "unplugged" in check["finding"]]
    assert check["health"] == "warn"
