"""Reading published checkpoints, HDF5 weight files written by Keras 2.9, without Keras."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NETWORKS, Layer, Network, NetworkSettings, ResidualLevels, list_layers
from blunet.architecture.published_names import locate_published_weights
from blunet.errors import InputError

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read_published(
    path: str | Path, network: Network
) -> tuple[NetworkSettings, dict[tuple[str, str], NDArray[np.float32]]]:
    """Read the weights of a published checkpoint.

    Parameters
    ----------
    path : str or Path
        An HDF5 file of Keras' ``save_weights``.
    network : {"unet", "lightweight", "blunet"}
        The network that it holds. Levels, filters and residual levels follow from the file.

    Returns
    -------
    settings : NetworkSettings
    weights : dict of (layer, weight) -> ndarray
        float32, by the names of the table of layers. Kernels of a binary network are the latent ones.

    Raises
    ------
    InputError
        If there is no such file, if it is not HDF5 or holds another network, or if a layer or a weight is missing or
        has another shape.
    """
    import h5py

    path = Path(path)
    if network not in NETWORKS:
        raise InputError(f"There is no network '{network}'; choose one of {', '.join(NETWORKS)}.")
    _check_signature(path)
    try:
        with h5py.File(path, "r") as file:
            settings = _read_settings(file, path, network)
            return settings, {
                (layer.name, weight): _read_weight(file, path, layer, weight, group, dataset)
                for layer in list_layers(settings)
                for weight, (group, dataset) in locate_published_weights(layer, network).items()
            }
    except (OSError, KeyError, RuntimeError) as e:
        raise InputError(f"'{path}' cannot be read as HDF5 ({e}); the file may be cut short: copy it again.") from e


def _check_signature(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(SIGNATURE))
    except FileNotFoundError as e:
        raise InputError(f"There is no file '{path}'.") from e
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror}.") from e
    if start != SIGNATURE:
        raise InputError(f"'{path}' is not an HDF5 file; give a checkpoint (.h5) of the published networks.")


def _read_settings(file: h5py.File, path: Path, network: Network) -> NetworkSettings:
    held = _recognise_network(set(file))
    if held is None:
        raise InputError(f"'{path}' holds no layer of the published networks (no group 'Level0_...').")
    if held != network:
        raise InputError(f"'{path}' holds the network '{held}', not '{network}'; import it with --network {held}.")
    found = [int(m[1]) for name in file if (m := re.match(r"Level(\d+)_", name))]
    first = list_layers(NetworkSettings(network=network, levels=1, base_filters=1))[0]
    filters = _find_dataset(file, path, *locate_published_weights(first, network)["bias"]).size
    settings = NetworkSettings(network=network, levels=max(found) + 1, base_filters=int(filters))
    if network != "blunet":
        return settings
    counts = {"convolution": "kernel_gamma", "activation": "activation_gamma"}
    counts |= {"depthwise": "depthwise_gamma", "pointwise": "pointwise_gamma"}
    levels = {}
    for kind, gamma in counts.items():
        for layer in list_layers(settings):
            places = locate_published_weights(layer, network)
            if gamma in places:
                levels[kind] = int(_find_dataset(file, path, *places[gamma]).size)
                break
    return settings.changed(residual_levels=ResidualLevels(**levels))


def _recognise_network(groups: set[str]) -> Network | None:
    if "Level0_BinaryConv2D_1" in groups:
        return "blunet"
    if "Level0_Conv2D_1" not in groups:
        return None
    lightweight = "logit_output" in groups or any("_Lightweight_" in g for g in groups)
    return "lightweight" if lightweight else "unet"


def _read_weight(
    file: h5py.File, path: Path, layer: Layer, weight: str, group: str, dataset: str
) -> NDArray[np.float32]:
    stored = _find_dataset(file, path, group, dataset)
    shape = layer.weight(weight).shape
    if stored.shape != shape:
        raise InputError(
            f"'{path}': '{dataset}' of layer '{group}' has the shape {stored.shape}, and {shape} is needed."
        )
    values = np.asarray(stored[...], np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"'{path}': '{dataset}' of layer '{group}' holds NaN or infinite values.")
    return values


def _find_dataset(file: h5py.File, path: Path, group: str, dataset: str) -> h5py.Dataset:
    import h5py

    if group not in file:
        raise InputError(f"'{path}' lacks the layer '{group}'.")
    found = file[group].get(f"{group}/{dataset}:0")
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"'{path}' lacks '{dataset}' of the layer '{group}'.")
    return found
