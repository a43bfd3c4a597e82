"""The calibrated start of a BLU-Net: as near to its student as the codes of weights and activations allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer, NetworkSettings, layer_table
from blunet.compression.code_fit import fit_codes
from blunet.compression.layerwise import code_depthwise, layer_input, walk, weight_gammas
from blunet.networks.build import build_network, feature_map
from blunet.networks.residual_code import Tensor
from blunet.networks.weight_transfer import FloatWeights, get_weights, set_weights

Array = NDArray[np.float32]

#: Depthwise kernels are scaled to this deviation: of the order of what they see.
DEPTHWISE_DEVIATION = 1 / 3
#: A channel's own share (of the logarithm) in its clipping point; the rest is its layer's mean.
OWN_SHARE = 0.5
SMALLEST_CLIP = 1e-3
#: A bias moves more than its channel's mean where the sign saturates: it is corrected so many times.
CORRECTIONS = 3
#: Kernels are fitted to the sums of about so many pixels.
FITTED_PIXELS = 12_000


def calibrated(
    student: keras.Model,
    settings: NetworkSettings,
    target: NetworkSettings,
    images: Sequence[Array],
    window: float | None = None,
) -> keras.Model:
    """Build the BLU-Net that starts as close to a trained lightweight U-Net as its few bits allow.

    Parameters
    ----------
    student : keras.Model
        A lightweight network.
    settings, target : NetworkSettings
        Of the student and of the BLU-Net.
    images : sequence of ndarray of shape (Y, X)
        Training images in [0, 1] whose sides the network takes.
    window : float, optional
        Of the published straight-through gradients.

    Returns
    -------
    keras.Model

    Notes
    -----
    1. *Maps.* A residual sign is symmetric and saturates at the sum of its gammas, A; the student's maps are rectified
       and of any scale. A rectified map may be scaled, channel by channel, without changing the network, if the next
       layer's kernels are scaled back (cross-layer equalisation, Nagel et al., ICCV 2019). Each channel's clipping
       point s is the one that codes its values on the images with the least squared error, drawn towards its layer's
       mean, since kernels of one gamma suffer where channels differ widely; and the map x in [0, s] becomes
       v = 2 A x / s - A in [-A, A]. The residual sign, with gammas 1/2, 1/4, ..., is then the uniform quantiser of x
       with 2^M values from 0 to s, and its straight-through gradient that of a rectifier clipped half a step beyond s.
       The offset -A moves into the biases. Depthwise kernels are brought to one scale, pointwise ones scaled back.
    2. *Kernels.* From the first layer on, the codes of every kernel but the depthwise ones are fitted to the student's
       sums, from what the layers before give as codes (see `fit_codes`): so a layer makes good what those before it
       have lost, its own depthwise part included.
    3. *Biases* absorb the mean error that is left in each channel.

    All of it is folded into kernels, gammas and biases: the network's form stays the published one.
    """
    model = build_network(target, activation_start="halving", window=window)
    maps = _maps(student, settings, images)
    top = 1.0 - 0.5**target.residual_levels.activation
    clips = {name: _evened(_clipping_points(m, target)) for name, m in maps.items() if name != "output"}
    weights = _folded(get_weights(student, settings), settings, clips, top)
    set_weights(model, target, weights | weight_gammas(weights, target))
    for name, clip in clips.items():
        maps[name] = np.minimum(maps[name], clip) * (2 * top / clip) - top
    rng, previous = np.random.default_rng(0), ""

    def visit(layer: Layer, inputs: list[Tensor]) -> None:
        nonlocal previous
        code_depthwise(model, layer, inputs)
        _fit(model, layer, inputs, _given(model, layer, images, maps, previous), weights, rng)
        if layer.path != "output":
            _correct_bias(model, layer, inputs, maps[layer.name].mean(axis=(0, 1, 2)))
        previous = layer.name

    walk(model, target, images, visit)
    return model


def _given(
    model: keras.Model, layer: Layer, images: Sequence[Array], maps: Mapping[str, Array], previous: str
) -> list[Array]:
    """Return what the layer sees in the student, its maps mapped: an array (Y, X, channels) for every image."""
    if not previous:
        return [image[..., None] for image in images]
    skips = maps[layer.skip][:, None] if layer.skip else [None] * len(images)
    pairs = zip(maps[previous][:, None], skips, strict=True)
    return [keras.ops.convert_to_numpy(layer_input(model, layer, x, skip))[0] for x, skip in pairs]


def _fit(
    model: keras.Model,
    layer: Layer,
    inputs: list[Tensor],
    given: list[Array],
    weights: FloatWeights,
    rng: np.random.Generator,
) -> None:
    """Fit a layer's kernel, of a separable one the pointwise one, to the student's sums; its bias to their mean."""
    k, convolution = layer.kernel_size, model.get_layer(layer.name)
    separable = layer.kind == "separable"
    name = "pointwise_kernel" if separable else "kernel"
    kernel = weights[layer.name, name].reshape(-1, layer.filters)
    seen, wanted = [], []
    for x, own in zip(inputs, given, strict=True):
        y, at = _pixels(own.shape, k, FITTED_PIXELS // len(inputs), rng)
        there = _windows(own, y, at, k)
        if separable:
            depthwise = weights[layer.name, "depthwise_kernel"].reshape(k * k, -1)
            seen.append(keras.ops.convert_to_numpy(convolution.between(x))[0, y + (k - 1) // 2, at + (k - 1) // 2])
            wanted.append(np.einsum("nkc,kc->nc", there, depthwise) @ kernel)
        else:
            coded = _windows(keras.ops.convert_to_numpy(x)[0], y, at, k)
            seen.append(coded.reshape(len(coded), -1))
            wanted.append(there.reshape(len(there), -1) @ kernel)
    codes, sums = np.concatenate(seen), np.concatenate(wanted)
    if not len(codes):  # a map so small that every window reaches over its border
        return
    fitted = fit_codes(codes, sums, kernel, layer.weight(name).residual_levels)
    getattr(convolution, name).assign(fitted.kernel.reshape(layer.weight(name).shape))
    getattr(convolution, str(layer.weight(name).gamma)).assign(fitted.gammas)
    convolution.bias.assign(weights[layer.name, "bias"] + fitted.offset)


def _pixels(
    shape: tuple[int, ...], k: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw the upper left corners of windows that lie within a map: outside the student sees another zero."""
    rows, columns = (max(0, n - k + 1) for n in shape[:2])
    chosen = rng.permutation(rows * columns)[: max(1, count)]
    y, x = np.divmod(chosen, max(1, columns))
    return y, x


