"""Batches of augmented training crops; a seed always draws the same crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.dataset.augmentation import Planes, augment, crop_at_random
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.dataset.border_weights import compute_border_weights
from blunet.dataset.fields import Field
from blunet.dataset.targets import stack_targets

#: Batches that are drawn ahead of the one that is trained on.
PREFETCHED_BATCHES = 4


class Batch(NamedTuple):
    """What one training step sees.

    Attributes
    ----------
    images : ndarray of shape (N, Y, X, 1), float32
        In [0, 1].
    truths : ndarray of shape (N, Y, X, K), float32
        The foreground, 0 or 1, and behind it the distance map, where it is learnt. All are `NOT_REVIEWED` where
        nothing is known.
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
    foreground : float
        Share of a crop, 0 to 1, that objects should cover, see `crop_at_random`.
    """

    groups: Sequence[Sequence[Field]]
    size: int
    batch: int
    augmentation: AugmentationSettings
    seed: int
    weighted: bool = False
    balanced: bool = True
    foreground: float = 0.0

    def draw_batch(self, index: int) -> Batch:
        """Return batch `index`."""
        crops = [self._draw_crop(np.random.default_rng([self.seed, index, n])) for n in range(self.batch)]
        labels = np.stack([crop.labels for crop in crops])
        distances = [crop.distance for crop in crops if crop.distance is not None]
        truths = stack_targets(labels, np.stack(distances) if len(distances) == len(crops) else None)
        images = np.stack([crop.image for crop in crops])
        return Batch(images[..., None], truths, self._compute_weights(np.maximum(labels, 0)))

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

    def _draw_crop(self, rng: np.random.Generator) -> Planes:
        group = self.groups[int(rng.integers(len(self.groups)))]
        field = group[int(rng.integers(len(group)))]
        return augment(crop_at_random(field.planes, self.size, rng, self.foreground), self.augmentation, rng)
