"""Layouts of the models' own code, which no library builds: original_layouts.txt has their names,
original_renames.txt what they call the tensors that diffusers has under other names."""

import pathlib
import re

from .expressions import expand, generalized, ranked, words_of

HERE = pathlib.Path(__file__).resolve().parent


def lines_of(file):
    for line in (HERE / file).read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def rows():
    """Name, type, words, prefix, width, core, more, tells, sizes of each."""
    found = []
    for line in lines_of("original_layouts.txt"):
        if line[0] not in " +":
            name, type_ = line.split()
            found.append((name, type_, (), "", 0, set(), set(), {}, {}))
            continue
        names = found[-1][6 if line[0] == "+" else 5]
        for expression in line[1:].split():
            names |= expand(expression)
    return [(*row[:5], frozenset(row[5]), frozenset(row[6] - row[5]), {}, {}) for row in found]


def renames():
    """(class of diffusers, name of the architecture or "", [(pattern, replacement)], names that
    diffusers has none for) of each."""
    found = []
    for line in lines_of("original_renames.txt"):
        if line[0] == "+":
            for expression in line[1:].split():
                found[-1][3].update(expand(expression))
        elif line[0] != " ":
            found.append((*line.split(), "")[:2] + ([], set()))
        else:
            pattern, replacement = line.split()
            found[-1][2].append((re.compile(pattern), replacement))
    return found


def renamed(names, replacements):
    """The set of (name, rank) as the models' own code has it."""
    def new_name(name):
        for pattern, replacement in replacements:
            name = pattern.sub(replacement, name)
        return generalized(name)

    return frozenset((new_name(name), rank) for name, rank in names)


def renamed_sizes(sizes, replacements):
    new = {}
    for (text, dim), size in sizes.items():
        (name, rank), = renamed([ranked(text)], replacements)
        if "#" not in name:  # which number it was is not known any more
            new[".".join(words_of(name, rank)), dim] = size
    return new


def renamed_rows(rows):
    """Of rows (name, type, words, prefix, width, core, more, tells, sizes) of diffusers those in the
    words of their models' own code."""
    found = []
    for cls, other_name, replacements, added in renames():
        for name, type_, words, prefix, width, core, more, _, sizes in rows:
            if cls in words[:1]:
                new_core = renamed(core, replacements)
                found.append((other_name or name, type_, (), prefix, width, new_core,
                              (renamed(more, replacements) | added) - new_core, {},
                              renamed_sizes(sizes, replacements)))
                break
        else:
            raise ValueError(f"original_renames.txt: diffusers has no {cls}")
    return found
