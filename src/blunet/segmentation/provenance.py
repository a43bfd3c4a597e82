"""What files and layers say about how they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blunet import __version__
from blunet.architecture import NetworkSettings
from blunet.packed.model_card import ModelInfo
from blunet.segmentation.segmentation_settings import SegmentationSettings


def describe_software() -> dict[str, Any]:
    """Return the name and version of this package."""
    return {"software": f"napari-blunet {__version__}"}


def describe_segmentation(
    network: NetworkSettings, info: ModelInfo, file: Path | None, settings: SegmentationSettings
) -> dict[str, Any]:
    """Return the model and settings of a segmentation, as JSON can hold them.

    Parameters
    ----------
    network : NetworkSettings
    info : ModelInfo
    file : Path, optional
        The model's file, of which the name is kept.
    settings : SegmentationSettings
    """
    model: dict[str, Any] = {"name": info.card.name, "date": info.card.date}
    if file is not None:
        model["file"] = file.name
    return {
        **describe_software(),
        "model": {**model, "network": network.to_dict()},
        "settings": settings.to_dict(),
    }
