"""BLU-Net for napari: segment cells in DIC microscopy with a binary lightweight U-Net.

The public names are imported when they are first used, so that `import blunet` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from blunet.version import __version__

if TYPE_CHECKING:
    from blunet.packed.packed_model import PackedModel, load_model
    from blunet.segmentation.array_segmentation import segment
    from blunet.tracking.array_tracking import track

__all__ = ["PackedModel", "__version__", "load_model", "segment", "track"]

_MODULES = {
    "PackedModel": "blunet.packed.packed_model",
    "load_model": "blunet.packed.packed_model",
    "segment": "blunet.segmentation.array_segmentation",
    "track": "blunet.tracking.array_tracking",
}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'blunet' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
