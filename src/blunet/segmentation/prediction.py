"""The probability of foreground and the other maps of one image, at the model's scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings
from blunet.images.grey_image import GreyImage, check_image
from blunet.images.normalisation import Limits
from blunet.packed.packed_model import PackedModel
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.scale import rescale, resize, scale_factor


def predict_probability(
    image: NDArray[Any] | GreyImage,
    model: Predictor,
    *,
    diameter: float | None = None,
    limits: Limits | None = None,
    check: Callable[[], None] | None = None,
) -> NDArray[np.float32]:
    """Return the probability that a pixel is foreground.

    Parameters
    ----------
    image : ndarray of shape (Y, X), or GreyImage
        Grey values as the microscope gave them. A `GreyImage` is not checked again.
    model : Predictor
    diameter : float, optional
        Typical diameter of the objects in this image, in pixels: the image is resampled to the scale that the
        model was trained at, and the probability back. None: no resampling.
    limits : Limits, optional
        Shared by the frames of a stack. None: this image's own.
    check : callable, optional
        Called many times while the network runs. An exception that it raises, such as `Cancelled`, ends the work.

    Returns
    -------
    ndarray of shape (Y, X), float32
        In [0, 1].

    Raises
    ------
    InputError
        If the image is not a finite grey image, or the diameter cannot be used (see `scale_factor`).
    """
    grey = image if isinstance(image, GreyImage) else check_image(image)
    found = model.predict(rescale_to_model(grey, model, diameter), limits=limits, check=check)
    return found if found.shape == grey.shape else resize(found, grey.shape, cubic=False)


def predict_maps(
    image: NDArray[Any] | GreyImage,
    model: Predictor,
    *,
    diameter: float | None = None,
    limits: Limits | None = None,
    check: Callable[[], None] | None = None,
) -> NDArray[np.float32]:
    """Return all maps of a model, the probability of foreground first.

    Parameters and errors are those of `predict_probability`.

    Returns
    -------
    ndarray of shape (K, Y, X), float32
        In [0, 1], in the order of ``model.settings.maps``.
    """
    grey = image if isinstance(image, GreyImage) else check_image(image)
    found = model.predict_maps(rescale_to_model(grey, model, diameter), limits=limits, check=check)
    return (
        found if found.shape[1:] == grey.shape else np.stack([resize(each, grey.shape, cubic=False) for each in found])
    )


def distance_of(maps: NDArray[np.float32], settings: NetworkSettings) -> NDArray[np.float16]:
    """Return the distance map (Y, X) among the maps (K, Y, X) of a network that has one.

    The steps of float16, at most 0.0005, are far below a network's errors; it takes half of the memory.
    """
    return distance_map(maps, settings).astype(np.float16)


def distance_map(maps: NDArray[np.float32], settings: NetworkSettings) -> NDArray[np.float32]:
    """Return what `distance_of` does, as the network gave it."""
    distance: NDArray[np.float32] = maps[settings.maps.index("distance")]
    return distance


def predict_foreground(
    image: NDArray[Any] | GreyImage,
    model: Predictor,
    threshold: float,
    *,
    diameter: float | None = None,
    limits: Limits | None = None,
    check: Callable[[], None] | None = None,
) -> NDArray[np.bool_]:
    """Return where the probability is greater than `threshold`, (Y, X).

    As `predict_probability`, but without the memory for the whole probability if the model is packed and the image
    is not resampled.
    """
    if not isinstance(model, PackedModel) or scale_factor(model.info, diameter) != 1:
        return predict_probability(image, model, diameter=diameter, limits=limits, check=check) > threshold
    grey = image if isinstance(image, GreyImage) else check_image(image)
    result = np.empty(grey.shape, np.bool_)
    for core, probability in model.predict_tiles(grey, limits=limits, check=check):
        np.greater(probability, threshold, out=result[core])
    return result


def predict_foreground_and_distance(
    image: NDArray[Any] | GreyImage,
    model: Predictor,
    threshold: float,
    *,
    diameter: float | None = None,
    limits: Limits | None = None,
    check: Callable[[], None] | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.float16]]:
    """Return what `predict_foreground` does and the distance map (Y, X), in one pass.

    The model has to have a distance map. The memory for whole maps of float32 is spared in the same cases.
    """
    if not isinstance(model, PackedModel) or scale_factor(model.info, diameter) != 1:
        maps = predict_maps(image, model, diameter=diameter, limits=limits, check=check)
        return maps[0] > threshold, distance_of(maps, model.settings)
    grey = image if isinstance(image, GreyImage) else check_image(image)
    foreground, distance = np.empty(grey.shape, np.bool_), np.empty(grey.shape, np.float16)
    for core, maps in model.predict_map_tiles(grey, limits=limits, check=check):
        np.greater(maps[0], threshold, out=foreground[core])
        distance[core] = distance_of(maps, model.settings)
    return foreground, distance


def has_distance(settings: NetworkSettings) -> bool:
    """Return whether a network gives a distance map."""
    return "distance" in settings.maps


def rescale_to_model(image: GreyImage, model: Predictor, diameter: float | None) -> GreyImage:
    """Resample an image to the scale that the model was trained at; see `scale_factor`."""
    factor = scale_factor(model.info, diameter)
    return image if factor == 1 else GreyImage.of(rescale(image.values, factor))
