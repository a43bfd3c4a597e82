"""Residual codes by hand, and bits packed 64 to a word."""

from __future__ import annotations

import numpy as np
import pytest

from blunet.packed.bit_planes import decode_residual, encode_residual, pack_bits, unpack_bits


def test_residual_code_by_hand():
    gammas = np.array([-0.5, 0.25], np.float32)  # the magnitude counts
    values = np.array([0.0, -0.0, 0.5, 0.4, -0.1, -2.0], np.float32)
    signs = encode_residual(values, gammas)
    assert signs.tolist() == [
        [True, True, True, True, False, False],
        [False, False, True, False, True, False],
    ]
    assert decode_residual(signs, gammas).tolist() == [0.25, 0.25, 0.75, 0.25, -0.25, -0.75]


def test_gammas_that_are_zero_add_nothing():
    gammas = np.array([0.0, 0.5], np.float32)
    values = np.array([0.2, -0.2], np.float32)
    assert decode_residual(encode_residual(values, gammas), gammas).tolist() == [0.5, -0.5]


@pytest.mark.parametrize("shape", [(1,), (63,), (64,), (65,), (3, 3, 5, 7), (2, 64)])
def test_bits_are_packed_densely_from_the_least_significant(shape):
    bits = np.random.default_rng(0).random(shape) < 0.5
    words = pack_bits(bits)
    assert words.shape == (-(-bits.size // 64),)
    number = sum(int(word) << (64 * i) for i, word in enumerate(words))
    assert number == sum(1 << i for i, bit in enumerate(bits.ravel()) if bit)
    assert np.array_equal(unpack_bits(words, shape), bits)
