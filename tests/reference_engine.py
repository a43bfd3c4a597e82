"""The reference engine: a binary network in plain NumPy, layer by layer as its table states.

Weights and activations are residual codes, decoded to float32 before they are multiplied. The packed engine is tested
against this one. Every layer is computed in strips of rows, so that it needs little memory besides the feature maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from blunet.architecture import Layer, list_layers
from blunet.packed.binary_weights import BinaryWeights
from blunet.packed.bit_planes import (
    compute_code_offset,
    compute_tie_break,
    decode_residual,
    decode_unsigned,
    encode_residual,
)

Map = NDArray[np.float32]
#: Returns rows a to b of a layer's input, as an array of shape (b - a, width, inputs).
Rows = Callable[[int, int], Map]

#: Values of the input or the output in a strip: 512 KiB of float32, which fit into a processor's cache.
STRIP_VALUES = 2**17


class ReferenceEngine:
    """Runs a binary network.

    Parameters
    ----------
    weights : BinaryWeights
        Decoded when this object is made.
    """

    def __init__(self, weights: BinaryWeights) -> None:
        self.weights = weights
        self.settings = weights.settings
        self.layers = list_layers(weights.settings)
        self.unsigned = weights.settings.form == "normalised"
        self._weights: dict[tuple[str, str], Map] = {}
        for layer in self.layers:
            for weight in layer.weights:
                key = layer.name, weight.name
                self._weights[key] = weights.decode(*key) if weight.residual_levels else weights.floats[key]

    def replace(self, key: tuple[str, str], value: Map) -> None:
        """Replace a weight that is stored as floats, in this engine alone."""
        self._weights[key] = value

    def run(self, image: Map, check: Callable[[], None] | None = None) -> Map:
        """Return all maps.

        Parameters
        ----------
        image : ndarray of float32, shape (H, W)
            In [0, 1]; H and W multiples of ``settings.multiple``.
        check : callable, optional
            Called before every layer. What it raises ends the run.

        Returns
        -------
        ndarray of float32, shape (K, H, W)
            In [0, 1].
        """
        if image.ndim != 2 or any(n % self.settings.multiple for n in image.shape):
            raise ValueError(f"sides of {image.shape} are not multiples of {self.settings.multiple}")
        kept = {layer.skip for layer in self.layers}
        maps: dict[str, Map] = {}
        current = np.asarray(image, np.float32)[..., np.newaxis]
        for layer in self.layers:
            if check is not None:
                check()
            skip = maps.pop(layer.skip) if layer.skip else None
            current = self._activated(layer, *_source(layer, current, skip))
            if layer.name in kept:
                maps[layer.name] = current
        return np.ascontiguousarray(np.moveaxis(current, -1, 0))

    def encode(self, layer: Layer, sums: Map) -> NDArray[np.bool_]:
        """Return the signs (M, ...) that a layer's sums are coded as."""
        gammas = self._weights[layer.name, "activation_gamma"]
        return encode_residual(sums - compute_code_offset(gammas) if self.unsigned else sums, gammas)

    def decode(self, layer: Layer, signs: NDArray[np.bool_]) -> Map:
        """Return the values of a layer's map from its signs (M, ...)."""
        return (decode_unsigned if self.unsigned else decode_residual)(
            signs, self._weights[layer.name, "activation_gamma"]
        )

    def layer_input(self, layer: Layer, previous: Map, skip: Map | None = None) -> Map:
        """Return the input of a layer's convolution: `previous` pooled, up-sampled or concatenated with `skip`."""
        rows, height, _ = _source(layer, previous, skip)
        return rows(0, height)

    def layer_sums(self, layer: Layer, inputs: Map) -> Map:
        """Return a layer's sums, scale and bias included, before its activation.

        Parameters
        ----------
        layer : Layer
            Of this network's table.
        inputs : ndarray of float32, shape (H, W, inputs)
            The input of the convolution (see `layer_input`).

        Returns
        -------
        ndarray of float32, shape (H, W, filters)
        """
        strips = self._strips(layer, lambda start, stop: inputs[start:stop], inputs.shape[0], inputs.shape[1])
        return np.concatenate([sums for _, sums in strips])

    def _activated(self, layer: Layer, rows: Rows, height: int, width: int) -> Map:
        outputs = np.empty((height, width, layer.filters), np.float32)
        for start, sums in self._strips(layer, rows, height, width):
            ended = layer.activation == "sigmoid"
            values = sigmoid(sums) if ended else self.decode(layer, self.encode(layer, sums))
            outputs[start : start + len(sums)] = values
        return outputs

    def _strips(self, layer: Layer, rows: Rows, height: int, width: int) -> Iterator[tuple[int, Map]]:
        """Yield the first row and the sums (rows, W, filters) of one strip after the other."""
        k = layer.kernel_size
        before, after = (k - 1) // 2, k // 2  # 'same' zero padding; of a 2 x 2 kernel at the bottom and right
        step = max(1, STRIP_VALUES // (width * max(layer.inputs, layer.filters)))
        for start in range(0, height, step):
            stop = min(start + step, height)
            padded = np.zeros((stop - start + k - 1, width + k - 1, layer.inputs), np.float32)
            first, last = max(start - before, 0), min(stop + after, height)
            offset = first - (start - before)
            padded[offset : offset + last - first, before : before + width] = rows(first, last)
            yield start, self._convolved(layer, padded)

    def _convolved(self, layer: Layer, padded: Map) -> Map:
        if layer.kind == "convolution":
            return self._scaled(layer, convolve(padded, self._weights[layer.name, "kernel"]))
        depthwise = self.depthwise_sums(layer, padded)
        gammas = self._weights.get((layer.name, "depthwise_activation_gamma"))
        if gammas is not None:
            depthwise = decode_residual(encode_residual(depthwise, gammas), gammas)
        return self._scaled(layer, convolve(depthwise, self._weights[layer.name, "pointwise_kernel"]))

    def depthwise_sums(self, layer: Layer, padded: Map) -> Map:
        """Return the depthwise results of a padded input, as they are coded where they are."""
        sums = convolve_depthwise(padded, self._weights[layer.name, "depthwise_kernel"][..., 0])
        if self.unsigned:
            sums = sums * self._weights[layer.name, "depthwise_scale"]
            return sums + self._weights.get((layer.name, "depthwise_shift"), np.float32(0))
        gammas = self._weights.get((layer.name, "depthwise_activation_gamma"))
        return sums if gammas is None else sums + compute_tie_break(gammas)

    def _scaled(self, layer: Layer, sums: Map) -> Map:
        scale = self._weights.get((layer.name, "scale"), np.float32(1))
        return sums * scale + self._weights[layer.name, "bias"]


def convolve(padded: Map, kernel: Map) -> Map:
    """Correlate a padded map with a kernel, as networks' convolutions do.

    Parameters
    ----------
    padded : ndarray of float32, shape (h + k - 1, w + k - 1, inputs)
    kernel : ndarray of float32, shape (k, k, inputs, filters)

    Returns
    -------
    ndarray of float32, shape (h, w, filters)
    """
    k, _, inputs, filters = kernel.shape
    windows = sliding_window_view(padded, (k, k), axis=(0, 1))  # (h, w, inputs, k, k)
    h, w = windows.shape[:2]
    columns = windows.transpose(0, 1, 3, 4, 2).reshape(h * w, k * k * inputs)
    return (columns @ kernel.reshape(k * k * inputs, filters)).reshape(h, w, filters)


def convolve_depthwise(padded: Map, kernel: Map) -> Map:
    """Correlate every channel of a padded map with its own kernel.

    Parameters
    ----------
    padded : ndarray of float32, shape (h + k - 1, w + k - 1, channels)
    kernel : ndarray of float32, shape (k, k, channels)

    Returns
    -------
    ndarray of float32, shape (h, w, channels)
    """
    k, _, channels = kernel.shape
    h, w = padded.shape[0] - k + 1, padded.shape[1] - k + 1
    rows = padded.reshape(len(padded), -1)  # one long axis of columns and channels: NumPy's loops are long
    taps = np.tile(kernel, w)
    total = np.zeros((h, w * channels), np.float32)
    product = np.empty_like(total)
    for i, j in np.ndindex(k, k):
        columns = slice(j * channels, (j + w) * channels)
        total += np.multiply(rows[i : i + h, columns], taps[i, j], out=product)
    return total.reshape(h, w, channels)


def max_pool(x: Map) -> Map:
    """Return the largest of every 2 x 2 values: (H, W, channels) -> (H / 2, W / 2, channels)."""
    rows = np.maximum(x[0::2], x[1::2])
    pooled: Map = np.maximum(rows[:, 0::2], rows[:, 1::2])
    return pooled


def sigmoid(x: Map) -> Map:
    """Return ``1 / (1 + exp(-x))`` without overflow."""
    e = np.exp(-np.abs(x))
    probability: Map = np.where(x >= 0, 1, e) / (1 + e)
    return probability


def _source(layer: Layer, previous: Map, skip: Map | None) -> tuple[Rows, int, int]:
    """Return a function that gives rows of the layer's input, and the height and width of that input."""
    height, width = previous.shape[:2]
    if layer.source == "upsampled":

        def upsampled(start: int, stop: int) -> Map:
            rows = previous[start // 2 : (stop + 1) // 2].repeat(2, axis=0)
            return rows[start % 2 : start % 2 + stop - start].repeat(2, axis=1)

        return upsampled, 2 * height, 2 * width
    if layer.source == "concatenated":
        assert skip is not None
        return lambda a, b: np.concatenate([skip[a:b], previous[a:b]], axis=-1), height, width
    inputs = max_pool(previous) if layer.source == "pooled" else previous
    return lambda a, b: inputs[a:b], inputs.shape[0], inputs.shape[1]
