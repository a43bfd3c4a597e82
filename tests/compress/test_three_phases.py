"""The whole compression on a tiny simulated set: three phases, and what they learn from."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import tifffile
from PIL import Image
from tiny_compression import STEP, TINY, only, request

from blunet.architecture import NetworkSettings
from blunet.compression.pipeline import compress
from blunet.compression.run_events import (
    BatchDone,
    EpochDone,
    Note,
    RunDone,
    RunStarted,
    StepDone,
    StepStarted,
    read_events,
)
from blunet.compression.run_request import Request
from blunet.compression.settings_file import read_settings
from blunet.compression.steps import STEPS
from blunet.images.normalisation_settings import Normalisation
from blunet.networks.build import build_network
from blunet.networks.keras_file import KerasModel
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import load_model
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.time_lapse import simulate_time_lapse


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
    assert model.info.card.data == f"3 images of '{data.name}', labels: Cellpose"
    assert model.info.card.licence == "As its training data: CC BY 4.0"
    image = tifffile.imread(data / "f0.tif")
    assert model.predict(image).shape == image.shape
    assert Request.from_json(request(data, run).to_json()) == request(data, run)


def test_the_folder_has_all_events_and_is_no_larger_than_estimated(finished):
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


def test_the_data_are_described_before_the_first_step(finished):
    events = finished[1]
    begun = next(i for i, e in enumerate(events) if isinstance(e, StepStarted))
    said = [e.text for e in events[:begun] if isinstance(e, Note)]
    assert said[0].startswith("4 images with masks in ")
    assert said[1] == "Images: 80 x 96 pixels (Y x X); uint16"
    assert re.fullmatch(r"Objects: \d+, from \d+ to \d+ in an image; typical diameter [\d.]+ px", said[2])
    assert said[3].startswith("Foreground: ")


def test_dice_and_border_weights_reach_the_steps_that_have_masks(data, tmp_path):
    """Border weights are ignored while hints are learned; elsewhere they and Dice change the loss."""
    one = STEP.changed(epochs=1, batches=3)
    skipped = {s: TINY.step(s).changed(run=False) for s in ("hint_decoder", "retrain")}
    losses = {}
    for name, change in (("plain", {}), ("weighted", {"border_weights": True}), ("dice", {"loss": "bce+dice"})):
        changed = one.changed(**change)
        hint = changed.changed(monitor="val_loss")
        settings = TINY.changed(transfer=changed, hint_encoder=hint, binarise=changed, **skipped)
        events = list(compress(request(data, tmp_path / name, settings, teacher="scratch")))
        assert isinstance(events[-1], RunDone)
        losses[name] = {e.step: e.loss for e in events if isinstance(e, EpochDone)}
    for step in ("transfer", "binarise"):
        assert losses["weighted"][step] != pytest.approx(losses["plain"][step], rel=1e-3)
        assert losses["dice"][step] > losses["plain"][step] + 0.2


@pytest.mark.parametrize(("size", "seen"), [(40, (40, 40)), (90, (80, 90)), (512, (80, 96))])
def test_epochs_are_validated_on_the_middle_of_the_last_file(size, seen, data, tmp_path):
    settings = only("transfer", validation_order="consecutive", validation_size=size)
    first, *events = compress(request(data, tmp_path / "run", settings, teacher="scratch"))
    assert (first.training, first.validation) == (["f0", "f1", "f2"], ["f3"])
    preview = next(e.preview for e in events if isinstance(e, EpochDone))
    with Image.open(preview) as mask:
        assert mask.size == seen[::-1]


def test_a_run_reports_that_neighbouring_frames_validate(tmp_path):
    images, labels = simulate_time_lapse(DicSettings(shape=(80, 96), object_diameter=20), 10).stack()
    for i, (image, mask) in enumerate(zip(images, labels, strict=True)):
        tifffile.imwrite(tmp_path / f"f{i}.tif", image)
        tifffile.imwrite(tmp_path / f"f{i}_mask.tif", mask.astype(np.uint16))
    said = {}
    for order in ("auto", "random"):
        settings = only("transfer", validation_order=order)
        events = compress(request(tmp_path, tmp_path / order, settings, teacher="scratch"), lambda: True)
        first, *others = events
        said[order] = [
            (note.text, note.warning) for note in others if isinstance(note, Note) and "time-lapse" in note.text
        ]
        assert (first.validation == ["f8", "f9"]) == (order == "auto")
    ((remark, warned),) = said["auto"]
    assert "in a row (f8, f9)" in remark
    assert not warned
    ((_, warned),) = said["random"]
    assert warned


def test_the_penalty_of_the_last_step_is_not_in_the_hints(data, tmp_path):
    losses = []
    for l2 in (0.0, 0.1):
        settings = only("hint_encoder", "retrain")
        settings = settings.changed(retrain=settings.retrain.changed(l2=l2))
        run = tmp_path / str(l2)
        events = list(compress(request(data, run, settings, teacher="scratch")))
        losses.append({e.step: e.loss for e in events if isinstance(e, EpochDone) and e.epoch == 1})
    assert losses[0]["hint_encoder"] == pytest.approx(losses[1]["hint_encoder"])
    assert losses[1]["retrain"] > losses[0]["retrain"] + 0.1


def test_a_teacher_from_a_file_brings_its_normalisation(data, tmp_path):
    unet = NetworkSettings(network="unet", levels=2, base_filters=4)
    info = ModelInfo(normalisation=Normalisation(method="percentile", low=2, high=98))
    KerasModel(build_network(unet, seed=0), unet, info).save(tmp_path / "teacher.keras")
    steps = {s: TINY.step(s).changed(run=s == "transfer") for s in STEPS}
    settings = TINY.changed(**steps)
    events = list(compress(request(data, tmp_path / "run", settings, teacher=str(tmp_path / "teacher.keras"))))
    assert [e.step for e in events if isinstance(e, StepDone)] == ["transfer"]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [m["name"] for m in report["models"]] == ["U-Net before transfer", "U-Net", "BLU-Net"]
    assert load_model(tmp_path / "run" / "model.blunet").info.normalisation == info.normalisation


def test_a_run_with_simulated_fields_mixed_in_scores_the_files_alone(data, tmp_path):
    settings = TINY.changed(simulated=2)
    events = list(compress(request(data, tmp_path / "run", settings, teacher="scratch")))
    assert isinstance(events[-1], RunDone)
    told, report = events[0], json.loads((tmp_path / "run" / "report.json").read_text())
    for model in report["models"]:
        assert [row["image"] for row in model["validation"]["images"]] == told.validation
    made = (tmp_path / "run" / "model.blunet").read_bytes()
    again = list(compress(request(data, tmp_path / "run", settings, teacher="scratch", resume=True)))
    assert not [e for e in again if isinstance(e, Note) and "Simulating" in e.text]  # nobody learns from them any more
    assert (tmp_path / "run" / "model.blunet").read_bytes() == made
