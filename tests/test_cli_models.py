"""`blunet info`, `import-weights` and `evaluate`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares
from random_networks import latent_weights
from reference_engine import ReferenceEngine
from typer.testing import CliRunner

from blunet.architecture import NetworkSettings
from blunet.cli import app
from blunet.images.normalisation import normalise
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.packed.packed_model import PackedModel, load_model


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_info_of_a_full_size_model(tmp_path):
    settings = NetworkSettings(network="blunet")
    path = tmp_path / "full.blunet"
    card = ModelCard(name="full", object_diameter=32.5, figures={"validation_iou": 0.9})
    weights = binarise_weights(settings, latent_weights(settings, 0))
    PackedModel(weights, ModelInfo(threshold=0.45, card=card)).save(path)
    result = run("info", path, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    content = json.loads(result.stdout)
    assert content.pop("card") == card.to_dict()
    assert content.pop("size_mib") == pytest.approx(1.43120, abs=5e-6)
    assert content.pop("compression_ratio") == pytest.approx(82.7, abs=0.05)
    assert content.pop("file_bytes") == path.stat().st_size <= 1_596_270
    assert content == {
        "network": "blunet",
        "levels": 5,
        "base_filters": 64,
        "residual_levels": {"activation": 3, "convolution": 3, "depthwise": 3, "pointwise": 3},
        "binarize_depthwise": False,
        "binary_parameters": 11_780_352,
        "float_parameters": 7_044,
    }
    table = run("info", path).stdout
    for text in ("BLU-Net", "11,780,352", "7,044", "1.43120 MiB", "82.7 x", "0.45", "32.5 px"):
        assert text in table


def test_info_of_a_keras_file_needs_its_description_only(tmp_path):
    path = tmp_path / "unet.keras"
    held = {"network": NetworkSettings(network="unet").to_dict(), **ModelInfo(card=ModelCard(name="old")).to_dict()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("blunet.json", json.dumps(held))
    content = json.loads(run("info", path, "--json").stdout)
    assert (content["network"], content["residual_levels"]) == ("unet", None)
    assert (content["binary_parameters"], content["float_parameters"]) == (0, 31_030_593)
    assert content["size_mib"] == pytest.approx(118.372, abs=5e-4)
    assert (content["compression_ratio"], content["card"]["name"]) == (1, "old")


def test_info_of_a_keras_file_of_someone_else(tmp_path):
    path = tmp_path / "other.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    result = run("info", path)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert "other.keras" in result.stderr


def test_import_of_a_published_blunet(legacy, tmp_path):
    path = tmp_path / "new" / "old.blunet"
    result = run("import-weights", legacy / "blu_net.h5", "--network", "blunet", "--out", path)
    assert result.exit_code == 0, result.stderr
    assert str(path) in result.stdout
    content = json.loads(run("info", path, "--json").stdout)
    assert (content["network"], content["levels"]) == ("blunet", 2)
    expected = np.load(legacy / "expected.npz")
    model, wanted = load_model(path), expected["blu_net"]
    image = normalise(expected["image"], model.info.normalisation)
    clear = ReferenceEngine(model.weights).run(image)[0]
    assert np.mean((clear > 0.5) != (wanted > 0.5)) <= 0.0005
    assert np.mean(np.abs(clear - wanted) > 1e-3) <= 0.01
    # Some sums of this image lie within rounding of 0, where the order of the additions decides, and flips travel.
    found = model.predict(expected["image"])
    assert np.mean((found > 0.5) != (wanted > 0.5)) <= 0.002
    assert np.mean(np.abs(found - wanted)) <= 0.01
    second = tmp_path / "second.blunet"
    run("import-weights", legacy / "blu_net.h5", "--network", "blunet", "--out", second)
    assert second.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("network", "name"), [("unet", "unet"), ("lightweight", "lw_unet")])
def test_import_of_a_published_float_network(network, name, legacy, tmp_path):
    path = tmp_path / "old.keras"
    result = run("import-weights", legacy / f"{name}.h5", "--network", network, "--out", path)
    assert result.exit_code == 0, result.stderr
    assert json.loads(run("info", path, "--json").stdout)["network"] == network
    expected = np.load(legacy / "expected.npz")
    image = expected["image"].astype(np.float32)
    tifffile.imwrite(tmp_path / "x.tif", image)
    result = run("segment", tmp_path / "x.tif", "--model", path, "--out", tmp_path, "--probability")
    assert result.exit_code == 0, result.stderr
    found = tifffile.imread(tmp_path / "x_probability.tif")
    np.testing.assert_allclose(found, expected[name].reshape(found.shape), atol=1e-5)


@pytest.mark.parametrize(
    ("file", "network", "out", "words"),
    [
        ("blu_net.h5", "blunet", "x.keras", [".blunet file", "x.keras"]),
        ("unet.h5", "unet", "x.blunet", [".keras file", "x.blunet"]),
        ("unet.h5", "blunet", "x.blunet", ["unet.h5", "'unet'"]),
        ("expected.npz", "blunet", "x.blunet", ["expected.npz", "HDF5"]),
        ("nothing.h5", "blunet", "x.blunet", ["nothing.h5"]),
    ],
)
def test_imports_that_are_refused(file, network, out, words, legacy, tmp_path):
    result = run("import-weights", legacy / file, "--network", network, "--out", tmp_path / out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    for word in ["Error: ", *words]:
        assert word in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """Two images with masks: one is segmented perfectly, of one an object is missed."""
    monkeypatch.chdir(tmp_path)
    bright_model().save("model.blunet")
    Path("data").mkdir()
    image = squares()
    image[5:8, 80:83] = 40
    mask = (image > 100).astype(np.uint8)
    for name in ("a2", "a10"):
        tifffile.imwrite(f"data/{name}.tif", image)
        tifffile.imwrite(f"data/{name}_mask.tif", mask)
        mask[0:20, 70:90] = 1
    return tmp_path


def test_evaluate_gives_every_image_and_the_averages(data):
    result = run("evaluate", "model.blunet", "--data", "data", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    content = json.loads(result.stdout)
    assert list(content) == ["iou", "f1", "ap50", "map", "images", "model", "threshold", "splitting", "cells"]
    assert (content["model"], content["threshold"]) == ("model.blunet", 0.5)
    first, second = content["images"]
    both = {"merged": 0, "split": 0, "extra": 0}
    assert first.pop("cells") == {"cells": 2, "found": 2, **both}
    assert second.pop("cells") == {"cells": 3, "found": 2, **both}
    assert content["cells"] == {"cells": 5, "found": 4, **both}
    assert first == {"image": str(Path("data/a2.tif")), "iou": 1, "f1": 1, "ap50": 1, "map": 1}
    assert second["image"] == str(Path("data/a10.tif"))
    assert (second["iou"], second["f1"]) == pytest.approx((800 / 1200, 2 * 800 / 2000))
    assert second["ap50"] == pytest.approx(2 / 3)
    for name in ("iou", "f1", "ap50", "map"):
        assert content[name] == pytest.approx((first[name] + second[name]) / 2)


def test_evaluate_prints_a_table(data):
    *lines, last = run("evaluate", "model.blunet", "--data", "data").stdout.splitlines()
    assert last == "4 of 5 cells found singly, 1 missed."
    assert [line.split() for line in lines] == [
        ["image", "IoU", "F1", "AP50", "mAP"],
        ["a2.tif", "1.0000", "1.0000", "1.0000", "1.0000"],
        ["a10.tif", "0.6667", "0.8000", "0.6667", "0.6667"],
        ["mean", "0.8333", "0.9000", "0.8333", "0.8333"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_evaluate_takes_threshold_and_diameter(data):
    result = json.loads(run("evaluate", "model.blunet", "--data", "data", "--threshold", "0.9", "--json").stdout)
    assert (result["threshold"], result["iou"]) == (0.9, 0)
    scaled = json.loads(run("evaluate", "model.blunet", "--data", "data", "--diameter", "45", "--json").stdout)
    assert 0.8 < scaled["images"][0]["iou"] < 1


def test_an_empty_mask_is_legal(data):
    tifffile.imwrite("data/a2_mask.tif", np.zeros((60, 90), np.uint8))
    tifffile.imwrite("data/a10.tif", np.full((60, 90), 3, np.uint8))
    tifffile.imwrite("data/a10_mask.tif", np.zeros((60, 90), np.uint8))
    result = run("evaluate", "model.blunet", "--data", "data", "--json")
    assert result.exit_code == 0
    scores = [(image["iou"], image["ap50"]) for image in json.loads(result.stdout)["images"]]
    assert scores == [(0, 0), (1, 1)]


def test_files_without_a_partner_are_named(data):
    tifffile.imwrite("data/alone.tif", squares())
    result = run("evaluate", "model.blunet", "--data", "data", "--json")
    assert len(json.loads(result.stdout)["images"]) == 2
    assert "alone.tif" in result.stderr
