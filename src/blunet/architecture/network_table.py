"""The table of a network's layers, from which its size, its weights and its programs follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from blunet.architecture.network_settings import NetworkSettings

Kind = Literal["convolution", "separable"]
Path = Literal["contracting", "expanding", "output"]
Source = Literal["previous", "pooled", "upsampled", "concatenated"]
Activation = Literal["relu", "residual_sign", "sigmoid"]


@dataclass(frozen=True)
class Weight:
    """One weight tensor of a layer.

    Attributes
    ----------
    name : str
        ``kernel``, ``depthwise_kernel``, ``pointwise_kernel``, ``bias``, or one of the gammas: ``kernel_gamma``,
        ``depthwise_gamma``, ``pointwise_gamma``, ``depthwise_activation_gamma``, ``activation_gamma``.
    shape : tuple of int
        Kernels are ``(height, width, inputs, filters)``; depthwise ones ``(height, width, inputs, 1)``.
    residual_levels : int
        Bits per value of a binarised tensor; 0: the tensor is stored as float32.
    gamma : str or None
        Name of the vector of gammas of a binarised tensor.
    """

    name: str
    shape: tuple[int, ...]
    residual_levels: int = 0
    gamma: str | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        size = 1
        for n in self.shape:
            size *= n
        return size


@dataclass(frozen=True)
class Layer:
    """One convolution of a network, with its activation.

    Attributes
    ----------
    name : str
        ``level3_contracting_1``, ``level0_expanding_3``, ..., ``output``.
    level : int
        Resolution level; 0 is full resolution.
    path : {"contracting", "expanding", "output"}
    index : int
        Number of the layer within its path and level, counted from 1.
    kind : {"convolution", "separable"}
        A plain convolution, or a depthwise convolution followed by a pointwise (1 x 1) convolution with the bias.
    kernel_size : int
        Side of the square kernel. Zero padding is 'same': for a 2 x 2 kernel at the bottom and right.
    inputs, filters : int
        Number of input and output channels.
    source : {"previous", "pooled", "upsampled", "concatenated"}
        Input of the layer: the map of the previous layer, that map max-pooled 2 x 2, repeated 2 x 2, or concatenated
        behind the map of `skip`.
    skip : str or None
        Name of the layer whose map comes before the previous one if `source` is "concatenated".
    activation : {"relu", "residual_sign", "sigmoid"}
    weights : tuple of Weight
        Tensors of the convolution and of its activation, in the order of published checkpoints.
    """

    name: str
    level: int
    path: Path
    index: int
    kind: Kind
    kernel_size: int
    inputs: int
    filters: int
    source: Source
    skip: str | None
    activation: Activation
    weights: tuple[Weight, ...]

    def weight(self, name: str) -> Weight:
        """Return a weight by its name."""
        return next(w for w in self.weights if w.name == name)


def list_layers(settings: NetworkSettings) -> tuple[Layer, ...]:
    """List the layers of a network in the order in which they run.

    Parameters
    ----------
    settings : NetworkSettings

    Returns
    -------
    tuple of Layer
        Two layers per level on the contracting path, three on the expanding path, and the output. The input of the
        first is of shape (Y, X, 1).
    """
    return tuple(_layers(settings))


def _layers(s: NetworkSettings) -> Iterator[Layer]:
    channels = 1
    for level in range(s.levels):
        for index in (1, 2):
            source: Source = "pooled" if index == 1 and level > 0 else "previous"
            yield _layer(s, "contracting", level, index, 3, channels, source)
            channels = s.filters(level)
    for level in reversed(range(s.levels - 1)):
        yield _layer(s, "expanding", level, 1, 2, channels, "upsampled")
        channels = s.filters(level)
        yield _layer(s, "expanding", level, 2, 3, 2 * channels, "concatenated", f"level{level}_contracting_2")
        yield _layer(s, "expanding", level, 3, 3, channels, "previous")
    yield _layer(s, "output", 0, 1, 1, channels, "previous")


def _layer(
    s: NetworkSettings,
    path: Path,
    level: int,
    index: int,
    kernel_size: int,
    inputs: int,
    source: Source,
    skip: str | None = None,
) -> Layer:
    output = path == "output"
    plain = s.network == "unet" or output or (level == 0 and path == "contracting")
    filters = len(s.maps) if output else s.filters(level)
    hidden: Activation = "residual_sign" if s.binary else "relu"
    return Layer(
        name="output" if output else f"level{level}_{path}_{index}",
        level=level,
        path=path,
        index=index,
        kind="convolution" if plain else "separable",
        kernel_size=kernel_size,
        inputs=inputs,
        filters=filters,
        source=source,
        skip=skip,
        activation="sigmoid" if output else hidden,
        weights=tuple(_weights(s, plain, kernel_size, inputs, filters, output)),
    )


def _weights(s: NetworkSettings, plain: bool, size: int, inputs: int, filters: int, output: bool) -> Iterator[Weight]:
    r = s.residual_levels
    normalised = s.form == "normalised" and s.binary
    coded = s.binarize_depthwise and not plain
    if plain:
        kernels = [("kernel", "kernel_gamma", (size, size, inputs, filters), r.convolution)]
    else:
        kernels = [
            ("depthwise_kernel", "depthwise_gamma", (size, size, inputs, 1), r.depthwise),
            ("pointwise_kernel", "pointwise_gamma", (1, 1, inputs, filters), r.pointwise),
        ]
    if not s.binary or (normalised and output):
        yield from (Weight(name, shape) for name, _, shape, _ in kernels)
        yield Weight("bias", (filters,))
        return
    yield from (Weight(name, shape, levels, gamma) for name, gamma, shape, levels in kernels)
    yield Weight("bias", (filters,))
    if normalised:
        yield Weight("scale", (filters,))
        if not plain:
            yield Weight("depthwise_scale", (inputs,))
            if coded:
                yield Weight("depthwise_shift", (inputs,))
    yield from (Weight(gamma, (levels,)) for _, gamma, _, levels in kernels)
    if coded:
        yield Weight("depthwise_activation_gamma", (r.activation,))
    if not output:
        yield Weight("activation_gamma", (r.activation,))


def compute_reach(settings: NetworkSettings) -> tuple[int, int]:
    """Compute how many pixels before and after a pixel can change the output there.

    Returns
    -------
    before, after : int
        In pixels of the input, the same along both axes; 107 and 122 for five levels.
    """
    before = after = 0
    for layer in list_layers(settings):
        step = 2**layer.level
        if layer.source == "upsampled":
            before, after = before + step, after + step
        if layer.kernel_size == 3:
            before, after = before + step, after + step
        elif layer.kernel_size == 2:
            after += step
    return before, after
