#!/usr/bin/env python3
"""Checks that docs/errors.md explains every error code, and no other."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


class ErrorCodes(unittest.TestCase):
    def test_every_code_is_explained(self):
        source = (ROOT / "src/base/status.cc").read_text()
        codes = re.findall(r'CodeRow\{ErrorCode::\w+, "(\w+)"', source)
        rows = re.findall(r"^\| `(\w+)` \|.+\|.+\|$", (ROOT / "docs/errors.md").read_text(), re.M)
        self.assertGreater(len(codes), 20)
        self.assertEqual(rows, codes)


if __name__ == "__main__":
    unittest.main()
