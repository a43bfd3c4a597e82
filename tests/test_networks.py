"""The three Keras networks: size, shape, start, published weights, files."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from reference_engine import ReferenceEngine

from blunet.architecture import NETWORKS, NetworkSettings, ResidualLevels, count_parameters, list_layers
from blunet.errors import InputError
from blunet.images.normalisation_settings import Normalisation
from blunet.networks.build import build_network, get_feature_map
from blunet.networks.keras_file import KerasModel, load_keras
from blunet.networks.published_checkpoint import import_published
from blunet.networks.weight_transfer import get_weights, set_weights
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.packed.published_file import read_published

LEGACY = {"unet": "unet", "lightweight": "lw_unet", "blunet": "blu_net"}


def textured(shape, seed=0):
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return ((image - image.min()) / (image.max() - image.min())).astype(np.float32)


def random_network(settings, seed=0):
    """Random weights, with random biases and gammas too."""
    network = build_network(settings, seed=seed)
    rng = np.random.default_rng(seed)
    for key, value in get_weights(network, settings).items():
        if key[1] == "bias":
            set_weights(network, settings, {key: rng.normal(0, 0.1, value.shape)})
        elif key[1].endswith("gamma"):
            set_weights(network, settings, {key: value * rng.uniform(0.7, 1.3, value.shape)})
    return network


@pytest.mark.parametrize("network", NETWORKS)
def test_parameters_are_those_of_the_table(network):
    settings = NetworkSettings(
        network=network,
        levels=4,
        base_filters=8,
        residual_levels=ResidualLevels(activation=3, convolution=2, depthwise=1, pointwise=3),
    )
    model = build_network(settings)
    assert model.count_params() == sum(w.size for layer in list_layers(settings) for w in layer.weights)
    if network != "blunet":
        assert model.count_params() == count_parameters(settings).float_parameters
    for layer in list_layers(settings):
        assert get_feature_map(model, layer.name).shape[-1] == layer.filters


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("shape", [(16, 32), (40, 24)])
def test_any_size_of_the_levels_multiple(network, shape):
    model = build_network(NetworkSettings(network=network, levels=4, base_filters=4), seed=0)
    result = keras.ops.convert_to_numpy(model(np.zeros((2, *shape, 1), np.float32)))
    assert result.shape == (2, *shape, 1)
    assert ((result >= 0) & (result <= 1)).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_published_checkpoints_give_the_published_output(network, legacy):
    model, settings = import_published(legacy / f"{LEGACY[network]}.h5", network)
    assert (settings.levels, settings.base_filters) == (2, 64)
    expected = np.load(legacy / "expected.npz")
    image = expected["image"].astype(np.float32)
    result = keras.ops.convert_to_numpy(model(image[None, ..., None]))[0, ..., 0]
    difference = np.abs(result - expected[LEGACY[network]])
    if network == "blunet":
        assert (difference > 1e-3).mean() <= 0.01
        assert ((result > 0.5) != (expected["blu_net"] > 0.5)).mean() <= 0.0005
    else:
        assert difference.max() < 1e-5


@pytest.mark.parametrize("network", ["unet", "lightweight"])
def test_signal_keeps_its_variance_on_the_way_down(network):
    settings = NetworkSettings(network=network, levels=5, base_filters=16)
    model = build_network(settings, seed=3)
    names = [f"level{level}_contracting_2" for level in range(5)]
    probe = keras.Model(model.inputs[0], [get_feature_map(model, n) for n in names])
    image = textured((64, 64)) - 0.5
    deviations = [float(np.std(keras.ops.convert_to_numpy(m))) for m in probe(image[None, ..., None])]
    assert all(0.01 < d < 10 for d in deviations), deviations
    assert deviations[-1] > 0.05 * deviations[0]


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_random_blunet_does_not_return_a_constant(levels):
    settings = NetworkSettings(
        network="blunet", levels=5, base_filters=16, residual_levels=ResidualLevels.uniform(levels)
    )
    model = build_network(settings, seed=3)
    result = keras.ops.convert_to_numpy(model(textured((64, 64))[None, ..., None]))
    assert result.std() > 0.005
    names = [f"level{level}_contracting_2" for level in range(5)]
    probe = keras.Model(model.inputs[0], [get_feature_map(model, n) for n in names])
    for values in probe(textured((64, 64))[None, ..., None]):
        assert 0.05 < float(np.std(keras.ops.convert_to_numpy(values))) < 2


def test_a_keras_file_and_a_blunet_file_hold_the_whole_model(tmp_path):
    settings = NetworkSettings(network="blunet", levels=3, base_filters=8)
    info = ModelInfo(
        normalisation=Normalisation(method="percentile", low=1, high=99, shading=20.0),
        threshold=0.4,
        card=ModelCard(name="tiny", data="noise", object_diameter=31.5, date="2026-01-02"),
    )
    model = KerasModel(random_network(settings), settings, info)
    model.save(tmp_path / "tiny.keras")
    again = load_keras(tmp_path / "tiny.keras")
    assert (again.settings, again.info) == (settings, info)
    image = (textured((37, 53)) * 1000).astype(np.uint16)
    np.testing.assert_array_equal(again.predict(image), model.predict(image))
    assert model.predict(image).shape == (37, 53)
    assert keras.models.load_model(tmp_path / "tiny.keras").count_params() == model.network.count_params()


@pytest.mark.parametrize(
    "settings",
    [
        NetworkSettings(network="blunet", levels=3, base_filters=8),
        NetworkSettings(
            network="blunet",
            levels=2,
            base_filters=16,
            residual_levels=ResidualLevels(activation=1, convolution=2, depthwise=3, pointwise=2),
        ),
        NetworkSettings(
            network="blunet",
            levels=1,
            base_filters=8,
            residual_levels=ResidualLevels(activation=2, convolution=1, depthwise=1, pointwise=1),
        ),
        NetworkSettings(
            network="blunet",
            levels=3,
            base_filters=8,
            residual_levels=ResidualLevels.uniform(1),
            binarize_depthwise=True,
        ),
    ],
)
def test_packed_engine_gives_the_same_answer(settings):
    model = KerasModel(random_network(settings, 5), settings, ModelInfo())
    packed = model.packed()
    image = (textured((70, 93)) * 255).astype(np.uint8)
    ours, theirs = packed.predict(image), model.predict(image)
    assert (np.abs(ours - theirs) > 1e-3).mean() <= 0.01
    assert theirs.std() > 1e-3


@pytest.mark.parametrize("coded", [False, True])
def test_packed_sums_equal_keras_layer_by_layer(coded):
    """On the same inputs, the sums before each sign differ by less than 1e-5 of the layer's largest sum."""
    settings = NetworkSettings(network="blunet", levels=3, base_filters=8, binarize_depthwise=coded)
    network = random_network(settings, 7)
    engine = ReferenceEngine(KerasModel(network, settings, ModelInfo()).packed().weights)
    image = textured((32, 48))[None, ..., None]
    probe = keras.Model(
        network.inputs[0],
        [
            t
            for layer in list_layers(settings)
            for t in (network.get_layer(layer.name).input, network.get_layer(layer.name).output)
        ],
    )
    maps = [keras.ops.convert_to_numpy(m)[0] for m in probe(image)]
    for i, layer in enumerate(list_layers(settings)):
        sums = engine.layer_sums(layer, maps[2 * i])
        assert np.abs(sums - maps[2 * i + 1]).max() <= 1e-5 * np.abs(maps[2 * i + 1]).max(), layer.name


