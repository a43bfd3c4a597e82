"""The .blunet file: what is written is read back, equal models give equal bytes, damage is named."""

from __future__ import annotations

import contextlib
import json
import shutil

import numpy as np
import pytest
import tifffile
from random_networks import NETWORKS, NORMALISED, latent_weights, names, normalised
from safetensors.numpy import load, save

from blunet.architecture import NetworkSettings, ResidualLevels, count_parameters
from blunet.errors import InputError
from blunet.images.normalisation_settings import Normalisation
from blunet.jobs.engine_benchmark_child import draw_weights
from blunet.packed.binary_weights import BinaryWeights, binarise_weights
from blunet.packed.blunet_file import read_file, to_bytes, write_file
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.packed.packed_model import BUNDLED, PackedModel, load_model

SETTINGS = NetworkSettings(
    network="blunet",
    levels=2,
    base_filters=4,
    residual_levels=ResidualLevels(activation=1, convolution=2, depthwise=3, pointwise=2),
)
INFO = ModelInfo(
    normalisation=Normalisation(method="percentile", low=0.5, high=99.5, shading=20.0),
    threshold=0.4,
    card=ModelCard(
        name="Zellen, µm",
        data="Simulated fields.",
        object_diameter=32.5,
        date="2024-02-29",
        settings={"epochs": 3, "rates": [1e-3, 1e-4], "hints": {"encoder": True}},
        figures={"validation_iou": 0.91, "files": 6},
        versions={"keras": "3.8"},
        licence="BSD-3-Clause",
    ),
)

#: A network of the normalised form with everything that it can have.
NEW_SETTINGS = normalised(2, 3, "2121", coded=True)


@pytest.fixture
def weights() -> BinaryWeights:
    return binarise_weights(SETTINGS, latent_weights(SETTINGS, 0))


@pytest.fixture
def content(weights) -> bytes:
    return to_bytes(weights, INFO)


@pytest.fixture
def new_content() -> bytes:
    return to_bytes(binarise_weights(NEW_SETTINGS, latent_weights(NEW_SETTINGS, 0)), ModelInfo(splitting=0.7))


def header_of(content: bytes) -> dict:
    length = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["blunet"])


def with_header(content: bytes, **changes) -> bytes:
    """Return the file with other entries in its header."""
    return save(load(content), metadata={"blunet": json.dumps({**header_of(content), **changes})})


def with_tensors(content: bytes, **changes) -> bytes:
    """Return the file with other tensors; None takes one out."""
    tensors = {k: v for k, v in {**load(content), **changes}.items() if v is not None}
    return save(tensors, metadata={"blunet": json.dumps(header_of(content))})


@pytest.mark.parametrize("settings", [*NETWORKS, NORMALISED[2], NEW_SETTINGS], ids=names)
def test_what_is_written_is_read_back(settings, tmp_path):
    latent = latent_weights(settings, 1)
    model = PackedModel(binarise_weights(settings, latent), INFO)
    model.save(tmp_path / "model.blunet")
    found = load_model(tmp_path / "model.blunet")
    assert found.settings == settings
    assert found.info == INFO
    assert found.path == tmp_path / "model.blunet"
    for key, planes in model.weights.planes.items():
        assert np.array_equal(found.weights.planes[key], planes)
    for key, values in model.weights.floats.items():
        assert np.array_equal(found.weights.floats[key], latent[key])
        assert np.array_equal(found.weights.floats[key], values)
    image = np.random.default_rng(2).integers(0, 255, (13, 9)).astype(np.uint8)
    assert np.array_equal(found.predict(image), model.predict(image))
    assert [file.name for file in tmp_path.iterdir()] == ["model.blunet"]


def test_equal_models_give_equal_bytes(weights, content, tmp_path):
    turned = BinaryWeights(SETTINGS, dict(reversed(weights.planes.items())), dict(reversed(weights.floats.items())))
    card = INFO.card.to_dict()
    card = ModelCard.from_dict({**card, "settings": dict(reversed(card["settings"].items()))})
    assert to_bytes(turned, ModelInfo(normalisation=INFO.normalisation, threshold=0.4, card=card)) == content
    whole, real = (Normalisation(method="percentile", low=low, high=high) for low, high in ((1, 99), (1.0, 99.0)))
    assert to_bytes(weights, ModelInfo(normalisation=whole)) == to_bytes(weights, ModelInfo(normalisation=real))
    for name in ("a.blunet", "b.blunet"):
        write_file(tmp_path / name, *read_file_of(content, tmp_path))
    assert (tmp_path / "a.blunet").read_bytes() == (tmp_path / "b.blunet").read_bytes() == content


def read_file_of(content: bytes, folder) -> tuple[BinaryWeights, ModelInfo]:
    path = folder / "model.blunet"
    path.write_bytes(content)
    return read_file(path)


