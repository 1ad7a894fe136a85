"""`python -m warmset.hook` prints the folder that `warmset run` puts on PYTHONPATH.

Its sitecustomize imports warmset.auto in every Python process that is started.
"""

from __future__ import annotations

import os


def path() -> str:
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "_hook")


if __name__ == "__main__":
    print(path())
