#!/usr/bin/env python3
"""Every rule that scripts/mutate-place.py takes out is where it says."""

import importlib.util
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


class PlaceMutations(unittest.TestCase):
    def test_code_is_there_once(self):
        spec = importlib.util.spec_from_file_location("mutate", ROOT / "scripts/mutate-place.py")
        mutate = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(mutate)
        for name, (file, old, _) in mutate.MUTATIONS.items():
            with self.subTest(name):
                self.assertEqual((ROOT / mutate.PLACE / file).read_text().count(old), 1)


if __name__ == "__main__":
    unittest.main()
