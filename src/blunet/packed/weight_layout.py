"""Laying out a layer's weights for the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blunet.packed.bit_planes import count_words
from blunet.packed.kernels.layout import (
    AFTER,
    BEFORE,
    POPCOUNT_PANEL,
    SIGN_PANEL,
    UPSAMPLED_TAPS,
    WORD,
    BitMatrix,
    FloatMatrix,
    SignMatrix,
    choose_panel,
    pad_channels,
)
from blunet.packed.kernels.memory import align
from blunet.packed.layer_weights import LayerWeights
from blunet.packed.rounding import round_up

Array = NDArray[Any]


# Matrices of floats ---------------------------------------------------------------------------------------------------


def lay_out_float_matrix(kernel: Array, bias: Array) -> FloatMatrix:
    """Lay out a matrix (depth, filters) and its bias (filters,)."""
    depth, filters = kernel.shape
    panel = choose_panel(filters)
    matrix = np.zeros((depth, round_up(filters, panel)), np.float32)
    matrix[:, :filters] = kernel
    panels = np.ascontiguousarray(matrix.reshape(depth, -1, panel).transpose(1, 0, 2))
    return FloatMatrix(align(panels), align(_padded(bias, matrix.shape[1])), panel)


def lay_out_depthwise_floats(weights: LayerWeights) -> Array:
    """Lay out the depthwise kernels (9, channels): on a repeated source the sums of taps."""
    layer = weights.layer
    kernel = weights.values("depthwise_kernel").reshape(-1, layer.inputs)
    if layer.source == "upsampled":
        kernel = np.stack([kernel[list(taps)].sum(0, dtype=np.float32) for taps in UPSAMPLED_TAPS])
    result = np.zeros((9, pad_channels(layer.inputs)), np.float32)
    result[:, : layer.inputs] = kernel
    return align(result)


# Matrices of bits -----------------------------------------------------------------------------------------------------


def lay_out_convolution_bits(weights: LayerWeights) -> BitMatrix:
    """Lay out the kernels of a 3 x 3 convolution."""
    layer = weights.layer
    signs = weights.signs("kernel")
    planes = np.stack([pack_rows(plane.reshape(9, layer.inputs, -1), [layer.inputs]) for plane in signs])
    products = _gamma_products(weights.input_gammas[0], weights.gammas("kernel_gamma"))
    sums = np.where(signs, 1, -1).reshape(len(signs), 9, layer.inputs, -1).sum(2)  # (N, 9, filters)
    base = np.zeros((4, 4, round_up(layer.filters, WORD)), np.float32)
    pairs = products.reshape(-1, len(signs))
    for rows, columns in np.ndindex(4, 4):
        outside = [tap for tap in range(9) if _is_outside(tap, rows, columns)]
        # A word of zeros outside is read as -1, where the padding is 0.
        correction = (pairs[:, :, None] * sums[:, outside].sum(1)).sum((0, 1))
        value = weights.bias + pairs.sum() * 9 * layer.inputs + correction
        base[rows, columns, : layer.filters] = value
    return BitMatrix(align(_popcount_panels(planes)), _factors(products), align(base.ravel()))


def lay_out_pointwise_bits(weights: LayerWeights) -> BitMatrix:
    """Lay out the pointwise kernels that follow coded depthwise results."""
    layer = weights.layer
    signs = weights.signs("pointwise_kernel").reshape(-1, 1, layer.inputs, layer.filters)
    planes = np.stack([pack_rows(plane, [layer.inputs]) for plane in signs])
    products = _gamma_products(weights.gammas("depthwise_activation_gamma"), weights.gammas("pointwise_gamma"))
    base = weights.bias + np.float32(products.sum() * layer.inputs)
    padded = _padded(base, round_up(layer.filters, WORD))
    return BitMatrix(align(_popcount_panels(planes)), _factors(products), align(padded))


def lay_out_output_bits(weights: LayerWeights) -> BitMatrix:
    """Lay out the kernel of the output layer."""
    layer = weights.layer
    signs = weights.signs("kernel").reshape(-1, 1, layer.inputs, 1)
    planes = np.stack([pack_rows(plane, [layer.inputs])[..., 0] for plane in signs])  # (N, K)
    products = _gamma_products(weights.input_gammas[0], weights.gammas("kernel_gamma"))
    base = weights.bias[:1] + np.float32(products.sum() * layer.inputs)
    return BitMatrix(align(np.ascontiguousarray(planes)), _factors(products), base.astype(np.float32))


# Matrices of signs ----------------------------------------------------------------------------------------------------


def lay_out_convolution_signs(weights: LayerWeights) -> SignMatrix:
    """Lay out the kernels of a 3 x 3 convolution of one level."""
    layer = weights.layer
    signs = weights.signs("kernel")[0].reshape(9, layer.inputs, -1)
    scale = weights.input_gammas[0][0] * weights.gammas("kernel_gamma")[0]
    ones = signs.sum(1)  # (9, filters): what a word of zeros outside is counted as
    limits = np.full((4, 4, round_up(layer.filters, WORD)), -1, np.int64)
    for rows, columns in np.ndindex(4, 4):
        outside = [tap for tap in range(9) if _is_outside(tap, rows, columns)]
        products = (9 - len(outside)) * layer.inputs
        found = _limits(scale, products, weights.bias) + ones[outside].sum(0)
        limits[rows, columns, : layer.filters] = found
    return SignMatrix(align(_sign_panels(pack_rows(signs, [layer.inputs]))), align(limits.ravel()))


def lay_out_pointwise_signs(weights: LayerWeights) -> SignMatrix:
    """Lay out the pointwise kernels of a layer of one level."""
    layer = weights.layer
    signs = weights.signs("pointwise_kernel")[0].reshape(1, layer.inputs, layer.filters)
    scale = weights.gammas("depthwise_activation_gamma")[0] * weights.gammas("pointwise_gamma")[0]
    limits = np.full(round_up(layer.filters, WORD), -1, np.int64)
    limits[: layer.filters] = _limits(scale, layer.inputs, weights.bias)
    return SignMatrix(align(_sign_panels(pack_rows(signs, weights.channels))), align(limits))


def lay_out_depthwise_signs(weights: LayerWeights) -> Array:
    """Lay out the words of the depthwise taps for `convolve_separable_signs`: (4, 4, phases, K, taps)."""
    layer = weights.layer
    taps, repeated = layer.kernel_size**2, layer.source == "upsampled"
    signs = weights.signs("depthwise_kernel")[0].reshape(taps, layer.inputs)
    words = pack_rows(signs[:, :, None], weights.channels).reshape(taps, -1)
    table = np.empty((4, 4, 4 if repeated else 1, words.shape[1], taps), np.uint64)
    for rows, columns, phase in np.ndindex(table.shape[:3]):
        if repeated:
            outside = [tap for tap in range(taps) if _is_outside_repeated(tap, rows, columns, phase)]
        else:
            outside = [tap for tap in range(taps) if _is_outside(tap, rows, columns)]
        table[rows, columns, phase] = _replace_outside(words, outside).T
    return align(table)


def _replace_outside(words: Array, outside: list[int]) -> Array:
    """Give the taps outside words (taps, K) with which the majority of all taps is that of the others.

    Outside the map all words are 0. A tap there whose own word is 0 agrees, one of all ones does not; as many agree
    as make the majority of all taps mean at least half of those inside.
    """
    words, taps = words.copy(), len(words)
    agreeing = (taps + 1) // 2 - (taps + 1 - len(outside)) // 2
    for i, tap in enumerate(outside):
        words[tap] = 0 if i < agreeing else ~np.uint64(0)
    return words


def _limits(scale: np.float32, products: int, bias: Array) -> Array:
    """Most ones among `products` at which ``scale * (products - 2 ones) + bias`` is not negative, -1 for none."""
    ones = np.arange(products + 1, dtype=np.float32)
    sums = np.float32(scale) * (np.float32(products) - 2 * ones)  # falls with the ones
    found: Array = np.searchsorted(-sums, bias, side="right").astype(np.int64) - 1  # -sums[ones] <= bias
    return found


# Neighbours outside the map -------------------------------------------------------------------------------------------


def _is_outside(tap: int, rows: int, columns: int) -> bool:
    """Whether a tap of a 3 x 3 kernel lies outside, from the BEFORE and AFTER that are missing along both axes."""
    i, j = divmod(tap, 3)
    return any(
        (missing & BEFORE and offset == 0) or (missing & AFTER and offset == 2)
        for missing, offset in ((rows, i), (columns, j))
    )


def _is_outside_repeated(tap: int, rows: int, columns: int, phase: int) -> bool:
    """Whether a tap of a 2 x 2 kernel on a repeated source lies outside, for one of the pixel's four results."""
    (i, j), (y, x) = divmod(tap, 2), divmod(phase, 2)
    return bool((rows & AFTER and y and i) or (columns & AFTER and x and j))


