"""The three networks as ONNX graphs, written from the same table of layers as the Keras and the packed ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from blunet.architecture import Layer, NetworkSettings, list_layers
from blunet.packed.bit_planes import compute_tie_break

#: Kernels as numbers, biases and gammas by layer and name, in the table's shapes.
Weights = Mapping[tuple[str, str], np.ndarray]


def onnx_network(settings: NetworkSettings, weights: Weights, size: int) -> onnx.ModelProto:
    """Write a network for images of shape (1, 1, size, size).

    Parameters
    ----------
    settings : NetworkSettings
        A residual sign becomes comparisons, selections and subtractions: ONNX has no bits.
    weights : mapping
    size : int
        Side of the image in pixels, a multiple of ``settings.multiple``.

    Returns
    -------
    onnx.ModelProto
        Its output has the shape of its input: the probability of foreground.
    """
    graph = _Graph(weights)
    maps, x = {}, "image"
    for layer in list_layers(settings):
        if layer.source == "pooled":
            x = graph.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        elif layer.source == "upsampled":
            factors = graph.constant(np.array([1, 1, 2, 2], np.float32))
            x = graph.add("Resize", [x, "", factors], mode="nearest", coordinate_transformation_mode="asymmetric",
                          nearest_mode="floor")  # fmt: skip
        elif layer.source == "concatenated":
            x = graph.add("Concat", [maps[layer.skip], x], axis=1)
        x = maps[layer.name] = graph.activated(layer, graph.convolved(layer, x))
    shape = [1, 1, size, size]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", x)]
    made = helper.make_graph(graph.nodes, settings.network, ends[:1], ends[1:], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], **attributes: object) -> str:
        """Add a node and return its output's name."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, value: np.ndarray) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def convolved(self, layer: Layer, x: str) -> str:
        """Add a convolution; of a 2 x 2 kernel the padding is at the bottom and right."""
        k, bias = layer.kernel_size, self.constant(self.weights[layer.name, "bias"])
        pads = [(k - 1) // 2] * 2 + [k // 2] * 2
        if layer.kind == "convolution":
            kernel = self.constant(self.weights[layer.name, "kernel"].transpose(3, 2, 0, 1))
            return self.add("Conv", [x, kernel, bias], pads=pads)
        depthwise = self.constant(self.weights[layer.name, "depthwise_kernel"].transpose(2, 3, 0, 1))
        pointwise = self.constant(self.weights[layer.name, "pointwise_kernel"].transpose(3, 2, 0, 1))
        x = self.add("Conv", [x, depthwise], pads=pads, group=layer.inputs)
        gammas = self.weights.get((layer.name, "depthwise_activation_gamma"))
        if gammas is not None:
            x = self.coded(self.add("Add", [x, self.constant(np.float32(compute_tie_break(gammas)))]), gammas)
        return self.add("Conv", [x, pointwise, bias])

    def activated(self, layer: Layer, x: str) -> str:
        """Add what stands behind a convolution."""
        if layer.activation == "residual_sign":
            return self.coded(x, self.weights[layer.name, "activation_gamma"])
        return self.add("Sigmoid" if layer.activation == "sigmoid" else "Relu", [x])

    def coded(self, x: str, gammas: np.ndarray) -> str:
        """Add a residual code: the sum of its steps."""
        zero, total = self.constant(np.zeros((), np.float32)), ""
        for level, gamma in enumerate(np.abs(gammas)):
            positive = self.add("GreaterOrEqual", [x, zero])
            step = self.add("Where", [positive, self.constant(gamma), self.constant(-gamma)])
            total = self.add("Add", [total, step]) if total else step
            if level + 1 < len(gammas):
                x = self.add("Sub", [x, step])
        return total
