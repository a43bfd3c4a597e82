"""Where the teacher comes from: a file, simulated fields, or nothing."""

from __future__ import annotations

from pathlib import Path

import keras

from blunet.architecture import NetworkSettings
from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_request import WITHOUT_FILE
from blunet.errors import InputError
from blunet.images.normalisation_settings import Normalisation
from blunet.networks.build import build_network
from blunet.networks.keras_file import KerasModel, load_keras
from blunet.networks.published_checkpoint import import_published
from blunet.networks.weight_transfer import get_weights, set_weights
from blunet.packed.model_card import ModelInfo


def load_teacher(source: str, settings: CompressionSettings) -> KerasModel | None:
    """Read the teacher.

    Parameters
    ----------
    source : str
        "simulated", "scratch", or a `.keras` or published `.h5` file.
    settings : CompressionSettings

    Returns
    -------
    KerasModel or None
        None where there is no file: the U-Net starts afresh.

    Raises
    ------
    InputError
        If the file cannot be read, is not a U-Net, or has other levels or filters than the settings.
    """
    if source in WITHOUT_FILE:
        return None
    path = Path(source)
    published = path.suffix.lower() in (".h5", ".hdf5")
    if not path.exists() or not (published or path.suffix.lower() == ".keras"):
        fault, place = (
            (f"is a '{path.suffix}' file", "") if path.exists() else ("is no file", " (its new place, if moved)")
        )
        raise InputError(
            f"The teacher '{source}' {fault}; give a .keras or published .h5 file{place}, 'simulated' or 'scratch'."
        )
    if published:
        network, found = import_published(path, "unet")
        teacher = KerasModel(network, found, ModelInfo(normalisation=Normalisation(method="range")), path)
    else:
        teacher = load_keras(path)
    if teacher.settings.network != "unet":
        raise InputError(f"The teacher '{source}' is a '{teacher.settings.network}' network; give a U-Net.")
    wanted = settings.network("unet")
    shape, asked = ((s.levels, s.base_filters) for s in (teacher.settings, wanted))
    if shape != asked:
        raise InputError(
            f"The teacher '{source}' has {shape[0]} levels and {shape[1]} filters, the settings {asked[0]} and "
            f"{asked[1]}: set levels = {shape[0]} and base_filters = {shape[1]}."
        )
    return teacher


def rebuilt(model: keras.Model | None, settings: NetworkSettings, l2: float, seed: int) -> keras.Model:
    """Build a network whose loss has the given penalty, with the weights of `model` (None: fresh ones)."""
    network = build_network(settings, seed=seed, l2=l2)
    if model is not None:
        set_weights(network, settings, get_weights(model, settings))
    return network
