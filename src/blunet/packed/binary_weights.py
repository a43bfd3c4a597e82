"""The weights of a binary network: bit planes, gammas, scales and biases, checked against its table of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blunet.architecture import NetworkSettings, Weight, list_layers
from blunet.errors import InputError
from blunet.packed.bit_planes import count_words, decode_residual, encode_residual, pack_bits, unpack_bits

#: Names of a layer and of one of its weights, as in the table of layers.
Key = tuple[str, str]


class StoredWeight(NamedTuple):
    """A weight of a network as it is stored."""

    key: Key
    weight: Weight

    @property
    def shape(self) -> tuple[int, ...]:
        """(M, words) where the weight is binarised, else its own shape."""
        if self.weight.residual_levels:
            return self.weight.residual_levels, count_words(self.weight.size)
        return self.weight.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint64 where the weight is binarised, else float32."""
        return np.dtype(np.uint64 if self.weight.residual_levels else np.float32)


@dataclass(frozen=True, eq=False)
class BinaryWeights:
    """All weights of a binary network.

    Parameters
    ----------
    settings : NetworkSettings
        Of a ``blunet`` network.
    planes : mapping of (layer, weight) to ndarray of uint64, shape (M, ceil(size / 64))
        The signs of every binarised weight, level by level; each plane is packed by `pack_bits`.
    floats : mapping of (layer, weight) to ndarray of float32
        Biases, scales, shifts, gammas, and the output's kernel in the normalised form. Only the magnitudes of gammas
        count.

    Raises
    ------
    InputError
        If a tensor is missing, is not in the network's table, has another shape or type, or is not finite.
    """

    settings: NetworkSettings
    planes: Mapping[Key, NDArray[np.uint64]]
    floats: Mapping[Key, NDArray[np.float32]]

    def __post_init__(self) -> None:
        table = list(list_weights(self.settings))
        binarised = {stored.key for stored in table if stored.weight.residual_levels}
        _refuse_unknown(self.planes, binarised)
        _refuse_unknown(self.floats, {stored.key for stored in table} - binarised)
        for stored in table:
            held: Mapping[Key, NDArray[Any]] = self.planes if stored.key in binarised else self.floats
            _check(stored.key, held.get(stored.key), stored.shape, stored.dtype)

    def decode(self, layer: str, name: str) -> NDArray[np.float32]:
        """Return a kernel as the numbers that its code stands for, in the table's shape."""
        weight = next(stored.weight for stored in list_weights(self.settings) if stored.key == (layer, name))
        signs = np.stack([unpack_bits(plane, weight.shape) for plane in self.planes[layer, name]])
        return decode_residual(signs, self.floats[layer, str(weight.gamma)])


def binarise_weights(settings: NetworkSettings, latent: Mapping[Key, NDArray[Any]]) -> BinaryWeights:
    """Binarise the latent kernels of a trained binary network.

    Parameters
    ----------
    settings : NetworkSettings
        Of a ``blunet`` network.
    latent : mapping of (layer, weight) to ndarray
        Every weight of the table, in its shapes; kernels as floats.

    Returns
    -------
    BinaryWeights

    Raises
    ------
    InputError
        If a weight is missing, unknown, of another shape, or not finite.
    """
    table = dict(list_weights(settings))
    _refuse_unknown(latent, set(table))
    values: dict[Key, NDArray[np.float32]] = {}
    for key, weight in table.items():
        array = np.asarray(latent[key], np.float32) if key in latent else None
        _check(key, array, weight.shape, np.dtype(np.float32))
        assert array is not None
        values[key] = array.copy()
    planes = {}
    for key, weight in table.items():
        if weight.residual_levels:
            signs = encode_residual(values.pop(key), values[key[0], str(weight.gamma)])
            planes[key] = np.stack([pack_bits(plane) for plane in signs])
    return BinaryWeights(settings, planes, values)


def list_weights(settings: NetworkSettings) -> Iterator[StoredWeight]:
    """Yield every weight of a binary network.

    Raises
    ------
    InputError
        If the network is not binary.
    """
    if not settings.binary:
        raise InputError(f"The network is '{settings.network}'; only a 'blunet' can be packed.")
    for layer in list_layers(settings):
        for weight in layer.weights:
            yield StoredWeight((layer.name, weight.name), weight)


def _refuse_unknown(held: Iterable[Key], known: set[Key]) -> None:
    for key in sorted(set(held) - known):
        raise InputError(f"There is a weight '{'/'.join(key)}', which the network does not have.")


def _check(key: Key, array: NDArray[Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    name = "/".join(key)
    if array is None:
        raise InputError(f"The weight '{name}' is missing.")
    if array.shape != shape or array.dtype != dtype:
        raise InputError(
            f"The weight '{name}' is {array.dtype} of shape {array.shape}, and has to be {dtype} of shape {shape}."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"The weight '{name}' holds NaN or infinite values.")
