"""From a lightweight U-Net to the BLU-Net that starts as close to it as its few bits allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer, NetworkSettings, ResidualLevels, layer_table
from blunet.compression.settings import Start
from blunet.networks.build import build_network, feature_map
from blunet.networks.residual import WINDOW, Tensor, least_squares_gammas
from blunet.networks.weights import FloatWeights, get_weights, set_weights

#: Depthwise kernels are scaled to this deviation, well inside the straight-through window.
DEPTHWISE_DEVIATION = 1 / 3
#: A channel's own share (of the logarithm) in its clipping point; the rest is its layer's mean.
OWN_SHARE = 0.25
SMALLEST_CLIP = 1e-3
#: A bias moves more than its channel's mean where the sign saturates: it is corrected so many times.
CORRECTIONS = 3


def binarise(
    student: keras.Model,
    settings: NetworkSettings,
    levels: ResidualLevels,
    images: Sequence[NDArray[np.float32]],
    start: Start = "calibrated",
    *,
    coded: bool = False,
    window: float = WINDOW,
    seed: int | None = None,
) -> keras.Model:
    """Build a BLU-Net from a trained lightweight U-Net.

    Parameters
    ----------
    student : keras.Model
        A lightweight network.
    settings : NetworkSettings
        Of the student.
    levels : ResidualLevels
        Of the BLU-Net.
    images : sequence of ndarray of shape (Y, X)
        Training images in [0, 1] whose sides the network takes; only looked at by `start="calibrated"`.
    start : {"calibrated", "least_squares", "published"}
        `published`: the student's kernels, all gammas as in the study. `least_squares`: weight gammas by least
        squares, activations as published. `calibrated`: see Notes.
    coded : bool
        Whether depthwise results are coded too (`binarize_depthwise`); their gammas begin as the least squares of
        what the images give, whatever the start.
    window : float
        Signs pass the gradient where what they code lies within ``[-window, window]``.
    seed : int, optional
        Of the output layer, which every start but `calibrated` begins afresh; equal seeds give equal weights.

    Returns
    -------
    keras.Model

    Notes
    -----
    The published start loses what the student knows: its maps are rectified and of any scale, a residual sign is
    symmetric and saturates at the sum of its gammas, A. The calibrated start uses that a rectified map may be
    scaled, channel by channel, without changing the network, if the next layer's kernels are scaled back (cross-layer
    equalisation, Nagel et al., ICCV 2019). Each channel's clipping point s is the one that codes its values on the
    training images with the least squared error, drawn towards its layer's mean, since kernels of one gamma suffer
    where channels differ widely; and the map x in [0, s] becomes v = 2 A x / s - A in [-A, A]: the
    residual sign, with gammas 1/2, 1/4, ..., is then the uniform quantiser of x with 2^M steps from 0 to s, and its
    straight-through window covers just what a clipped rectifier lets through. The offset -A moves into the biases.
    Depthwise kernels are brought to one scale, their pointwise kernels scaled back. All of it is folded into kernels
    and biases: the network's form stays the published one. Last, biases absorb the mean error of each channel that
    the coding of the weights causes, layer by layer.
    """
    target = replace(settings, network="blunet", residual_levels=levels, binarize_depthwise=coded)
    if start != "calibrated":
        model = build_network(target, seed=seed, activation_start="published", weight_start=start, window=window)
        weights = _without_output(get_weights(student, settings))
        set_weights(model, target, weights | _weight_gammas(weights, target, start == "published"))
        if coded:
            _walk(model, target, images, lambda layer, inputs: _code_depthwise(model, layer, inputs))
        return model
    model = build_network(target, activation_start="halving", window=window)
    maps = _maps(student, settings, images)
    top = 1.0 - 0.5**levels.activation
    clips = {name: _evened(_clipping_points(m, levels.activation)) for name, m in maps.items() if name != "output"}
    weights = _folded(get_weights(student, settings), settings, clips, top)
    set_weights(model, target, weights | _weight_gammas(weights, target, published=False))
    _correct_biases(model, target, images, maps, clips, top)
    return model


def _without_output(weights: FloatWeights) -> FloatWeights:
    return {key: value for key, value in weights.items() if key[0] != "output"}


def _weight_gammas(
    weights: Mapping[tuple[str, str], NDArray[np.float32]], target: NetworkSettings, published: bool
) -> FloatWeights:
    if published:
        return {}
    return {
        (layer.name, weight.gamma): least_squares_gammas(weights[layer.name, weight.name], weight.residual_levels)
        for layer in layer_table(target)
        for weight in layer.weights
        if weight.gamma is not None and (layer.name, weight.name) in weights
    }


def _maps(
    model: keras.Model, settings: NetworkSettings, images: Sequence[NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Values behind every activation: layer -> (N, Y, X, filters)."""
    names = [layer.name for layer in layer_table(settings)]
    probe = keras.Model(model.inputs[0], [feature_map(model, name) for name in names])
    parts = [probe.predict_on_batch(image[None, ..., None]) for image in images]
    return {name: np.concatenate([keras.ops.convert_to_numpy(p[i]) for p in parts]) for i, name in enumerate(names)}


