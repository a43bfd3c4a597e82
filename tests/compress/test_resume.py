"""A compression that was stopped and is resumed, and a finished one that is trained for more epochs."""

from __future__ import annotations

import json
import shutil
import time

import keras
import numpy as np
import pytest
import tifffile
from tiny_compression import HINT, STEP, TINY, only, request, stopped_in

from blunet.compression import run_estimate as estimate
from blunet.compression.checkpoint import read_progress
from blunet.compression.pipeline import compress
from blunet.compression.presets import preset
from blunet.compression.run_events import (
    EpochDone,
    Note,
    RunDone,
    RunStopped,
    StepDone,
    read_events,
)
from blunet.compression.steps import STEPS
from blunet.errors import InputError
from blunet.networks.keras_file import load_keras
from blunet.networks.residual_code import PUBLISHED_WINDOW


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


@pytest.mark.parametrize("start", ["published", "least_squares"])
def test_a_random_output_layer_is_the_same_in_a_resumed_run(data, start, tmp_path):
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
    for event in compress(request(data, tmp_path / "run", TINY.changed(pretraining_fields=2000)), cancelled):
        events.append(event)
    assert events[-1] == RunStopped("pretrain", 0, 0)
    assert time.monotonic() - began < 60


def test_the_learning_rate_of_an_unfinished_step_can_change_and_that_of_a_finished_step_cannot(data, tmp_path):
    run = tmp_path / "run"
    stopped_in("transfer", data, run)
    lower = TINY.changed(transfer=STEP.changed(learning_rate=1e-4))
    going = compress(request(data, run, lower, resume=True))
    assert next(e for e in going if isinstance(e, EpochDone)).learning_rate < 1e-4
    going.close()
    other = TINY.changed(pretrain=STEP.changed(learning_rate=1e-4))
    with pytest.raises(InputError, match=r"'pretrain\.learning_rate' was 0\.002; give the same"):
        next(compress(request(data, run, other, resume=True)))


def test_incomplete_files_of_a_killed_run_are_removed(data, tmp_path):
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


def test_a_damaged_result_of_a_step_is_named_and_trained_again_after_it_was_deleted(data, finished, tmp_path):
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


@pytest.mark.parametrize(("start", "window"), [("published", PUBLISHED_WINDOW), ("calibrated", None)])
def test_the_published_start_trains_with_the_published_gradient_also_when_resumed(data, start, window, tmp_path):
    assert preset("study").start == "published"
    settings = only("binarise", start=start)
    for epochs, resume in ((1, False), (2, True)):
        longer = settings.changed(binarise=STEP.changed(epochs=epochs))
        list(compress(request(data, tmp_path / "run", longer, teacher="scratch", resume=resume)))
        trained = keras.models.load_model(tmp_path / "run" / "checkpoints" / "binarise.keras")
        assert {layer.gradient_window for layer in trained.layers if hasattr(layer, "gradient_window")} == {window}


def test_a_finished_run_can_be_trained_for_more_epochs(data, tmp_path):
    run = tmp_path / "run"
    short = TINY.changed(hint_encoder=HINT.changed(run=False), hint_decoder=HINT.changed(run=False))
    first = list(compress(request(data, run, short, teacher="scratch")))
    longer = short.changed(binarise=STEP.changed(epochs=4))
    events = list(compress(request(data, run, longer, teacher="scratch", resume=True)))
    assert events[0].seconds == pytest.approx(estimate.estimate_seconds(longer, ["binarise"], [(80, 96)]))
    assert events[0].seconds < first[0].seconds
    done = [(e.step, e.epoch) for e in events if isinstance(e, EpochDone)]
    assert done == [("binarise", 3), ("binarise", 4)]
    made = (run / "checkpoints" / "binarise.keras").read_bytes()
    nothing = list(compress(request(data, run, longer, teacher="scratch", resume=True)))
    assert not [e for e in nothing if isinstance(e, EpochDone)]
    assert (run / "checkpoints" / "binarise.keras").read_bytes() == made
    longest = short.changed(binarise=STEP.changed(epochs=5))
    going = compress(request(data, run, longest, teacher="scratch", resume=True))
    assert next(e for e in going if isinstance(e, EpochDone)).epoch == 5
    going.close()  # as if killed after the last epoch, before its result was written
    resumed = list(compress(request(data, run, longest, teacher="scratch", resume=True)))
    assert [e.step for e in resumed if isinstance(e, StepDone)] == ["binarise"]
    best = read_progress(run / "checkpoints" / "binarise-best.npz")
    assert load_keras(run / "checkpoints" / "binarise.keras").info.card.figures == {"validation_iou": best.best_iou}


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


def test_an_incomplete_event_is_skipped_and_changes_no_other(data, finished, tmp_path):
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
