"""The whole compression on a tiny simulated set: three phases, stopped anywhere and resumed, bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from blunet.architecture import NetworkSettings
from blunet.compression.events import BatchDone, EpochDone, RunDone, RunStarted, RunStopped, StepDone, read_events
from blunet.compression.pipeline import compress
from blunet.compression.request import Request, request_from_json
from blunet.compression.settings import (
    STEPS,
    CompressionSettings,
    StepSettings,
    preset,
    read_settings,
    settings_from_dict,
)
from blunet.compression.time_left import TimeLeft
from blunet.errors import InputError
from blunet.images.normalise import Normalisation
from blunet.images.simulate import DicSettings, simulate_dic
from blunet.networks.build import build_network
from blunet.networks.files import KerasModel, load_keras
from blunet.packed.card import ModelInfo
from blunet.packed.model import load_model

STEP = StepSettings(2, 4, 2e-3, crop=32)
HINT = StepSettings(2, 4, 2e-3, "val_loss", crop=32)
TINY = CompressionSettings(
    levels=2, base_filters=4, pretrain=STEP, transfer=STEP, hint_encoder=HINT, hint_decoder=HINT, retrain=STEP,
    binarise=STEP, normalisation=Normalisation("percentile", 0.5, 99.5, 20.0), pretraining_fields=2, seed=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for i in range(4):
        field = simulate_dic(DicSettings(shape=(80, 96), object_diameter=20), seed=i)
        tifffile.imwrite(folder / f"f{i}.tif", field.image)
        tifffile.imwrite(folder / f"f{i}_mask.tif", field.labels.astype(np.uint16))
    return folder


def request(data, run, settings=TINY, **more):
    return Request(str(data), str(run), settings, **more)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    return run, list(compress(request(data, run, test=str(data))))


def test_three_phases_end_in_a_model_that_segments(data, finished):
    run, events = finished
    assert isinstance(events[0], RunStarted)
    assert events[0].steps == list(STEPS)
    assert (len(events[0].training), len(events[0].validation)) == (3, 1)
    assert [e.step for e in events if isinstance(e, StepDone)] == list(STEPS)
    assert isinstance(events[-1], RunDone)
    model = load_model(events[-1].model)
    assert model.settings == TINY.network("blunet")
    assert model.info.normalisation == TINY.normalisation
    assert model.info.card.object_diameter == pytest.approx(20, rel=0.4)
    image = tifffile.imread(data / "f0.tif")
    assert model.predict(image).shape == image.shape
    assert request_from_json(request(data, run).to_json()) == request(data, run)


def test_the_report_scores_every_stage_on_the_same_files(finished):
    run, events = finished
    report = json.loads((run / "report.json").read_text())
    assert [m["name"] for m in report["models"]] == ["U-Net before transfer", "U-Net", "lightweight U-Net", "BLU-Net"]
    assert [m["network"] for m in report["models"]] == ["unet", "unet", "lightweight", "blunet"]
    assert report["validation"] == events[0].validation
    for stage in report["models"]:
        assert [i["image"] for i in stage["test"]["images"]] == ["f0", "f1", "f2", "f3"]
        assert [i["image"] for i in stage["validation"]["images"]] == report["validation"]
        assert stage["iou"] == pytest.approx(np.mean([i["iou"] for i in stage["test"]["images"]]))
        assert stage["seconds"] > 0
    gains = report["losses"][-1]
    assert gains["iou"] == pytest.approx(100 * (report["models"][3]["iou"] - report["models"][2]["iou"]), abs=0.01)


def test_the_page_shows_figures_curves_and_masks(finished):
    run, _ = finished
    page = (run / "report.html").read_text()
    report = json.loads((run / "report.json").read_text())
    for stage in report["models"]:
        assert f"<td>{stage['name']}</td><td>{stage['iou']:.3f}</td>" in page
    assert page.count("data:image/png;base64,") == 4
    assert page.count("<circle") == 4 + 6
    ElementTree.fromstring(page.split("</h2>")[2].split("<h2>")[0].strip().split("\n")[0])


def test_the_time_left_is_told_once_there_is_a_pace():
    left = TimeLeft(TINY, STEPS)
    batch = BatchDone("transfer", 1, 2, 1, 4, 0.5)
    assert left.seconds(batch) is None
    left._began -= 10
    later = left.seconds(replace(batch, batch=3))
    costs = sum(left.costs[s] for s in STEPS[2:])
    assert later == pytest.approx(40 * 5 / 8 + 40 * costs / left.costs["transfer"], rel=0.05)


def test_the_folder_holds_what_happened_and_no_more_than_was_said(finished):
    run, events = finished
    told = [e for e in events if not isinstance(e, BatchDone)]
    assert list(read_events(run / "events.jsonl")) == told
    assert read_settings(run / "settings.toml") == TINY
    names = {p.name for p in (run / "checkpoints").iterdir()}
    assert names == {f"{s}.keras" for s in STEPS} | {"binarise-last.npz", "binarise-best.npz"}
    used = sum(p.stat().st_size for p in run.rglob("*") if p.is_file())
    assert used < events[0].bytes
    assert not (run / "lock").exists()
    previews = [e.preview for e in events if isinstance(e, EpochDone) and e.val_iou is not None]
    assert all(p and p.endswith(".png") for p in previews)


@pytest.mark.parametrize("step", ["transfer", "hint_decoder", "binarise"])
def test_stopped_in_each_phase_and_resumed_it_ends_with_the_same_weights(data, finished, step, tmp_path):
    run = tmp_path / "run"
    first = []
    for event in compress(request(data, run), lambda: isinstance(first[-1], EpochDone) and first[-1].step == step):
        first.append(event)
    assert isinstance(first[-1], RunStopped)
    assert first[-1].step == step
    second = list(compress(request(data, run, resume=True)))
    assert second[0].resumed
    assert isinstance(second[-1], RunDone)
    whole, again = (load_keras(r / "checkpoints" / "binarise.keras").network for r in (finished[0], run))
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_finished_run_goes_on_with_more_epochs(data, tmp_path):
    run = tmp_path / "run"
    short = replace(TINY, hint_encoder=replace(HINT, run=False), hint_decoder=replace(HINT, run=False))
    list(compress(request(data, run, short, teacher="scratch")))
    longer = replace(short, binarise=replace(STEP, epochs=4))
    events = list(compress(request(data, run, longer, teacher="scratch", resume=True)))
    done = [(e.step, e.epoch) for e in events if isinstance(e, EpochDone)]
    assert done == [("binarise", 3), ("binarise", 4)]
    nothing = list(compress(request(data, run, longer, teacher="scratch", resume=True)))
    assert not [e for e in nothing if isinstance(e, EpochDone)]


def test_a_teacher_from_a_file_brings_its_normalisation(data, tmp_path):
    unet = NetworkSettings("unet", 2, 4)
    info = ModelInfo(Normalisation("percentile", 2, 98))
    KerasModel(build_network(unet, seed=0), unet, info).save(tmp_path / "teacher.keras")
    steps = {s: replace(TINY.step(s), run=s == "transfer") for s in STEPS}
    settings = replace(TINY, **steps)
    events = list(compress(request(data, tmp_path / "run", settings, teacher=str(tmp_path / "teacher.keras"))))
    assert [e.step for e in events if isinstance(e, StepDone)] == ["transfer"]
    assert load_model(tmp_path / "run" / "model.blunet").info.normalisation == info.normalisation


def test_presets_survive_a_file(tmp_path):
    for name in ("quick", "study"):
        preset(name).write(tmp_path / "s.toml")
        assert read_settings(tmp_path / "s.toml") == preset(name)
    (tmp_path / "s.toml").write_text("base_filters = 8\n[binarise]\nepochs = 3\n")
    changed = read_settings(tmp_path / "s.toml", preset("quick"))
    assert (changed.base_filters, changed.binarise.epochs) == (8, 3)
    assert changed.binarise.batches == preset("quick").binarise.batches


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"levels": "five"}, "'levels'"),
        ({"depth": 3}, "'depth'"),
        ({"transfer": {"epochs": 0}}, "'epochs' is 0"),
        ({"retrain": {"crop": 33}}, "multiples of 2"),
        ({"binarise": {"learning_rate": -1.0}}, "learning_rate"),
        ({"augmentation": {"zoom": 0.1}}, "zoom"),
    ],
)
def test_wrong_settings_are_named(change, says):
    base = TINY.to_dict()
    data = {**base, **{k: {**base[k], **v} if isinstance(v, dict) else v for k, v in change.items()}}
    with pytest.raises(InputError, match=says):
        settings_from_dict(data)


@pytest.mark.parametrize("kind", ["full", "settings", "data", "teacher", "version", "damaged", "file"])
def test_a_run_folder_that_cannot_be_used(kind, data, finished, tmp_path):
    import shutil

    run = tmp_path / "run"
    asked = request(data, run, resume=True)
    if kind == "file":
        run.write_text("in the way")
    else:
        shutil.copytree(finished[0], run)
    facts = run / "run.json"
    if kind == "full":
        asked, says = request(data, run), "not empty"
    elif kind == "settings":
        asked, says = request(data, run, replace(TINY, seed=4), resume=True), "'seed' was 3"
    elif kind == "teacher":
        asked, says = request(data, run, teacher="scratch", resume=True), "teacher 'simulated'"
    elif kind == "version":
        facts.write_text(facts.read_text().replace('"format": 1', '"format": 9'))
        says = "another version"
    elif kind == "data":
        facts.write_text(facts.read_text().replace("f0", "f9"))
        says = "changed"
    elif kind == "damaged":
        facts.write_text("{")
        says = "damaged"
    else:
        says = "a file stands in its place"
    with pytest.raises(InputError, match=says):
        list(compress(asked))


def test_a_run_folder_in_use_is_left_alone(data, tmp_path):
    run = tmp_path / "run"
    first = compress(request(data, run))
    next(first)
    with pytest.raises(InputError, match="in use"):
        next(compress(request(data, run, resume=True)))
    first.close()
    assert not (run / "lock").exists()


@pytest.mark.parametrize("kind", ["blunet", "filters", "missing"])
def test_a_teacher_that_cannot_teach(kind, data, legacy, tmp_path):
    path = tmp_path / "teacher.keras"
    if kind == "blunet":
        settings, says = NetworkSettings("lightweight", 2, 4), "'lightweight' network"
    else:
        settings, says = NetworkSettings("unet", 2, 8), "base_filters = 8"
    if kind == "missing":
        says = "no file"
    else:
        KerasModel(build_network(settings), settings, ModelInfo()).save(path)
    with pytest.raises(InputError, match=says):
        list(compress(request(data, tmp_path / "run", teacher=str(path))))
    assert not (tmp_path / "run").exists()
