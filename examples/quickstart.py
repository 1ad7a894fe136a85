"""Attaches to a model of the running daemon and prints a few of its tensors.

    python examples/quickstart.py [MODEL]
"""

from __future__ import annotations

import sys
from typing import Optional

import warmset


def main(name: Optional[str]) -> int:
    with warmset.connect() as session:
        models = session.models()
        if not models:
            print("The daemon knows no model: `warmset scan FOLDER`", file=sys.stderr)
            return 1
        with session.attach(name or models[0].name) as model:
            print(f"{model.name}: {len(model)} tensors, {model.nbytes:,} bytes, mapped")
            for _, tensor in zip(range(5), model.values()):
                first = tensor.memoryview()[:4].hex(" ")
                print(f"  {tensor.name}  {tensor.dtype} {list(tensor.shape)}  {first} ...")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
