"""The calibrated start of a BLU-Net: as close to its student as the codes of weights and activations allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from blunet.architecture import Layer, NetworkSettings, list_layers
from blunet.compression.code_fit import fit_codes
from blunet.compression.layerwise import (
    compute_layer_input,
    fit_depthwise_gammas,
    fit_weight_gammas,
    visit_layers,
)
from blunet.networks.build import build_network, get_feature_map
from blunet.networks.residual_code import Tensor
from blunet.networks.weight_transfer import FloatWeights, get_weights, set_weights

Array = NDArray[np.float32]
Wide = NDArray[np.float64]

#: Depthwise kernels are scaled to this standard deviation: of the order of their inputs.
DEPTHWISE_DEVIATION = 1 / 3
#: Share of a channel's own value in the logarithm of its clipping point; the rest is the mean of its layer.
OWN_SHARE = 0.5
#: Smallest clipping point of a channel, relative to the mean of its layer.
SMALLEST_CLIP = 1e-3
#: Number of corrections of a bias: where the sign saturates, one correction changes the mean too little.
CORRECTIONS = 3
#: Number of pixels, of all images together, whose sums a kernel is fitted to.
FITTED_PIXELS = 12_000
#: Candidates for a clipping point, as shares of the channel's largest value; and values per channel that judge them.
CLIP_SHARES = np.geomspace(0.1, 1.0, 24, dtype=np.float32)
CLIP_SAMPLES = 20_000


def calibrate(
    student: keras.Model,
    settings: NetworkSettings,
    target: NetworkSettings,
    images: Sequence[Array],
    gradient_window: float | None = None,
) -> keras.Model:
    """Build a BLU-Net that starts as close to a trained lightweight U-Net as its codes allow.

    Parameters
    ----------
    student : keras.Model
        A lightweight network.
    settings, target : NetworkSettings
        Settings of the student and of the BLU-Net.
    images : sequence of ndarray of shape (Y, X)
        Training images in [0, 1] with sides that the network takes.
    gradient_window : float, optional
        Half width of the published straight-through gradients.

    Returns
    -------
    keras.Model

    Notes
    -----
    1. *Maps.* A residual sign is symmetric and saturates at the sum of its gammas, A. The student's maps are rectified
       and of any scale. A channel of a rectified map may be scaled without changing the network, if the kernels of the
       next layer are scaled back (cross-layer equalisation, Nagel et al., ICCV 2019). The clipping point s of a channel
       is the one that codes its values on the images with the least squared error; it is drawn towards the mean of its
       layer, as a kernel with one gamma suffers where channels differ widely. The map x in [0, s] becomes
       v = 2 A x / s - A in [-A, A]. The residual sign, with gammas 1/2, 1/4, ..., is then the uniform quantiser of x
       with 2^M values from 0 to s, and its straight-through gradient is that of a rectifier that is clipped half a step
       beyond s. The offset -A moves into the biases. Depthwise kernels are brought to one scale, and pointwise kernels
       scaled back.
    2. *Kernels.* From the first layer on, the codes of every kernel but the depthwise ones are fitted to the student's
       sums, given the coded inputs (see `fit_codes`). A layer so compensates the errors of the layers before it, and
       those of its own depthwise part.
    3. *Biases* compensate the mean error that is left in each channel.

    All of this is folded into kernels, gammas and biases: the form of the network stays the published one.
    """
    model = build_network(target, activation_start="halving", gradient_window=gradient_window)
    maps = _compute_maps(student, settings, images)
    top = 1.0 - 0.5**target.residual_levels.activation
    clips = {name: _even_out(_find_clipping_points(m, target)) for name, m in maps.items() if name != "output"}
    weights = _fold(get_weights(student, settings), settings, clips, top)
    set_weights(model, target, weights | fit_weight_gammas(weights, target))
    for name, clip in clips.items():
        maps[name] = np.minimum(maps[name], clip) * (2 * top / clip) - top
    rng, previous = np.random.default_rng(0), ""

    def visit(layer: Layer, inputs: list[Tensor]) -> None:
        nonlocal previous
        fit_depthwise_gammas(model, layer, inputs)
        _fit_kernel(model, layer, inputs, _get_student_inputs(model, layer, images, maps, previous), weights, rng)
        if layer.path != "output":
            _correct_bias(model, layer, inputs, maps[layer.name].mean(axis=(0, 1, 2)))
        previous = layer.name

    visit_layers(model, target, images, visit)
    return model


def _get_student_inputs(
    model: keras.Model, layer: Layer, images: Sequence[Array], maps: Mapping[str, Array], previous: str
) -> list[Array]:
    """Return the layer's inputs in the student, with rescaled maps: an array (Y, X, channels) for every image."""
    if not previous:
        return [image[..., None] for image in images]
    skips = maps[layer.skip][:, None] if layer.skip else [None] * len(images)
    pairs = zip(maps[previous][:, None], skips, strict=True)
    return [keras.ops.convert_to_numpy(compute_layer_input(model, layer, x, skip))[0] for x, skip in pairs]


