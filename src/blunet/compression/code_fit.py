"""Codes fitted to a layer's sums instead of its weights: what one code loses, the others make good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.networks.residual_code import least_squares_gammas

Array = NDArray[np.float32]
Wide = NDArray[np.float64]

#: Added to the diagonal of the inputs' second moments, as a share of its mean: inputs hardly seen decide nothing.
DAMPING = 0.01


@dataclass(frozen=True)
class Fitted:
    """A kernel whose residual code gives a layer's sums.

    Attributes
    ----------
    kernel : ndarray of float32, shape (inputs, filters)
        Latent values: `gammas` code them.
    gammas : ndarray of float32, shape (M,)
    offset : ndarray of float32, shape (filters,)
        By how much the wanted sums are larger, in the mean.
    """

    kernel: Array
    gammas: Array
    offset: Array


def fit_codes(seen: Array, wanted: Array, kernel: Array, levels: int) -> Fitted:
    """Find a kernel whose residual code, times what a layer sees, is near to the sums that are wanted.

    Parameters
    ----------
    seen : ndarray of float32, shape (samples, inputs)
        What the layer sees in the binary network.
    wanted : ndarray of float32, shape (samples, filters)
        Sums, without the bias.
    kernel : ndarray of float32, shape (inputs, filters)
        The float network's; the fit stays with it where the samples say nothing.
    levels : int
        Residual levels M.

    Returns
    -------
    Fitted

    Notes
    -----
    First the float kernel is moved so that it gives the wanted sums, but for a constant, from inputs that are codes
    (ridge regression). Its inputs' rows are then coded one after the other, and those left are moved so that they make
    good, in the sums, what each code errs, what is cut off beyond the outermost codes included (optimal brain
    quantisation; in this form GPTQ, Frantar et al., ICLR 2023, arXiv 2210.17323). Gammas begin as the least squares of
    the moved kernel, and are fitted to the sums before the codes are found a second time.
    """
    mean_seen, mean_wanted = seen.mean(0), wanted.mean(0)
    centred = seen - mean_seen
    moments = (centred.T @ centred).astype(np.float64) / len(seen)
    moments += DAMPING * max(float(np.trace(moments)) / len(moments), 1e-12) * np.eye(len(moments))
    lost = wanted - mean_wanted - centred @ kernel
    moved = kernel.astype(np.float64) + np.linalg.solve(moments, (centred.T @ lost).astype(np.float64) / len(seen))
    gammas = least_squares_gammas(moved, levels)
    _, signs = _coded(moved, moments, gammas)
    gammas = _refitted(signs, moved, moments, gammas)
    latent, signs = _coded(moved, moments, gammas)
    values = np.tensordot(gammas, signs, 1)
    return Fitted(latent.astype(np.float32), gammas, (mean_wanted - mean_seen @ values).astype(np.float32))


def _coded(kernel: Wide, moments: Wide, gammas: Array) -> tuple[Wide, Wide]:
    """Code the inputs in turn, those that weigh most first.

    Returns
    -------
    latent : ndarray, shape (inputs, filters)
        The values that were coded, none beyond the outermost code.
    signs : ndarray, shape (M, inputs, filters)
    """
    order = np.argsort(-np.diag(moments), kind="stable")
    factor = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T  # upper
    left = kernel[order]
    signs = np.empty((len(gammas), *left.shape))
    reach = float(gammas.sum())
    for i, row in enumerate(left):
        residual = row
        for m, gamma in enumerate(gammas):
            signs[m, i] = np.where(residual >= 0, 1.0, -1.0)
            residual = residual - gamma * signs[m, i]
        left[i + 1 :] -= factor[i, i + 1 :, None] * (residual / factor[i, i])
        np.clip(row, -reach, reach, out=row)  # the same code; training still moves it
    back = np.argsort(order)
    return left[back], signs[:, back]


def _refitted(signs: Wide, kernel: Wide, moments: Wide, gammas: Array) -> Array:
    """Return the gammas whose sums, with these signs, are nearest to the kernel's; falling, and as before where 0."""
    weighed = np.stack([moments @ plane for plane in signs])
    products = np.array([[np.vdot(a, b) for b in weighed] for a in signs])
    wanted = np.array([np.vdot(kernel, b) for b in weighed])
    found = np.sort(np.abs(np.linalg.lstsq(products, wanted, rcond=None)[0]))[::-1]
    return np.asarray(np.where(found > 0, found, gammas), np.float32)
