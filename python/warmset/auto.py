"""`import warmset.auto`, before other imports, puts warmset's loaders in place of
safetensors' `load_file` and `safe_open`, of `torch.load`, and of what gguf's reader
maps.

It imports nothing heavy: a module is changed when the program imports it. Names
that loaded modules already took from it are replaced, too. WARMSET=off makes it do
nothing.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Dict, Optional, Sequence, Set

# By module: its names, each with the module here that makes the replacement.
_REPLACED = {
    "safetensors": {"safe_open": "safetensors"},
    "safetensors.torch": {"safe_open": "safetensors", "load_file": "safetensors"},
    "safetensors.numpy": {"safe_open": "safetensors", "load_file": "safetensors"},
    "torch.serialization": {"load": "_torch_load"},
    "gguf.gguf_reader": {"np": "_gguf"},
}
# Where the name means something else in every module.
_LOCAL = frozenset(("np",))

# Imports safetensors itself, whose patches wait until it is there: a worker process may
# import it first.
_WARM_SAFETENSORS = f"{__package__}.safetensors"
_loading: Set[str] = set()


class _Finder:
    """Lets the other finders find, and patches what they load."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname not in _REPLACED and fullname != _WARM_SAFETENSORS:
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
        _loading.add(module.__name__)
        try:
            load(module)
        finally:
            _loading.discard(module.__name__)
        if module.__name__ == _WARM_SAFETENSORS:
            _patch_loaded()
        else:
            _patch(module)

    loader.exec_module = exec_module


def _replacement(module: str, name: str, original: Any) -> Any:
    home = _REPLACED[module][name]
    if home == "_torch_load":
        from . import _torch_load

        return _torch_load.wrap(original)
    if home == "_gguf":
        from . import _gguf

        return _gguf.Numpy(original)
    from . import safetensors as warm

    return getattr(warm, "load_file_numpy" if (module, name) == _NUMPY_LOAD else name)


_NUMPY_LOAD = ("safetensors.numpy", "load_file")


def _is_ours(value: Any) -> bool:
    home = getattr(value, "__module__", None) or ""
    return home.startswith(f"{__package__}.") or hasattr(value, "by_warmset")


def _patch(module: ModuleType) -> Dict[int, Any]:
    """Returns the replacements, by the id of what they replaced."""
    replaced: Dict[int, Any] = {}
    if _WARM_SAFETENSORS in _loading and module.__name__.startswith("safetensors"):
        return replaced
    try:
        for name in _REPLACED[module.__name__]:
            original = getattr(module, name, None)
            if original is None or _is_ours(original):
                continue
            replacement = _replacement(module.__name__, name, original)
            setattr(module, name, replacement)
            if name not in _LOCAL:
                replaced[id(original)] = replacement
    except Exception as error:  # a library that we do not know: it works as before
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
