"""What the network that is being trained finds in the first validation image, as a layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from blunet.widgets.layers import flat

if TYPE_CHECKING:
    from napari.viewer import Viewer

NAME = "Validation mask"


class ValidationMask:
    """A layer that is renewed once an epoch; the user may throw it away, and it comes again."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Image | None = None

    def show(self, path: Path, like: Image | None) -> None:
        """Show a mask from a picture file, with pixels of the size of those of `like` if that is given."""
        from PIL import Image as Picture

        with Picture.open(path) as picture:
            mask = (np.asarray(picture) > 0).astype(np.uint8)
        layers = self._viewer.layers
        if self._layer is not None and self._layer in layers and self._layer.data.shape == mask.shape:
            self._layer.data = mask
            return
        active = layers.selection.active
        self._layer = self._viewer.add_image(
            mask, name=NAME, contrast_limits=(0, 1), opacity=0.6, colormap="green", blending="additive",
            metadata={"blunet": {"preview": True}}, **({} if like is None else flat(like)),
        )  # fmt: skip
        if active is not None:
            layers.selection.active = active  # the user goes on with what was at hand