# Words and panels -----------------------------------------------------------------------------------------------------


def mark_channels(channels: Sequence[int]) -> Array:
    """Return words whose bits are 1 where a channel exists, of each input's channels apart."""
    return align(pack_rows(np.ones((1, sum(channels), 1), np.bool_), channels)[:, 0].copy())


def pack_rows(signs: Array, channels: Sequence[int]) -> Array:
    """Pack signs (taps, channels, filters) into words (taps * K, filters), each input's channels apart."""
    parts = []
    for own in np.split(signs, np.cumsum(channels)[:-1], axis=1):
        taps, count, filters = own.shape
        padded = np.zeros((taps, count_words(count) * WORD, filters), np.bool_)
        padded[:, :count] = own
        octets = np.packbits(padded, axis=1, bitorder="little")  # (taps, 8 K, filters)
        octets = np.ascontiguousarray(octets.transpose(0, 2, 1))
        parts.append(octets.view("<u8").astype(np.uint64).transpose(0, 2, 1))  # (taps, K, filters)
    words = np.concatenate(parts, axis=1)
    return words.reshape(-1, words.shape[2])


def _gamma_products(first: Array, second: Array) -> Array:
    return np.outer(first, second).ravel()


def _factors(products: Array) -> Array:
    """What counts of differing bits are multiplied by."""
    return align((-2 * products).astype(np.float32))


def _popcount_panels(planes: Array) -> Array:
    """(N, K, filters) -> (filters / POPCOUNT_PANEL, N, K, POPCOUNT_PANEL)."""
    return _panels(planes, POPCOUNT_PANEL)


def _sign_panels(words: Array) -> Array:
    """(K, filters) -> (filters / SIGN_PANEL, K, SIGN_PANEL), whole words of filters."""
    padded = np.zeros((1, len(words), round_up(words.shape[1], WORD)), np.uint64)
    padded[0, :, : words.shape[1]] = words
    return np.ascontiguousarray(_panels(padded, SIGN_PANEL)[:, 0])


def _panels(planes: Array, panel: int) -> Array:
    n, k, filters = planes.shape
    padded = np.zeros((n, k, round_up(filters, panel)), np.uint64)
    padded[..., :filters] = planes
    return np.ascontiguousarray(padded.reshape(n, k, -1, panel).transpose(2, 0, 1, 3))


def _padded(values: Array, length: int) -> Array:
    result = np.zeros(length, np.float32)
    result[: len(values)] = values
    return result
