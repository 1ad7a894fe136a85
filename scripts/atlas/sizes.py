"""Sizes that few architectures have: a model with the names of one and these sizes is one of it,
and no newer relative with the same names."""

import math

from .expressions import ranked, words_of
from .libraries import EMBEDDING, VOCABULARY, generalized

MOST = 4  # of a row
LEAST_BITS = 6  # that all of a row's sizes must say together


def outer_sizes(shapes):
    """{(name, dim): size} of what lies in no numbered layer; where words are embedded, how many."""
    sizes, words = {}, {}
    for name, shape in shapes.items():
        if "#" in generalized(name) or len(shape) < 2:
            continue
        text = ".".join(words_of(name, len(shape)))
        sizes.update({(text, dim): size for dim, size in enumerate(shape[:2])})
        if shape[0] >= VOCABULARY and EMBEDDING.search(name):
            words[text, 0] = shape[0]
    return words or sizes


def telling_sizes(sizes, core, common, architectures):
    """The rarest of a row's sizes as text, or nothing when all of them are common.
    core: names that all models of it have;
    common: {size: how many architectures have it}."""
    bits, seen, chosen = 0, set(), []
    for (name, dim), size in sorted(sizes.items(), key=lambda each: (common[each[1]], each[0])):
        if size in seen or ranked(name) not in core:  # not every model has that name
            continue
        seen.add(size)
        bits += math.log2(architectures / common[size])
        chosen.append(f"{name}[{dim}]={size}")
        if len(chosen) == MOST:
            break
    return ",".join(chosen) if bits >= LEAST_BITS else ""
