"""The values that describe the daemon's state."""

import dataclasses
import pathlib
import re

from warmset import MemoryUse

PROTO = pathlib.Path(__file__).parents[2] / "proto/warmset/v1/state.proto"


def test_memory_use_has_every_part_that_the_daemon_reports() -> None:
    # Parts that are left out would make a sum of the others wrong.
    body = re.search(r"message MemoryUse \{(.*?)\n\}", PROTO.read_text(), re.S)
    assert body is not None
    reported = set(re.findall(r"uint64 (\w+) =", body.group(1)))
    assert {field.name for field in dataclasses.fields(MemoryUse)} == reported