def test_a_full_size_model_is_as_small_as_promised(tmp_path):
    settings = NetworkSettings(network="blunet")
    write_file(tmp_path / "m.blunet", binarise_weights(settings, latent_weights(settings, 0)), INFO)
    size = (tmp_path / "m.blunet").stat().st_size
    assert count_parameters(settings).bits / 8 < size <= 1_596_270


def test_the_largest_card_keeps_the_promise_and_a_larger_one_is_refused(weights, tmp_path):
    overhead = len(to_bytes(weights, ModelInfo())) - count_parameters(SETTINGS).bits / 8
    full = NetworkSettings(network="blunet")
    assert overhead < 2**16
    path = tmp_path / "m.blunet"
    for length, fits in ((31_000, True), (33_000, False)):
        info = ModelInfo(card=ModelCard(data="x" * length))
        if fits:
            write_file(path, binarise_weights(full, latent_weights(full, 0)), info)
            assert path.stat().st_size <= 1_596_270
        else:
            before = path.read_bytes()
            with pytest.raises(InputError, match="card takes 33,"):
                write_file(path, weights, info)
            assert path.read_bytes() == before


def test_a_model_that_cannot_be_written_is_said_so(weights, tmp_path):
    with pytest.raises(InputError, match=r"cannot be written to '.*nowhere.m.blunet': No such file"):
        write_file(tmp_path / "nowhere" / "m.blunet", weights, INFO)


