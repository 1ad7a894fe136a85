"""Python clients as processes of their own: sharing, forks, sudden deaths."""

import pathlib

import pytest

from harness.clients import ATTACH, close, expect, finish, say
from harness.daemon import MIB, wait_until


@pytest.fixture
def tiny(models, fixtures):
    return fixtures.make_file(models, 16)


def test_tensors_are_those_of_the_file(serve, models, tiny):
    daemon = serve()
    code = """
import sys, torch, safetensors.torch, warmset
plain = safetensors.torch.load_file(sys.argv[1])
with warmset.connect() as session, session.attach("tiny") as model:
    assert set(model.keys()) == set(plain)
    for name, tensor in plain.items():
        ours = model[name].torch()
        assert ours.dtype == tensor.dtype and ours.shape == tensor.shape, name
        assert ours.numel() == 0 or torch.equal(ours.reshape(-1).view(torch.uint8),
                                                tensor.reshape(-1).view(torch.uint8)), name
        assert model[name].numpy().tobytes() == bytes(model[name].memoryview()), name
"""
    finish(daemon.python(code, tiny))


def test_the_real_model(serve, silero):
    daemon = serve(root=silero)
    code = """
import sys, torch, safetensors.torch, warmset
plain = safetensors.torch.load_file(sys.argv[1])
with warmset.connect() as session, session.attach("silero-vad") as model:
    for name, tensor in plain.items():
        assert torch.equal(model[name].torch(), tensor), name
"""
    finish(daemon.python(code, silero / "silero-vad.safetensors"))


def pss(pid, mapping="warmset-entry"):
    """A process's proportional share of the memory of that name, in bytes."""
    total, inside = 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = mapping in line
        elif inside and line.startswith("Pss:"):
            total += int(line.split()[1]) * 1024
    return total


def test_two_processes_share_the_pages(serve, tiny):
    daemon = serve()
    code = ATTACH + """
data = sum(int(model[name].memoryview().cast("B")[::4096].tobytes()[0]) for name in model.keys()
           if model[name].nbytes)
print("touched", flush=True)
sys.stdin.read()
"""
    one = daemon.python(code, "tiny")
    expect(one, "attached", "touched")
    alone = pss(one.pid)
    assert alone >= 16 * MIB
    two = daemon.python(code, "tiny")
    expect(two, "attached", "touched")
    assert pss(one.pid) <= 0.6 * alone and pss(two.pid) <= 0.6 * alone
    finish(one)
    finish(two)


def test_writes_are_a_clients_own(serve, tiny):
    daemon = serve()
    code = ATTACH + """
weight = model["model.layers.0.weight"].numpy()
if sys.argv[2] == "write":
    weight[:] = 7
    assert (weight == 7).all()
else:
    import safetensors
    with safetensors.safe_open(sys.argv[3], "np") as plain:
        assert weight.tobytes() == plain.get_tensor("model.layers.0.weight").tobytes()
"""
    for role in ("write", "read"):
        process = daemon.python(code, "tiny", role, tiny)
        expect(process, "attached")
        finish(process)


def test_a_client_killed_while_leased(serve, tiny):
    daemon = serve()
    client = daemon.python(ATTACH + "sys.stdin.read()", "tiny")
    expect(client, "attached")
    assert daemon.leases("tiny") == 1
    client.kill()
    client.wait()
    close(client)
    wait_until(lambda: daemon.leases("tiny") == 0, "the end of a dead client's lease")
    assert int(daemon.cli("uncache", "tiny")["freed_bytes"]) >= 16 * MIB
    assert daemon.memory()["uncached_but_mapped"] == 0


def test_a_child_that_exits_ends_nothing(serve, tiny):
    daemon = serve()
    code = ATTACH + """
import os
before = model["model.layers.0.weight"].numpy().tobytes()
child = os.fork()
if child == 0:
    same = model["model.layers.0.weight"].numpy().tobytes() == before
    session.state("tiny")
    sys.exit(0 if same else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("forked", flush=True)
sys.stdin.readline()
assert model["model.layers.0.weight"].numpy().tobytes() == before
session.state("tiny")
"""
    client = daemon.python(code, "tiny")
    expect(client, "attached", "forked")
    assert daemon.leases("tiny") == 1, "the parent's"
    say(client)
    finish(client)
    wait_until(lambda: daemon.leases("tiny") == 0, "the end of the lease")


def test_a_parent_that_exits_leaves_its_child_the_bytes(serve, tiny):
    daemon = serve()
    code = ATTACH + """
import os
before = model["model.layers.0.weight"].numpy().tobytes()
if os.fork():
    os._exit(0)
sys.stdin.readline()
print(model["model.layers.0.weight"].numpy().tobytes() == before, flush=True)
"""
    client = daemon.python(code, "tiny")
    expect(client, "attached")
    client.wait(60)
    daemon.run("uncache", "tiny")
    say(client)
    expect(client, "True")
    close(client)
    wait_until(lambda: daemon.memory()["uncached_but_mapped"] == 0, "the last mapping's end")


def test_a_file_outside_the_roots_is_served_by_descriptor(serve, models, fixtures, tmp_path):
    outside = fixtures.save(tmp_path / "outside.safetensors", fixtures.layers(2, 4))
    daemon = serve()
    code = """
import sys, warmset.safetensors as ours, safetensors.numpy as plain
expected = plain.load_file(sys.argv[1])
for _ in range(2):
    with ours.safe_open(sys.argv[1], "np") as file:
        for name, array in expected.items():
            assert file.get_tensor(name).tobytes() == array.tobytes()
"""
    client = daemon.python(code, outside)
    finish(client)
    assert daemon.memory()["entries"] >= 4 * MIB, "it was Warmset that served"


def test_no_daemon_means_plain_safetensors(serve, tiny):
    daemon = serve()
    daemon.cli("shutdown")
    daemon.process.wait(10)
    code = """
import sys, warnings, warmset.safetensors as ours
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        with ours.safe_open(sys.argv[1], "np") as file:
            assert len(list(file.keys())) == 10
assert len(caught) == 1, [str(warning.message) for warning in caught]
"""
    finish(daemon.python(code, tiny))
