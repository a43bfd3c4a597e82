"""The page of a report."""

from __future__ import annotations

import re

import pytest

from blunet.compression.report import FileFigures, ImageFigures, Report, StageChange, StageFigures
from blunet.compression.report_examples import Example, Picture
from blunet.compression.report_page import render_report
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
    """Return the y of the ends of the last curve's lines."""
    return [float(y) for y in re.findall(r'y2="([\d.]+)"', page[page.rindex("<svg") :])]


def test_losses_of_any_magnitude_can_be_distinguished():
    events = [epoch("hint_encoder", i + 1, loss) for i, loss in enumerate((0.001, 0.01, 0.1))]
    events += [epoch("retrain", i + 1, loss, 0.5) for i, loss in enumerate((1.0, 10.0, 100.0))]
    first, second, *_ = heights(render_report(REPORT, events, []))
    later = heights(render_report(REPORT, events, []))[-2:]
    assert first - second == pytest.approx(later[0] - later[1], abs=0.2)
    assert first - second > 20


def test_losses_that_are_all_equal_or_zero_are_drawn():
    for loss in (0.0, 0.7):
        page = render_report(REPORT, [epoch("retrain", i, loss, 0.0) for i in (1, 2)], [])
        assert len(heights(page)) == 2


def test_epochs_of_a_restarted_step_are_drawn_once():
    events = [epoch("retrain", i, 1.0, 0.5) for i in (1, 2, 3)]
    page = render_report(REPORT, [*events[:2], epoch("transfer", 1, 1.0, 0.5), *events], [])
    assert page == render_report(REPORT, [*events[:2], epoch("transfer", 1, 1.0, 0.5), events[2]], [])
    assert render_report(REPORT, [*events[:2], *events], []) == render_report(REPORT, events, [])


def test_the_page_names_the_teacher_the_time_and_the_thresholds():
    page = " ".join(render_report(REPORT, [], []).split())
    assert "2 training images, 1 validation image (c); teacher: &lt;mine&gt;.keras;" in page
    assert "keras; 1 minute and 1 second of training." in page
    assert "chosen on the validation images: 0.45 (BLU-Net)." in page
    assert "Means over 1 validation image." in page
    assert "AP50" in page


def test_names_of_files_are_escaped_and_each_picture_is_shown_with_its_figure():
    example = Example("<script>x", [Picture('a "quoted" stage', "IoU 0.500", b"png")])
    page = render_report(REPORT, [], [example])
    assert "<script>" not in page
    assert "&lt;script&gt;x" in page
    assert 'alt="a &#34;quoted&#34; stage" src="data:image/png;base64,cG5n"' in page
    assert "<figcaption>a &#34;quoted&#34; stage<br>IoU 0.500</figcaption>" in page


def test_changes_between_stages_are_given_in_points():
    changes = [StageChange(before="U-Net", after="lightweight U-Net", iou=-1.25, f1=0.0, ap50=0.0),
               StageChange(before="lightweight U-Net", after="BLU-Net", iou=0.5, f1=0.0, ap50=0.0)]  # fmt: skip
    page = " ".join(render_report(REPORT.changed(losses=changes), [], []).split())
    assert "gained or lost: U-Net to lightweight U-Net -1.2; lightweight U-Net to BLU-Net +0.5. </p>" in page
    assert "gained or lost" not in render_report(REPORT, [], [])


def test_bands_are_called_as_the_steps_are_where_the_name_fits():
    events = [epoch("retrain", i, 1.0, 0.5) for i in range(1, 30)] + [epoch("binarise", 1, 1.0, 0.5)]
    curve = render_report(REPORT, events, []).split("<svg")[-1]
    assert re.findall(r"<title>(.*?)</title>", curve) == ["Retraining", "Residual binarisation"]
    assert '"12" fill="#555">Retraining<' in curve
    assert '"12" fill="#555">Residual binarisation<' not in curve
