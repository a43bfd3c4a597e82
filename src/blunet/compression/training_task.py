"""What a step trains: a model, its loss, its targets, and how it is validated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings
from blunet.compression.compression_settings import StepSettings
from blunet.compression.scoring import THRESHOLDS, score_thresholds
from blunet.dataset.crops import Batch
from blunet.dataset.fields import Field
from blunet.dataset.reviewed import NOT_REVIEWED, find_reviewed, keep_reviewed
from blunet.dataset.targets import stack_targets
from blunet.evaluation.metrics import iou
from blunet.evaluation.scores import score
from blunet.networks.keras_file import run_network

#: Weight of the distance map's loss, and the difference up to which it is quadratic.
DISTANCE_WEIGHT, DISTANCE_BETA = 4.0, 0.1


class Validation(NamedTuple):
    """What a model reaches on the validation images.

    Attributes
    ----------
    loss : float
    iou : float or None
        Mean over the images; None for hints.
    mask : ndarray of shape (Y, X), bool, or None
        Foreground of the first image; None for hints.
    map : float or None
        Mean average precision of the objects, mean over the images; None where it is not measured.
    """

    loss: float
    iou: float | None
    mask: NDArray[np.bool_] | None
    map: float | None = None


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
    target: NetworkSettings,
    settings: StepSettings,
    *,
    pretrained: bool = False,
    student: keras.Model | None = None,
    partly: bool = False,
) -> Task:
    """Return the task of training a network on masks.

    Parameters
    ----------
    network : keras.Model
    validation : sequence of Field
        With the distance map if the network learns it.
    target : NetworkSettings
        Of the network.
    settings : StepSettings
    pretrained : bool
        As in `Task`.
    student : keras.Model, optional
        The network whose answer is mixed into the truth, as ``settings.soft`` says.
    partly : bool
        Whether some pixels were not reviewed. Keras' own loss, which its files name, knows none of these.
    """
    if len(target.maps) > 1:
        loss: Any = maps_loss
    else:
        entropy: Any = cross_entropy if partly else "binary_crossentropy"
        loss = entropy if settings.loss == "bce" else cross_entropy_and_dice
    soft = settings.soft if student is not None else 0.0

    def make_targets(batch: Batch) -> NDArray[np.float32]:
        if not soft or student is None:
            return batch.truths
        answer = ops.convert_to_numpy(student.predict_on_batch(batch.images))
        mixed = (1 - soft) * batch.truths + soft * answer
        return np.where(batch.truths == NOT_REVIEWED, batch.truths, mixed).astype(np.float32)

    def measure() -> Validation:
        if target.form == "published":
            return validate(network, validation, target.multiple)
        return validate_objects(network, validation, target, loss)

    return Task(network, loss, make_targets, measure, pretrained)


def maps_loss(truth: Any, maps: Any) -> Any:
    """Return the loss of each pixel: `cross_entropy_and_dice` of the foreground, and a smooth L1 loss of the distance.

    Parameters
    ----------
    truth, maps : tensor of shape (N, Y, X, 2)
        Foreground and distance map. The loss is 0 where the truth is `NOT_REVIEWED`.

    Returns
    -------
    tensor of shape (N, Y, X)
        The smooth L1 loss (Girshick 2015) of a difference d is ``d^2 / (2 beta)`` below beta, else ``d - beta / 2``.
    """
    difference = ops.where(truth[..., 1] < 0, 0.0, ops.abs(truth[..., 1] - maps[..., 1]))
    beta = DISTANCE_BETA
    smooth = ops.where(difference < beta, ops.square(difference) / (2 * beta), difference - beta / 2)
    return cross_entropy_and_dice(truth[..., :1], maps[..., :1]) + DISTANCE_WEIGHT * smooth


def cross_entropy(truth: Any, probability: Any) -> Any:
    """Return the binary cross-entropy of each pixel (N, Y, X), 0 where the truth is `NOT_REVIEWED`.

    Parameters
    ----------
    truth, probability : tensor of shape (N, Y, X, 1)
    """
    entropy = keras.losses.binary_crossentropy(ops.maximum(truth, 0.0), probability)
    return ops.where(truth[..., 0] < 0, 0.0, entropy)


def cross_entropy_and_dice(truth: Any, probability: Any) -> Any:
    """Return the loss of each pixel: binary cross-entropy, plus the Dice loss of its image.

    Parameters
    ----------
    truth, probability : tensor of shape (N, Y, X, 1)
        Pixels whose truth is `NOT_REVIEWED` count in neither.

    Returns
    -------
    tensor of shape (N, Y, X)
        The Dice loss is ``1 - (2 sum(t p) + 1) / (sum(t) + sum(p) + 1)``.
    """
    entropy = cross_entropy(truth, probability)
    probability = ops.where(truth < 0, 0.0, probability)
    truth = ops.maximum(truth, 0.0)
    overlap = ops.sum(truth * probability, axis=(1, 2, 3), keepdims=False)
    total = ops.sum(truth + probability, axis=(1, 2, 3), keepdims=False)
    dice = 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
    return entropy + ops.reshape(dice, (-1, 1, 1))


def validate(network: keras.Model, validation: Sequence[Field], multiple: int) -> Validation:
    """Return the mean binary cross-entropy and the mean IoU at p > 0.5 of a network."""
    losses, ious, mask = [], [], None
    for field in validation:
        p = run_network(network, field.image, multiple)[0]
        truth, known = field.labels > 0, find_reviewed(field.labels)
        likelihood = np.clip(np.where(truth, p, 1 - p), 1e-7, 1)
        losses.append(float(-np.log(likelihood).mean(where=known)) if known.any() else 0.0)
        ious.append(iou(truth, keep_reviewed(p > 0.5, field.labels)))
        mask = p > 0.5 if mask is None else mask
    return Validation(float(np.mean(losses)), float(np.mean(ious)), mask)


def validate_objects(
    network: keras.Model, validation: Sequence[Field], target: NetworkSettings, loss: Any
) -> Validation:
    """Return what a network of the normalised form reaches.

    Returns
    -------
    Validation
        The loss that it is trained with, the mean IoU at the best threshold, and the mean average precision of the
        objects at that threshold.
    """
    losses, found = [], []
    function = keras.losses.get(loss)
    for field in validation:
        maps = run_network(network, field.image, target.multiple)
        of_pixels = function(stack_targets(field.labels, field.distance)[None], np.moveaxis(maps, 0, -1)[None])
        losses.append(float(np.mean(ops.convert_to_numpy(of_pixels))))
        found.append(maps)
    of_fields = [score_thresholds(maps[0], field.labels) for field, maps in zip(validation, found, strict=True)]
    ious = dict(zip(THRESHOLDS, np.mean(of_fields, axis=0).tolist(), strict=True))
    threshold = max(THRESHOLDS, key=lambda t: (ious[t], -abs(t - 0.5)))
    precision = [
        score(maps[0], field.labels, threshold, distance=maps[1] if len(maps) > 1 else None).map
        for field, maps in zip(validation, found, strict=True)
    ]
    return Validation(float(np.mean(losses)), ious[threshold], found[0][0] > threshold, float(np.mean(precision)))
