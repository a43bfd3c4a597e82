"""The state of a step on disk: weights, optimiser and progress. A file is written completely or not at all."""

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

#: Exceptions of reading a file that is truncated or of another kind.
UNREADABLE = (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass
class Progress:
    """How far a step has come.

    Attributes
    ----------
    epoch, batch : int
        The next epoch and batch, counted from 0.
    losses : list of float
        Training losses of the epoch's batches so far.
    best_epoch : int
        Epoch, counted from 1, of the best weights; 0: the weights that the step started with.
    best_score : float or None
        Value of the step's monitor for them, the greater the better. None: there are no best weights yet.
    best_loss, best_iou, best_map : float or None
        Validation figures of the best weights.
    seconds : float
        Training time so far.
    """

    epoch: int = 0
    batch: int = 0
    losses: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float | None = None
    best_loss: float | None = None
    best_iou: float | None = None
    best_map: float | None = None
    seconds: float = 0.0


def save_state(
    path: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer | None, progress: Progress
) -> None:
    """Write weights, the optimiser's variables (unless None) and the progress to a `.npz` file.

    Raises
    ------
    InputError
        If the file cannot be written, for instance because the disk is full. An older file stays unchanged.
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
    """Load a saved state into a model and its built optimiser.

    Raises
    ------
    InputError
        If the file is truncated or of another network.
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
    """Read the progress of a saved state alone.

    Raises
    ------
    InputError
        If the file is truncated.
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
