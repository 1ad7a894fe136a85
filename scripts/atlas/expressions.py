"""Sets of names as short texts: src/inspect/identify/atlas_expression.h says how they are written."""

import collections

SHORT = 10  # a text up to that is not worth sharing


def generalized(name):
    """The name with '#' for each number between dots."""
    return ".".join("#" if word.isdigit() else word for word in name.split("."))


def words_of(name, rank):
    usual = 1 if name.endswith("bias") else 2
    return tuple((name if rank == usual else f"{name}:{rank}").split("."))


def tree_of(names):
    """Names as tuples of words to ((words, rest), ...), rest being a tree or None."""
    by_first = collections.defaultdict(set)
    for name in names:
        by_first[name[0]].add(name[1:])
    by_rest = collections.defaultdict(list)
    for word, rests in sorted(by_first.items()):
        if () in rests:
            by_rest[None].append(word)
        if rests != {()}:
            by_rest[tree_of(rests - {()})].append(word)
    return tuple(sorted(((tuple(words), rest) for rest, words in by_rest.items()),
                        key=lambda group: group[0]))


class Writer:
    """Writes sets of names; what several have in common is written once, in `shared`."""

    def __init__(self):
        self.uses = collections.Counter()
        self.places = {}
        self.shared = []

    def read(self, names):
        """Counts a set's parts. All sets are read before the first one is written."""
        tree = tree_of({words_of(*name) for name in names}) if names else ()
        self._count(tree)
        return tree

    def _count(self, tree):
        self.uses[tree] += 1
        if self.uses[tree] == 1:
            for _, rest in tree:
                if rest is not None:
                    self._count(rest)

    def write(self, tree):
        if tree in self.places:
            return f"${self.places[tree]}"
        parts = []
        for words, rest in tree:
            text = words[0] if len(words) == 1 else "{" + ",".join(words) + "}"
            parts.append(text if rest is None else text + "." + self.write(rest))
        text = parts[0] if len(parts) == 1 else "{" + ",".join(parts) + "}" if parts else ""
        if self.uses[tree] > 1 and len(text) > SHORT:
            self.places[tree] = len(self.shared)
            self.shared.append(text)
            return f"${self.places[tree]}"
        return text


def words_expression(words):
    """Names of classes and model types as one text."""
    return "{" + ",".join(words) + "}" if len(words) > 1 else "".join(words)


def expand(text):
    """The set of (name, rank) that a text without shared parts stands for."""
    return {ranked(name) for name in _expand(text)}


def ranked(name):
    name, _, rank = name.partition(":")
    return name, int(rank) if rank else 1 if name.endswith("bias") else 2


def _expand(text):
    if "{" not in text:
        return [text]
    begin = text.index("{")
    depth, cuts = 0, [begin]
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 1 and text[i] == ",":
            cuts.append(i)
        if depth == 0:
            cuts.append(i)
            break
    choices = [text[a + 1:b] for a, b in zip(cuts, cuts[1:])]
    return [text[:begin] + middle + rest for choice in choices for middle in _expand(choice)
            for rest in _expand(text[cuts[-1] + 1:])]