def _clipping_points(values: NDArray[np.float32], levels: int) -> NDArray[np.float32]:
    """The clipping point of each channel (filters,) whose uniform code of 2^levels steps from 0 errs least."""
    flat = values.reshape(-1, values.shape[-1])
    flat = flat[:: max(1, len(flat) // 20000)]
    highest = flat.max(axis=0)
    highest = np.where(highest > 1e-6, highest, 1.0).astype(np.float32)
    steps = 2**levels - 1
    best = np.full(values.shape[-1], np.inf)
    clips = highest.copy()
    for share in np.geomspace(0.1, 1.0, 24, dtype=np.float32):
        step = share * highest / steps
        coded = np.clip(np.rint(flat / step), 0, steps) * step
        error = np.square(flat - coded).mean(axis=0)
        better = error < best
        best[better], clips[better] = error[better], (share * highest)[better]
    return clips


def _evened(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draw the clipping points of a layer's channels towards their root mean square."""
    mean = np.sqrt(np.square(clips).mean())
    own = np.maximum(clips, SMALLEST_CLIP * mean)
    return np.asarray(mean ** (1 - OWN_SHARE) * own**OWN_SHARE, np.float32)


def _folded(
    weights: FloatWeights, settings: NetworkSettings, clips: Mapping[str, NDArray[np.float32]], top: float
) -> FloatWeights:
    """Rewrite a float network for maps v = 2 top x / clip - top instead of x."""
    folded: FloatWeights = {}
    previous = ""
    for layer in layer_table(settings):
        bias = weights[layer.name, "bias"].astype(np.float64)
        scale = _input_clips(layer, previous, clips) / (2 * top) if previous else np.ones(1)
        shift = scale * top if previous else np.zeros(1)
        if layer.kind == "separable":
            depthwise = weights[layer.name, "depthwise_kernel"].astype(np.float64)
            pointwise = weights[layer.name, "pointwise_kernel"].astype(np.float64)
            size = (np.sqrt(np.square(depthwise).mean(axis=(0, 1, 3))) + 1e-12) / DEPTHWISE_DEVIATION
            bias = bias + (shift * depthwise.sum(axis=(0, 1, 3))) @ pointwise[0, 0]
            depthwise = depthwise / size[:, None]
            pointwise = pointwise * (size * scale)[:, None]
            kernels = {"depthwise_kernel": depthwise, "pointwise_kernel": pointwise}
        else:
            kernel = weights[layer.name, "kernel"].astype(np.float64)
            bias = bias + shift @ kernel.sum(axis=(0, 1))
            kernels = {"kernel": kernel * scale[:, None]}
        if layer.path != "output":
            out = 2 * top / clips[layer.name]
            bias = bias * out - top
            last = "pointwise_kernel" if layer.kind == "separable" else "kernel"
            kernels[last] = kernels[last] * out
        for name, kernel in kernels.items():
            folded[layer.name, name] = kernel.astype(np.float32)
        folded[layer.name, "bias"] = bias.astype(np.float32)
        previous = layer.name
    return folded


def _input_clips(layer: Layer, previous: str, clips: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    parts = [clips[layer.skip]] if layer.skip else []
    return np.concatenate([*parts, clips[previous]]).astype(np.float64)


def _correct_biases(
    model: keras.Model,
    target: NetworkSettings,
    images: Sequence[NDArray[np.float32]],
    maps: Mapping[str, NDArray[np.float32]],
    clips: Mapping[str, NDArray[np.float32]],
    top: float,
) -> None:
    """Shift each channel's bias until its mean value on the images is the student's, from the first layer on."""

    def correct(layer: Layer, inputs: list[Tensor]) -> None:
        _code_depthwise(model, layer, inputs)
        wanted = np.minimum(maps[layer.name], clips[layer.name]) * (2 * top / clips[layer.name]) - top
        goal = wanted.mean(axis=(0, 1, 2))
        convolution, sign = model.get_layer(layer.name), model.get_layer(f"{layer.name}_sign")
        for _ in range(CORRECTIONS):
            means = [keras.ops.convert_to_numpy(keras.ops.mean(sign(convolution(x)), axis=(0, 1, 2))) for x in inputs]
            bias = keras.ops.convert_to_numpy(convolution.bias)
            convolution.bias.assign(bias + (goal - np.mean(means, axis=0)))

    _walk(model, target, images, correct)


def _walk(
    model: keras.Model,
    target: NetworkSettings,
    images: Sequence[NDArray[np.float32]],
    visit: Callable[[Layer, list[Tensor]], None],
) -> None:
    """Visit every layer but the output with what it sees of each image; it may change the layer.

    Each layer is run on what the layers before it give as they are now, image by image and without a graph: tracing one
    for every layer would take longer than all the sums.
    """
    coded: dict[str, list[Tensor]] = {}
    previous = [keras.ops.convert_to_tensor(image[None, ..., None]) for image in images]
    for layer in layer_table(target):
        if layer.path == "output":
            continue
        inputs = [_input(model, layer, x, coded[layer.skip][i] if layer.skip else None) for i, x in enumerate(previous)]
        visit(layer, inputs)
        convolution, sign = model.get_layer(layer.name), model.get_layer(f"{layer.name}_sign")
        previous = coded[layer.name] = [sign(convolution(x)) for x in inputs]


def _code_depthwise(model: keras.Model, layer: Layer, inputs: list[Tensor]) -> None:
    """Set the gammas between a layer's two parts, if it has some, to the least squares of its depthwise sums."""
    convolution = model.get_layer(layer.name)
    levels = getattr(convolution, "coded_levels", 0)
    if levels:
        sums = np.concatenate([keras.ops.convert_to_numpy(convolution.depthwise(x)).ravel() for x in inputs])
        convolution.depthwise_activation_gamma.assign(least_squares_gammas(sums, levels))


def _input(model: keras.Model, layer: Layer, previous: Tensor, skip: Tensor | None) -> Tensor:
    """What a layer of the model sees."""
    if layer.source == "pooled":
        return model.get_layer(f"level{layer.level}_pool")(previous)
    if layer.source == "upsampled":
        return model.get_layer(f"level{layer.level}_upsample")(previous)
    if layer.source == "concatenated":
        return model.get_layer(f"level{layer.level}_concatenate")([skip, previous])
    return previous
