"""Comparing the packed engine with another one, layer by layer, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from reference_engine import ReferenceEngine

from blunet.architecture import Layer
from blunet.packed.bit_planes import compute_code_offset
from blunet.packed.engine import Engine
from blunet.packed.kernels.layout import CodedMap

#: From a layer and its input (H, W, channels) to its sums before the activation (H, W, filters).
Sums = Callable[[Layer, np.ndarray], np.ndarray]


def compare_layers(engine: Engine, reference: ReferenceEngine, image: np.ndarray, sums_of: Sums | None = None) -> float:
    """Compare the codes of every layer on the same inputs; return the share that was too near to 0 to compare.

    The sums are those of `sums_of`, such as those of Keras. None: the reference's own.
    """
    sums_of = sums_of or reference.layer_sums
    codes = layer_codes(engine, image)
    layers = {layer.name: layer for layer in reference.layers}
    kept = {name: reference.decode(layers[name], code) for name, code in codes.items()}
    near = total = 0
    previous = ""
    for layer in reference.layers:
        if layer.activation == "sigmoid":
            sums = np.moveaxis(sums_of(layer, kept[previous]), -1, 0)
            np.testing.assert_allclose(engine.run(image), 1 / (1 + np.exp(-sums)), atol=1e-5)
            break
        inputs = reference.layer_input(layer, kept.get(previous, image[..., None]), kept.get(layer.skip))
        sums = sums_of(layer, inputs)
        unsure, residual = np.zeros(sums.shape, bool), sums.copy()
        if reference.unsigned:
            residual -= compute_code_offset(gammas(reference, layer.name))
        unsure |= middle_unsure(reference, layer, inputs)[..., None]
        for level, gamma in enumerate(gammas(reference, layer.name)):
            unsure |= np.abs(residual) < 1e-4 * max(1.0, np.abs(sums).max() / 10)
            sign = residual >= 0
            wrong = (sign != codes[layer.name][level]) & ~unsure
            assert not wrong.any(), f"{layer.name}, level {level}: {wrong.sum()} of {wrong.size} codes"
            residual = residual - np.where(sign, gamma, -gamma)
        near, total, previous = near + unsure.sum(), total + unsure.size, layer.name
    return near / total


def layer_codes(engine: Engine, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the codes of every layer but the output, as booleans of shape (levels, height, width, channels)."""
    return {
        operation.layer.name: unpack_map(state.maps[operation.layer.name])
        for operation, state in engine.steps(image)
        if operation.layer.name in state.maps
    }


def unpack_map(coded: CodedMap) -> np.ndarray:
    """Return a map's bits."""
    m = coded.layout
    rows = coded.words.reshape(m.height + 2, m.levels, m.words, m.stride)[1:-1, :, :, 1 : m.width + 1]
    octets = np.ascontiguousarray(rows.transpose(1, 0, 3, 2)).astype("<u8").view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=m.channels, bitorder="little").astype(bool)


def middle_unsure(reference: ReferenceEngine, layer: Layer, inputs: np.ndarray) -> np.ndarray:
    """Return the pixels where a depthwise sum that is coded is too near to 0 to compare."""
    key = layer.name, "depthwise_activation_gamma"
    if key not in reference.weights.floats:
        return np.zeros(inputs.shape[:2], bool)
    k = layer.kernel_size
    padded = np.pad(inputs, (((k - 1) // 2, k // 2),) * 2 + ((0, 0),))
    kernel = reference.weights.decode(layer.name, "depthwise_kernel")[..., 0]
    levels = np.abs(reference.weights.floats[key])
    residual = reference.depthwise_sums(layer, padded)
    unsure = np.zeros(residual.shape, bool)
    near = 1e-6 * np.abs(padded).max() * np.abs(kernel).max()
    near = near * np.maximum(1, np.abs(reference.weights.floats.get((layer.name, "depthwise_scale"), 1)))
    for gamma in levels:
        unsure |= np.abs(residual) < near
        residual = residual - np.where(residual >= 0, gamma, -gamma)
    return unsure.any(-1)


def gammas(reference: ReferenceEngine, name: str) -> np.ndarray:
    return np.abs(reference.weights.floats[name, "activation_gamma"])
