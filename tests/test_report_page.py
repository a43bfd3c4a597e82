"""The page of a report, from events that a run may have told."""

from __future__ import annotations

import re

import pytest

from blunet.compression.report import FileFigures, ImageFigures, Report, StageFigures
from blunet.compression.report_page import report_page
from blunet.compression.run_events import EpochDone

SCORES = {"iou": 0.8, "f1": 0.9, "ap50": 0.5}
MODEL = StageFigures(
    name="BLU-Net", network="blunet", **SCORES, parameters=1234, size_mib=0.5, seconds=0.1, threshold=0.45,
    validation=FileFigures(**SCORES, images=[ImageFigures(image="c", **SCORES)]),
)  # fmt: skip
REPORT = Report(
    models=[MODEL], losses=[], training=["a", "b"], validation=["c"], test=[], teacher="<mine>.keras", settings={},
    seconds=61.0, stored_bits=1234,
)  # fmt: skip


def epoch(step, number, loss, iou=None, *, best=True):
    return EpochDone(step, number, 3, loss, loss, iou, 1e-3, best, 1.0)


def heights(page):
    """The second ends of the lines of the last figure."""
    return [float(y) for y in re.findall(r'y2="([\d.]+)"', page[page.rindex("<svg") :])]


def test_losses_of_any_size_are_told_apart():
    events = [epoch("hint_encoder", i + 1, loss) for i, loss in enumerate((0.001, 0.01, 0.1))]
    events += [epoch("retrain", i + 1, loss, 0.5) for i, loss in enumerate((1.0, 10.0, 100.0))]
    first, second, *_ = heights(report_page(REPORT, events, []))
    later = heights(report_page(REPORT, events, []))[-2:]
    assert first - second == pytest.approx(later[0] - later[1], abs=0.2)
    assert first - second > 20


def test_losses_that_are_all_equal_or_nothing_are_drawn():
    for loss in (0.0, 0.7):
        page = report_page(REPORT, [epoch("retrain", i, loss, 0.0) for i in (1, 2)], [])
        assert len(heights(page)) == 2


def test_epochs_of_a_step_that_was_begun_again_are_drawn_once():
    events = [epoch("retrain", i, 1.0, 0.5) for i in (1, 2, 3)]
    page = report_page(REPORT, [*events[:2], epoch("transfer", 1, 1.0, 0.5), *events], [])
    assert page == report_page(REPORT, [*events[:2], epoch("transfer", 1, 1.0, 0.5), events[2]], [])
    assert report_page(REPORT, [*events[:2], *events], []) == report_page(REPORT, events, [])


def test_the_page_names_the_teacher_the_time_and_the_thresholds():
    page = report_page(REPORT, [], [])
    assert "teacher: &lt;mine&gt;.keras;\n1 minute and 1 second of training." in page
    assert "chosen on the validation files: 0.45 (BLU-Net)." in page
    assert "AP50" in page