def test_only_a_binary_network_is_packed():
    settings = NetworkSettings(network="unet", levels=1, base_filters=2)
    with pytest.raises(InputError, match="'unet'"):
        KerasModel(build_network(settings), settings, ModelInfo()).packed()


@pytest.mark.parametrize("kind", ["missing", "text", "cut", "foreign"])
def test_a_keras_file_that_is_not_one(kind, tmp_path):
    path = tmp_path / "model.keras"
    settings = NetworkSettings(network="unet", levels=1, base_filters=2)
    model = KerasModel(build_network(settings), settings, ModelInfo())
    if kind == "text":
        path.write_text("not a model")
    elif kind == "cut":
        model.save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "foreign":
        model.network.save(path)
    with pytest.raises(InputError, match=r"model\.keras"):
        load_keras(path)


def test_published_checkpoint_of_another_network(legacy):
    with pytest.raises(InputError, match="holds the network 'unet', not 'blunet'"):
        read_published(legacy / "unet.h5", "blunet")


@pytest.mark.parametrize("fault", ["layer", "weight", "shape", "nan", "text", "cut", "missing", "empty"])
def test_faulty_checkpoints_are_named(fault, legacy, tmp_path):
    import h5py

    path = tmp_path / "faulty.h5"
    path.write_bytes((legacy / "blu_net.h5").read_bytes())
    group = "Level1_BinaryLightweight_Contracting_BinarySeparableConv2D_2"
    says = group
    if fault in ("layer", "weight", "shape", "nan"):
        with h5py.File(path, "r+") as file:
            inside = file[group][group]
            if fault == "layer":
                del file[group]
            elif fault == "nan":
                inside["bias:0"][3] = np.nan
            else:
                del inside["pointwise_filter:0"]
                if fault == "shape":
                    inside["pointwise_filter:0"] = np.zeros((1, 1, 3, 128), np.float32)
                    says = r"\(1, 1, 3, 128\)"
    else:
        says = {"text": "not an HDF5", "cut": "cut short", "missing": "no file", "empty": "no layer"}[fault]
        if fault == "text":
            path.write_text("hello")
        elif fault == "cut":
            path.write_bytes(path.read_bytes()[:30_000])
        elif fault == "missing":
            path.unlink()
        else:
            with h5py.File(path, "w"):
                pass
    with pytest.raises(InputError, match=says):
        read_published(path, "blunet")


def test_a_network_with_binarised_depthwise_results_learns():
    """Its gammas get gradients, the loss falls, and the file gives the same network again."""
    settings = NetworkSettings(
        network="blunet", levels=2, base_filters=8, residual_levels=ResidualLevels.uniform(2), binarize_depthwise=True
    )
    network = build_network(settings, seed=1)
    image = textured((32, 32))[None, ..., None]
    truth = (image > np.median(image)).astype(np.float32)
    before = get_weights(network, settings)
    network.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", jit_compile=False)
    losses = [float(network.train_on_batch(image, truth)) for _ in range(25)]
    assert losses[-1] < 0.9 * losses[0]
    after = get_weights(network, settings)
    moved = [
        key for key in before if key[1] == "depthwise_activation_gamma" and not np.allclose(before[key], after[key])
    ]
    assert len(moved) == sum(layer.kind == "separable" for layer in list_layers(settings))
    again = type(network).from_config(network.get_config())
    again.set_weights(network.get_weights())
    np.testing.assert_array_equal(again.predict_on_batch(image), network.predict_on_batch(image))
