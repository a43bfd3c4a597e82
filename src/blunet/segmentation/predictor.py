"""What segmentation needs of a model, whether packed or run by Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings
from blunet.images.grey_image import GreyImage
from blunet.images.normalisation import Limits
from blunet.packed.model_card import ModelInfo


class Predictor(Protocol):
    """A trained network with its settings, normalisation and card."""

    @property
    def settings(self) -> NetworkSettings:
        """Settings of the network."""
        ...

    @property
    def info(self) -> ModelInfo:
        """Normalisation, recommended threshold and card."""
        ...

    @property
    def path(self) -> Path | None:
        """The file that it was read from."""
        ...

    def predict(
        self, image: NDArray[Any] | GreyImage, *, limits: Limits | None = None, check: Callable[[], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the probability of foreground (Y, X), 0 to 1, of a raw image (Y, X).

        Parameters
        ----------
        image : ndarray of shape (Y, X), or GreyImage
            Grey values as the microscope gave them, at the scale of the model. A `GreyImage` is not checked again.
        limits : Limits, optional
            Shared by the frames of a stack. None: this image's own.
        check : callable, optional
            Called many times a second where the network allows. An exception that it raises ends the work.
        """
        ...

    def predict_maps(
        self, image: NDArray[Any] | GreyImage, *, limits: Limits | None = None, check: Callable[[], None] | None = None
    ) -> NDArray[np.float32]:
        """Return all maps (K, Y, X), 0 to 1, in the order of ``settings.maps``; the first is that of `predict`.

        The parameters are those of `predict`.
        """
        ...
