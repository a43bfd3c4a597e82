"""The U-Net that a compression starts from: a file, simulated images, or random weights."""

from __future__ import annotations

from pathlib import Path

import keras

from blunet.architecture import NetworkSettings
from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_request import WITHOUT_FILE
from blunet.errors import InputError
from blunet.images.normalisation_settings import Normalisation
from blunet.networks.build import build_network
from blunet.networks.conversion import convert_network
from blunet.networks.keras_file import KerasModel, load_keras
from blunet.networks.published_checkpoint import import_published
from blunet.packed.model_card import ModelInfo

PUBLISHED_ENDINGS = (".h5", ".hdf5")


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
        None if there is no file, and the U-Net starts from random weights.

    Raises
    ------
    InputError
        If the file cannot be read, is not a U-Net, or has other levels or filters than the settings.
    """
    if source in WITHOUT_FILE:
        return None
    path = Path(source)
    if not path.exists():
        raise InputError(
            f"The teacher '{source}' is no file; give a .keras or published .h5 file (its new place, if moved), "
            "'simulated' or 'scratch'."
        )
    if path.suffix.lower() in PUBLISHED_ENDINGS:
        network, found = import_published(path, "unet")
        teacher = KerasModel(network, found, ModelInfo(normalisation=Normalisation(method="range")), path)
    elif path.suffix.lower() == ".keras":
        teacher = load_keras(path)
    else:
        raise InputError(
            f"The teacher '{source}' is a '{path.suffix}' file; give a .keras or published .h5 file, 'simulated' or "
            "'scratch'."
        )
    _check_shape(source, teacher.settings, settings)
    return teacher


def _check_shape(source: str, teacher: NetworkSettings, settings: CompressionSettings) -> None:
    if teacher.network != "unet":
        raise InputError(f"The teacher '{source}' is a '{teacher.network}' network; give a U-Net.")
    if (teacher.levels, teacher.base_filters) != (settings.levels, settings.base_filters):
        raise InputError(
            f"The teacher '{source}' has {teacher.levels} levels and {teacher.base_filters} filters, the settings "
            f"{settings.levels} and {settings.base_filters}: set levels = {teacher.levels} and base_filters = "
            f"{teacher.base_filters}."
        )


def rebuild(model: keras.Model | None, settings: NetworkSettings, l2: float, seed: int) -> keras.Model:
    """Build a network whose loss has an L2 penalty, with the weights of a model.

    Parameters
    ----------
    model : keras.Model or None
        From ``build_network(settings)``. None: the weights are random.
    settings : NetworkSettings
    l2 : float
        Factor of the sum of the squared kernels in the loss.
    seed : int
        Seed of the random weights.
    """
    if model is None:
        return build_network(settings, seed=seed, l2=l2)
    return convert_network(model, settings, settings, (), seed=seed, l2=l2)
