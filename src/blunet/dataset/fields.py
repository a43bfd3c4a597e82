"""Normalised images with their truth, read from files or simulated, as training and validation use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.augmentation import Planes
from blunet.dataset.pairs import Pair
from blunet.dataset.reviewed import read_pair_labels
from blunet.dataset.targets import compute_distance_map
from blunet.dataset.truth_masks import separate_touching
from blunet.dataset.validation_crop import find_validation_crop
from blunet.errors import naming_errors
from blunet.images.frame_source import read_image
from blunet.images.normalisation import normalise
from blunet.images.normalisation_settings import Normalisation
from blunet.simulation.dic_fields import simulate_images


@dataclass(frozen=True)
class Field:
    """A normalised image with its truth.

    Attributes
    ----------
    name : str
    image : ndarray of shape (Y, X), float32
        In [0, 1].
    labels : ndarray of shape (Y, X), int32
        0 is background, 1..N are instances, `NOT_REVIEWED` is what does not count.
    distance : ndarray of shape (Y, X), float32, or None
        The map of `compute_distance_map`, where it is learnt.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    distance: NDArray[np.float32] | None = None

    @property
    def planes(self) -> Planes:
        """What is cropped and augmented."""
        return Planes(self.image, self.labels, self.distance)


def read_field(pair: Pair, normalisation: Normalisation) -> Field:
    """Read a pair of files; the labels are the unchanged truth.

    Raises
    ------
    InputError
        If the image or the mask cannot be read.
    """
    with naming_errors(pair.image):
        image = read_image(pair.image)
        labels = read_pair_labels(pair, (image.shape[0], image.shape[1]))
        return Field(pair.name, normalise(image, normalisation), labels)


def simulate_fields(
    count: int, normalisation: Normalisation, *, object_diameter: float, seed: int, size: int = 512
) -> Iterator[Field]:
    """Simulate fields as `simulate_images` does, and normalise their images."""
    for i, simulated in enumerate(simulate_images(count, object_diameter=object_diameter, seed=seed, size=size)):
        yield Field(f"simulated-{i}", normalise(simulated.image, normalisation), simulated.labels)


def prepare_for_training(field: Field, *, gap: bool = True, distance: bool = False) -> Field:
    """Return a field as networks learn it.

    Parameters
    ----------
    field : Field
    gap : bool
        Whether touching instances are separated by a gap in the labels.
    distance : bool
        Whether to add the distance map. It is that of the labels without gaps.
    """
    return Field(
        field.name,
        field.image,
        separate_touching(field.labels) if gap else field.labels,
        compute_distance_map(np.maximum(field.labels, 0)) if distance else None,
    )


def crop_for_validation(field: Field, size: int) -> Field:
    """Crop a field as `find_validation_crop` says; a smaller field stays as it is."""
    region = find_validation_crop(field.labels, size)
    distance = None if field.distance is None else field.distance[region]
    return Field(field.name, field.image[region], field.labels[region], distance)
