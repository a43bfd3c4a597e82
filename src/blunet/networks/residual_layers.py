"""Keras layers of a binary network: the residual sign activation and two binary convolutions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from blunet.networks.residual_code import (
    ActivationStart,
    Tensor,
    WeightStart,
    fit_gammas,
    get_halving_gammas,
    get_published_gammas,
    residual_binarise,
)
from blunet.packed.bit_planes import TIE_BREAK


def make_depthwise_initializer(kernel_size: int) -> keras.initializers.Initializer:
    """Return a normal initialiser with the deviation 1 / k, as every depthwise output is a sum of k * k values.

    Keras counts all channels as inputs of a depthwise kernel. In a deep separable network the values then vanish.
    """
    return keras.initializers.RandomNormal(stddev=1.0 / kernel_size)


@keras.saving.register_keras_serializable(package="blunet")
class ResidualSign(keras.layers.Layer):
    """Residual sign activation: ``sum_m |g_m| sign(r_m)`` of its input (see `residual_binarise`).

    Parameters
    ----------
    levels : int
        Residual levels M.
    start : {"halving", "published"}
        Gammas before training; for M = 3 ``[1/2, 1/4, 1/8]`` or ``[1/2, 1/3, 1/6]``.
    gradient_window : float, optional
        Half width of the published straight-through gradient.
    """

    def __init__(
        self, levels: int, start: ActivationStart = "halving", gradient_window: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.levels, self.start, self.gradient_window = levels, start, gradient_window

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        gammas = get_halving_gammas(self.levels) if self.start == "halving" else get_published_gammas(self.levels)
        self.gamma = self.add_weight(
            name="gamma", shape=(self.levels,), initializer=lambda *_, **__: ops.convert_to_tensor(gammas)
        )

    def call(self, inputs: Tensor) -> Tensor:
        return residual_binarise(inputs, ops.copy(self.gamma), self.gradient_window)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"levels": self.levels, "start": self.start, "gradient_window": self.gradient_window}
        return {**super().get_config(), **own}


class _Binary(keras.layers.Layer):
    """Base of binary convolutions: kernels with a vector of gammas each."""

    def __init__(
        self, filters: int, kernel_size: int, start: WeightStart, gradient_window: float | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, kernel_size
        self.start, self.gradient_window = start, gradient_window

    def _add_kernel(self, name: str, shape: tuple[int, ...], initializer: Any, levels: int) -> tuple[Any, Any]:
        kernel = self.add_weight(name=name, shape=shape, initializer=initializer)

        def gammas(*_: Any, **__: Any) -> Tensor:
            if self.start == "published":
                return ops.convert_to_tensor(get_published_gammas(levels))
            return ops.convert_to_tensor(fit_gammas(ops.convert_to_numpy(kernel), levels))

        gamma_name = name.replace("kernel", "gamma") if "_" in name else "kernel_gamma"
        return kernel, self.add_weight(name=gamma_name, shape=(levels,), initializer=gammas)

    def _binarise(self, kernel: Any, gamma: Any) -> Tensor:
        return residual_binarise(ops.copy(kernel), ops.copy(gamma), self.gradient_window)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        own = {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "start": self.start,
            "gradient_window": self.gradient_window,
        }
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="blunet")
class BinaryConv2D(_Binary):
    """Convolution with a residually binarised kernel, zero padding 'same', and a float32 bias.

    Parameters
    ----------
    filters, kernel_size : int
    levels : int
        Residual levels of the kernel.
    start : {"least_squares", "published"}
        Gammas before training.
    gradient_window : float, optional
        Half width of the published straight-through gradient.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        levels: int,
        start: WeightStart = "least_squares",
        gradient_window: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, start, gradient_window, **kwargs)
        self.levels = levels

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        k, inputs = self.kernel_size, int(input_shape[-1] or 0)
        shape = (k, k, inputs, self.filters)
        self.kernel, self.kernel_gamma = self._add_kernel("kernel", shape, "he_normal", self.levels)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs: Tensor) -> Tensor:
        kernel = self._binarise(self.kernel, self.kernel_gamma)
        return ops.conv(inputs, kernel, padding="same") + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable(package="blunet")
class BinarySeparableConv2D(_Binary):
    """Depthwise, then pointwise convolution with residually binarised kernels and a float32 bias.

    Parameters
    ----------
    filters, kernel_size : int
    depthwise_levels, pointwise_levels : int
        Residual levels of the two kernels.
    start : {"least_squares", "published"}
        Gammas before training.
    gradient_window : float, optional
        Half width of the published straight-through gradients.
    coded_levels : int
        Residual levels of the sign between the two parts, whose gammas start as 1/2, 1/4, ...; 0: there is none.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        depthwise_levels: int,
        pointwise_levels: int,
        start: WeightStart = "least_squares",
        gradient_window: float | None = None,
        coded_levels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, start, gradient_window, **kwargs)
        self.depthwise_levels, self.pointwise_levels = depthwise_levels, pointwise_levels
        self.coded_levels = coded_levels

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        k, inputs = self.kernel_size, int(input_shape[-1] or 0)
        self.depthwise_kernel, self.depthwise_gamma = self._add_kernel(
            "depthwise_kernel", (k, k, inputs, 1), make_depthwise_initializer(k), self.depthwise_levels
        )
        self.pointwise_kernel, self.pointwise_gamma = self._add_kernel(
            "pointwise_kernel", (1, 1, inputs, self.filters), "he_normal", self.pointwise_levels
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        if self.coded_levels:
            self.depthwise_activation_gamma = self.add_weight(
                name="depthwise_activation_gamma",
                shape=(self.coded_levels,),
                initializer=lambda *_, **__: ops.convert_to_tensor(get_halving_gammas(self.coded_levels)),
            )

    def compute_depthwise(self, inputs: Tensor) -> Tensor:
        """Return the depthwise sums, before they are binarised."""
        kernel = self._binarise(self.depthwise_kernel, self.depthwise_gamma)
        return ops.depthwise_conv(inputs, kernel, padding="same")

    def compute_pointwise_input(self, inputs: Tensor) -> Tensor:
        """Return the input of the pointwise part: the depthwise sums, binarised if the layer does so."""
        x = self.compute_depthwise(inputs)
        if not self.coded_levels:
            return x
        gamma = ops.copy(self.depthwise_activation_gamma)
        offset = ops.stop_gradient(TIE_BREAK * ops.sum(ops.abs(gamma)))
        return residual_binarise(x + offset, gamma, self.gradient_window)

    def call(self, inputs: Tensor) -> Tensor:
        x = self.compute_pointwise_input(inputs)
        pointwise = self._binarise(self.pointwise_kernel, self.pointwise_gamma)
        return ops.conv(x, pointwise, padding="same") + self.bias

    def get_config(self) -> dict[str, Any]:
        own = {"depthwise_levels": self.depthwise_levels, "pointwise_levels": self.pointwise_levels}
        return {**super().get_config(), **own, "coded_levels": self.coded_levels}
