"""Training operations that TensorFlow has in one pass over a map, where Keras takes several.

On a CPU these passes over memory, not the convolutions, take most of the time of a training step. Only imported where
TensorFlow is Keras' backend; other backends take the operations as they are written with `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any


def normalise_batch(x: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise a batch of maps to mean 0 and variance 1 a channel, then scale and shift it.

    Parameters
    ----------
    x : tensor of shape (N, Y, X, C), float32
    scale, shift : tensor of shape (C,)
    epsilon : float
        Added to the variance.

    Returns
    -------
    result : tensor of shape (N, Y, X, C)
    mean, variance : tensor of shape (C,)
        Of the batch; the variance divides by the number of values.
    """
    result, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=shift, mean=tf.zeros(0), variance=tf.zeros(0), epsilon=epsilon, is_training=True
    )
    # TensorFlow's variance divides by one value less.
    values = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), variance.dtype)
    return result, mean, variance * (tf.maximum(values - 1, 1) / values)


def quantise(x: Tensor, step: Tensor, levels: int) -> Tensor:
    """Return `blunet.networks.step_code.unsigned_code`, with the same gradients up to rounding."""
    top = 2**levels - 1

    @tf.custom_gradient
    def code(x: Tensor, step: Tensor) -> tuple[Tensor, Callable[..., tuple[Tensor, Tensor]]]:
        if levels == 1:  # fewer than the operation can do
            y = tf.cast(x >= step / 2, x.dtype) * step
        else:
            y = tf.quantization.fake_quant_with_min_max_vars(x, 0.0, top * step, num_bits=levels)

        def differentiate(upstream: Tensor) -> tuple[Tensor, Tensor]:
            inside = tf.raw_ops.Relu6Grad(gradients=upstream, features=x * (6 / (top * step)))
            return inside, (_dot(upstream, y) - _dot(inside, x)) / step

        return y, differentiate

    return code(x, step)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the sum of the products of two maps: a product of matrices is faster than a sum."""
    return tf.matmul(tf.reshape(a, (1, -1)), tf.reshape(b, (1, -1)), transpose_b=True)[0, 0]
