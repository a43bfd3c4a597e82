"""Codes of equal steps: values, gammas, gradients."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from blunet.networks.step_code import least_squares_step, signed_code, step_gammas, unsigned_code


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("signed", [False, True])
def test_a_code_of_equal_steps_is_the_residual_code_of_its_gammas(levels, signed):
    step = 0.37
    gammas = step_gammas(step, levels)
    offset = 0 if signed else gammas.sum()
    x = np.random.default_rng(0).normal(0, 2, 5000).astype(np.float32)
    residual, expected = x - offset, np.full_like(x, offset)
    for gamma in gammas:
        sign = np.where(residual >= 0, 1, -1).astype(np.float32)
        residual, expected = residual - gamma * sign, expected + gamma * sign
    code = ops.convert_to_numpy((signed_code if signed else unsigned_code)(x, np.float32(step), levels))
    np.testing.assert_allclose(code, expected, atol=1e-5)
    assert len(np.unique(np.round(code, 4))) == 2**levels


def test_the_border_value_of_an_unsigned_code_is_its_lowest():
    assert float(unsigned_code(np.float32(0), np.float32(0.5), 3)) == 0
    assert float(signed_code(np.float32(0), np.float32(0.5), 3)) == 0.25  # sign(0) = +1


@pytest.mark.parametrize("signed", [False, True])
def test_the_best_step_is_better_than_its_neighbours(signed):
    x = np.random.default_rng(1).normal(0, 1.5, 50_000)
    best = least_squares_step(x, 3, signed=signed)
    code = signed_code if signed else unsigned_code
    seen = x if signed else np.maximum(x, 0)

    def error(step):
        return float(np.mean((ops.convert_to_numpy(code(x.astype(np.float32), np.float32(step), 3)) - seen) ** 2))

    assert error(best) < min(error(best * 0.9), error(best * 1.1))
    if signed:  # 0.586 standard deviations are the best for a normal distribution and 3 levels
        assert best == pytest.approx(0.586 * 1.5, rel=0.02)
    assert least_squares_step(np.zeros(5), 3, signed=signed) == 1.0
