"""How frames of a time-lapse are recognised, and how they are split for training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_pairs import grey, put

from blunet.compression.presets import preset
from blunet.compression.run_data import read_data
from blunet.compression.run_estimate import estimate_seconds
from blunet.compression.run_request import Request
from blunet.dataset.splits import split_by_share
from blunet.dataset.time_lapse import is_time_lapse, outline_objects
from blunet.jobs.run_cost import estimate_cost
from blunet.jobs.training_data import check_data
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.time_lapse import simulate_time_lapse


def separate(count):
    settings = DicSettings(shape=(128, 128), object_diameter=20)
    return np.stack([simulate_dic(settings, seed=i).labels for i in range(count)])


def frames(count):
    return simulate_time_lapse(DicSettings(shape=(128, 128), object_diameter=20), count).stack()[1]


def centred(count):
    """Disks of several sizes near the middle, as of organoids: all masks are alike, though it is no time-lapse."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128] - 63.5
    made = [[*rng.normal(0, 8, 2), rng.uniform(25, 45)] for _ in range(count)]
    return np.stack([((y - dy) ** 2 + (x - dx) ** 2 < radius**2).astype(np.int32) for dy, dx, radius in made])


def outlines(*stacks):
    return [outline_objects(mask) for masks in stacks for mask in masks]


@pytest.mark.parametrize(
    ("labels", "time_lapse"),
    [
        (separate(8), False),
        (frames(8), True),
        (frames(3), True),
        (frames(8)[:, :, ::-1], True),
        (frames(30)[::5], True),  # fast: neighbours have 0.8
        (frames(2), False),  # one validates in any case
        (np.concatenate([frames(6), separate(4)]), True),
        (np.concatenate([frames(3), separate(6)]), False),
        (centred(12), False),
        (np.zeros((5, 32, 32), int), False),
        (np.concatenate([np.zeros((1, 32, 32), int), np.ones((4, 32, 32), int)]), False),
    ],
)
def test_frames_of_a_time_lapse_are_recognised_by_their_masks(labels, time_lapse):
    assert is_time_lapse(outlines(labels)) == time_lapse


def test_images_of_several_sizes_can_be_a_time_lapse_but_not_across_them():
    assert is_time_lapse(outlines(frames(4), frames(4)[:, :100]))
    few = outlines(frames(10))
    few[4:] = [replace(outline, shape=(128, i)) for i, outline in enumerate(few[4:])]
    assert not is_time_lapse(few)


def test_a_run_and_the_check_before_it_split_a_time_lapse_alike(tmp_path):
    """Frames of two sizes: the estimated duration depends on which of them validate."""
    for i, mask in enumerate(frames(10)):
        cut = mask if i < 8 else mask[:64]
        put(tmp_path, f"f{i}", grey(i, cut.shape), cut.astype(np.uint8))
    settings = preset("quick")
    request = Request(data=str(tmp_path), run=str(tmp_path / "run"), settings=settings, teacher="scratch")
    data = read_data(request)
    assert [pair.name for pair in data.validation] == ["f8", "f9"]
    assert split_by_share([f"f{i}" for i in range(10)], 0.2, settings.seed).validation != ["f8", "f9"]
    (checked,) = check_data(tmp_path, settings.largest_crop("scratch"), settings.split)
    assert [line for line in checked.lines if "in a row (f8, f9)" in line] == data.report.remarks != []
    assert list(checked.lines) == data.report.describe()
    steps = settings.steps("scratch")
    validated = {shape: estimate_seconds(settings, steps, [shape] * 2) for shape in ((64, 128), (128, 128))}
    cost = estimate_cost(settings, "scratch", checked.validation_sizes)
    assert cost.seconds == pytest.approx(validated[64, 128], rel=1e-6)
    assert validated[64, 128] < validated[128, 128] * 0.9999
