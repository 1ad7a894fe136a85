"""Tensors have the right bytes whatever ends before them, and leases end when they do."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
import torch

import warmset
from conftest import DaemonProcess, eventually, mapped_entries, run_python


def leases(session: warmset.Session) -> int:
    """On the same connection as the releases, so that it comes after them."""
    return sum(state.leases for state in session.models())


EXPORTS: Dict[str, Callable[[warmset.Tensor], Any]] = {
    "tensor": lambda tensor: tensor,
    "torch": lambda tensor: tensor.torch(),
    "torch view": lambda tensor: tensor.torch()[3:, ::7].t(),
    "numpy": lambda tensor: tensor.numpy(),
    "numpy view": lambda tensor: tensor.numpy()[5:, 1],
    "memoryview": lambda tensor: tensor.memoryview(),
    "dlpack": lambda tensor: torch.from_dlpack(tensor),
    "dlpack legacy": lambda tensor: torch.from_dlpack(tensor.__dlpack__()),
    "capsule": lambda tensor: tensor.__dlpack__(max_version=(1, 0)),
    "parameter": lambda tensor: torch.nn.Parameter(tensor.torch()),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_one_export_keeps_memory_and_lease(session: warmset.Session, export: str) -> None:
    gc.collect()
    before = mapped_entries()
    with session.attach("wide") as model:
        kept = EXPORTS[export](model["w"])
        del model
    gc.collect()
    assert mapped_entries() == before + 1
    assert leases(session) == 1
    del kept
    gc.collect()
    assert mapped_entries() == before
    assert leases(session) == 0


def test_release_in_any_order(session: warmset.Session) -> None:
    before = mapped_entries()
    for order in itertools.permutations(range(4)):
        model = session.attach("wide")
        parts: List[Any] = [model, model["w"], model["w"].torch(), model["w"].numpy()]
        del model
        for number in order:
            assert leases(session) == 1
            parts[number] = None
        assert leases(session) == 0 and mapped_entries() == before


def test_release_from_a_cycle_in_the_middle_of_calls(session: warmset.Session) -> None:
    thresholds = gc.get_threshold()
    gc.set_threshold(1)  # finalisers run within the calls themselves
    try:
        for _ in range(30):
            cycle: List[Any] = [session.attach("small")["float32"].torch()]
            cycle.append(cycle)
            del cycle
            session.state("small")
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert leases(session) == 0


def test_outlives_with_session_and_daemon(daemon: DaemonProcess) -> None:
    with warmset.connect(daemon.socket) as session, session.attach("wide") as model:
        tensor = model["w"].torch()
        array = model["w"].numpy()
    with pytest.raises(warmset.InvalidRequestError, match="closed"):
        session.models()
    del session, model
    gc.collect()
    daemon.kill()
    tensor.add_(1)
    assert tensor.equal(torch.arange(1, (1 << 21) + 1, dtype=torch.float32).reshape(1 << 10, -1))
    assert array[0, 0] == 1


def test_a_closed_session_holds_its_leases_until_tensors_go(daemon: DaemonProcess) -> None:
    with warmset.connect(daemon.socket) as observer:
        with warmset.connect(daemon.socket) as session:
            tensor = session.attach("wide")["w"].torch()
        assert leases(observer) == 1
        del tensor
        eventually(lambda: leases(observer) == 0)


def test_a_dropped_session_closes_its_socket(daemon: DaemonProcess) -> None:
    def sockets() -> int:
        links = (os.path.join("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd"))
        targets = [os.readlink(link) for link in links if os.path.islink(link)]
        return sum(target.startswith("socket:") for target in targets)

    before = sockets()
    tensor = warmset.connect(daemon.socket).attach("wide")["w"].torch()
    assert sockets() == before + 1
    del tensor
    gc.collect()
    assert sockets() == before


def test_reconnects_after_a_restart_and_says_what_it_holds(daemon: DaemonProcess) -> None:
    session = warmset.connect(daemon.socket)
    old = session.attach("wide")["w"].torch()
    daemon.kill()
    with pytest.raises(warmset.DaemonUnavailableError, match="warmset serve"):
        session.models()
    daemon.start()
    eventually(lambda: len(session.models()) == 2)
    assert session.status().memory.orphaned >= old.nbytes
    new = session.attach("wide")["w"].torch()
    assert new.equal(old)
    del old  # its lease was another daemon's: nothing is given back
    gc.collect()
    assert leases(session) == 1


def test_a_broken_connection_leases_again_what_is_still_mapped(daemon: DaemonProcess) -> None:
    session = warmset.connect(daemon.socket)
    tensor = session.attach("wide")["w"].torch()
    sock = session._channel._sock
    assert sock is not None
    sock.shutdown(2)
    with warmset.connect(daemon.socket) as observer:
        eventually(lambda: leases(observer) == 0)
        assert leases(session) == 1
        del tensor
        gc.collect()
        assert leases(session) == 0


def test_a_forked_child_has_its_own_connection_and_lease(daemon: DaemonProcess) -> None:
    session = warmset.connect(daemon.socket)
    tensor = session.attach("wide")["w"].torch()
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert tensor[0, 1] == 1
            tensor[0, 1] = -1  # private to the child
            assert leases(session) == 2, "the child's own, beside the parent's"
            other = session.attach("wide")["w"].torch()
            assert other[0, 1] == 1
            os.write(from_child, b"3")
            os.read(to_child, 1)
            del other, tensor
            gc.collect()
            assert leases(session) == 0, "the parent's is gone, too"
            status = 0
        finally:
            os._exit(status)
    assert os.read(to_parent, 1) == b"3"
    assert leases(session) == 3
    assert tensor[0, 1] == 1
    del tensor
    gc.collect()
    assert leases(session) == 2
    os.write(from_parent, b"x")
    assert os.waitpid(child, 0)[1] == 0
    for fd in (to_child, from_parent, to_parent, from_child):
        os.close(fd)


def test_a_child_that_only_exits_changes_nothing(daemon: DaemonProcess) -> None:
    session = warmset.connect(daemon.socket)
    tensor = session.attach("wide")["w"].torch()
    child = os.fork()
    if child == 0:
        try:
            del tensor
            gc.collect()
            session.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert leases(session) == 1 and tensor[0, 1] == 1


def test_a_child_outlives_its_parents_tensors(daemon: DaemonProcess) -> None:
    result = run_python(
        "import os, warmset\n"
        f"w = warmset.connect({daemon.socket!r}).attach('wide')['w'].torch()\n"
        "read, write = os.pipe()\n"
        "if os.fork():\n"
        "    os._exit(0)\n"
        "os.close(write)\n"
        "os.setsid()\n"
        "print(int(w.double().sum()))\n"
    )
    assert result.stdout.split() == [str((1 << 21) * ((1 << 21) - 1) // 2)], result.stderr


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.rows[index].clone()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader_workers(session: warmset.Session, method: str) -> None:
    rows = session.attach("wide")["w"].torch()[:64]
    loader = torch.utils.data.DataLoader(
        Rows(rows), batch_size=16, num_workers=2, multiprocessing_context=method
    )
    assert torch.cat(list(loader)).equal(rows)
    # For spawn, torch moves the storage to its own shared memory, here too.
    assert leases(session) == (1 if method == "fork" else 0)


def test_exit_with_tensors_alive_is_clean(daemon: DaemonProcess) -> None:
    result = run_python(
        "import sys, torch, numpy, warmset\n"
        f"session = warmset.connect({daemon.socket!r})\n"
        "model = session.attach('small')\n"
        "torch.kept = [torch.from_dlpack(model['float32']), model['int8'].torch()]\n"
        "numpy.kept = numpy.from_dlpack(model['float32'])\n"
        "sys.kept = (model, model['int8'].__dlpack__())\n"
        "sys.cycle = [model['bool']]; sys.cycle.append(sys.cycle)\n"
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_dlpack_dropped_while_an_exception_passes(session: warmset.Session) -> None:
    tensor = session.attach("wide")["w"]

    def fail() -> None:
        raise RuntimeError("the one that must arrive")

    for _ in range(20):
        with pytest.raises(RuntimeError, match="must arrive"):
            torch.from_dlpack(tensor).add_(fail() or 1)
        with pytest.raises(RuntimeError, match="must arrive"):
            [tensor.__dlpack__(), fail()]


def test_many_threads_on_one_session(session: warmset.Session) -> None:
    failures: List[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(10):
                tensor = session.attach("wide")["w"].torch()
                tensor.mul_(number)
                assert tensor[0, 1] == number
                session.state("small")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    gc.collect()
    assert leases(session) == 0


def test_fork_while_threads_use_the_session(session: warmset.Session) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            session.attach("small")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = 0 if session.attach("wide")["w"].numpy()[0, 1] == 1 else 1
                finally:
                    os._exit(status)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_reader_that_the_daemon_never_reads_from(session: warmset.Session) -> None:
    """Releases that don't fit into the socket wait; nothing blocks."""
    models = [session.attach("small") for _ in range(3)]
    channel = session._channel
    real = channel._sock
    assert real is not None

    class FullSocket:
        def send(self, data: bytes, flags: int) -> int:
            raise BlockingIOError

    channel._sock = FullSocket()  # type: ignore[assignment]
    models.clear()
    gc.collect()
    assert len(channel._gone) == 3
    channel._sock = real
    assert np.ndim(session.attach("small")["scalar"]) == 0
    assert leases(session) == 0
    assert sys.getrefcount(channel) > 0
