"""From an image or a time-lapse to labels in one call: `blunet.segment`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blunet.images.allocation import allocate
from blunet.images.frame_source import FrameSource
from blunet.segmentation.frames import label_frames, predict_frames
from blunet.segmentation.predictor import Predictor
from blunet.segmentation.segmentation_settings import DEFAULTS, Objects, SegmentationSettings

if TYPE_CHECKING:
    from dask.array import Array


def segment(
    image: NDArray[Any] | Array,
    model: Predictor | str | Path | None = None,
    *,
    threshold: float | None = None,
    min_size: int = DEFAULTS.min_size,
    objects: Objects = DEFAULTS.objects,
    diameter: float | None = None,
    splitting: float | None = None,
) -> NDArray[np.int32]:
    """Find the objects in an image or a time-lapse.

    Parameters
    ----------
    image : array of shape (Y, X) or (T, Y, X)
        Grey values as the microscope gave them, of any size and numeric type. Frames of a dask array are computed one
        at a time. The frames of a time-lapse share one normalisation.
    model : Predictor, str or Path, optional
        From `blunet.load_model`, or the `.blunet` file. None: the model that comes with the package.
    threshold : float, optional
        Pixels with a greater probability are foreground, 0 to 1. None: the model's own.
    min_size : int
        Area of the smallest object that is kept, in pixels.
    objects : {"watershed", "components", "mask"}
        `watershed`: connected areas, split where cells touch, by the distance map of a model that has one, else at
        necks.
    diameter : float, optional
        Typical diameter of the objects in this image, in pixels, if it differs from the diameter that the model was
        trained with. None: no resampling.
    splitting : float, optional
        How readily touching objects are split by `watershed`, from 0 (never) to 1 (at every constriction). None: the
        model's own.

    Returns
    -------
    ndarray of the image's shape, int32
        0 is background; the objects are numbered from 1 without gaps, in a time-lapse on from frame to frame.

    Raises
    ------
    InputError
        If a setting is out of range or the image cannot be used.

    Warns
    -----
    UserWarning
        If a frame is constant, or the first one looks unlike the images that the model can use.

    Examples
    --------
    >>> import blunet
    >>> from blunet.simulation.dic_fields import DicSettings, simulate_dic
    >>> image = simulate_dic(DicSettings(shape=(160, 160)), seed=1).image
    >>> labels = blunet.segment(image)
    >>> labels.shape, labels.dtype.name
    ((160, 160), 'int32')
    """
    settings = SegmentationSettings(
        threshold=threshold, splitting=splitting, min_size=min_size, objects=objects, diameter=diameter
    )
    if model is None or isinstance(model, str | Path):
        from blunet.packed.packed_model import load_model

        model = load_model(model)
    source = FrameSource.from_array(image)
    settings = settings.for_model(model.info)
    result: NDArray[np.int32] | None = None
    for found in label_frames(predict_frames(source, model, settings), source, settings):
        if found.warning:
            warnings.warn(found.warning, UserWarning, stacklevel=2)
        if not source.stack:
            return found.labels.astype(np.int32, copy=False)
        result = allocate(source.array_shape, np.int32) if result is None else result
        result[found.t] = found.labels
    assert result is not None
    return result