def test_layout_of_the_file(weights, content):
    """As documented: other programs may read it."""
    tensors = load(content)
    kernel = tensors["level0_contracting_2/kernel"]
    assert kernel.dtype == np.uint64
    assert kernel.shape == (2, 3)  # two residual levels, 3 * 3 * 4 * 4 = 144 bits
    latent = latent_weights(SETTINGS, 0)["level0_contracting_2", "kernel"].ravel()
    signs = [(int(kernel[0, i // 64]) >> (i % 64)) & 1 for i in range(144)]
    assert signs == [int(value >= 0) for value in latent]
    assert tensors["output/bias"].dtype == np.float32
    assert header_of(content)["format_version"] == 1
    assert header_of(content)["network"] == SETTINGS.to_dict()


def test_what_version_1_can_hold_is_written_as_before(weights, content, tmp_path):
    assert set(header_of(content)) == {"format_version", "network", "normalisation", "threshold", "card"}
    assert not {"form", "maps"} & set(header_of(content)["network"])
    bundled = BUNDLED.read_bytes()
    assert to_bytes(*read_file_of(bundled, tmp_path)) == bundled
    other = to_bytes(weights, ModelInfo(splitting=0.7))
    assert header_of(other)["format_version"] == 2
    assert read_file_of(other, tmp_path)[1].splitting == 0.7


def test_version_2_holds_scales_shifts_and_a_float_output(new_content, tmp_path):
    header, tensors = header_of(new_content), load(new_content)
    assert (header["format_version"], header["splitting"]) == (2, 0.7)
    assert header["network"]["form"] == "normalised"
    assert header["network"]["maps"] == ["foreground", "distance"]
    shapes = {
        name.split("/")[1]: array.shape for name, array in tensors.items() if name.startswith("level1_contracting_1")
    }
    assert (shapes["scale"], shapes["depthwise_scale"], shapes["depthwise_shift"]) == ((6,), (3,), (3,))
    assert (tensors["output/kernel"].shape, tensors["output/kernel"].dtype) == ((1, 1, 3, 2), np.float32)
    assert to_bytes(*read_file_of(new_content, tmp_path)) == new_content
    counted = count_parameters(NEW_SETTINGS)
    assert counted.float_parameters == sum(a.size for a in tensors.values() if a.dtype == np.float32)


def test_a_full_size_model_of_version_2_is_as_small_as_promised(tmp_path):
    settings = NetworkSettings(network="blunet", form="normalised", maps=("foreground", "distance"))
    write_file(tmp_path / "m.blunet", draw_weights(settings), INFO)
    extra = count_parameters(settings).float_parameters - count_parameters(NetworkSettings()).float_parameters
    assert 12_000 < extra < 16_000
    assert (tmp_path / "m.blunet").stat().st_size <= 1_596_270 + 4 * extra


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"splitting": 0.4}, "version is 1, which does not have the entry 'splitting'"),
        ({"network": {**SETTINGS.to_dict(), "form": "normalised"}}, "does not hold networks of the normalised form"),
        ({"network": {**SETTINGS.to_dict(), "maps": ["foreground", "distance"]}}, "set form = 'normalised'"),
    ],
)
def test_version_1_with_what_came_later(changes, words, content, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(with_header(content, **changes))
    refuse(path, "not a sound BLU-Net model", words)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("level1_contracting_1/scale", None, "'level1_contracting_1/scale' is missing"),
        ("level1_contracting_1/depthwise_shift", None, "'level1_contracting_1/depthwise_shift' is missing"),
        ("level1_contracting_1/scale", np.zeros(3, np.float32), "shape (3,), and has to be F32 of shape (6,)"),
        ("level1_contracting_1/scale", np.full(6, np.nan, np.float32), "scale' holds NaN or infinite"),
        ("level1_contracting_1/depthwise_scale", np.full(3, np.inf, np.float32), "depthwise_scale' holds NaN"),
        ("output/kernel", np.zeros((1, 1), np.uint64), "U64 of shape (1, 1), and has to be F32 of shape (1, 1, 3, 2)"),
        ("output/scale", np.zeros(2, np.float32), "'output/scale' does not belong"),
    ],
)
def test_a_wrong_tensor_of_version_2(name, array, words, new_content, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(with_tensors(new_content, **{name: array}))
    refuse(path, "not a sound BLU-Net model", words)


def test_bits_behind_the_last_weight_do_not_matter(content, tmp_path):
    kernel = load(content)["level0_contracting_2/kernel"].copy()
    kernel[:, 2] |= np.uint64(0xFFFF_FFFF_FFFF_0000)
    weights, _ = read_file_of(content, tmp_path)
    other, _ = read_file_of(with_tensors(content, **{"level0_contracting_2/kernel": kernel}), tmp_path)
    key = "level0_contracting_2", "kernel"
    assert not np.array_equal(other.planes[key], weights.planes[key])
    assert np.array_equal(other.decode(*key), weights.decode(*key))


def refuse(path, *words: str) -> None:
    """Reading fails with one sentence that names the file and holds the words."""
    with pytest.raises(InputError) as caught:
        load_model(path)
    message = str(caught.value)
    for word in (str(path), *words):
        assert word in message
    assert "\n" not in message
    assert message.endswith(".")


def test_no_such_file_and_a_folder(tmp_path):
    refuse(tmp_path / "none.blunet", "no model file")
    refuse(tmp_path, "not a file")


@pytest.mark.parametrize("fill", [b"", bytes(8), bytes(4096), b"A text, not a model.\n" * 40, b"\xff" * 100])
def test_a_file_of_something_else(fill, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(fill)
    refuse(path, "not a BLU-Net model, or is damaged")


def test_a_tiff_and_a_checkpoint_given_as_a_model(tmp_path, legacy):
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((64, 64), np.uint8))
    refuse(tmp_path / "image.tif", "not a BLU-Net model")
    shutil.copy(legacy / "blu_net.h5", tmp_path / "net.blunet")
    refuse(tmp_path / "net.blunet", "not a BLU-Net model")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_a_file_cut_short(share, content, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(content[: int(share * len(content))])
    refuse(path, "not a BLU-Net model, or is damaged")


def test_a_file_with_something_behind_its_end(content, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(content + b"more")
    refuse(path, "damaged")


def test_a_file_larger_than_any_model_is_not_read(tmp_path):
    path = tmp_path / "m.blunet"
    with path.open("wb") as file:
        file.truncate(2**28 + 1)
    refuse(path, "268,435,457 bytes")


def test_a_safetensors_file_of_something_else(tmp_path):
    path = tmp_path / "m.safetensors"
    for metadata in (None, {"format": "pt"}):
        path.write_bytes(save({"x": np.zeros(3, np.float32)}, metadata=metadata))
        refuse(path, "without the entry 'blunet'")


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "null", "{}", "[" * 100_000, '{"format_version": true}'])
def test_a_header_that_cannot_be_understood(text, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(save({"x": np.zeros(3, np.float32)}, metadata={"blunet": text}))
    refuse(path, "damaged")


def test_a_file_of_a_newer_version(content, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(with_header(content, format_version=3, network="of another kind"))
    refuse(path, "newer version", "format 3", "reads up to 2", "update napari-blunet")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": None}, "None"),
        ({"network": {**SETTINGS.to_dict(), "levels": 99}}, "'levels' is 99"),
        ({"network": {**SETTINGS.to_dict(), "levels": 2.0}}, "'levels' is 2.0"),
        ({"network": {**SETTINGS.to_dict(), "network": "unet"}}, "only a 'blunet' can be packed"),
        (
            {"network": {**SETTINGS.to_dict(), "residual_levels": 3}},
            "'residual_levels' is 3; give a table of activation, ",
        ),
        ({"network": {**SETTINGS.to_dict(), "base_filters": 1024, "levels": 1}}, "does not belong"),
        ({"network": {**SETTINGS.to_dict(), "base_filters": 1024}}, "of shape (2, 144)"),
        ({"threshold": 1.5}, "'threshold' is 1.5; give a number, 0 to 1"),
        ({"threshold": "half"}, "'threshold' is 'half'"),
        ({"threshold": 10**400}, "'threshold' is 1000"),
        ({"normalisation": {"method": "z"}}, "'z'"),
        ({"normalisation": None}, "normalisation"),
        ({"card": {"name": 7}}, "'card.name' is 7; give a text"),
        ({"card": []}, "'card' is []; give a table of name, "),
        ({"remark": "x"}, "remark"),
    ],
)
def test_a_header_with_a_wrong_entry(changes, words, content, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(with_header(content, **changes))
    refuse(path, "not a sound BLU-Net model", words)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("output/bias", None, "'output/bias' is missing"),
        ("output/gain", np.zeros(1, np.float32), "'output/gain' does not belong"),
        ("output/bias", np.zeros(2, np.float32), "F32 of shape (2,), and has to be F32 of shape (1,)"),
        ("output/bias", np.zeros(1, np.float64), "F64 of shape (1,)"),
        ("output/bias", np.zeros((1, 1), np.float32), "(1, 1)"),
        (
            "output/kernel",
            np.zeros((2, 2), np.uint64),
            "U64 of shape (2, 2), and has to be U64 of shape (2, 1)",
        ),
        ("output/kernel", np.zeros((2, 1), np.int64), "I64"),
        ("output/bias", np.array([np.nan], np.float32), "'output/bias' holds NaN or infinite"),
        ("level0_contracting_1/activation_gamma", np.array([np.inf], np.float32), "NaN or infinite"),
    ],
)
def test_a_wrong_tensor(name, array, words, content, tmp_path):
    path = tmp_path / "m.blunet"
    path.write_bytes(with_tensors(content, **{name: array}))
    refuse(path, "not a sound BLU-Net model", words)


