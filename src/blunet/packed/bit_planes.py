"""Residual codes in NumPy, and bits packed 64 to a word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD_BITS = 64
#: What is added to depthwise sums before they are coded, as a share of their gammas' sum: see `compute_tie_break`.
TIE_BREAK = 1e-4


def count_words(bits: int) -> int:
    """Return the number of 64-bit words that hold a number of bits."""
    return -(-bits // WORD_BITS)


def pack_bits(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Pack booleans densely, in C order.

    Parameters
    ----------
    bits : ndarray of bool
        Any shape.

    Returns
    -------
    ndarray of uint64, shape (ceil(size / 64),)
        Element i of the flattened array is bit ``i % 64`` (0 is the least significant) of word ``i // 64``;
        the bits after the last element are 0.
    """
    packed = np.packbits(bits.ravel(), bitorder="little")
    octets = np.zeros(8 * count_words(bits.size), np.uint8)
    octets[: packed.size] = packed
    return octets.view("<u8").astype(np.uint64)


def unpack_bits(words: NDArray[np.uint64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the booleans of `shape` that `pack_bits` packed."""
    octets = np.ascontiguousarray(words).astype("<u8").view(np.uint8)
    bits = np.unpackbits(octets, count=int(np.prod(shape)), bitorder="little")
    return bits.reshape(shape).astype(np.bool_)


def encode_residual(values: NDArray[np.float32], gammas: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Code values as residual signs (ReBNet, arXiv 1711.01243), in float32.

    ::

        r_1 = x;   b_m = sign(r_m), sign(0) = +1;   r_{m+1} = r_m - |g_m| b_m

    Parameters
    ----------
    values : ndarray of float32
        Any shape.
    gammas : ndarray of float32, shape (M,)
        Only their magnitudes count.

    Returns
    -------
    ndarray of bool, shape (M, ...)
        True where ``b_m`` is +1.
    """
    signs = np.empty((len(gammas), *values.shape), np.bool_)
    residual = values
    for m, gamma in enumerate(np.abs(gammas)):
        np.greater_equal(residual, 0, out=signs[m])
        residual = residual - _signed(signs[m], gamma)
    return signs


def compute_tie_break(gammas: NDArray[np.float32]) -> np.float32:
    """Return what is added to depthwise sums before they are coded: a ten-thousandth of their gammas' sum.

    Such a sum has few terms of few magnitudes, so that taps often cancel. Whether the float result is then exactly 0
    depends on the order of the additions. With the offset it is positive in every engine, as a sum of 0 is elsewhere.
    """
    return np.float32(TIE_BREAK * np.abs(gammas).sum(dtype=np.float32))


def compute_code_offset(gammas: NDArray[np.float32]) -> np.float32:
    """Return the middle of an unsigned code, half of its largest value: the sum of the gammas' magnitudes.

    Unsigned codes stand for 0 to twice this offset: values minus the offset are coded as residual signs.
    """
    return np.float32(np.abs(gammas).sum(dtype=np.float32))


def decode_unsigned(signs: NDArray[np.bool_], gammas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values of an unsigned code: the sum of ``2 |g_m|`` where ``b_m`` is +1, in float32.

    Parameters
    ----------
    signs : ndarray of bool, shape (M, ...)
        From `encode_residual` of the values minus `compute_code_offset`.
    gammas : ndarray of float32, shape (M,)

    Returns
    -------
    ndarray of float32, shape (...)
    """
    total = np.zeros(signs.shape[1:], np.float32)
    for sign, gamma in zip(signs, np.abs(gammas), strict=True):
        total += sign * (2 * gamma)
    return total


def decode_residual(signs: NDArray[np.bool_], gammas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values of a code: ``sum_m |g_m| b_m``, added in float32 from the first level on.

    Parameters
    ----------
    signs : ndarray of bool, shape (M, ...)
    gammas : ndarray of float32, shape (M,)

    Returns
    -------
    ndarray of float32, shape (...)
    """
    total = np.zeros(signs.shape[1:], np.float32)
    for sign, gamma in zip(signs, np.abs(gammas), strict=True):
        total += _signed(sign, gamma)
    return total


def _signed(sign: NDArray[np.bool_], gamma: np.float32) -> NDArray[np.float32]:
    """Return exactly +gamma where `sign` is true, else -gamma. On mixed signs this is far faster than `np.where`."""
    signed: NDArray[np.float32] = sign * (2 * gamma) - gamma
    return signed
