"""Clients that are Python processes of their own, and talk with the test over pipes."""

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
        assert process.stdout.readline().strip() == line


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