def _fit_kernel(
    model: keras.Model,
    layer: Layer,
    inputs: list[Tensor],
    student_inputs: list[Array],
    weights: FloatWeights,
    rng: np.random.Generator,
) -> None:
    """Fit a layer's kernel, or its pointwise kernel if it is separable, and its bias to the student's sums."""
    convolution = model.get_layer(layer.name)
    name = "pointwise_kernel" if layer.kind == "separable" else "kernel"
    kernel = weights[layer.name, name].reshape(-1, layer.filters)
    count = FITTED_PIXELS // len(inputs)
    samples = [
        _sample_layer(convolution, layer, coded, own, weights, count, rng)
        for coded, own in zip(inputs, student_inputs, strict=True)
    ]
    codes, values = (np.concatenate(part) for part in zip(*samples, strict=True))
    if not len(codes):  # the map is so small that the kernel reaches over its border everywhere
        return
    fitted = fit_codes(codes, values @ kernel, kernel, layer.weight(name).residual_levels)
    getattr(convolution, name).assign(fitted.kernel.reshape(layer.weight(name).shape))
    getattr(convolution, str(layer.weight(name).gamma)).assign(fitted.gammas)
    convolution.bias.assign(weights[layer.name, "bias"] + fitted.offset)


def _sample_layer(
    convolution: keras.layers.Layer,
    layer: Layer,
    coded_input: Tensor,
    student_input: Array,
    weights: FloatWeights,
    count: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Return what the fitted kernel is multiplied with at some pixels, in the binary network and in the student.

    Both are of shape (pixels, inputs).
    """
    k = layer.kernel_size
    y, x = _draw_patches(student_input.shape, k, count, rng)
    patches = _cut_patches(student_input, y, x, k)
    if layer.kind == "separable":
        depthwise = weights[layer.name, "depthwise_kernel"].reshape(k * k, -1)
        between = keras.ops.convert_to_numpy(convolution.compute_pointwise_input(coded_input))[0]
        return between[y + (k - 1) // 2, x + (k - 1) // 2], np.einsum("nkc,kc->nc", patches, depthwise)
    coded = _cut_patches(keras.ops.convert_to_numpy(coded_input)[0], y, x, k)
    return coded.reshape(len(coded), -1), patches.reshape(len(patches), -1)


def _draw_patches(
    shape: tuple[int, ...], k: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw upper left corners of patches within a map: beyond its border the student sees another zero."""
    rows, columns = (max(0, n - k + 1) for n in shape[:2])
    chosen = rng.permutation(rows * columns)[: max(1, count)]
    y, x = np.divmod(chosen, max(1, columns))
    return y, x


def _cut_patches(values: Array, y: NDArray[np.intp], x: NDArray[np.intp], k: int) -> Array:
    """Return patches of shape (patches, k * k, channels) of a map (Y, X, channels)."""
    return np.stack([values[y + i, x + j] for i, j in np.ndindex(k, k)], axis=1)


def _correct_bias(model: keras.Model, layer: Layer, inputs: list[Tensor], goal: Array) -> None:
    """Change the biases until the mean of each channel over the images is the student's."""
    convolution, sign = model.get_layer(layer.name), model.get_layer(f"{layer.name}_sign")
    for _ in range(CORRECTIONS):
        means = [keras.ops.convert_to_numpy(keras.ops.mean(sign(convolution(x)), axis=(0, 1, 2))) for x in inputs]
        bias = keras.ops.convert_to_numpy(convolution.bias)
        convolution.bias.assign(bias + (goal - np.mean(means, axis=0)))


def _compute_maps(model: keras.Model, settings: NetworkSettings, images: Sequence[Array]) -> dict[str, Array]:
    """Return the values behind every activation, of shape (N, Y, X, filters), by layer."""
    names = [layer.name for layer in list_layers(settings)]
    probe = keras.Model(model.inputs[0], [get_feature_map(model, name) for name in names])
    parts = [probe.predict_on_batch(image[None, ..., None]) for image in images]
    return {
        name: np.concatenate([part.pop(0) for part in parts]) for name in names
    }  # popped, to be in memory only once


def _find_clipping_points(values: Array, target: NetworkSettings) -> Array:
    """Return the clipping point of each channel whose uniform code of 2^M values from 0 on has the least error."""
    flat = values.reshape(-1, values.shape[-1])
    flat = flat[:: max(1, len(flat) // CLIP_SAMPLES)]
    highest = flat.max(axis=0)
    highest = np.where(highest > 1e-6, highest, 1.0).astype(np.float32)
    steps = 2**target.residual_levels.activation - 1
    best = np.full(values.shape[-1], np.inf)
    clips = highest.copy()
    for share in CLIP_SHARES:
        step = share * highest / steps
        coded = np.clip(np.rint(flat / step), 0, steps) * step
        error = np.square(flat - coded).mean(axis=0)
        better = error < best
        best[better], clips[better] = error[better], (share * highest)[better]
    return clips


def _even_out(clips: Array) -> Array:
    """Move the clipping points of a layer's channels towards their root mean square."""
    mean = np.sqrt(np.square(clips).mean())
    own = np.maximum(clips, SMALLEST_CLIP * mean)
    return np.asarray(mean ** (1 - OWN_SHARE) * own**OWN_SHARE, np.float32)


def _fold(weights: FloatWeights, settings: NetworkSettings, clips: Mapping[str, Array], top: float) -> FloatWeights:
    """Rewrite a float network for maps v = 2 top x / clip - top in place of x."""
    folded: FloatWeights = {}
    previous = ""
    for layer in list_layers(settings):
        bias = weights[layer.name, "bias"].astype(np.float64)
        scale = _get_input_clips(layer, previous, clips) / (2 * top) if previous else np.ones(1)
        shift = scale * top if previous else np.zeros(1)
        kernels, offset = _fold_input(layer, weights, scale, shift)
        bias = bias + offset
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


def _fold_input(layer: Layer, weights: FloatWeights, scale: Wide, shift: Wide) -> tuple[dict[str, Wide], Wide]:
    """Return a layer's kernels for inputs v with ``x = scale v + shift``, and what is added to its bias."""
    if layer.kind == "convolution":
        kernel = weights[layer.name, "kernel"].astype(np.float64)
        return {"kernel": kernel * scale[:, None]}, shift @ kernel.sum(axis=(0, 1))
    depthwise = weights[layer.name, "depthwise_kernel"].astype(np.float64)
    pointwise = weights[layer.name, "pointwise_kernel"].astype(np.float64)
    size = (np.sqrt(np.square(depthwise).mean(axis=(0, 1, 3))) + 1e-12) / DEPTHWISE_DEVIATION
    offset = (shift * depthwise.sum(axis=(0, 1, 3))) @ pointwise[0, 0]
    kernels = {"depthwise_kernel": depthwise / size[:, None], "pointwise_kernel": pointwise * (size * scale)[:, None]}
    return kernels, offset


def _get_input_clips(layer: Layer, previous: str, clips: Mapping[str, Array]) -> Wide:
    """Return the clipping points of a layer's input channels."""
    parts = [clips[layer.skip]] if layer.skip else []
    return np.concatenate([*parts, clips[previous]]).astype(np.float64)
