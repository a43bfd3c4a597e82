"""The state of a step on disk: weights, optimiser, and where it stood; written whole or not at all."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from blunet.errors import InputError
from blunet.files import replacing

#: What reading a file that is cut short, or of something else, raises.
UNREADABLE = (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass
class Progress:
    """Where a step stands.

    Attributes
    ----------
    epoch, batch : int
        The next epoch and batch, counted from 0.
    losses : list of float
        Training losses of the epoch's batches so far.
    best_epoch : int
        Epoch (counted from 1) of the best weights; 0: those that the step began with.
    best_score : float or None
        By the step's monitor; greater is better. None: there are no best weights yet.
    best_loss, best_iou : float or None
        Validation figures of the best weights.
    seconds : float
        Time spent so far.
    """

    epoch: int = 0
    batch: int = 0
    losses: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float | None = None
    best_loss: float | None = None
    best_iou: float | None = None
    seconds: float = 0.0


def save_state(
    path: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer | None, progress: Progress
) -> None:
    """Write weights, the optimiser's variables (unless None) and the progress to a `.npz` file.

    Raises
    ------
    InputError
        If it cannot be written, for instance because the disk is full; an older file stays as it was.
    """
    arrays = {f"w{i}": np.asarray(w) for i, w in enumerate(model.get_weights())}
    if optimizer is not None:
        arrays |= {f"o{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(optimizer.variables)}
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, progress=np.array(json.dumps(asdict(progress))), **arrays)  # type: ignore[arg-type]
    except OSError as e:
        raise InputError(
            f"The checkpoint '{path}' cannot be written ({e.strerror}); free some space, then continue with --resume."
        ) from e


def load_state(path: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer | None) -> Progress:
    """Put a saved state into a model and its (built) optimiser.

    Raises
    ------
    InputError
        If the file is cut short, or belongs to another network.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            weights = [held[f"w{i}"] for i in range(len(model.get_weights()))]
            variables = [] if optimizer is None else optimizer.variables
            states = [held[f"o{i}"] for i in range(len(variables))]
            progress = _progress(held)
        model.set_weights(weights)
        for variable, state in zip(variables, states, strict=True):
            variable.assign(state)
    except UNREADABLE as e:
        raise _unreadable(path) from e
    return progress


def read_progress(path: Path) -> Progress:
    """Read only where a saved step stands.

    Raises
    ------
    InputError
        If the file is cut short.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return _progress(held)
    except UNREADABLE as e:
        raise _unreadable(path) from e


def _progress(held: Mapping[str, Any]) -> Progress:
    return Progress(**json.loads(str(held["progress"])))


def _unreadable(path: Path) -> InputError:
    return InputError(
        f"The checkpoint '{path}' cannot be read: it is damaged or of another network; "
        "delete the step's .npz files to start the step again."
    )
