"""Fits the codes of a kernel to a layer's sums, so that the errors of single codes compensate each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blunet.networks.residual_code import fit_gammas

Array = NDArray[np.float32]
Wide = NDArray[np.float64]

#: Share of the mean of the second moments' diagonal that is added to it, so that inputs near zero have no influence.
DAMPING = 0.01


@dataclass(frozen=True)
class Fitted:
    """A kernel whose residual code approximates a layer's sums.

    Attributes
    ----------
    kernel : ndarray of float32, shape (inputs, filters)
        Latent values, to be coded with `gammas`.
    gammas : ndarray of float32, shape (M,)
    offset : ndarray of float32, shape (filters,)
        Mean by which the wanted sums are larger.
    """

    kernel: Array
    gammas: Array
    offset: Array


def fit_codes(inputs: Array, wanted: Array, kernel: Array, levels: int) -> Fitted:
    """Find a kernel whose residual code, times a layer's inputs, approximates given sums.

    Parameters
    ----------
    inputs : ndarray of float32, shape (samples, inputs)
        Inputs of the layer in the binary network.
    wanted : ndarray of float32, shape (samples, filters)
        Sums to be approximated, without the bias.
    kernel : ndarray of float32, shape (inputs, filters)
        Kernel of the float network, which is kept where the samples do not determine the fit.
    levels : int
        Residual levels M.

    Returns
    -------
    Fitted

    Notes
    -----
    First the float kernel is adjusted so that coded inputs give the wanted sums up to a constant (ridge regression).
    Its rows, one for each input, are then coded one after the other; after each, the rows that are left are adjusted so
    that they compensate the error of its code in the sums, including what is cut off beyond the outermost codes
    (optimal brain quantisation; in this form GPTQ, Frantar et al., ICLR 2023, arXiv 2210.17323). The gammas start as
    the least squares of the adjusted kernel, and are fitted to the sums before the codes are found a second time.
    """
    mean_input, mean_wanted = inputs.mean(0), wanted.mean(0)
    centred = inputs - mean_input
    moments = (centred.T @ centred).astype(np.float64) / len(inputs)
    moments += DAMPING * max(float(np.trace(moments)) / len(moments), 1e-12) * np.eye(len(moments))
    missing = wanted - mean_wanted - centred @ kernel
    adjusted = kernel.astype(np.float64) + np.linalg.solve(
        moments, (centred.T @ missing).astype(np.float64) / len(inputs)
    )
    gammas = fit_gammas(adjusted, levels)
    _, signs = _code_rows(adjusted, moments, gammas)
    gammas = _refit_gammas(signs, adjusted, moments, gammas)
    latent, signs = _code_rows(adjusted, moments, gammas)
    values = np.tensordot(gammas, signs, 1)
    return Fitted(latent.astype(np.float32), gammas, (mean_wanted - mean_input @ values).astype(np.float32))


def _code_rows(kernel: Wide, moments: Wide, gammas: Array) -> tuple[Wide, Wide]:
    """Code the rows of a kernel one after the other, beginning with the input of the largest second moment.

    Returns
    -------
    latent : ndarray, shape (inputs, filters)
        The values that were coded, clipped to the outermost codes.
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
        np.clip(row, -reach, reach, out=row)  # the code stays the same, and training can still change it
    back = np.argsort(order)
    return left[back], signs[:, back]


def _refit_gammas(signs: Wide, kernel: Wide, moments: Wide, gammas: Array) -> Array:
    """Return the gammas that, with these signs, give the sums closest to the kernel's, in falling order.

    A gamma that would be 0 stays as it was.
    """
    weighed = np.stack([moments @ plane for plane in signs])
    products = np.array([[np.vdot(a, b) for b in weighed] for a in signs])
    wanted = np.array([np.vdot(kernel, b) for b in weighed])
    found = np.sort(np.abs(np.linalg.lstsq(products, wanted, rcond=None)[0]))[::-1]
    return np.asarray(np.where(found > 0, found, gammas), np.float32)
