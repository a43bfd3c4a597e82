"""Residual binarisation against its definition, spelled out in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from blunet.networks.residual_code import (
    fit_gammas,
    get_halving_gammas,
    get_published_gammas,
    residual_binarise,
)
from blunet.networks.residual_layers import BinaryConv2D, BinarySeparableConv2D, ResidualSign


def forward(x, gamma):
    r, code = x.astype(np.float64), 0.0
    for g in np.abs(gamma):
        b = np.where(r >= 0, 1.0, -1.0)
        code = code + g * b
        r = r - g * b
    return code


def gradients(x, gamma, upstream, window):
    """Forward-mode derivative of the whole chain with d sign(r)/dr := 1 inside the window."""
    magnitude = np.abs(gamma)
    r, dr = x.copy(), np.ones(x.shape)
    dr_dg = np.zeros((len(gamma), *x.shape))
    dx, dg = np.zeros(x.shape), np.zeros((len(gamma), *x.shape))
    for m, g in enumerate(magnitude):
        b = np.where(r >= 0, np.float32(1), np.float32(-1))
        inside = np.abs(r) <= window
        db, db_dg = inside * dr, inside * dr_dg
        own = np.zeros_like(dr_dg)
        own[m] = b
        dx += g * db
        dg += g * db_dg + own
        dr = dr - g * db
        dr_dg = dr_dg - g * db_dg - own
        r = r - g * b
    return upstream * dx, (upstream * dg).reshape(len(gamma), -1).sum(1) * np.where(gamma >= 0, 1, -1)


def gradient_of(function, values):
    """Gradient of `function`'s sum at `values` by one step of plain gradient descent on any backend."""

    class Held(keras.layers.Layer):
        def build(self, shape):
            self.held = [
                self.add_weight(shape=v.shape, name=f"v{i}", initializer="zeros") for i, v in enumerate(values)
            ]

        def call(self, inputs):
            return ops.reshape(function(*[ops.convert_to_tensor(v) for v in self.held]), (1, 1)) + 0 * inputs

    model = keras.Sequential([keras.Input((1,)), Held()])
    model.set_weights(values)
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, p: ops.sum(p), jit_compile=False)
    model.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))
    return [before - after for before, after in zip(values, model.get_weights(), strict=True)]


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("window", [1.0, 0.4])
def test_forward_and_gradient_follow_the_definition(levels, window):
    rng = np.random.default_rng(levels)
    x = rng.normal(0, 0.8, (5, 7)).astype(np.float32)
    gamma = (rng.uniform(0.1, 0.6, levels) * rng.choice([-1, 1], levels)).astype(np.float32)
    upstream = rng.normal(size=x.shape).astype(np.float32)
    code = ops.convert_to_numpy(residual_binarise(ops.convert_to_tensor(x), ops.convert_to_tensor(gamma), window))
    np.testing.assert_allclose(code, forward(x, gamma), atol=1e-6)
    to_x, to_gamma = gradient_of(lambda a, g: ops.sum(upstream * residual_binarise(a, g, window)), [x, gamma])
    wanted_x, wanted_gamma = gradients(x, gamma, upstream, window)
    np.testing.assert_allclose(to_x, wanted_x, atol=1e-5)
    np.testing.assert_allclose(to_gamma, wanted_gamma, atol=1e-4)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_as_one_quantiser_a_code_passes_the_gradient_up_to_half_a_step_beyond_its_outermost_values(levels):
    rng = np.random.default_rng(levels)
    x = rng.normal(0, 0.8, (40, 7)).astype(np.float32)
    gamma = (0.5 ** np.arange(1, levels + 1) * rng.choice([-1, 1], levels)).astype(np.float32)
    upstream = rng.normal(size=x.shape).astype(np.float32)
    code = ops.convert_to_numpy(residual_binarise(ops.convert_to_tensor(x), ops.convert_to_tensor(gamma)))
    np.testing.assert_allclose(code, forward(x, gamma), atol=1e-6)
    inside = np.abs(x) <= 1.0  # 1/2 + 1/4 + ..., and the last once more
    assert inside.any()
    assert not inside.all()
    assert np.abs(code - x)[inside].max() <= abs(gamma[-1]) + 1e-6
    to_x, to_gamma = gradient_of(lambda a, g: ops.sum(upstream * residual_binarise(a, g)), [x, gamma])
    np.testing.assert_allclose(to_x, upstream * inside, atol=1e-6)
    # Beyond, a small change of a gamma changes the sum as the gradient says; inside, the last level's sign does.
    outside = (upstream * ~inside * np.where(x >= 0, 1, -1)).sum()
    signs = np.where(gamma >= 0, 1, -1)
    np.testing.assert_allclose(to_gamma[:-1], np.full(levels - 1, outside) * signs[:-1], atol=1e-4)
    last = np.where(x - forward(x, gamma[:-1]) >= 0, 1, -1)
    np.testing.assert_allclose(to_gamma[-1], (upstream * last).sum() * signs[-1], atol=1e-4)


