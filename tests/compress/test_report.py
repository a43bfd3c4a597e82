"""The report of a compression: scores, thresholds, pictures."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import asdict, replace
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image
from two_map_model import TwoMapModel, touching_cells

from blunet.cli.compress import format_table
from blunet.compression import scoring
from blunet.compression.report import CellFigures, read_report
from blunet.compression.report_page import render_report
from blunet.compression.report_pictures import BACKGROUND, FALSE_POSITIVE, FOUND, MISSED, PICTURE_SIDE, draw_foreground
from blunet.compression.run_events import (
    EpochDone,
)
from blunet.dataset.pairs import find_pairs
from blunet.evaluation.metrics import iou
from blunet.evaluation.scores import check_pairs, evaluate
from blunet.packed.packed_model import load_model
from blunet.segmentation.objects import label_objects
from blunet.segmentation.segmentation_settings import DEFAULTS
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings


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
        found = f"{stage['cells']['found']} of {stage['cells']['cells']}"
        assert f"<td>{stage['name']}</td><td>{found}</td><td>{stage['iou']:.3f}</td>" in page
    best = {e.step: e for e in events if isinstance(e, EpochDone) and e.best}
    assert len(best) >= 3  # a ring on the curve of losses, another on that of the IoU where there is one
    assert page.count("<circle") == sum(1 + (e.val_iou is not None) for e in best.values())
    curves = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(curves) == 2
    for curve in curves:
        ElementTree.fromstring(curve)


def test_the_page_shows_true_positives_and_errors_of_each_stage(data, finished):
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
        (truth & found, FOUND), (truth & ~found, MISSED),
        (~truth & found, FALSE_POSITIVE), (~truth & ~found, BACKGROUND),
    ):  # fmt: skip
        np.testing.assert_array_equal((pictures[-1] == colour).all(axis=-1), right)


def test_threshold_and_splitting_are_chosen_on_validation_files_and_stored(finished):
    run, _ = finished
    last = read_report(run / "report.json").models[-1]
    info = load_model(run / "model.blunet").info
    assert (info.threshold, info.splitting) == (last.threshold, last.splitting)
    assert info.card.figures == {
        f"validation_{key}": getattr(last.validation, key) for key in ("iou", "f1", "ap50", "map")
    }


@pytest.mark.parametrize(("depth", "splitting"), [(0.0, 0.4), (0.7, 0.6), (0.8, 0.8)])
def test_splitting_is_that_of_the_best_objects_nearest_to_the_default(tmp_path, depth, splitting):
    """Two cells with a saddle between them of about `depth` times their maximum, and its square is the splitting."""
    image = touching_cells()
    between = (slice(17, 23), slice(20, 40))
    image[between] = np.maximum(image[between], round(255 * depth))
    truth = label_objects(image > 0, 0.5, splitting=1, distance=touching_cells() / 255)
    tifffile.imwrite(tmp_path / "a.tif", image)
    tifffile.imwrite(tmp_path / "a_mask.tif", truth.astype(np.uint8))
    pairs = list(find_pairs(tmp_path).pairs)
    stage = scoring.score_stage("BLU-Net", TwoMapModel(), pairs, pairs)
    assert (stage.figures.splitting, stage.figures.threshold) == (splitting, 0.5)
    assert stage.figures.map > 0.9


def test_reports_from_before_the_mean_average_precision_are_read(finished, tmp_path):
    held = json.loads((finished[0] / "report.json").read_text())

    def remove(part):
        if isinstance(part, dict):
            return {key: remove(value) for key, value in part.items() if key not in ("map", "splitting", "cells")}
        return [remove(each) for each in part] if isinstance(part, list) else part

    (tmp_path / "report.json").write_text(json.dumps(remove(held)))
    report = read_report(tmp_path / "report.json")
    assert all((model.map, model.splitting) == (None, 0.4) for model in report.models)
    assert "<td>–</td>" in render_report(report, [], [])
    assert report.summary == "Mean of 4 test images."
    assert "–" in format_table(report.models)[1]
    assert read_report(finished[0] / "report.json").models[0].map is not None


def test_a_result_that_is_not_ready_for_use_is_said_to_be(finished):
    report = read_report(finished[0] / "report.json")

    def with_cells(*found, iou=0.8, training=3):
        models = [
            model.changed(iou=iou, cells=CellFigures(cells=40, found=n, merged=min(6, 40 - n), split=0, extra=1))
            for model, n in zip(report.models[-2:], found, strict=True)
        ]
        return report.changed(models=models, training=["f"] * training)

    good = with_cells(36, 33)
    assert good.summary == "33 of 40 cells found singly, 6 merged, 1 missed; 1 object is no cell (4 test images)."
    assert good.warning == ""
    assert with_cells(36, 31).warning.startswith("The lightweight U-Net found 36 cells singly, BLU-Net 31")
    assert "not ready for use" in with_cells(20, 19).warning
    assert "Outline more images" in with_cells(20, 19).warning
    assert "all cells are outlined" in with_cells(20, 19, training=20).warning
    assert "not ready for use" in with_cells(40, 40, iou=0.4).warning
    assert f"<b>{with_cells(20, 19).warning}</b>" in render_report(with_cells(20, 19), [], [])


def test_large_images_are_shown_small():
    png = draw_foreground(np.ones((1200, 2000), bool), np.zeros((1200, 2000), bool))
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert picture.shape == (PICTURE_SIDE, PICTURE_SIDE, 3)
    assert (picture == FALSE_POSITIVE).all()


class Counting:
    """Predicts as a model does, and keeps what it was asked."""

    def __init__(self, model):
        self.model, self.settings, self.info, self.asked = model, model.settings, model.info, []

    def predict_maps(self, image, *, limits=None, check=None):
        self.asked.append(image)
        return self.model.predict_maps(image, limits=limits, check=check)


@pytest.mark.parametrize("held", [2**28, 1])
def test_scoring_predicts_every_file_once_and_agrees_with_evaluate(data, finished, held, monkeypatch, tmp_path):
    monkeypatch.setattr(scoring, "HELD_BYTES", held)  # 1: all probabilities lie on disk
    pairs = list(find_pairs(data).pairs)
    model = Counting(load_model(finished[0] / "model.blunet"))
    stage = scoring.score_stage("BLU-Net", model, pairs[:3], pairs[3:], tmp_path)
    assert len(model.asked) == 4
    assert all((a == tifffile.imread(p.image)).all() for a, p in zip(model.asked, pairs, strict=True))
    assert stage.figures.splitting in scoring.SPLITTINGS
    means = {
        t: np.mean([s.scores.iou for s in evaluate(check_pairs(pairs[:3]), model.model, DEFAULTS.changed(threshold=t))])
        for t in scoring.THRESHOLDS
    }
    good = [t for t, mean in means.items() if mean >= max(means.values()) - scoring.INDISTINCT]
    assert abs(stage.figures.threshold - 0.5) == pytest.approx(min(abs(t - 0.5) for t in good))
    for part, files in (("validation", pairs[:3]), ("test", pairs[3:])):
        chosen = DEFAULTS.changed(threshold=stage.figures.threshold, splitting=stage.figures.splitting)
        wanted = [asdict(s.scores) for s in evaluate(check_pairs(files), model.model, chosen)]
        got = getattr(stage.figures, part).images
        assert [row.model_dump(exclude={"image"}) for row in got] == wanted
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ious", "threshold"),
    [
        ([[0.60, 0.61, 0.62, 0.63, 0.64, 0.65, 0.66, 0.67, 0.68, 0.69, 0.70]], 0.75),  # the last is best by 0.01 only
        ([[0.689, 0.686, 0.682, 0.675, 0.664, 0.652, 0.638, 0.62, 0.599, 0.58, 0.56]], 0.4),
        ([[0.1, 0.9, *[0.1] * 9]], 0.35),
        ([[0.7] * 11, [0.0] * 11], 0.5),
        ([[*[0.2] * 4, 0.0, *[0.2] * 6], [0.0] * 11], 0.45),
        ([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0, 0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1, 0, 0]], 0.7),
    ],
)
def test_the_threshold_is_the_closest_to_a_half_of_the_good_ones(ious, threshold):
    assert scoring.choose_threshold(ious) == threshold


def test_threshold_and_splitting_are_chosen_together_by_the_objects():
    flat = [[0.2] * 9, [0.2] * 9]
    assert scoring.choose_threshold_and_splitting((0.5, 0.7), [flat]) == (0.5, scoring.DEFAULT_SPLITTING)
    parted = [[0.2] * 9, [*[0.2] * 4, 0.3, *[0.2] * 4]]
    assert scoring.choose_threshold_and_splitting((0.5, 0.7), [parted, flat]) == (0.7, 0.5)


def test_simulated_fields_help_to_choose_the_threshold_and_are_not_scored(data, finished, tmp_path):
    pairs = list(find_pairs(data).pairs)
    model = load_model(finished[0] / "model.blunet")
    field = simulate_dic(DicSettings(shape=(80, 96), object_diameter=20), seed=9)
    probability = model.predict(field.image)
    extremes = {t: probability > t for t in (min(scoring.THRESHOLDS), max(scoring.THRESHOLDS))}
    assert min(iou(truth, probability > 0.5) for truth in extremes.values()) < 0.9  # else 0.5 would do for both
    for truth in extremes.values():
        found = {t: iou(truth, probability > t) for t in scoring.THRESHOLDS}
        swaying = [replace(field, labels=truth.astype(np.int32))] * 50
        stage = scoring.score_stage("BLU-Net", model, pairs[:1], [], tmp_path, simulated=swaying)
        assert found[stage.figures.threshold] > 0.97
        assert [row.image for row in stage.figures.validation.images] == [pairs[0].name]
