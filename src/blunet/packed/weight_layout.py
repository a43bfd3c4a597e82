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
    NO_SCALE,
    POPCOUNT_PANEL,
    SIGN_PANEL,
    UPSAMPLED_TAPS,
    WORD,
    BitMatrix,
    FloatMatrix,
    SignMatrix,
    SumTables,
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
    """Lay out the depthwise kernels, on a repeated source the sums of taps, and the shifts: (10, channels)."""
    layer = weights.layer
    kernel = weights.values("depthwise_kernel").reshape(-1, layer.inputs) * weights.depthwise_scale
    if layer.source == "upsampled":
        kernel = np.stack([kernel[list(taps)].sum(0, dtype=np.float32) for taps in UPSAMPLED_TAPS])
    result = np.zeros((10, pad_channels(layer.inputs)), np.float32)
    result[:9, : layer.inputs] = kernel
    result[9, : layer.inputs] = weights.depthwise_shift
    return align(result)


# Matrices of bits -----------------------------------------------------------------------------------------------------


def lay_out_convolution_bits(weights: LayerWeights) -> BitMatrix:
    """Lay out the kernels of a 3 x 3 convolution."""
    layer = weights.layer
    signs = weights.signs("kernel")
    planes = np.stack([pack_rows(plane.reshape(9, layer.inputs, -1), [layer.inputs]) for plane in signs])
    products = _gamma_products(weights.input_gammas[0], weights.gammas("kernel_gamma"))
    pairs = products.reshape(-1, len(signs))
    base = np.zeros((4, 4, round_up(layer.filters, WORD)), np.float32)
    if weights.unsigned:
        # A bit adds its weight, so that all sums are their positive weights less the bits that differ.
        ones = signs.reshape(len(signs), -1, layer.filters).sum(1)  # (N, filters)
        base[..., : layer.filters] = (2 * pairs[:, :, None] * ones).sum((0, 1))
        return BitMatrix(align(_popcount_panels(planes)), _factors(products), align(base.ravel()), *_scales(weights))
    sums = np.where(signs, 1, -1).reshape(len(signs), 9, layer.inputs, -1).sum(2)  # (N, 9, filters)
    for rows, columns in np.ndindex(4, 4):
        outside = [tap for tap in range(9) if _is_outside(tap, rows, columns)]
        # A word of zeros outside is read as -1, where the padding is 0.
        correction = (pairs[:, :, None] * sums[:, outside].sum(1)).sum((0, 1))
        value = weights.bias + pairs.sum() * 9 * layer.inputs + correction
        base[rows, columns, : layer.filters] = value
    return BitMatrix(align(_popcount_panels(planes)), _factors(products), align(base.ravel()), *NO_SCALE)


def lay_out_pointwise_bits(weights: LayerWeights) -> BitMatrix:
    """Lay out the pointwise kernels that follow coded depthwise results."""
    layer = weights.layer
    signs = weights.signs("pointwise_kernel").reshape(-1, 1, layer.inputs, layer.filters)
    planes = np.stack([pack_rows(plane, [layer.inputs]) for plane in signs])
    products = _gamma_products(weights.gammas("depthwise_activation_gamma"), weights.gammas("pointwise_gamma"))
    most = np.float32(products.sum() * layer.inputs)
    base, scales = weights.bias + most, NO_SCALE
    if weights.unsigned:
        base, scales = np.full(layer.filters, most), _scales(weights)
    padded = _padded(base, round_up(layer.filters, WORD))
    return BitMatrix(align(_popcount_panels(planes)), _factors(products), align(padded), *scales)


def lay_out_output_bits(weights: LayerWeights) -> BitMatrix:
    """Lay out the kernel of the output layer of the published form."""
    layer = weights.layer
    signs = weights.signs("kernel").reshape(-1, 1, layer.inputs, 1)
    planes = np.stack([pack_rows(plane, [layer.inputs])[..., 0] for plane in signs])  # (N, K)
    products = _gamma_products(weights.input_gammas[0], weights.gammas("kernel_gamma"))
    base = weights.bias[:1] + np.float32(products.sum() * layer.inputs)
    planes = align(np.ascontiguousarray(planes))
    return BitMatrix(planes, _factors(products), base.astype(np.float32), *NO_SCALE)


# Tables of sums -------------------------------------------------------------------------------------------------------


