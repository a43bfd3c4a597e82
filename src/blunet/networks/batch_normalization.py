"""Keras' batch normalisation, in one pass over each map where TensorFlow is the backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any


@keras.saving.register_keras_serializable(package="blunet")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` of maps (N, Y, X, C): the same numbers up to rounding, a third of the time."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        """Normalise by the batch's statistics while training, else by the moving ones."""
        if not training or not self.trainable or mask is not None or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        from blunet.networks.tensorflow_operations import normalise_batch

        result, mean, variance = normalise_batch(
            inputs, ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta), self.epsilon
        )
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1.0 - self.momentum))
        return result