def test_a_flipped_byte_of_the_header_never_ends_in_another_error(content, tmp_path):
    rng = np.random.default_rng(0)
    length = 8 + int.from_bytes(content[:8], "little")
    path = tmp_path / "m.blunet"
    accepted = 0
    for _ in range(400):
        damaged = bytearray(content)
        damaged[rng.integers(length)] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            load_model(path)
            accepted += 1
    assert accepted < 200


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": None}, "'name' is None"),
        ({"object_diameter": 0}, "'object_diameter' is 0"),
        ({"object_diameter": True}, "'object_diameter' is True"),
        ({"object_diameter": float("nan")}, "'object_diameter' is nan"),
        ({"date": "last week"}, "YYYY-MM-DD"),
        ({"figures": {"iou": "good"}}, "'figures.iou' is 'good'; give a number"),
        ({"figures": {"iou": float("inf")}}, "'figures.iou' is inf; give a number"),
        ({"versions": {"keras": 3}}, "'versions.keras' is 3; give a text"),
        ({"settings": {"x": float("nan")}}, "JSON"),
        ({"settings": {"x": object()}}, "JSON"),
        ({"settings": []}, "'settings' is"),
        ({"author": "me"}, "'author' is not a setting; known are name, data"),
    ],
)
def test_a_card_is_strict_on_types(entry, words):
    with pytest.raises(InputError) as caught:
        ModelCard.from_dict(entry)
    assert words in str(caught.value)


def test_a_card_is_tolerant_to_missing_entries():
    assert ModelCard.from_dict({}) == ModelCard()
    assert ModelCard.from_dict({"name": "x"}) == ModelCard(name="x")
    assert ModelInfo.from_dict({"normalisation": {}, "threshold": 0.3}) == ModelInfo(threshold=0.3)


def test_information_survives_json():
    assert ModelInfo.from_dict(json.loads(json.dumps(INFO.to_dict()))) == INFO


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "0.5", None, True])
def test_a_threshold_outside_the_unit_interval(threshold):
    with pytest.raises(InputError, match="threshold"):
        ModelInfo(threshold=threshold)


def test_bytes_that_were_changed_are_noticed_anywhere(tmp_path):
    content = BUNDLED.read_bytes()
    length = int.from_bytes(content[:8], "little")
    text = content.index(b"format_version")
    checksum = content.index(b"blunet_sha256")
    rng = np.random.default_rng(0)
    weights = rng.integers(8 + length, len(content), 40).tolist()
    for place in [*weights, text + 60, checksum + 2, checksum + 20, len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(0, 7))
        (tmp_path / "m.blunet").write_bytes(changed)
        with pytest.raises(InputError, match=r"m\.blunet' is (damaged|not a)"):
            read_file(tmp_path / "m.blunet")


def test_a_file_without_a_checksum_is_read(tmp_path):
    path = tmp_path / "m.blunet"
    content = BUNDLED.read_bytes()
    path.write_bytes(save(load(content), metadata={"blunet": json.dumps(header_of(content))}))
    weights, info = read_file(path)
    assert to_bytes(weights, info) == content
