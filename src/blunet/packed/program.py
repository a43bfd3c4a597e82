"""A binary network compiled into a list of operations."""

from __future__ import annotations

from blunet.architecture import Layer, list_layers
from blunet.packed.binary_weights import BinaryWeights
from blunet.packed.convolution_operations import (
    BitConvolution,
    ImageConvolution,
    MapsConvolution,
    OutputConvolution,
    SignConvolution,
)
from blunet.packed.layer_weights import LayerWeights
from blunet.packed.operation import Operation
from blunet.packed.separable_operations import FloatSeparable, PopcountSeparable, SignSeparable

#: The first that can run a layer runs it: the faster before the more general.
KINDS: tuple[type[Operation], ...] = (
    ImageConvolution,
    OutputConvolution,
    MapsConvolution,
    SignConvolution,
    BitConvolution,
    FloatSeparable,
    SignSeparable,
    PopcountSeparable,
)


def compile_program(weights: BinaryWeights) -> tuple[Operation, ...]:
    """Compile a network.

    Parameters
    ----------
    weights : BinaryWeights

    Returns
    -------
    tuple of Operation
        In the order in which they run. They depend on the table of layers and on the gammas alone, so that any network
        of the table can be compiled.
    """
    layers: dict[str, Layer] = {}
    program = []
    previous: tuple[Layer, ...] = ()
    for layer in list_layers(weights.settings):
        inputs = (layers[layer.skip], *previous) if layer.skip else previous
        own = LayerWeights(weights, layer, inputs)
        program.append(next(kind for kind in KINDS if kind.can_run(own)).compile(own))
        layers[layer.name] = layer
        previous = (layer,)
    return tuple(program)
