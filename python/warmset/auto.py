"""`import warmset.auto`, before other imports, puts warmset's `load_file` and
`safe_open` in place of the safetensors package's.

It imports nothing heavy: a module of safetensors is changed when the program
imports it. Names that loaded modules already took from it are replaced, too.
WARMSET=off makes it do nothing.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Dict, Optional, Sequence

# By module of safetensors: its name, and the name in warmset.safetensors.
_REPLACED = {
    "safetensors": {"safe_open": "safe_open"},
    "safetensors.torch": {"safe_open": "safe_open", "load_file": "load_file"},
    "safetensors.numpy": {"safe_open": "safe_open", "load_file": "load_file_numpy"},
}


class _Finder:
    """Lets the other finders find, and patches what they load."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname not in _REPLACED:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                _patch_after(spec.loader)
                return spec
        return None


def _patch_after(loader: Any) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        _patch(module)

    loader.exec_module = exec_module


def _patch(module: ModuleType) -> Dict[int, Any]:
    """Returns the replacements, by the id of what they replaced."""
    replaced: Dict[int, Any] = {}
    try:
        from . import safetensors as warm

        for name, warm_name in _REPLACED[module.__name__].items():
            original, replacement = getattr(module, name, None), getattr(warm, warm_name)
            if original is not None and original is not replacement:
                setattr(module, name, replacement)
                replaced[id(original)] = replacement
    except Exception as error:  # a safetensors that we do not know: it works as before
        import warnings

        warnings.warn(f"warmset leaves {module.__name__} as it is: {error!r}", stacklevel=2)
    return replaced


def _patch_loaded() -> None:
    replaced: Dict[int, Any] = {}
    for name in _REPLACED:
        module = sys.modules.get(name)
        if module is not None:
            replaced.update(_patch(module))
    if not replaced:
        return
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("safetensors", "warmset"):
            continue
        names = getattr(module, "__dict__", {})
        for key, value in list(names.items()):
            if id(value) in replaced:
                names[key] = replaced[id(value)]


def _activate() -> None:
    if os.environ.get("WARMSET", "auto").lower() == "off":
        return
    sys.meta_path.insert(0, _Finder())
    _patch_loaded()


_activate()
