"""Compressions of the normalised form, with a map that parts touching cells."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from tiny_compression import TINY, only, request

from blunet.architecture import NetworkSettings
from blunet.compression.pipeline import NO_INSTANCES, compress
from blunet.compression.run_events import EpochDone, Note, RunDone, RunStopped
from blunet.errors import InputError
from blunet.evaluation.metrics import iou
from blunet.networks.build import build_network
from blunet.networks.keras_file import KerasModel, load_keras
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import load_model

BOTH = ("foreground", "distance")


def normalised(settings=TINY, **more):
    """Return tiny settings of the normalised form."""
    step = {"schedule": "cosine", "clip": 1.0, "batch": 2, "batches": 3}
    steps = {name: settings.step(name).changed(**step) for name in ("transfer", "retrain", "binarise")}
    steps["retrain"] = steps["retrain"].changed(monitor="val_map", loss="bce+dice")
    steps["binarise"] = steps["binarise"].changed(monitor="val_map", loss="bce+dice", soft=0.5)
    chosen = {"form": "normalised", "maps": "auto", "gap": False, "crop_foreground": 0.05}
    return settings.changed(**(steps | chosen | more))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("normalised") / "run"
    return folder, list(compress(request(data, folder, normalised())))


def test_a_run_gives_a_model_with_both_maps(run):
    folder, events = run
    assert isinstance(events[-1], RunDone)
    assert not [e for e in events if isinstance(e, Note) and e.text == NO_INSTANCES]
    judged = {e.step: e for e in events if isinstance(e, EpochDone)}
    assert judged["binarise"].val_map is not None
    assert judged["hint_decoder"].val_map is None
    model = load_model(folder / "model.blunet")
    assert model.settings.form == "normalised"
    assert model.settings.maps == BOTH
    report = json.loads((folder / "report.json").read_text())
    for stage in report["models"]:
        assert 0 <= stage["map"] <= 1
    student = load_keras(folder / "checkpoints" / "retrain.keras")
    image = np.random.default_rng(0).integers(0, 255, (40, 56), np.uint8)
    assert student.predict_maps(image).shape == model.predict_maps(image).shape == (2, 40, 56)


def test_the_packed_model_gives_what_the_trained_network_gives(run):
    folder, _ = run
    packed = load_model(folder / "model.blunet")
    trained = load_keras(folder / "checkpoints" / "binarise.keras")
    image = np.random.default_rng(1).integers(0, 255, (48, 64), np.uint8)
    assert np.mean(np.abs(packed.predict_maps(image) - trained.predict_maps(image)) > 1e-3) < 0.01


def test_stopped_and_resumed_it_ends_with_the_same_weights(run, data, tmp_path):
    folder, _ = run
    seen = []

    def stop():
        return sum(isinstance(e, EpochDone) and e.step == "binarise" for e in seen) == 1

    for event in compress(request(data, tmp_path / "run", normalised()), stop):
        seen.append(event)
    assert isinstance(seen[-1], RunStopped)
    assert isinstance(list(compress(request(data, tmp_path / "run", normalised(), resume=True)))[-1], RunDone)
    whole, again = (load_keras(r / "checkpoints" / "binarise.keras").network for r in (folder, tmp_path / "run"))
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_masks_of_foreground_only_leave_the_distance_map_out(data, tmp_path):
    for file in data.glob("*.tif"):
        values = tifffile.imread(file)
        tifffile.imwrite(tmp_path / file.name, (values > 0).astype(np.uint8) if "mask" in file.name else values)
    settings = normalised(only("transfer"))
    said = list(compress(request(tmp_path, tmp_path / "run", settings, teacher="scratch")))
    assert [e.warning for e in said if isinstance(e, Note) and e.text == NO_INSTANCES] == [True]
    assert load_model(tmp_path / "run" / "model.blunet").settings.maps == ("foreground",)
    assert normalised().choose_maps(instances=False).maps == "foreground"
    assert normalised().choose_maps(instances=True).maps == "distance"
    assert normalised(maps="distance").choose_maps(instances=False).maps == "distance"


def test_a_published_teacher_gives_the_same_before_it_is_trained(data, tmp_path):
    unet = NetworkSettings(network="unet", levels=2, base_filters=4)
    teacher = KerasModel(build_network(unet, seed=0), unet, ModelInfo(normalisation=TINY.normalisation))
    teacher.save(tmp_path / "teacher.keras")
    path = str(tmp_path / "teacher.keras")
    events = list(compress(request(data, tmp_path / "run", normalised(only("transfer")), teacher=path)))
    assert isinstance(events[-1], RunDone)
    before = json.loads((tmp_path / "run" / "report.json").read_text())["models"][0]
    assert before["name"] == "U-Net before transfer"
    expected = []
    for row in before["validation"]["images"]:
        field = data / f"{row['image']}.tif"
        found = teacher.predict(tifffile.imread(field)) > before["threshold"]
        expected.append(iou(tifffile.imread(data / f"{row['image']}_mask.tif") > 0, found))
    assert before["iou"] == pytest.approx(np.mean(expected), abs=1e-3)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(InputError, match="maps"):
        TINY.changed(maps="distance")
    with pytest.raises(InputError, match="start"):
        normalised(start="published")
    with pytest.raises(InputError, match="soft"):
        TINY.changed(retrain=TINY.retrain.changed(soft=0.5))
