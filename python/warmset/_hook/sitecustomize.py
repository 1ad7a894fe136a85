"""Imports warmset.auto when Python starts, then the sitecustomize that was there before.

`warmset run` puts this folder first on PYTHONPATH. The warmset package need not
be on the path: where it is not, it is loaded from beside this folder, without
making anything else there importable.
"""

import importlib.machinery
import importlib.util
import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def _import_auto() -> None:
    if importlib.util.find_spec("warmset") is None:
        package = os.path.dirname(_FOLDER)
        spec = importlib.util.spec_from_file_location(
            "warmset",
            os.path.join(package, "__init__.py"),
            submodule_search_locations=[package],
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["warmset"] = module
        spec.loader.exec_module(module)
    importlib.import_module("warmset.auto")


def _chain() -> None:
    others = [entry for entry in sys.path if os.path.abspath(entry) != _FOLDER]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get("WARMSET", "auto").lower() != "off":
    try:
        _import_auto()
    except Exception as error:  # a program must start as it would without warmset
        if os.environ.get("WARMSET", "").lower() == "require":
            raise SystemExit(f"warmset: {error!r} (WARMSET=require)") from error
        print(f"warmset: safetensors stays as it is: {error!r}", file=sys.stderr)
_chain()
