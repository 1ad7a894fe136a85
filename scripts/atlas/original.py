"""Layouts of the models' own code, which no library builds: original_layouts.txt."""

import pathlib

FILE = pathlib.Path(__file__).resolve().parent / "original_layouts.txt"


def rows():
    """Name, type, words, prefix, width, core, more of each."""
    return []
