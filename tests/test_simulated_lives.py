"""Simulated time-lapses: cells that move, divide, enter and leave, and their true tracks."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from blunet.errors import InputError
from blunet.simulation.cells import measure_relative_distance
from blunet.simulation.challenge_truth import save_with_truth
from blunet.simulation.dic_settings import DicSettings
from blunet.simulation.life_settings import LifeSettings
from blunet.simulation.time_lapse import TimeLapse, simulate_time_lapse

FIELD = DicSettings(shape=(150, 180), object_diameter=24.0, coverage=0.35, rounded=0.0)
BARE = {"coverage": 0.0, "debris": 0.0, "scratches": 0.0, "roughness": 0.0, "shading": 0.0}
#: Divides often, so that a short time-lapse shows several divisions.
FAST = LifeSettings(cycle=60.0, mitosis=6)


@pytest.fixture(scope="module")
def lapse() -> TimeLapse:
    return simulate_time_lapse(FIELD, 30, seed=4, life=FAST)


@pytest.fixture(scope="module")
def labels(lapse: TimeLapse) -> np.ndarray:
    return np.stack([lapse.labels(t) for t in range(len(lapse))])


def test_frames_come_in_any_order_and_again(lapse):
    later = lapse.frame(7)
    np.testing.assert_array_equal(later.labels, lapse.labels(7))
    again = simulate_time_lapse(FIELD, 30, seed=4, life=FAST)
    assert again.tracks == lapse.tracks
    assert again.frame(7).image.tobytes() == later.image.tobytes()
    assert simulate_time_lapse(FIELD, 3, seed=5, life=FAST).frame(2).image.tobytes() != later.image.tobytes()


def test_all_frames_are_stacked_in_order(lapse):
    short = simulate_time_lapse(FIELD, 3, seed=4, life=FAST)
    image, labels = short.stack()
    assert (image.shape, image.dtype, labels.dtype) == ((3, 150, 180), np.uint16, np.int32)
    for t, field in enumerate(short):
        np.testing.assert_array_equal(image[t], field.image)
        np.testing.assert_array_equal(labels[t], lapse.labels(t))  # a longer one begins the same


def test_a_track_is_in_each_of_its_frames_and_in_no_other(lapse, labels):
    seen = {(int(n), t) for t in range(len(lapse)) for n in np.unique(labels[t]) if n}
    assert seen == {(k.number, t) for k in lapse.tracks for t in range(k.start, k.end + 1)}
    assert [track.number for track in lapse.tracks] == list(range(1, len(lapse.tracks) + 1))
    for frame in labels[::9]:
        for n in np.unique(frame)[1:]:
            assert ndimage.label(frame == n)[1] == 1


def test_daughters_begin_where_and_when_their_mother_ends(lapse, labels):
    mothers = {track.number: track for track in lapse.tracks}
    daughters = [track for track in lapse.tracks if track.parent]
    assert lapse.divisions >= 4
    for track in daughters:
        mother = mothers[track.parent]
        assert mother.end == track.start - 1
        before, after = labels[mother.end] == mother.number, labels[track.start] == track.number
        assert (ndimage.binary_dilation(before, iterations=3) & after).sum() > 0.8 * after.sum()
    born = Counter(track.parent for track in daughters)
    assert sum(n == 2 for n in born.values()) == lapse.divisions
    assert max(born.values()) == 2


def test_a_cell_rounds_up_before_it_divides_and_is_brighter_and_darker_than_others(lapse):
    ratios = []
    for track in lapse.tracks:
        if track.parent and track.start > FAST.mitosis:
            field = lapse.frame(track.start - 3)
            mask = field.labels == track.parent
            y, x = np.nonzero(mask)
            if y.min() > 0 and x.min() > 0 and y.max() < 149 and x.max() < 179:
                assert mask.sum() > 0.7 * (np.ptp(y) + 1) * (np.ptp(x) + 1)  # a disk fills 0.785 of its box
                assert 0.8 < (np.ptp(y) + 1) / (np.ptp(x) + 1) < 1.25
                others = (field.labels > 0) & ~mask
                ratios.append(field.image[mask].std() / field.image[others].std())
    assert len(ratios) >= 4
    assert np.median(ratios) > 1.5


def test_cells_do_not_lie_upon_each_other(lapse):
    """Of the outline that each cell would have alone, nearly everything is labelled as its own."""
    shares = []
    for t in (0, 15, 29):
        labels = lapse.labels(t)
        for number, cell in lapse._cells[t].items():
            box, distance = measure_relative_distance(cell, FIELD.shape)
            shares.append((labels[box] == number)[distance < 1].mean())
    assert np.mean(shares) > 0.9
    assert np.mean(np.array(shares) < 0.6) < 0.05


def test_cells_walk_at_their_speed_and_keep_their_direction():
    free = FIELD.changed(coverage=0.05, shape=(400, 400))
    life = LifeSettings(speed=0.05, persistence=20.0)
    lapse = simulate_time_lapse(free, 30, seed=1, life=life)
    steps, cosines = [], []
    for track in lapse.tracks:
        path = np.array([lapse.places(t)[track.number] for t in range(track.start, track.end + 1)])
        moves = np.diff(path, axis=0)
        steps += list(np.hypot(*moves.T) / free.object_diameter)
        cosines += [a @ b / np.hypot(*a) / np.hypot(*b) for a, b in pairwise(moves) if np.hypot(*a) * np.hypot(*b)]
    assert np.mean(steps) == pytest.approx(0.05, rel=0.4)
    assert np.mean(cosines) > 0.7
    still = simulate_time_lapse(free, 5, seed=1, life=LifeSettings(speed=0.0))
    assert np.allclose(list(still.places(0).values()), list(still.places(4).values()), atol=2)


def test_cells_enter_and_leave_at_the_border(lapse, labels):
    entered = [k for k in lapse.tracks if k.start and not k.parent]
    left = [k for k in lapse.tracks if k.end < 29 and all(other.parent != k.number for other in lapse.tracks)]
    assert len(entered) >= 2
    assert len(left) >= 2
    border = np.ones(FIELD.shape, bool)
    border[1:-1, 1:-1] = False
    for track, t in [(k, k.start) for k in entered] + [(k, k.end) for k in left]:
        assert ((labels[t] == track.number) & border).any()


def test_the_substrate_and_the_shading_stay_and_the_noise_is_new():
    settings = FIELD.changed(**{**BARE, "dust": 100.0, "shading": 0.6, "photons": 1e6, "read_noise": 0.0})
    first, second = (field.image.astype(float) for field in simulate_time_lapse(settings, 2, seed=1))
    assert (first != second).mean() > 0.9
    assert np.abs(first - second).std() < 0.1 * first.std()


def test_the_truth_is_written_as_the_challenge_does(tmp_path):
    lapse = simulate_time_lapse(FIELD, 12, seed=4, life=FAST)
    assert list(save_with_truth(lapse, tmp_path / "made")) == list(range(12))
    names = sorted(str(path.relative_to(tmp_path / "made")) for path in tmp_path.rglob("*.t*"))
    assert names[:2] == ["01/t000.tif", "01/t001.tif"]
    assert names[12] == "01_GT/SEG/man_seg000.tif"
    assert len(names) == 3 * 12 + 1
    field = lapse.frame(9)
    truth = tmp_path / "made" / "01_GT"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "made" / "01" / "t009.tif"), field.image)
    for path in (truth / "SEG" / "man_seg009.tif", truth / "TRA" / "man_track009.tif"):
        mask = tifffile.imread(path)
        assert mask.dtype == np.uint16
        np.testing.assert_array_equal(mask, field.labels)
    table = np.loadtxt(truth / "TRA" / "man_track.txt", int)
    np.testing.assert_array_equal(table, [(k.number, k.start, k.end, k.parent) for k in lapse.tracks])
    with pytest.raises(InputError, match="01' exists: choose another folder or sequence"):
        save_with_truth(lapse, tmp_path / "made")
    assert next(save_with_truth(lapse, tmp_path / "made", "02")) == 0


def test_one_frame_and_no_cells_are_time_lapses_too():
    one = simulate_time_lapse(FIELD, 1, seed=2)
    assert len(one) == 1
    assert {(k.start, k.end, k.parent) for k in one.tracks} == {(0, 0, 0)}
    empty = simulate_time_lapse(FIELD.changed(coverage=0.0), 2)
    assert empty.tracks == ()
    assert not empty.frame(1).labels.any()


def test_a_time_lapse_needs_a_frame():
    with pytest.raises(InputError, match="frames is 0"):
        simulate_time_lapse(FIELD, 0)