def lay_out_output_tables(weights: LayerWeights) -> SumTables:
    """Lay out what eight bits at a time add to the sums of a float output layer on unsigned codes."""
    layer = weights.layer
    kernel = weights.values("kernel").reshape(layer.inputs, layer.filters).astype(np.float64)
    octets, maps = -(-layer.inputs // 8), round_up(layer.filters, 2)
    padded = np.zeros((octets, 8, maps))
    padded.reshape(-1, maps)[: layer.inputs, : layer.filters] = kernel
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    sums = np.einsum("vb,obk->ovk", bits, padded)  # of one plane: (octets, 256, maps)
    gammas = weights.input_gammas[0].astype(np.float64)
    tables = (2 * gammas)[:, None, None, None] * sums
    pairs = tables.reshape(len(gammas), octets, 256, -1, 2).transpose(3, 0, 1, 2, 4)
    return SumTables(align(pairs.astype(np.float32)), align(_padded(weights.bias, maps).reshape(-1, 2)))


# Matrices of signs ----------------------------------------------------------------------------------------------------


def lay_out_convolution_signs(weights: LayerWeights) -> SignMatrix:
    """Lay out the kernels of a 3 x 3 convolution of one level."""
    layer = weights.layer
    signs = _orient(weights.signs("kernel")[0], weights.scale).reshape(9, layer.inputs, -1)
    unit = weights.input_gammas[0][0] * weights.gammas("kernel_gamma")[0]
    limits = np.full((4, 4, round_up(layer.filters, WORD)), -1, np.int64)
    if weights.unsigned:
        # The sum, in units of two, is the positive weights less the bits that differ.
        most = 9 * layer.inputs
        found = _limits(2 * unit * np.arange(most, -most - 1, -1, dtype=np.float32), weights)
        limits[..., : layer.filters] = found + signs.sum((0, 1)) - most
    else:
        ones = signs.sum(1)  # (9, filters): what a word of zeros outside is counted as
        for rows, columns in np.ndindex(4, 4):
            outside = [tap for tap in range(9) if _is_outside(tap, rows, columns)]
            products = (9 - len(outside)) * layer.inputs
            limits[rows, columns, : layer.filters] = _limits(_sign_sums(unit, products), weights) + ones[outside].sum(0)
    return SignMatrix(align(_sign_panels(pack_rows(signs, [layer.inputs]))), align(limits.ravel()))


def lay_out_pointwise_signs(weights: LayerWeights) -> SignMatrix:
    """Lay out the pointwise kernels of a layer of one level."""
    layer = weights.layer
    signs = _orient(weights.signs("pointwise_kernel")[0], weights.scale).reshape(1, layer.inputs, layer.filters)
    unit = weights.gammas("depthwise_activation_gamma")[0] * weights.gammas("pointwise_gamma")[0]
    limits = np.full(round_up(layer.filters, WORD), -1, np.int64)
    limits[: layer.filters] = _limits(_sign_sums(unit, layer.inputs), weights)
    return SignMatrix(align(_sign_panels(pack_rows(signs, weights.channels))), align(limits))


def lay_out_depthwise_signs(weights: LayerWeights) -> Array:
    """Lay out the taps for `convolve_separable_signs`, and how many have to agree: (4, 4, phases, K, taps + bits)."""
    layer = weights.layer
    taps, repeated = layer.kernel_size**2, layer.source == "upsampled"
    signs = weights.signs("depthwise_kernel")[0].reshape(taps, layer.inputs)
    signs = _orient(signs, weights.depthwise_scale)
    bits = int(taps + 1).bit_length()
    table = np.empty((4, 4, 4 if repeated else 1, sum(map(count_words, weights.channels)), taps + bits), np.uint64)
    table[..., :taps] = pack_rows(signs[:, :, None], weights.channels).reshape(taps, -1).T
    needed = _count_needed(weights, signs) if weights.unsigned else None
    for rows, columns, phase in np.ndindex(table.shape[:3]):
        if needed is None:
            if repeated:
                outside = [tap for tap in range(taps) if _is_outside_repeated(tap, rows, columns, phase)]
            else:
                outside = [tap for tap in range(taps) if _is_outside(tap, rows, columns)]
            # Half of the taps inside; outside all words are 0, with which negative weights agree.
            wanted = (taps - len(outside) + 1) // 2 + (~signs[outside]).sum(0)
        else:
            wanted = needed
        rest = (2**bits - 1 - wanted)[None, :] >> np.arange(bits)[:, None] & 1
        planes = pack_rows(rest.astype(np.bool_)[:, :, None], weights.channels).reshape(bits, -1)
        table[rows, columns, phase, :, taps:] = planes.T
    return align(table)


def _count_needed(weights: LayerWeights, signs: Array) -> Array:
    """How many of its taps (taps, channels) have to agree for a channel's depthwise result not to be negative.

    Where the code of the map is unsigned: 0 if it never is negative, and one more than the taps if it always is.
    """
    taps = len(signs)
    gammas = [np.full(count, g[0]) for count, g in zip(weights.channels, weights.input_gammas, strict=True)]
    unit = 2 * np.concatenate(gammas) * weights.gammas("depthwise_gamma")[0]
    sums = np.arange(-taps, taps + 1, dtype=np.float32)[:, None] * unit
    negative = (sums * np.abs(weights.depthwise_scale) + weights.depthwise_shift < 0).sum(0)
    # The sum of n = -taps + `negative` units is the first that is not negative; n is (agreements + positive - taps).
    needed: Array = np.clip(negative - signs.sum(0), 0, taps + 1)
    return needed


def _orient(signs: Array, scale: Array) -> Array:
    """Turn the signs (..., filters) that belong to negative scales, so that the scales' magnitudes can be used."""
    oriented: Array = signs ^ (scale < 0)
    return oriented


def _sign_sums(unit: np.float32, products: int) -> Array:
    """Sums of so many products of signs by the number that are negative."""
    return np.float32(unit) * (np.float32(products) - 2 * np.arange(products + 1, dtype=np.float32))


def _limits(sums: Array, weights: LayerWeights) -> Array:
    """Last of the falling sums whose sign is +1 once it is scaled by each filter's magnitude, with its bias; else -1.

    The sign of an unsigned code of one level tells whether its gamma is reached.
    """
    scale = np.abs(weights.scale.astype(np.float64))
    least = -weights.bias.astype(np.float64)
    if weights.unsigned:
        least += weights.gammas("activation_gamma")[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(scale > 0, least / scale, np.where(least > 0, np.inf, -np.inf))
    found: Array = np.searchsorted(-sums.astype(np.float64), -wanted, side="right").astype(np.int64) - 1
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


def _scales(weights: LayerWeights) -> tuple[Array, Array]:
    """Scale and shift of a `BitMatrix`, of whole words of filters."""
    length = round_up(weights.layer.filters, WORD)
    shift = weights.bias + weights.coding().offset
    return align(_padded(weights.scale, length)), align(_padded(shift, length))


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
