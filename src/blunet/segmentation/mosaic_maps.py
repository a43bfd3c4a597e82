"""The maps of a network over an image that does not fit into memory: made tile by tile, kept on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.grey_image import GreyImage
from blunet.images.image_windows import check_windows
from blunet.packed.packed_model import PackedModel
from blunet.segmentation.bands import split_into_windows
from blunet.segmentation.prediction import distance_map, has_distance
from blunet.segmentation.scale import RescaledImage, resize_window, scale_factor
from blunet.segmentation.scratch import Scratch
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.segmentation.tiled_parts import Window, WindowArray


class MosaicMaps:
    """The maps of the network, on disk.

    Attributes
    ----------
    foreground : WindowArray, bool
    distance : WindowArray, float16, or None
    probability : WindowArray, float32, or None
    foreground_pixels : int
        As many as are written.
    """

    def __init__(
        self,
        scratch: Scratch,
        shape: tuple[int, int],
        model: PackedModel,
        settings: SegmentationSettings,
        keep_probability: bool,
    ) -> None:
        mapped = settings.objects == "watershed" and has_distance(model.settings)
        self.foreground: WindowArray = scratch.make("foreground", shape, np.bool_)
        self.distance: WindowArray | None = scratch.make("distance", shape, np.float16) if mapped else None
        self.probability: WindowArray | None = (
            scratch.make("probability", shape, np.float32) if keep_probability else None
        )
        self.foreground_pixels = 0
        self._scratch = scratch
        assert settings.threshold is not None
        self._threshold = settings.threshold

    def fill(
        self, image: GreyImage, model: PackedModel, settings: SegmentationSettings, check: Callable[[], None]
    ) -> Iterator[float]:
        """Run the network tile by tile; yields the share of the work that is done, 0 to 1."""
        done, factor = 0, scale_factor(model.info, settings.diameter)
        scaled = image if factor == 1 else check_windows(RescaledImage(image, factor), check)[0]
        resampled = None if scaled.shape == image.shape else _Resampled(self._scratch, scaled.shape, image.shape)
        for core, maps in model.predict_map_tiles(scaled, check=check):
            keep = self._keep if resampled is None else resampled.keep
            keep(core, maps[0], None if self.distance is None else distance_map(maps, model.settings))
            done += maps[0].size
            yield done / math.prod(scaled.shape)
        if resampled is not None:
            for window in split_into_windows(image.shape):
                check()
                self._keep(window, *resampled.read(window))

    def _keep(
        self, window: Window, probability: NDArray[np.float32], distance: NDArray[np.floating[Any]] | None
    ) -> None:
        foreground = probability > self._threshold
        self.foreground[window] = foreground
        self.foreground_pixels += int(np.count_nonzero(foreground))
        if self.distance is not None and distance is not None:
            self.distance[window] = distance.astype(np.float16)
        if self.probability is not None:
            self.probability[window] = probability


class _Resampled:
    """Maps at the scale of the model, on disk, from which those at the scale of the image are made.

    Parameters
    ----------
    scratch : Scratch
    shape, target : (Y, X)
        Of the maps, and of the image.
    """

    def __init__(self, scratch: Scratch, shape: tuple[int, int], target: tuple[int, int]) -> None:
        self._scratch, self._shape, self._target = scratch, shape, target
        self._maps: list[WindowArray] = []

    def keep(
        self, window: Window, probability: NDArray[np.float32], distance: NDArray[np.floating[Any]] | None
    ) -> None:
        """Keep the maps of a tile."""
        for number, values in enumerate((probability, distance)):
            if values is not None:
                if number == len(self._maps):
                    self._maps.append(self._scratch.make(f"scaled_{number}", self._shape, np.float32))
                self._maps[number][window] = values

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return the probability and the distance in a window of the image."""
        found = [
            resize_window(values.__getitem__, self._shape, self._target, window, cubic=False) for values in self._maps
        ]
        return found[0], found[1] if len(found) > 1 else None
