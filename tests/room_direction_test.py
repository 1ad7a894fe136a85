#!/usr/bin/env python3
"""Checks who includes whom: rooms only upward, each library only in its rooms."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Top to bottom, as in docs/architecture.md: a room includes itself and rooms above.
ROOMS = (
    "base", "tensor", "codec", "os", "model", "catalog", "inspect", "isolate", "discover", "cache",
    "device", "sync", "place", "wire", "client", "worker", "daemon",
)
# What a room may include instead of everything above it.
ONLY = {
    "model": {"model", "base"},
    "sync": {"sync", "base"},
    "place": {"place", "model", "base"},
    "client": {"client"},
}
# Where a library's headers may be seen; everywhere for those not named here.
LIBRARIES = {
    r"sqlite3\.h": {"catalog"},
    r"simdjson": {"inspect"},
    r"liburing": {"os"},
    r"toml\+\+/|toml\.hpp": {"daemon"},
    r"CLI/": {"daemon", "apps"},
    r".*\.pb\.h|google/protobuf/": {"wire", "worker", "daemon", "apps"},
}
# Headers of vendors, which only their backend's folder may see.
VENDORS = {r"cuda|nv": "device/cuda", r"vulkan/": "device/vulkan", r"hip/": "device/hip"}
# A program may depend on this room alone, so it brings no library with it.
FREE_OF_LIBRARIES = {"client", "include"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
SOURCES = ("*.h", "*.cc")


def room_of(path):
    """The room of a file: its folder below src/, or the top folder."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "src" else parts[0]


def violations(path, text):
    """What is wrong with the includes of one file, in words."""
    room = room_of(path)
    is_test = path.name.endswith("_test.cc")
    for bracket, header in INCLUDE.findall(text):
        target = header.split("/")[0]
        if bracket == '"' and target in ROOMS:
            if room == "include":
                yield f"the public contract includes {header}"
            elif room in ONLY and not is_test and target not in ONLY[room]:
                yield f"{room} depends on {sorted(ONLY[room])} alone, but includes {header}"
            elif room in ROOMS and ROOMS.index(target) > ROOMS.index(room):
                yield f"{room} is above {target}, but includes {header}"
        elif bracket == '"' and room in FREE_OF_LIBRARIES and not is_test and target != "warmset":
            yield f"{room} includes {header}, which its users would need too"
        for pattern, rooms in LIBRARIES.items():
            if re.match(pattern, header) and room not in rooms:
                yield f"{header} is seen only in {sorted(rooms)}"
        for pattern, folder in VENDORS.items():
            if re.match(pattern, header) and f"/{folder}/" not in path.as_posix():
                yield f"{header} is seen only in {folder}"


class RoomDirection(unittest.TestCase):
    def test_every_include(self):
        files = [path for folder in ("src", "include", "apps")
                 for pattern in SOURCES for path in (ROOT / folder).rglob(pattern)]
        self.assertGreater(len(files), 20)
        found = [f"{path.relative_to(ROOT)}: {violation}" for path in sorted(files)
                 for violation in violations(path, path.read_text())]
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_every_folder_is_a_room(self):
        self.assertEqual({path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
                         - set(ROOMS), set())

    def test_sources_include_their_own_header_first(self):
        wrong = []
        for source in (ROOT / "src").rglob("*.cc"):
            header = source.with_suffix(".h")
            if not header.exists():
                continue
            _, first = INCLUDE.search(source.read_text()).groups()
            if first != str(header.relative_to(ROOT / "src")):
                wrong.append(str(source.relative_to(ROOT)))
        self.assertEqual(wrong, [])

    def test_catches_what_it_is_for(self):
        cases = {
            "src/base/a.h": '#include "os/file.h"',
            "src/sync/a.cc": '#include "os/file.h"',
            "src/place/a.cc": '#include "cache/budget.h"',
            "src/client/a.cc": '#include "absl/status/status.h"',
            "src/client/b.cc": '#include "warmset/v1/session.pb.h"',
            "include/warmset/a.h": '#include "base/status.h"',
            "src/cache/a.cc": '#include <sqlite3.h>',
            "src/cache/b.cc": '#include "warmset/v1/session.pb.h"',
            "src/daemon/a.cc": '#include <cuda.h>',
        }
        for path, line in cases.items():
            self.assertEqual(len(list(violations(ROOT / path, line))), 1, path)
        self.assertEqual(list(violations(ROOT / "src/daemon/a.cc", '#include "base/status.h"')), [])


if __name__ == "__main__":
    unittest.main()
