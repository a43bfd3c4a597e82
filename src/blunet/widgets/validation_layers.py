"""Two layers that show what the network in training finds in a validation image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from blunet.jobs.validation_preview import Preview
from blunet.widgets.layer_facts import plane_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

IMAGE, MASK = "Validation image", "Validation mask"
#: Space between the other layers and these, as a fraction of the image's width.
GAP = 0.05


class ValidationLayers:
    """The image and, above it, the latest mask. Layers that the user deletes are added again with the next mask."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._mask: Image | None = None

    def show(self, preview: Preview, like: Image | None) -> None:
        """Show a mask. New layers lie beside all others and have the pixel size of `like`, if it is given."""
        layers = self._viewer.layers
        mask = preview.mask.astype(np.uint8)
        if self._mask is not None and self._mask in layers and self._mask.data.shape == mask.shape:
            self._mask.data = mask
            return
        active = layers.selection.active
        place = self._beside(like, mask.shape[1])
        self._add(preview.image, name=IMAGE, colormap="gray", **place)
        self._mask = self._add(
            mask, name=MASK, contrast_limits=(0, 1), colormap="green", blending="additive", opacity=0.4, **place
        )
        if active is not None:
            layers.selection.active = active  # the selection is the user's

    def _add(self, data: Any, **keywords: Any) -> Image:
        return self._viewer.add_image(data, metadata={"blunet": {"preview": True}}, **keywords)

    def _beside(self, like: Image | None, width: int) -> dict[str, Any]:
        if like is None:
            return {}
        place = plane_of(like)
        first, last = self._viewer.layers.extent.world
        return {**place, "translate": (first[-2], last[-1] + (1 + GAP * width) * place["scale"][-1])}
