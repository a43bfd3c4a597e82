"""What a step trains: a model, its loss, its targets, and how it is validated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from blunet.compression.compression_settings import StepSettings
from blunet.dataset.crops import Batch
from blunet.dataset.fields import Field
from blunet.evaluation.metrics import iou
from blunet.networks.keras_file import run_network


class Validation(NamedTuple):
    """What a model reaches on the validation images.

    Attributes
    ----------
    loss : float
    iou : float or None
        Mean over the images; None for hints.
    mask : ndarray of shape (Y, X), bool, or None
        Foreground of the first image; None for hints.
    """

    loss: float
    iou: float | None
    mask: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Task:
    """What a step trains.

    Attributes
    ----------
    model : keras.Model
        The network, or a model of its feature maps.
    loss : Any
        As `keras.Model.compile` takes it.
    make_targets : callable
        Returns the values that the model's outputs of a batch are compared with.
    validate : callable
        Returns what the model reaches now.
    pretrained : bool
        Whether the weights that the step starts with are the best until an epoch is better.
    """

    model: keras.Model
    loss: Any
    make_targets: Callable[[Batch], Any]
    validate: Callable[[], Validation]
    pretrained: bool = False


def make_segmentation_task(
    network: keras.Model,
    validation: Sequence[Field],
    multiple: int,
    settings: StepSettings,
    *,
    pretrained: bool = False,
) -> Task:
    """Return the task of training a network on masks.

    Parameters
    ----------
    network : keras.Model
    validation : sequence of Field
    multiple : int
        The sides of the network's input are multiples of this number of pixels.
    settings : StepSettings
    pretrained : bool
        As in `Task`.
    """
    return Task(
        model=network,
        loss="binary_crossentropy" if settings.loss == "bce" else cross_entropy_and_dice,
        make_targets=lambda batch: batch.truths,
        validate=lambda: validate(network, validation, multiple),
        pretrained=pretrained,
    )


def cross_entropy_and_dice(truth: Any, probability: Any) -> Any:
    """Return the loss of each pixel: binary cross-entropy, plus the Dice loss of its image.

    Parameters
    ----------
    truth, probability : tensor of shape (N, Y, X, 1)

    Returns
    -------
    tensor of shape (N, Y, X)
        The Dice loss is ``1 - (2 sum(t p) + 1) / (sum(t) + sum(p) + 1)``.
    """
    entropy = keras.losses.binary_crossentropy(truth, probability)
    overlap = ops.sum(truth * probability, axis=(1, 2, 3), keepdims=False)
    total = ops.sum(truth + probability, axis=(1, 2, 3), keepdims=False)
    dice = 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
    return entropy + ops.reshape(dice, (-1, 1, 1))


def validate(network: keras.Model, validation: Sequence[Field], multiple: int) -> Validation:
    """Return the mean binary cross-entropy and the mean IoU at p > 0.5 of a network."""
    losses, ious, mask = [], [], None
    for field in validation:
        p = run_network(network, field.image, multiple)[0]
        truth = field.labels > 0
        likelihood = np.clip(np.where(truth, p, 1 - p), 1e-7, 1)
        losses.append(float(-np.log(likelihood).mean()))
        ious.append(iou(truth, p > 0.5))
        mask = p > 0.5 if mask is None else mask
    return Validation(float(np.mean(losses)), float(np.mean(ious)), mask)
