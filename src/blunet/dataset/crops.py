"""Batches of training crops, drawn from real pairs and simulated fields; a seed always draws the same crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.augmentation import augment, crop_at_random
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.dataset.border_weights import compute_border_weights
from blunet.dataset.pairs import Pair
from blunet.dataset.truth_masks import read_mask, separate_touching
from blunet.dataset.validation_crop import find_validation_crop
from blunet.images.frame_source import read_image
from blunet.images.normalisation import normalise
from blunet.images.normalisation_settings import Normalisation
from blunet.simulation.dic_fields import DicField, simulate_dic
from blunet.simulation.dic_settings import draw_settings

#: Batches that are drawn ahead of the one that is trained on.
PREFETCHED_BATCHES = 4


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
    """Read a pair of files; the labels are the unchanged truth.

    Raises
    ------
    InputError
        If the image or the mask cannot be read.
    """
    image = read_image(pair.image)
    labels = read_mask(pair.mask, (image.shape[0], image.shape[1]))
    return Field(pair.name, normalise(image, normalisation), labels)


def simulate_fields(
    count: int, normalisation: Normalisation, *, object_diameter: float, seed: int, size: int = 512
) -> Iterator[Field]:
    """Simulate fields as `simulate_images` does, and normalise their images."""
    for i, simulated in enumerate(simulate_images(count, object_diameter=object_diameter, seed=seed, size=size)):
        yield Field(f"simulated-{i}", normalise(simulated.image, normalisation), simulated.labels)


def simulate_images(count: int, *, object_diameter: float, seed: int, size: int = 512) -> Iterator[DicField]:
    """Simulate square DIC fields with widely varying optics and cells, as a camera records them.

    Parameters
    ----------
    count : int
    object_diameter : float
        Centre of the range of diameters in pixels.
    seed : int
        The same seed gives the same fields.
    size : int
        Side of a field in pixels.
    """
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        settings = draw_settings(rng, (size, size), object_diameter)
        yield simulate_dic(settings, seed=int(rng.integers(2**31)))


def prepare_for_training(field: Field) -> Field:
    """Return the field with touching instances separated by a gap."""
    return Field(field.name, field.image, separate_touching(field.labels))


def crop_for_validation(field: Field, size: int) -> Field:
    """Crop a field as `find_validation_crop` says; a smaller field stays as it is."""
    region = find_validation_crop(field.labels, size)
    return Field(field.name, field.image[region], field.labels[region])


class Batch(NamedTuple):
    """What one training step sees.

    Attributes
    ----------
    images, truths : ndarray of shape (N, Y, X, 1), float32
        Images in [0, 1]; foreground 0 or 1.
    weights : ndarray of shape (N, Y, X), float32, or None
        Weights of the pixels in the loss.
    """

    images: NDArray[np.float32]
    truths: NDArray[np.float32]
    weights: NDArray[np.float32] | None


@dataclass(frozen=True)
class Crops:
    """An endless sequence of batches of augmented crops.

    Attributes
    ----------
    groups : sequence of sequences of Field
        For each crop a group is drawn, then a field of that group, so that few real fields count as much as many
        simulated ones. Touching instances are separated already (`prepare_for_training`).
    size : int
        Side of a crop in pixels.
    batch : int
        Number of crops in a batch.
    augmentation : AugmentationSettings
    seed : int
        The same seed gives the same batch `i`, whatever was drawn before.
    weighted : bool
        Whether a batch has weights that stress thin borders between touching cells.
    balanced : bool
        Whether these weights also give foreground and background equal totals. Not needed where the loss does.
    """

    groups: Sequence[Sequence[Field]]
    size: int
    batch: int
    augmentation: AugmentationSettings
    seed: int
    weighted: bool = False
    balanced: bool = True

    def draw_batch(self, index: int) -> Batch:
        """Return batch `index`."""
        crops = [self._draw_crop(np.random.default_rng([self.seed, index, n])) for n in range(self.batch)]
        images, labels = (np.stack(planes) for planes in zip(*crops, strict=True))
        return Batch(images[..., None], (labels > 0).astype(np.float32)[..., None], self._compute_weights(labels))

    def draw_batches(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches from `first` up to but not including `last`; a thread draws them ahead."""
        with ThreadPoolExecutor(1, thread_name_prefix="crops") as pool:
            ahead = [pool.submit(self.draw_batch, i) for i in range(first, min(first + PREFETCHED_BATCHES, last))]
            try:
                for i in range(first, last):
                    batch = ahead.pop(0).result()
                    if i + PREFETCHED_BATCHES < last:
                        ahead.append(pool.submit(self.draw_batch, i + PREFETCHED_BATCHES))
                    yield batch
            finally:
                for future in ahead:
                    future.cancel()

    def _compute_weights(self, labels: NDArray[np.int32]) -> NDArray[np.float32] | None:
        if not self.weighted:
            return None
        if self.balanced:
            return np.stack([compute_border_weights(plane) for plane in labels])
        return np.stack([compute_border_weights(plane, largest_ratio=1.0) for plane in labels])

    def _draw_crop(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        group = self.groups[int(rng.integers(len(self.groups)))]
        field = group[int(rng.integers(len(group)))]
        image, labels = crop_at_random(field.image, field.labels, self.size, rng)
        image, labels = augment(image, labels, self.augmentation, rng)
        return image.astype(np.float32, copy=False), labels
