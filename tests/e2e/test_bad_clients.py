"""Clients that lie, leave, or never read. The daemon serves everybody else."""

import os
import pathlib
import random
import socket
import struct

import pytest

from harness.daemon import MIB, wait_until
from harness.session import HEADER, JSON, Refused


@pytest.fixture
def daemon(serve, models, fixtures):
    """A daemon whose model is leased by an honest client through the whole test."""
    fixtures.save(models / "tiny.safetensors", fixtures.layers(1, 4))
    daemon = serve()
    with daemon.session() as honest:
        attached, = honest.attach("tiny")
        yield daemon
        assert honest.call("get_model_state", names=["tiny"])["results"][0]["state"]["leases"] == 1
        assert attached.read() == (models / "tiny.safetensors").read_bytes()


def goes_away(session):
    """Whether the daemon closes the connection, perhaps after an error in its own encoding."""
    try:
        while session.socket.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    return True


def anonymous_bytes(daemon):
    for line in pathlib.Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


@pytest.mark.parametrize("data", [
    HEADER.pack(17 * MIB, JSON, 0, 0),  # longer than any frame
    HEADER.pack(0xFFFFFFFF, JSON, 0, 0),
    HEADER.pack(2, 9, 0, 0) + b"{}",  # an encoding that is none
    HEADER.pack(2, JSON, 0, 1) + b"{}",  # flags of another version
    HEADER.pack(2, JSON, 3, 0) + b"{}",  # descriptors that did not come
    HEADER.pack(3, JSON, 0, 0) + b"{]}",
    HEADER.pack(4, 0, 0, 0) + b"\xff\xff\xff\xff",
    HEADER.pack(8, JSON, 0, 0) + b"\xff" * 8,
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    random.Random(1).randbytes(4096),
], ids=["long", "longest", "encoding", "flags", "descriptors", "json", "protobuf", "utf8", "http",
        "noise"])
@pytest.mark.parametrize("hello", [True, False])
def test_frames_that_lie(daemon, data, hello):
    session = daemon.session(hello=hello)
    session.send_raw(data)
    assert goes_away(session)
    session.close()


def test_a_frame_that_never_ends_holds_nobody_up(daemon):
    with daemon.session(hello=False) as session:
        session.send_raw(HEADER.pack(1000, JSON, 0, 0) + b"{")
        assert daemon.cli("ps")["models"]


def test_requests_before_hello_and_other_versions(daemon):
    with daemon.session(hello=False) as session:
        with pytest.raises((Refused, EOFError)):
            session.call("list_active")
    with daemon.session(hello=False) as session:
        with pytest.raises(Refused) as refused:
            session.call("hello", protocol_major=99, client="from the future")
        assert refused.value.code == "version_mismatch"
    with daemon.session() as session:
        with pytest.raises((Refused, EOFError)):
            session.call("hello", protocol_major=1, client="twice")


@pytest.mark.parametrize("request_id", [0, 2**64 - 1])
def test_strange_request_ids(daemon, request_id):
    with daemon.session() as session:
        session.send("list_active", request=request_id)
        try:
            message, _ = session.receive()
            assert int(message.get("id", 0)) == request_id
        except EOFError:
            pass
    assert daemon.cli("ps")["models"]


def test_leases_of_others_can_not_be_released(daemon):
    with daemon.session() as session:
        session.send("release", {"leases": [0, 2**64 - 1, *range(1, 200)]})
        session.call("get_status")
        assert daemon.state("tiny")["leases"] == 1
        attached, = session.attach("tiny")
        session.send("release", {"leases": [attached.lease] * 3})
        session.call("get_status")
        assert daemon.state("tiny")["leases"] == 1


def test_a_request_with_nothing_in_it(daemon):
    with daemon.session() as session:
        payload = b'{"id": 7}'
        session.send_raw(HEADER.pack(len(payload), JSON, 0, 0) + payload)
        with pytest.raises((Refused, EOFError)):
            session.responses(7)


