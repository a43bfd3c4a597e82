"""Published checkpoints as Keras models."""

from __future__ import annotations

from pathlib import Path

import keras

from blunet.architecture import Network, NetworkSettings
from blunet.networks.build import build_network
from blunet.networks.weight_transfer import set_weights
from blunet.packed.published_file import read_published


def import_published(path: str | Path, network: Network) -> tuple[keras.Model, NetworkSettings]:
    """Read a published checkpoint (see `blunet.packed.published_file.read_published`) into a Keras model.

    Returns
    -------
    model : keras.Model
    settings : NetworkSettings
        As found in the file.

    Raises
    ------
    InputError
        As `read_published`.
    """
    settings, weights = read_published(path, network)
    model = build_network(settings)
    set_weights(model, settings, weights)
    return model, settings
