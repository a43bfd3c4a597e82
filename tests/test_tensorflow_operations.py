"""The operations of one pass over a map give what Keras gives in several, gradients included."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from blunet.networks.batch_normalization import BatchNormalization
from blunet.networks.step_code import unsigned_code

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras' backend is not TensorFlow")


@pytest.mark.parametrize("shape", [(4, 12, 10, 3), (1, 1, 1, 2)])
def test_normalisation_is_that_of_keras(shape):
    x = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    layers = [layer(momentum=0.9) for layer in (BatchNormalization, keras.layers.BatchNormalization)]
    results = []
    for layer in layers:
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 1.5, shape[-1]))
        layer.beta.assign(np.linspace(-1, 1, shape[-1]))
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            result = layer(given, training=True)
            loss = tf.reduce_sum(tf.sin(result) * x)
        trained = [layer.gamma.value, layer.beta.value]
        results.append([result, *tape.gradient(loss, [given, *trained]), *layer.non_trainable_variables])
        results[-1].append(layer(given, training=False))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=2e-4, atol=2e-5)


def test_a_frozen_normalisation_keeps_its_statistics():
    layer = BatchNormalization()
    layer.build((1, 4, 4, 2))
    layer.trainable = False
    x = np.random.default_rng(0).normal(3, 2, (1, 4, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(layer(x, training=True)), x / np.sqrt(1 + layer.epsilon), rtol=1e-5)
    assert not np.asarray(layer.moving_mean).any()


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_quantising_is_the_unsigned_code(levels):
    from blunet.networks.tensorflow_operations import quantise

    x = tf.constant(np.random.default_rng(1).uniform(-1, 6, (2, 9, 17, 3)).astype(np.float32))
    upstream = np.random.default_rng(2).normal(0, 1, x.shape).astype(np.float32)
    results = []
    for code in (quantise, unsigned_code):
        step = tf.constant(0.37)
        with tf.GradientTape() as tape:
            tape.watch([x, step])
            y = code(x, step, levels)
            loss = tf.reduce_sum(y * upstream)
        results.append([y, *tape.gradient(loss, [x, step])])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-4)
    assert len(np.unique(np.round(np.asarray(results[0][0]), 4))) == 2**levels
