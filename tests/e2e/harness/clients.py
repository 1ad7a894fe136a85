"""Clients that are Python processes of their own, and talk with the test over pipes."""

import os
import select

from .session import PATIENCE

# Attaches argv[1] and says so; what a test adds runs after that.
ATTACH = """
import sys, warmset
session = warmset.connect()
model = session.attach(sys.argv[1])
print("attached", flush=True)
"""


def say(process, line=""):
    process.stdin.write(line + "\n")
    process.stdin.flush()


def expect(process, *lines):
    for line in lines:
        assert _line(process) == line


def _line(process):
    """The next line, byte by byte, so that nothing waits in a buffer that select() can't see."""
    content, pipe = b"", process.stdout.fileno()
    while not content.endswith(b"\n"):
        readable, _, _ = select.select([pipe], [], [], PATIENCE)
        assert readable, f"a client that says nothing for {PATIENCE} s, after {content!r}"
        byte = os.read(pipe, 1)
        if not byte:
            break
        content += byte
    return content.decode().strip()


def close(process):
    """Closes the test's ends of the pipes."""
    process.stdin.close()
    process.stdout.close()


def finish(process):
    """Waits for its end, which must be a good one."""
    process.stdin.close()
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 0, rest
