"""Where training crops come from: real pairs and simulated fields, cropped and augmented, the same for one seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.augmentation import augment, random_crop
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.dataset.border_weights import border_weights
from blunet.dataset.pairs import Pair
from blunet.dataset.truth_masks import read_mask, with_gap
from blunet.dataset.validation_crop import window
from blunet.images.frame_source import read_image
from blunet.images.normalisation import normalise
from blunet.images.normalisation_settings import Normalisation
from blunet.simulation.dic_fields import DicField, simulate_dic
from blunet.simulation.dic_settings import random_settings

PREFETCHED = 4


@dataclass(frozen=True)
class Field:
    """A normalised image with its truth.

    Attributes
    ----------
    name : str
    image : ndarray of shape (Y, X), float32
        In [0, 1].
    labels : ndarray of shape (Y, X), int32
        0 is background, 1..N are instances.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.int32]


def read_field(pair: Pair, normalisation: Normalisation) -> Field:
    """Read a pair of files; the labels are the untouched truth."""
    image = read_image(pair.image)
    labels = read_mask(pair.mask, (image.shape[0], image.shape[1]))
    return Field(pair.name, normalise(image, normalisation), labels)


def simulated_fields(
    count: int, normalisation: Normalisation, *, object_diameter: float, seed: int, size: int = 512
) -> Iterator[Field]:
    """Simulate `count` square DIC fields of `size` pixels, as `simulated_images`, and normalise them."""
    for i, made in enumerate(simulated_images(count, object_diameter=object_diameter, seed=seed, size=size)):
        yield Field(f"simulated-{i}", normalise(made.image, normalisation), made.labels)


def simulated_images(count: int, *, object_diameter: float, seed: int, size: int = 512) -> Iterator[DicField]:
    """Simulate square DIC fields with widely varying optics and cells, as the microscope would give them."""
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        drawn = random_settings(rng, (size, size), object_diameter)
        yield simulate_dic(drawn, seed=int(rng.integers(2**31)))


def parted(field: Field) -> Field:
    """Return the field with touching instances parted by a gap, as training wants it."""
    return Field(field.name, field.image, with_gap(field.labels))


def looked_at(field: Field, size: int) -> Field:
    """Crop a field to its `window`; a smaller one stays as it is."""
    part = window(field.labels, size)
    return Field(field.name, field.image[part], field.labels[part])


class Batch(NamedTuple):
    """What one training step sees.

    Attributes
    ----------
    images, truths : ndarray of shape (N, Y, X, 1), float32
        Images in [0, 1]; foreground 0 or 1.
    weights : ndarray of shape (N, Y, X), float32, or None
        Of the pixels in the loss.
    """

    images: NDArray[np.float32]
    truths: NDArray[np.float32]
    weights: NDArray[np.float32] | None


@dataclass(frozen=True)
class Crops:
    """Endless batches of augmented crops.

    Attributes
    ----------
    groups : sequence of sequences of Field
        Each crop's group is drawn evenly, then a field of it: so many simulated fields do not outnumber few real
        ones. Labels are parted already (see `parted`).
    size : int
        Side of a crop in pixels.
    batch : int
        Crops a batch.
    augmentation : AugmentationSettings
    seed : int
        Batch number i is the same for the same seed, whatever was drawn before.
    weighted : bool
        Whether a batch brings weights that stress thin borders between touching cells.
    balanced : bool
        Whether these weights also give foreground and background equal totals; not beside a loss that does so itself.
    """

    groups: Sequence[Sequence[Field]]
    size: int
    batch: int
    augmentation: AugmentationSettings
    seed: int
    weighted: bool = False
    balanced: bool = True

    def draw(self, index: int) -> Batch:
        """Return batch `index`."""
        crops = [self._crop(np.random.default_rng([self.seed, index, n])) for n in range(self.batch)]
        images, labels = (np.stack(planes) for planes in zip(*crops, strict=True))
        return Batch(images[..., None], (labels > 0).astype(np.float32)[..., None], self._weights(labels))

    def between(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches from `first` up to but not including `last`, made ahead in a thread."""
        with ThreadPoolExecutor(1, thread_name_prefix="crops") as pool:
            ahead = [pool.submit(self.draw, i) for i in range(first, min(first + PREFETCHED, last))]
            try:
                for i in range(first, last):
                    batch = ahead.pop(0).result()
                    if i + PREFETCHED < last:
                        ahead.append(pool.submit(self.draw, i + PREFETCHED))
                    yield batch
            finally:
                for future in ahead:
                    future.cancel()

    def _weights(self, labels: NDArray[np.int32]) -> NDArray[np.float32] | None:
        if not self.weighted:
            return None
        if self.balanced:
            return np.stack([border_weights(plane) for plane in labels])
        return np.stack([border_weights(plane, largest_ratio=1.0) for plane in labels])

    def _crop(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        group = self.groups[int(rng.integers(len(self.groups)))]
        field = group[int(rng.integers(len(group)))]
        image, labels = random_crop(field.image, field.labels, self.size, rng)[:2]
        image, labels = augment(image, labels, self.augmentation, rng)[:2]
        return image.astype(np.float32, copy=False), labels
