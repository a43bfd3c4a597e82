"""What a training step tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochDone:
    """One epoch of a step is over and its weights were validated.

    Attributes
    ----------
    step : str
        Name of the step.
    epoch, epochs : int
        The epoch, counted from 1, and how many the step has.
    loss, val_loss : float
        Mean of the training loss over the epoch, and the same loss on the validation images.
    val_iou : float or None
        Mean IoU of the validation images' foreground at p > 0.5; None while hints are learnt.
    learning_rate : float
        Of the epoch.
    best : bool
        Whether these weights are the best so far by the step's monitor.
    seconds : float
        Duration of the epoch with its validation.
    """

    step: str
    epoch: int
    epochs: int
    loss: float
    val_loss: float
    val_iou: float | None
    learning_rate: float
    best: bool
    seconds: float
