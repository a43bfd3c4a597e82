"""The whole compression on a tiny simulated set: three phases, stopped anywhere and resumed, bad input."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import time
from dataclasses import asdict, replace
from xml.etree import ElementTree

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image

from blunet.architecture import NetworkSettings, ResidualLevels
from blunet.compression import estimate
from blunet.compression import report as scoring
from blunet.compression.checkpoint import read_progress
from blunet.compression.events import (
    BatchDone,
    EpochDone,
    Note,
    RunDone,
    RunStarted,
    RunStopped,
    StepDone,
    StepStarted,
    read_events,
)
from blunet.compression.pictures import FOUND, MADE_UP, MISSED, NOTHING, SIDE, picture_of
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
from blunet.evaluation.evaluate import evaluate
from blunet.images.augment_settings import AugmentSettings
from blunet.images.normalise import Normalisation
from blunet.images.pairs import find_pairs
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
    run, events = finished
    page = (run / "report.html").read_text()
    report = json.loads((run / "report.json").read_text())
    for stage in report["models"]:
        assert f"<td>{stage['name']}</td><td>{stage['iou']:.3f}</td>" in page
    best = {e.step: e for e in events if isinstance(e, EpochDone) and e.best}
    assert len(best) >= 3  # a ring on the curve of losses, another on that of the IoU where there is one
    assert page.count("<circle") == sum(1 + (e.val_iou is not None) for e in best.values())
    ElementTree.fromstring(page.split("</h2>")[3].strip().split("\n")[0])


def test_the_page_shows_what_each_stage_finds_misses_and_makes_up(data, finished):
    run, events = finished
    (name,) = events[0].validation
    page = (run / "report.html").read_text()
    shown = re.findall(r'alt="([^"]+)" src="data:image/png;base64,([^"]+)"', page)
    assert [what for what, _ in shown] == ["Image", "Truth", "U-Net", "lightweight U-Net", "BLU-Net"]
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))) for _, png in shown]
    truth = tifffile.imread(data / f"{name}_mask.tif") > 0
    grey = tifffile.imread(data / f"{name}.tif")
    assert pictures[0].shape == grey.shape
    assert np.corrcoef(pictures[0].ravel(), grey.ravel())[0, 1] > 0.7
    np.testing.assert_array_equal(pictures[1][truth], np.broadcast_to(FOUND, (truth.sum(), 3)))
    model = load_model(run / "model.blunet")
    found = model.predict(grey) > model.info.threshold
    for right, colour in (
        (truth & found, FOUND), (truth & ~found, MISSED), (~truth & found, MADE_UP), (~truth & ~found, NOTHING)
    ):  # fmt: skip
        np.testing.assert_array_equal((pictures[-1] == colour).all(axis=-1), right)


def test_large_images_are_shown_small():
    png = picture_of(np.ones((1200, 2000), bool), np.zeros((1200, 2000), bool))
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert picture.shape == (SIDE, SIDE, 3)
    assert (picture == MADE_UP).all()


class Counting:
    """Predicts as a model does, and keeps what it was asked."""

    def __init__(self, model):
        self.model, self.settings, self.info, self.asked = model, model.settings, model.info, []

    def predict(self, image, *, limits=None, check=None):
        self.asked.append(image)
        return self.model.predict(image, limits=limits, check=check)


@pytest.mark.parametrize("held", [2**28, 1])
def test_scoring_predicts_every_file_once_and_agrees_with_evaluate(data, finished, held, monkeypatch, tmp_path):
    monkeypatch.setattr(scoring, "HELD_BYTES", held)  # 1: all probabilities lie on disk
    pairs = list(find_pairs(data).pairs)
    model = Counting(load_model(finished[0] / "model.blunet"))
    stage = scoring.score_stage("BLU-Net", model, pairs[:3], pairs[3:], tmp_path)
    assert len(model.asked) == 4
    assert all((a == tifffile.imread(p.image)).all() for a, p in zip(model.asked, pairs, strict=True))
    assert stage.threshold == scoring.best_threshold(model, pairs[:3])
    for part, files in (("validation", pairs[:3]), ("test", pairs[3:])):
        wanted = [asdict(s) for _, s in evaluate(files, model.model, threshold=stage.threshold)]
        got = stage.figures[part]["images"]
        assert [{k: row[k] for k in ("iou", "f1", "ap50")} for row in got] == wanted
    assert list(tmp_path.iterdir()) == []


def test_simulated_fields_help_to_choose_the_threshold_and_are_not_scored(data, finished, tmp_path):
    pairs = list(find_pairs(data).pairs)
    model = load_model(finished[0] / "model.blunet")
    field = simulate_dic(DicSettings(shape=(80, 96), object_diameter=20), seed=9)
    probability = model.predict(field.image)
    for wanted in (min(scoring.THRESHOLDS), max(scoring.THRESHOLDS)):
        truth = probability > wanted  # only this threshold, or one that gives the same mask, is right
        swaying = [replace(field, labels=truth.astype(np.int32))] * 50
        stage = scoring.score_stage("BLU-Net", model, pairs[:1], [], tmp_path, simulated=swaying)
        np.testing.assert_array_equal(probability > stage.threshold, truth)
        assert [row["image"] for row in stage.figures["validation"]["images"]] == [pairs[0].name]


def test_a_run_with_simulated_fields_mixed_in_scores_the_files_alone(data, tmp_path):
    settings = replace(TINY, simulated=2)
    events = list(compress(request(data, tmp_path / "run", settings, teacher="scratch")))
    assert isinstance(events[-1], RunDone)
    told, report = events[0], json.loads((tmp_path / "run" / "report.json").read_text())
    for model in report["models"]:
        assert [row["image"] for row in model["validation"]["images"]] == told.validation
    made = (tmp_path / "run" / "model.blunet").read_bytes()
    again = list(compress(request(data, tmp_path / "run", settings, teacher="scratch", resume=True)))
    assert not [e for e in again if isinstance(e, Note) and "Simulating" in e.text]  # nobody learns from them any more
    assert (tmp_path / "run" / "model.blunet").read_bytes() == made


QUICK = preset("quick")
LARGER = replace(
    QUICK,
    base_filters=32,
    transfer=StepSettings(26, 100, 5e-4, l2=1e-7),
    hint_encoder=StepSettings(2, 100, 1e-3, "val_loss"),
    retrain=StepSettings(24, 100, 1e-3),
)


def test_the_estimate_is_near_to_what_was_measured(monkeypatch):
    """On two cores of the reference: the quick preset on 12 fields with 10 more to test, and single steps."""
    monkeypatch.setattr(estimate, "core_speed", lambda: 1.0)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 2)
    field = (1022, 1024)
    assert estimate.duration(QUICK, STEPS, [field] * 2, [field] * 10) == pytest.approx(472, rel=0.3)
    assert estimate.step_seconds(LARGER, "transfer", [field] * 7) == pytest.approx(26 * 50.5, rel=0.2)
    assert estimate.step_seconds(LARGER, "hint_encoder", [field] * 7) == pytest.approx(2 * 13.8, rel=0.3)
    assert estimate.step_seconds(LARGER, "retrain", [field] * 7) == pytest.approx(24 * 16.0, rel=0.2)


def test_the_estimate_follows_the_computer_and_the_work(monkeypatch):
    assert estimate.core_speed() > 0
    monkeypatch.setattr(estimate, "core_speed", lambda: 1.0)
    before = estimate.duration(QUICK, STEPS)
    monkeypatch.setattr(estimate, "core_speed", lambda: 2.0)
    assert estimate.duration(QUICK, STEPS) == pytest.approx(before / 2)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 1)
    one = estimate.duration(QUICK, STEPS)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 4)
    assert one / 4 < estimate.duration(QUICK, STEPS) < one / 1.5
    assert estimate.duration(QUICK, STEPS[1:]) < estimate.duration(QUICK, STEPS)
    assert estimate.duration(QUICK, STEPS, [(512, 512)]) > estimate.duration(QUICK, STEPS)


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


@pytest.mark.parametrize("step", ["transfer", "hint_decoder", "binarise", "report"])
def test_stopped_in_each_phase_and_resumed_it_ends_with_the_same_weights(data, finished, step, tmp_path):
    run = tmp_path / "run"
    first = []

    def reached():
        if step == "report":
            return isinstance(first[-1], Note) and "Scoring" in first[-1].text
        return isinstance(first[-1], EpochDone) and first[-1].step == step

    for event in compress(request(data, run), reached):
        first.append(event)
    assert isinstance(first[-1], RunStopped)
    assert first[-1].step == step
    second = list(compress(request(data, run, resume=True)))
    assert second[0].resumed
    assert isinstance(second[-1], RunDone)
    assert not [e for e in second if isinstance(e, Note) and "Simulating" in e.text]  # pretraining is over
    done = {e.step: e.seconds for e in [*first, *second] if isinstance(e, StepDone)}
    report = json.loads((run / "report.json").read_text())
    assert report["seconds"] == pytest.approx(sum(done[s] for s in STEPS))
    whole, again = (load_keras(r / "checkpoints" / "binarise.keras").network for r in (finished[0], run))
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def only(*steps, **more):
    """Tiny settings of which only these steps run."""
    return replace(TINY, **{s: replace(TINY.step(s), run=s in steps) for s in STEPS}, **more)


@pytest.mark.parametrize("start", ["published", "least_squares"])
def test_an_output_layer_that_begins_afresh_is_the_same_in_a_resumed_run(data, start, tmp_path):
    settings = only("hint_encoder", "binarise", start=start)
    whole = list(compress(request(data, tmp_path / "whole", settings, teacher="scratch")))
    assert isinstance(whole[-1], RunDone)
    first = []

    def reached():
        return isinstance(first[-1], StepDone)

    for event in compress(request(data, tmp_path / "run", settings, teacher="scratch"), reached):
        first.append(event)
    assert first[-1] == RunStopped("binarise", 0, 0)
    list(compress(request(data, tmp_path / "run", settings, teacher="scratch", resume=True)))
    made = (load_keras(tmp_path / r / "checkpoints" / "binarise.keras").network for r in ("whole", "run"))
    for a, b in zip(*(network.get_weights() for network in made), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_run_is_stopped_between_two_simulated_images(data, tmp_path):
    events = []
    asked = []

    def cancelled():
        asked.append(1)
        return isinstance(events[-1], Note) and events[-1].text == "Simulating 2000 images." and len(asked) > 3

    began = time.monotonic()
    for event in compress(request(data, tmp_path / "run", replace(TINY, pretraining_fields=2000)), cancelled):
        events.append(event)
    assert events[-1] == RunStopped("pretrain", 0, 0)
    assert time.monotonic() - began < 60


def test_the_penalty_of_the_last_step_is_not_in_the_hints(data, tmp_path):
    losses = []
    for l2 in (0.0, 0.1):
        settings = only("hint_encoder", "retrain")
        settings = replace(settings, retrain=replace(settings.retrain, l2=l2))
        run = tmp_path / str(l2)
        events = list(compress(request(data, run, settings, teacher="scratch")))
        losses.append({e.step: e.loss for e in events if isinstance(e, EpochDone) and e.epoch == 1})
    assert losses[0]["hint_encoder"] == pytest.approx(losses[1]["hint_encoder"])
    assert losses[1]["retrain"] > losses[0]["retrain"] + 0.1


def stopped_in(step, data, run):
    """Run as far as the first epoch of a step."""
    events = []
    for event in compress(request(data, run), lambda: isinstance(events[-1], EpochDone) and events[-1].step == step):
        events.append(event)
    assert isinstance(events[-1], RunStopped)


def test_an_unfinished_step_goes_on_with_another_learning_rate_and_a_finished_one_does_not(data, tmp_path):
    run = tmp_path / "run"
    stopped_in("transfer", data, run)
    lower = replace(TINY, transfer=replace(STEP, learning_rate=1e-4))
    going = compress(request(data, run, lower, resume=True))
    assert next(e for e in going if isinstance(e, EpochDone)).learning_rate < 1e-4
    going.close()
    other = replace(TINY, pretrain=replace(STEP, learning_rate=1e-4))
    with pytest.raises(InputError, match=r"'pretrain\.learning_rate' was 0\.002; give the same"):
        next(compress(request(data, run, other, resume=True)))


def test_what_a_killed_run_had_begun_to_write_is_removed(data, tmp_path):
    run = tmp_path / "run"
    stopped_in("pretrain", data, run)
    torn = [run / ".report.123.json", run / "checkpoints" / ".pretrain-last.123.npz", run / "preview" / ".x.12.png"]
    for path in torn:
        path.write_bytes(b"half")
    (run / ".notes").write_text("not ours")
    going = compress(request(data, run, resume=True))
    next(going)
    going.close()
    assert not [path for path in torn if path.exists()]
    assert (run / ".notes").exists()


def test_a_damaged_result_of_a_step_is_named_and_made_again_once_it_is_deleted(data, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    path = run / "checkpoints" / "hint_encoder.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8] = b"damaged!"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"the step 'hint_encoder', .*hint_encoder\.keras', cannot be read; delete it"):
        list(compress(request(data, run, resume=True)))
    path.unlink()
    again = list(compress(request(data, run, resume=True)))
    assert isinstance(again[-1], RunDone)
    assert [e.step for e in again if isinstance(e, StepDone)] == ["hint_encoder"]


def test_a_finished_run_goes_on_with_more_epochs(data, tmp_path):
    run = tmp_path / "run"
    short = replace(TINY, hint_encoder=replace(HINT, run=False), hint_decoder=replace(HINT, run=False))
    first = list(compress(request(data, run, short, teacher="scratch")))
    longer = replace(short, binarise=replace(STEP, epochs=4))
    events = list(compress(request(data, run, longer, teacher="scratch", resume=True)))
    assert events[0].seconds == pytest.approx(estimate.duration(longer, ["binarise"], [(80, 96)]))
    assert events[0].seconds < first[0].seconds
    done = [(e.step, e.epoch) for e in events if isinstance(e, EpochDone)]
    assert done == [("binarise", 3), ("binarise", 4)]
    made = (run / "checkpoints" / "binarise.keras").read_bytes()
    nothing = list(compress(request(data, run, longer, teacher="scratch", resume=True)))
    assert not [e for e in nothing if isinstance(e, EpochDone)]
    assert (run / "checkpoints" / "binarise.keras").read_bytes() == made
    longest = replace(short, binarise=replace(STEP, epochs=5))
    going = compress(request(data, run, longest, teacher="scratch", resume=True))
    assert next(e for e in going if isinstance(e, EpochDone)).epoch == 5
    going.close()  # as if killed after the last epoch, before its result was written
    resumed = list(compress(request(data, run, longest, teacher="scratch", resume=True)))
    assert [e.step for e in resumed if isinstance(e, StepDone)] == ["binarise"]
    best = read_progress(run / "checkpoints" / "binarise-best.npz")
    assert load_keras(run / "checkpoints" / "binarise.keras").info.card.figures == {"validation_iou": best.best_iou}


def test_dice_and_border_weights_reach_the_steps_that_have_masks(data, tmp_path):
    """Border weights in hints have no meaning and are passed over; elsewhere they and Dice change the loss."""
    one = replace(STEP, epochs=1, batches=3)
    skipped = {s: replace(TINY.step(s), run=False) for s in ("hint_decoder", "retrain")}
    losses = {}
    for name, change in (("plain", {}), ("weighted", {"border_weights": True}), ("dice", {"loss": "bce+dice"})):
        changed = replace(one, **change)
        hint = replace(changed, monitor="val_loss")
        settings = replace(TINY, transfer=changed, hint_encoder=hint, binarise=changed, **skipped)
        events = list(compress(request(data, tmp_path / name, settings, teacher="scratch")))
        assert isinstance(events[-1], RunDone)
        losses[name] = {e.step: e.loss for e in events if isinstance(e, EpochDone)}
    for step in ("transfer", "binarise"):
        assert losses["weighted"][step] != pytest.approx(losses["plain"][step], rel=1e-3)
        assert losses["dice"][step] > losses["plain"][step] + 0.2


def test_a_teacher_from_a_file_brings_its_normalisation(data, tmp_path):
    unet = NetworkSettings("unet", 2, 4)
    info = ModelInfo(Normalisation("percentile", 2, 98))
    KerasModel(build_network(unet, seed=0), unet, info).save(tmp_path / "teacher.keras")
    steps = {s: replace(TINY.step(s), run=s == "transfer") for s in STEPS}
    settings = replace(TINY, **steps)
    events = list(compress(request(data, tmp_path / "run", settings, teacher=str(tmp_path / "teacher.keras"))))
    assert [e.step for e in events if isinstance(e, StepDone)] == ["transfer"]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [m["name"] for m in report["models"]] == ["U-Net before transfer", "U-Net", "BLU-Net"]
    assert load_model(tmp_path / "run" / "model.blunet").info.normalisation == info.normalisation


def test_presets_survive_a_file(tmp_path):
    for name in ("quick", "study"):
        preset(name).write(tmp_path / "s.toml")
        assert read_settings(tmp_path / "s.toml") == preset(name)
    (tmp_path / "s.toml").write_text("base_filters = 8\n[binarise]\nepochs = 3\n")
    changed = read_settings(tmp_path / "s.toml", preset("quick"))
    assert (changed.base_filters, changed.binarise.epochs) == (8, 3)
    assert changed.binarise.batches == preset("quick").binarise.batches


def test_the_study_is_the_published_recipe():
    study = preset("study")
    recipe = {
        "transfer": (1e-4, 512, "val_loss", 1e-7),
        "hint_encoder": (1e-3, 256, "val_loss", 0.0),
        "hint_decoder": (1e-3, 256, "val_loss", 0.0),
        "retrain": (1e-3, 512, "val_iou", 0.0),
        "binarise": (1e-3, 256, "val_iou", 0.0),
    }
    for name, wanted in recipe.items():
        step = study.step(name)
        assert (step.learning_rate, step.crop, step.monitor, step.l2) == wanted
        assert (step.epochs, step.batch, step.decay, step.loss) == (400, 1, 0.95, "bce")
        assert (step.ignored_epochs, step.border_weights, step.run) == (0, False, True)
    assert (study.levels, study.base_filters, study.folds, study.start) == (5, 64, 5, "published")
    assert study.residual_levels == ResidualLevels(3, 3, 3, 3)
    assert (study.normalisation, study.augmentation) == (Normalisation("range"), AugmentSettings.study())


def test_the_ablations_of_the_study_are_settings_that_the_docs_give(root, tmp_path):
    found = {}
    for block in re.findall(r"```toml\n(# .*? from scratch.*?)```", (root / "docs" / "compress.md").read_text(), re.S):
        (tmp_path / "s.toml").write_text(block)
        settings = read_settings(tmp_path / "s.toml", preset("study"))
        (name,) = settings.steps("scratch")
        step = settings.step(name)
        found[name] = (step.crop, step.learning_rate, step.l2, step.monitor, step.ignored_epochs)
    assert found == {"binarise": (256, 1e-4, 0.0, "val_iou", 40), "retrain": (512, 1e-3, 1e-7, "val_loss", 40)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"levels": "five"}, "'levels'"),
        ({"depth": 3}, "'depth'"),
        ({"transfer": {"epochs": 0}}, "'epochs' is 0"),
        ({"retrain": {"crop": 33}}, "multiples of 2"),
        ({"binarise": {"learning_rate": -1.0}}, "learning_rate"),
        ({"binarise": {"learning_rate": float("nan")}}, "learning_rate"),
        ({"binarise": {"l2": 1e-7}}, r"'binarise\.l2' is 1e-07; only pretrain, transfer, retrain"),
        (
            {"augmentation": {"zoom": 0.1}},
            r"^Setting in 'augmentation': Augmentation 'zoom' is 0\.1; give .* from 1 on\.$",
        ),
        ({"transfer": {"l2": float("inf")}}, "'l2' is inf"),
        ({"folds": -3}, r"^'folds' is -3; give a whole number from 1 on\.$"),
        ({"pretraining_fields": 0}, "'pretraining_fields' is 0"),
        ({"seed": 10**30}, "'seed' is 10+; give a whole number from 0 to 2147483648"),
    ],
)
def test_wrong_settings_are_named(change, says):
    base = TINY.to_dict()
    data = {**base, **{k: {**base[k], **v} if isinstance(v, dict) else v for k, v in change.items()}}
    with pytest.raises(InputError, match=says):
        settings_from_dict(data)


@pytest.mark.parametrize("kind", ["full", "settings", "data", "teacher", "version", "damaged", "file"])
def test_a_run_folder_that_cannot_be_used(kind, data, finished, tmp_path):
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
        facts.write_text(facts.read_text().replace('"f0', '"f9'))
        says = r"'f0\.tif', 'f0_mask\.tif', 'f9\.tif', 'f9_mask\.tif' in .* were changed, added or removed"
    elif kind == "damaged":
        facts.write_text("{")
        says = "damaged"
    else:
        says = "a file stands in its place"
    with pytest.raises(InputError, match=says):
        list(compress(asked))


def test_a_moved_folder_is_the_same_data_and_an_edited_file_is_named(data, finished, tmp_path):
    moved, run = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(data, moved)
    shutil.copytree(finished[0], run)
    going = compress(request(moved, run, resume=True))
    assert next(going).resumed
    going.close()
    image = tifffile.imread(moved / "f1.tif")
    image[0, 0] += 1
    tifffile.imwrite(moved / "f1.tif", image)
    with pytest.raises(InputError) as error:
        next(compress(request(moved, run, resume=True)))
    assert f"'f1.tif' in '{moved}' was changed, added or removed: put back what was there" in str(error.value)
    assert "mask" not in str(error.value)


def test_a_torn_event_is_passed_over_and_spoils_no_other(data, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    told = (run / "events.jsonl").read_text()
    (run / "events.jsonl").write_text(told[:-9])
    going = compress(request(data, run, resume=True))
    started = next(going)
    going.close()
    events = list(read_events(run / "events.jsonl"))
    assert len(events) == len(told.splitlines())
    assert events[-1] == started


def test_a_test_folder_that_cannot_be_scored_is_refused_before_anything_is_trained(data, tmp_path):
    test = tmp_path / "test"
    shutil.copytree(data, test)
    tifffile.imwrite(test / "f2_mask.tif", np.ones((9, 9), np.uint8))
    with pytest.raises(InputError, match=r"f2_mask\.tif"):
        next(compress(request(data, tmp_path / "run", test=str(test))))
    assert not (tmp_path / "run").exists()


def test_a_test_image_that_is_not_finite_is_refused_and_one_that_is_trained_on_is_named(data, tmp_path):
    test = tmp_path / "test"
    shutil.copytree(data, test)
    image = tifffile.imread(test / "f1.tif").astype(np.float32)
    tifffile.imwrite(test / "f1.tif", image)
    asked = request(data, tmp_path / "run", test=str(test))
    going = compress(asked)
    warnings = [next(going) for _ in range(8)][1:]
    going.close()
    said = [e.text for e in warnings if isinstance(e, Note) and e.warning and "Test: " in e.text]
    assert len(said) == 1
    assert "3 images that the run also learns from or chooses by: 'f0.tif', 'f2.tif', 'f3.tif'" in said[0]
    image[3, 3] = np.nan
    tifffile.imwrite(test / "f1.tif", image)
    with pytest.raises(InputError, match=r"f1\.tif': The image holds 1 NaN"):
        next(compress(replace(asked, run=str(tmp_path / "other"))))
    assert not (tmp_path / "other").exists()


def test_a_split_that_leaves_one_side_without_objects_is_refused(data, finished, tmp_path):
    (name,) = finished[1][0].validation
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    mask = tifffile.imread(folder / f"{name}_mask.tif")
    tifffile.imwrite(folder / f"{name}_mask.tif", np.zeros_like(mask))
    with pytest.raises(InputError, match=rf"1 images to choose the best weights by are empty \({name}\); .* 'seed'"):
        next(compress(request(folder, tmp_path / "run")))
    for path in folder.glob("*_mask.tif"):
        tifffile.imwrite(path, np.zeros_like(mask) if name not in path.name else mask)
    with pytest.raises(InputError, match=r"3 images to train on are empty \(f"):
        next(compress(request(folder, tmp_path / "run")))


def test_the_data_are_described_before_the_first_step(finished):
    events = finished[1]
    begun = next(i for i, e in enumerate(events) if isinstance(e, StepStarted))
    said = [e.text for e in events[:begun] if isinstance(e, Note)]
    assert said[0].startswith("4 images with masks in ")
    assert said[1] == "Images: 80 x 96 pixels (Y x X); uint16"
    assert re.fullmatch(r"Objects: \d+, from \d+ to \d+ in an image; typical diameter [\d.]+ px", said[2])
    assert said[3].startswith("Foreground: ")


def test_a_run_folder_in_use_is_left_alone(data, tmp_path):
    run = tmp_path / "run"
    first = compress(request(data, run))
    next(first)
    for resume in (False, True):
        with pytest.raises(InputError, match="in use"):
            next(compress(request(data, run, resume=resume)))
    first.close()
    assert not (run / "lock").exists()


@pytest.mark.parametrize("kind", ["lightweight", "filters", "missing", "packed"])
def test_a_teacher_that_cannot_teach(kind, data, legacy, tmp_path):
    path = tmp_path / "teacher.keras"
    if kind == "lightweight":
        settings, says = NetworkSettings("lightweight", 2, 4), "'lightweight' network"
    else:
        settings, says = NetworkSettings("unet", 2, 8), "base_filters = 8"
    if kind == "packed":
        path = path.with_suffix(".blunet")
        path.write_bytes(b"")
        says = "is a '.blunet' file"
    elif kind == "missing":
        says = r"is no file; give a \.keras or published \.h5 file"
    else:
        KerasModel(build_network(settings), settings, ModelInfo()).save(path)
    with pytest.raises(InputError, match=says):
        list(compress(request(data, tmp_path / "run", teacher=str(path))))
    assert not (tmp_path / "run").exists()
