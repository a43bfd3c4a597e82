"""Codes that are fitted to sums: the errors of the sums are smaller than with codes of the weights."""

from __future__ import annotations

import numpy as np
import pytest

from blunet.compression.code_fit import fit_codes
from blunet.networks.residual_code import fit_gammas
from blunet.packed.bit_planes import decode_residual, encode_residual


def correlated(rng, samples, inputs):
    """Correlated inputs, as those of layers are."""
    causes = rng.normal(size=(samples, 4)) @ rng.normal(size=(4, inputs))
    return (causes + 0.3 * rng.normal(size=(samples, inputs))).astype("f4")


def decoded(kernel, gammas):
    return decode_residual(encode_residual(kernel, gammas), gammas)


def error(seen, kernel, offset, wanted):
    return np.square(seen @ kernel + offset - wanted).mean() / wanted.var()


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_sums_of_fitted_codes_err_less_than_those_of_coded_weights(levels):
    rng = np.random.default_rng(levels)
    seen, kernel = correlated(rng, 3000, 32), rng.normal(0, 0.1, (32, 8)).astype("f4")
    wanted = seen @ kernel
    fitted = fit_codes(seen, wanted, kernel, levels)
    gammas = fit_gammas(kernel, levels)
    plain = decoded(kernel, gammas)
    offset = (wanted - seen @ plain).mean(0)
    fitted_error = error(seen, decoded(fitted.kernel, fitted.gammas), fitted.offset, wanted)
    assert fitted_error < 0.3 * error(seen, plain, offset, wanted)
    assert (np.diff(fitted.gammas) <= 0).all()
    assert (fitted.gammas > 0).all()


def test_errors_of_the_inputs_are_compensated():
    """Inputs are halved, and an offset is added: the kernel and its offset undo that."""
    rng = np.random.default_rng(0)
    real, kernel = correlated(rng, 4000, 16), rng.normal(0, 0.1, (16, 4)).astype("f4")
    seen, wanted = 0.5 * real + 3, real @ kernel
    fitted = fit_codes(seen, wanted, kernel, 3)
    assert error(seen, decoded(fitted.kernel, fitted.gammas), fitted.offset, wanted) < 0.02
    assert error(seen, decoded(kernel, fit_gammas(kernel, 3)), fitted.offset, wanted) > 0.2


def test_inputs_that_are_always_zero_keep_their_kernel():
    rng = np.random.default_rng(1)
    seen, kernel = correlated(rng, 500, 8), rng.normal(0, 0.1, (8, 3)).astype("f4")
    seen[:, 5] = 2.0  # constant: it tells nothing but an offset
    fitted = fit_codes(seen, seen @ kernel, kernel, 3)
    reach = fitted.gammas.sum()
    np.testing.assert_allclose(fitted.kernel[5], np.clip(kernel[5], -reach, reach), atol=1e-3)
    few = fit_codes(seen[:4], seen[:4] @ kernel, kernel, 2)  # fewer pixels than inputs
    assert np.isfinite(few.kernel).all()
    assert np.isfinite(few.offset).all()