def passed(kind, tmp_path):
    """A descriptor that is not what `attach` takes it for."""
    if kind == "folder":
        return os.open(tmp_path, os.O_RDONLY)
    if kind == "pipe":
        read, write = os.pipe()
        os.close(write)
        return read
    if kind == "socket":
        return socket.socket().detach()
    if kind == "device":
        return os.open("/dev/zero", os.O_RDONLY)
    if kind == "write-only":
        return os.open(tmp_path / "wo.safetensors", os.O_WRONLY | os.O_CREAT)
    header = {
        "empty": b"",
        "header past the end": struct.pack("<Q", 1 << 40),
        "offsets past the end": b'{"a":{"dtype":"F32","shape":[1024],"data_offsets":[0,4096]}}',
        "offsets that overlap": b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},'
                                b'"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
        "a shape that overflows": b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],'
                                  b'"data_offsets":[0,8]}}',
    }[kind]
    if kind not in ("empty", "header past the end"):
        header = struct.pack("<Q", len(header)) + header + bytes(8)
    file = tmp_path / "lie.safetensors"
    file.write_bytes(header)
    return os.open(file, os.O_RDONLY)


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "write-only", "empty",
                                  "header past the end", "offsets past the end",
                                  "offsets that overlap", "a shape that overflows"])
def test_descriptors_and_offsets_that_lie(daemon, tmp_path, kind):
    before = open_files(daemon)
    fd = passed(kind, tmp_path)
    with daemon.session() as session:
        with pytest.raises(Refused) as refused:
            session.attach(file=True, file_path="/etc/shadow", fds=[fd])
        assert refused.value.code in ("invalid_request", "corrupted_model", "unrecognized_format",
                                      "incomplete_model",
                                      "permission_denied", "io_error")
        with pytest.raises(Refused) as refused:
            session.attach(file=True, file_path="none")
        assert refused.value.code == "invalid_request"
    os.close(fd)
    wait_until(lambda: open_files(daemon) <= before, "descriptors to be closed")


def test_descriptors_that_nobody_asked_for(daemon):
    before = open_files(daemon)
    with daemon.session() as session:
        fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(16)]
        number = session.send("get_status", fds=fds)
        try:
            session.responses(number)
        except (Refused, EOFError):
            pass
        for fd in fds:
            os.close(fd)
    wait_until(lambda: open_files(daemon) <= before, "descriptors to be closed")


def test_a_client_that_never_reads(daemon):
    before = anonymous_bytes(daemon)
    session = daemon.session()
    session.socket.setblocking(False)
    payload = b'{"id":9,"list_models":{}}'
    frame = HEADER.pack(len(payload), JSON, 0, 0) + payload
    sent = 0
    try:
        while sent < 16 * MIB:
            sent += session.socket.send(frame * 1000)
    except BlockingIOError:
        pass  # the daemon has stopped reading
    except ConnectionError:
        pass  # or has had enough
    assert daemon.cli("ps")["models"], "others are served"
    assert anonymous_bytes(daemon) - before < 64 * MIB
    session.close()


def test_many_sessions_that_say_nothing(daemon):
    before = open_files(daemon)
    idle = [daemon.session(hello=False) for _ in range(200)]
    assert daemon.cli("ps")["models"]
    for session in idle:
        session.close()
    wait_until(lambda: open_files(daemon) <= before + 1, "sessions to be closed")


def test_a_client_that_leaves_in_mid_request(daemon, models, fixtures):
    fixtures.save(models / "large.safetensors", fixtures.layers(4, 64, "large"))
    daemon.cli("scan")
    with daemon.session() as session:
        session.send("attach", {"model": "large"})
        session.send("attach", {"model": "large"})
    assert daemon.cli("cache", "large")["state"]["cache_state"] == "cached"
    wait_until(lambda: not daemon.state("large").get("leases"), "leases of nobody to end")
