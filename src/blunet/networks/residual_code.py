"""Residual binarisation: a tensor as the sum of a few sign tensors, each times one trainable scalar.

ReBNet (Ghasemzadeh, Samragh, Koushanfar, FCCM 2018, arXiv 1711.01243)::

    r_1 = x;   b_m = sign(r_m);   r_{m+1} = r_m - |g_m| b_m;   x ~ sum_m |g_m| b_m

with ``sign(0) = +1``. The gradient of a sign is zero almost everywhere. `residual_binarise` has two replacements for
it: the gradient of the whole code as one quantiser, and the published gradient of every sign in the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from keras import ops

Tensor = Any
WeightStart = Literal["least_squares", "published"]
ActivationStart = Literal["halving", "published"]

#: Half width of the published gradient window: a sign passes the gradient where its residual is in ``[-1, 1]``.
PUBLISHED_WINDOW = 1.0
#: Number of values of a tensor that gammas are fitted to, and of alternating fits of gammas and codes.
FITTED_VALUES, REFINEMENTS = 100_000, 16


def get_published_gammas(levels: int) -> np.ndarray:
    """Return the published gammas for the start of training: ``[M, M - 1, ..., 1] / (M (M + 1) / 2)``."""
    falling = np.arange(levels, 0, -1, dtype=np.float32)
    return falling / falling.sum()


def get_halving_gammas(levels: int) -> np.ndarray:
    """Return the gammas ``[1/2, 1/4, ...]``, whose codes are the uniform levels ``-A, ..., A``, ``A = 1 - 2 ** -M``."""
    return (0.5 ** np.arange(1, levels + 1)).astype(np.float32)


def fit_gammas(values: np.ndarray, levels: int) -> np.ndarray:
    """Find gammas that code values with a small squared error.

    They start level by level as ``g_m = mean |r_m|``. Then codes and gammas are fitted in turn: the codes for given
    gammas, and the gammas for given signs by least squares. For normal values and M = 3 this reduces the error from
    5.5 % to 3.6 % of the variance, and for Laplacian values from 15 % to 7 %.

    Parameters
    ----------
    values : ndarray
        Any shape.
    levels : int
        Residual levels M.

    Returns
    -------
    ndarray of float32, shape (M,)
        In falling order, and not negative.
    """
    flat = np.asarray(values, np.float64).ravel()
    flat = flat[:: max(1, flat.size // FITTED_VALUES)]
    residual, gammas = flat, np.zeros(levels)
    for m in range(levels):
        gammas[m] = np.abs(residual).mean()
        residual = residual - np.where(residual >= 0, gammas[m], -gammas[m])
    for _ in range(REFINEMENTS):
        signs, residual = np.empty((levels, flat.size)), flat
        for m in range(levels):
            signs[m] = np.where(residual >= 0, 1.0, -1.0)
            residual = residual - gammas[m] * signs[m]
        gammas = np.sort(np.abs(np.linalg.lstsq(signs @ signs.T, signs @ flat, rcond=None)[0]))[::-1]
    return gammas.astype(np.float32)


def residual_binarise(x: Tensor, gamma: Tensor, gradient_window: float | None = None) -> Tensor:
    """Replace `x` by its residual code, ``sum_m |g_m| b_m``, with a straight-through gradient.

    Parameters
    ----------
    x : tensor
        Of any shape, float32. A custom gradient takes tensors: give a variable as ``ops.copy(variable)``.
    gamma : tensor, shape (M,)
        Only the magnitudes of the gammas are used.
    gradient_window : float, optional
        None: the code passes the gradient as one quantiser. A number w: every sign passes it where its residual is
        within ``[-w, w]``, as published (`PUBLISHED_WINDOW`).

    Returns
    -------
    tensor
        Of the shape of `x`. Gradients flow to `x` and to `gamma`.

    Notes
    -----
    As one quantiser, the code follows `x` with the gradient 1 up to half a step beyond its outermost values,
    ``|x| <= sum_m |g_m| + |g_M|``. In this range only the last level has an error, and g_M has the gradient
    ``sign(g_M) b_M``. Beyond it the code is constant in `x`, and every g_m has the gradient ``sign(g_m) b_m``.

    The published gradient differentiates the whole chain with ``d sign(r) / dr := 1`` within the window. Let
    ``s_m = 1`` where ``|r_m| <= w``, else 0, and ``D_m`` be the derivative to ``r_m`` of the sum of the levels from m
    on. Then ``1 - D_{M+1} = 1`` and ``1 - D_m = (1 - |g_m| s_m) (1 - D_{m+1})``; the gradient to `x` is ``D_1``, and
    that to ``g_m`` is ``sign(g_m) b_m (1 - D_{m+1})``. With the gammas 1/2, 1/4, 1/8, D_1 is 0.67: of a gradient,
    0.0002 is left behind the 22 layers of five levels, and a fifth where it skips the lower four levels. A network that
    starts close to its student is then led away from it.
    """
    return (_quantise if gradient_window is None else _make_straight_through(gradient_window))(x, gamma)


@ops.custom_gradient
def _quantise(x: Tensor, gamma: Tensor) -> tuple[Tensor, Callable[..., tuple[Tensor, Tensor]]]:
    magnitude = ops.abs(gamma)
    residuals, code = _chain(x, magnitude)

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, Tensor]:
        up = args[0] if upstream is None else upstream
        passed = up * ops.cast(ops.abs(x) <= ops.sum(magnitude) + magnitude[-1], x.dtype)
        parts = [up - passed] * (len(residuals) - 1) + [up]
        to_gamma = [ops.sum(part * _step(r, 1.0)) for part, r in zip(parts, residuals, strict=True)]
        return passed, ops.stack(to_gamma) * _step(gamma, 1.0)

    return code, gradient


def _make_straight_through(window: float) -> Callable[[Tensor, Tensor], Tensor]:
    @ops.custom_gradient
    def binarise(x: Tensor, gamma: Tensor) -> tuple[Tensor, Callable[..., tuple[Tensor, Tensor]]]:
        magnitude = ops.abs(gamma)
        residuals, code = _chain(x, magnitude)

        def gradient(*args: Tensor, upstream: Tensor | None = None) -> tuple[Tensor, Tensor]:
            up = args[0] if upstream is None else upstream
            kept = up  # upstream times (1 - D_{m+1})
            to_gamma = []
            for m, r in reversed(list(enumerate(residuals))):
                to_gamma.append(ops.sum(kept * _step(r, 1.0)))
                kept = kept - kept * (ops.cast(ops.abs(r) <= window, r.dtype) * magnitude[m])
            return up - kept, ops.stack(to_gamma[::-1]) * _step(gamma, 1.0)

        return code, gradient

    return binarise


def _chain(x: Tensor, magnitude: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the residuals r_1, ..., r_M and the code."""
    residuals, code = [x], _step(x, magnitude[0])
    for m in range(1, magnitude.shape[0]):
        residuals.append(residuals[-1] - _step(residuals[-1], magnitude[m - 1]))
        code = code + _step(residuals[-1], magnitude[m])
    return residuals, code


def _step(residual: Tensor, magnitude: Tensor) -> Tensor:
    """Return ``+magnitude`` where ``residual >= 0``, else ``-magnitude``; this is faster than `where`."""
    return ops.cast(residual >= 0, residual.dtype) * (2.0 * magnitude) - magnitude