def test_zero_is_positive_and_magnitudes_count():
    zero = ops.zeros((1,))
    assert float(residual_binarise(zero, ops.convert_to_tensor([0.5]))[0]) == 0.5
    assert float(residual_binarise(zero, ops.convert_to_tensor([-0.5]))[0]) == 0.5
    coded = residual_binarise(ops.convert_to_tensor([0.5]), ops.convert_to_tensor([0.5, 0.25]))
    assert float(coded[0]) == 0.75  # the residual is exactly 0: + again


def test_starts():
    np.testing.assert_allclose(get_published_gammas(3), [1 / 2, 1 / 3, 1 / 6])
    np.testing.assert_array_equal(get_halving_gammas(3), [0.5, 0.25, 0.125])
    values = np.random.default_rng(0).normal(0, 0.05, 4000)
    errors = [np.square(values - forward(values, fit_gammas(values, m))).mean() for m in (1, 2, 3)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.05 * np.square(values).mean()
    assert np.square(values - forward(values, get_published_gammas(3))).mean() > 4 * errors[2]


@pytest.mark.parametrize(
    "layer",
    [
        ResidualSign(2, "published", gradient_window=0.7),
        BinaryConv2D(4, 3, levels=2, start="published"),
        BinarySeparableConv2D(4, 2, depthwise_levels=1, pointwise_levels=3, gradient_window=0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_survive_a_file(layer, tmp_path):
    model = keras.Sequential([keras.Input((6, 6, 3)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[0].get_config() == layer.get_config()
    image = np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(image)), ops.convert_to_numpy(again(image)))


def test_binary_layers_compute_with_coded_kernels_and_zero_padding():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(1, 4, 5, 3)).astype(np.float32)
    plain = BinaryConv2D(2, 2, levels=2)
    result = ops.convert_to_numpy(plain(image))
    kernel = forward(ops.convert_to_numpy(plain.kernel), ops.convert_to_numpy(plain.kernel_gamma))
    padded = np.pad(image[0], ((0, 1), (0, 1), (0, 0)))
    wanted = sum(padded[i : i + 4, j : j + 5] @ kernel[i, j] for i in (0, 1) for j in (0, 1))
    np.testing.assert_allclose(result[0], wanted, atol=1e-5)

    separable = BinarySeparableConv2D(4, 3, depthwise_levels=2, pointwise_levels=3)
    result = ops.convert_to_numpy(separable(image))
    depthwise = forward(
        ops.convert_to_numpy(separable.depthwise_kernel), ops.convert_to_numpy(separable.depthwise_gamma)
    )
    pointwise = forward(
        ops.convert_to_numpy(separable.pointwise_kernel), ops.convert_to_numpy(separable.pointwise_gamma)
    )
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
    middle = sum(padded[i : i + 4, j : j + 5] * depthwise[i, j, :, 0] for i in range(3) for j in range(3))
    np.testing.assert_allclose(result[0], middle @ pointwise[0, 0], atol=1e-5)
