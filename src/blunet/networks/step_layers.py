"""Keras layers of a normalised binary network: coded kernels, coded activations."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from blunet.networks.step_code import (
    Tensor,
    scale_gradient,
    signed_code,
    step_gradient_factor,
    unsigned_code,
)

#: Steps of the codes of a kernel at the start, in standard deviations of its values: the best of a normal distribution.
KERNEL_STEPS = {1: 1.6, 2: 1.0, 3: 0.586, 4: 0.335}
#: The factor of an activation's gradient counts the values of a crop of this many pixels.
CROP_PIXELS = 192 * 192
#: Relative shift of signed maps that decides ties.
TIE = 1e-6


class _Coded(keras.layers.Layer):
    """What layers with coded values share: the number of levels and one step."""

    def __init__(self, levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = levels

    def _add_step(self, values: float) -> None:
        self.step = self.add_weight(name="step", shape=(), initializer="ones")
        self._factor = step_gradient_factor(values, self.levels)

    def _scaled_step(self) -> Tensor:
        return scale_gradient(ops.abs(ops.convert_to_tensor(self.step)) + 1e-8, self._factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable(package="blunet")
class CodedActivation(_Coded):
    """Code of a map with one step: unsigned (a quantised ReLU) or signed (between the parts of a separable layer).

    Parameters
    ----------
    levels : int
        Bits per value.
    signed : bool
    """

    def __init__(self, levels: int, signed: bool = False, **kwargs: Any) -> None:
        super().__init__(levels, **kwargs)
        self.signed = signed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._add_step(CROP_PIXELS * float(input_shape[-1] or 1))

    def call(self, inputs: Tensor) -> Tensor:
        step = self._scaled_step()
        if keras.backend.backend() != "tensorflow":
            return (signed_code if self.signed else unsigned_code)(inputs, step, self.levels)
        from blunet.networks.tensorflow_operations import quantise

        if not self.signed:
            return quantise(inputs, step, self.levels)
        # 0, halfway between two codes, is rounded up whatever the rounding of the step.
        lowest = (2**self.levels - 1) / 2 * step
        return quantise(inputs + lowest * (1 + TIE), step, self.levels) - lowest

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "signed": self.signed}


@keras.saving.register_keras_serializable(package="blunet")
class CodedConv2D(_Coded):
    """Convolution with a coded kernel, 'same' zero padding and no bias.

    Parameters
    ----------
    filters, kernel_size : int
    levels : int
        Bits per weight.
    depthwise : bool
        One kernel a channel; `filters` is the number of channels.
    """

    def __init__(self, filters: int, kernel_size: int, levels: int, depthwise: bool = False, **kwargs: Any) -> None:
        super().__init__(levels, **kwargs)
        self.filters, self.kernel_size, self.depthwise = filters, kernel_size, depthwise

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        k, inputs = self.kernel_size, int(input_shape[-1] or 0)
        shape = (k, k, inputs, 1 if self.depthwise else self.filters)
        deviation = 1 / k if self.depthwise else math.sqrt(2 / (k * k * inputs))
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=keras.initializers.RandomNormal(stddev=deviation)
        )
        self._add_step(math.prod(shape))
        self.step.assign(KERNEL_STEPS[self.levels] * deviation)

    def call(self, inputs: Tensor) -> Tensor:
        kernel = signed_code(ops.convert_to_tensor(self.kernel), self._scaled_step(), self.levels)
        convolve = ops.depthwise_conv if self.depthwise else ops.conv
        return convolve(inputs, kernel, padding="same")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "kernel_size": self.kernel_size, "depthwise": self.depthwise}
        return {**super().get_config(), **own}
