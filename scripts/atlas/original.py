"""Layouts of the models' own code, which no library builds: original_layouts.txt."""

import pathlib

from .expressions import expand

FILE = pathlib.Path(__file__).resolve().parent / "original_layouts.txt"


def rows():
    """Name, type, words, prefix, width, core, more, tells of each."""
    found = []
    for line in FILE.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line[0] not in " +":
            name, type_ = line.split()
            found.append((name, type_, (), "", 0, set(), set(), {}))
            continue
        names = found[-1][6 if line[0] == "+" else 5]
        for expression in line[1:].split():
            names |= expand(expression)
    return [(*row[:5], frozenset(row[5]), frozenset(row[6] - row[5]), {}) for row in found]