def _windows(values: Array, y: NDArray[np.intp], x: NDArray[np.intp], k: int) -> Array:
    """Return the windows (pixels, k * k, channels) of a map (Y, X, channels)."""
    return np.stack([values[y + i, x + j] for i, j in np.ndindex(k, k)], axis=1)


def _correct_bias(model: keras.Model, layer: Layer, inputs: list[Tensor], goal: Array) -> None:
    """Shift each channel's bias until its mean value on the images is the student's."""
    convolution, sign = model.get_layer(layer.name), model.get_layer(f"{layer.name}_sign")
    for _ in range(CORRECTIONS):
        means = [keras.ops.convert_to_numpy(keras.ops.mean(sign(convolution(x)), axis=(0, 1, 2))) for x in inputs]
        bias = keras.ops.convert_to_numpy(convolution.bias)
        convolution.bias.assign(bias + (goal - np.mean(means, axis=0)))


def _maps(model: keras.Model, settings: NetworkSettings, images: Sequence[Array]) -> dict[str, Array]:
    """Values behind every activation: layer -> (N, Y, X, filters)."""
    names = [layer.name for layer in layer_table(settings)]
    probe = keras.Model(model.inputs[0], [feature_map(model, name) for name in names])
    parts = [probe.predict_on_batch(image[None, ..., None]) for image in images]
    return {name: np.concatenate([part.pop(0) for part in parts]) for name in names}  # popped: never held twice


def _clipping_points(values: Array, target: NetworkSettings) -> Array:
    """The clipping point of each channel (filters,) whose uniform code of 2^M values from 0 on errs least."""
    flat = values.reshape(-1, values.shape[-1])
    flat = flat[:: max(1, len(flat) // 20000)]
    highest = flat.max(axis=0)
    highest = np.where(highest > 1e-6, highest, 1.0).astype(np.float32)
    steps = 2**target.residual_levels.activation - 1
    best = np.full(values.shape[-1], np.inf)
    clips = highest.copy()
    for share in np.geomspace(0.1, 1.0, 24, dtype=np.float32):
        step = share * highest / steps
        coded = np.clip(np.rint(flat / step), 0, steps) * step
        error = np.square(flat - coded).mean(axis=0)
        better = error < best
        best[better], clips[better] = error[better], (share * highest)[better]
    return clips


def _evened(clips: Array) -> Array:
    """Draw the clipping points of a layer's channels towards their root mean square."""
    mean = np.sqrt(np.square(clips).mean())
    own = np.maximum(clips, SMALLEST_CLIP * mean)
    return np.asarray(mean ** (1 - OWN_SHARE) * own**OWN_SHARE, np.float32)


def _folded(weights: FloatWeights, settings: NetworkSettings, clips: Mapping[str, Array], top: float) -> FloatWeights:
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


def _input_clips(layer: Layer, previous: str, clips: Mapping[str, Array]) -> NDArray[np.float64]:
    parts = [clips[layer.skip]] if layer.skip else []
    return np.concatenate([*parts, clips[previous]]).astype(np.float64)
