"""Objects through time: linking, divisions, gaps, and what is mended."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from moving_discs import draw_discs, shuffle_numbers, straight

import blunet
from blunet.errors import InputError
from blunet.tracking.array_tracking import Tracked
from blunet.tracking.tracks import Mend


def is_same(found: np.ndarray, true: np.ndarray) -> bool:
    """Whether two stacks of labels differ only in the numbers."""
    pairs = np.unique(np.stack([found.ravel(), true.ravel()]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


@pytest.fixture
def three() -> np.ndarray:
    paths = {1: straight(range(8), (20, 20), (2, 3)), 2: straight(range(8), (70, 30), (-3, 1))}
    return draw_discs(paths | {3: straight(range(2, 8), (40, 120), (1, -5))}, 8)


def test_objects_keep_their_number_whatever_their_labels_were(three: np.ndarray) -> None:
    labels, tracks = blunet.track(shuffle_numbers(three))
    assert is_same(labels, three)
    assert labels.dtype == np.int32
    assert tracks.spans == {1: (0, 7), 2: (0, 7), 3: (2, 7)}
    assert not tracks.parents
    assert not tracks.mended
    second = tracks.rows_of(int(labels[0, 70, 30]))
    assert tracks.area[second].tolist() == [(three[t] == 2).sum() for t in range(8)]
    np.testing.assert_allclose(tracks.centre[second], np.array([70, 30]) + np.outer(range(8), [-3, 1]), atol=0.1)


def test_a_dask_array_gives_the_same_tracks(three: np.ndarray) -> None:
    labels, tracks = blunet.track(da.from_array(three, chunks=(1, -1, -1)))
    assert is_same(labels, three)
    assert tracks.numbers.tolist() == [1, 2, 3]


def divide(at: int = 4, frames: int = 8) -> np.ndarray:
    """Return a disc that divides between frames `at` - 1 and `at`, and one that does not."""
    return draw_discs(
        {
            1: straight(range(at), (48, 40), (0, 1), radius=12),
            2: straight(range(at, frames), (40, 44), (-2, 0)),
            3: straight(range(at, frames), (56, 44), (2, 0)),
            4: straight(range(frames), (20, 100), (1, 0), radius=10),
        },
        frames,
    )


def test_a_division_begins_two_tracks_with_one_parent() -> None:
    labels, tracks = blunet.track(shuffle_numbers(divide()))
    assert is_same(labels, divide())
    assert tracks.spans == {1: (0, 7), 2: (0, 3), 3: (4, 7), 4: (4, 7)}
    assert tracks.parents == {3: 2, 4: 2}
    assert tracks.divisions == 1
    assert tracks.children == {2: [3, 4]}
    assert tracks.lineage_of(4) == [2, 3, 4]
    assert tracks.generations == {1: 0, 2: 0, 3: 1, 4: 1}


def test_without_divisions_one_daughter_goes_on_and_the_other_is_new() -> None:
    _, tracks = blunet.track(divide(), divisions=False)
    assert not tracks.parents
    assert sorted(tracks.spans.values()) == [(0, 7), (0, 7), (4, 7)]


def test_a_missing_object_is_filled_in_and_named(three: np.ndarray) -> None:
    damaged = three.copy()
    damaged[3][damaged[3] == 1] = 0
    labels, tracks = blunet.track(damaged)
    assert tracks.mended == (Mend(3, 1, "missing"),)
    assert is_same(labels, three)


def test_an_object_in_pieces_is_joined_and_named(three: np.ndarray) -> None:
    damaged = three.copy()
    damaged[4, :, 32][damaged[4, :, 32] == 1] = 0
    damaged[4, :, :32][damaged[4, :, :32] == 1] = 9
    labels, tracks = blunet.track(damaged)
    assert tracks.mended == (Mend(4, 1, "split"),)
    assert tracks.spans == {1: (0, 7), 2: (0, 7), 3: (2, 7)}
    assert is_same(np.where(damaged, labels, 0), np.where(damaged, three, 0))


@pytest.fixture
def neighbours() -> np.ndarray:
    return draw_discs({1: straight(range(7), (40, 40), (1, 1)), 2: straight(range(7), (40, 58), (1, 1))}, 7)


def test_merged_objects_are_parted_and_named(neighbours: np.ndarray) -> None:
    damaged = neighbours.copy()
    damaged[3][damaged[3] == 2] = 1
    labels, tracks = blunet.track(damaged)
    assert tracks.mended == (Mend(3, 1, "merged"), Mend(3, 2, "merged"))
    assert tracks.spans == {1: (0, 6), 2: (0, 6)}
    assert (labels != neighbours).mean() < 0.001


def test_flicker_stays_where_it_is_not_to_be_mended(three: np.ndarray, neighbours: np.ndarray) -> None:
    damaged = three.copy()
    damaged[3][damaged[3] == 1] = 0
    labels, tracks = blunet.track(damaged, mend=False)
    assert not tracks.mended
    assert is_same(labels, damaged)
    assert tracks.frame[tracks.rows_of(1)].tolist() == [0, 1, 2, 4, 5, 6, 7]
    neighbours[3][neighbours[3] == 2] = 1
    unmended = blunet.track(neighbours, mend=False).labels
    assert [len(np.unique(frame)) - 1 for frame in unmended] == [2, 2, 2, 1, 2, 2, 2]
    assert np.array_equal(unmended > 0, neighbours > 0)


def test_a_gap_longer_than_allowed_begins_another_track(three: np.ndarray) -> None:
    damaged = three.copy()
    damaged[3:5][damaged[3:5] == 1] = 0
    assert len(blunet.track(damaged).tracks.spans) == 4
    tracks = blunet.track(damaged, gap=2).tracks
    assert tracks.mended == (Mend(3, 1, "missing"), Mend(4, 1, "missing"))
    assert len(blunet.track(damaged, gap=0).tracks.spans) == 4


def test_an_object_moves_no_further_than_the_largest_step(three: np.ndarray) -> None:
    apart = draw_discs({1: {0: (40, 30, 6), 1: (40, 60, 6), 2: (40, 90, 6)}}, 3)
    assert len(blunet.track(apart, max_step=31).tracks.spans) == 1
    assert len(blunet.track(apart, max_step=29).tracks.spans) == 3
    assert len(blunet.track(apart, max_step=15.5, step_unit="um", pixel_size=0.5).tracks.spans) == 1
    with pytest.raises(InputError, match=r"is 15\.5 um, but the labels have no pixel size"):
        blunet.track(apart, max_step=15.5, step_unit="um")


@pytest.mark.parametrize("frames", [1, 4])
def test_frames_without_objects_give_no_tracks(frames: int) -> None:
    labels, tracks = blunet.track(np.zeros((frames, 20, 30), np.uint16))
    assert not labels.any()
    assert not tracks.spans
    assert tracks.frames == frames


def test_one_frame_gives_a_track_an_object(three: np.ndarray) -> None:
    labels, tracks = blunet.track(three[3:4])
    assert is_same(labels, three[3:4])
    assert tracks.spans == {1: (0, 0), 2: (0, 0), 3: (0, 0)}


def test_a_whole_missing_frame_is_a_gap(three: np.ndarray) -> None:
    damaged = three.copy()
    damaged[4] = 0
    labels, tracks = blunet.track(damaged)
    assert tracks.spans == {1: (0, 7), 2: (0, 7), 3: (2, 7)}
    assert is_same(labels, three)
    assert len(tracks.mended) == 3


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.zeros((3, 9, 9)), r"frame 1 of 3: the values are of type float64"),
        (np.full((2, 9, 9), -1), "the smallest label is -1"),
        (np.arange(5000).reshape(2, 50, 50), "frame 1 of 2: 2499 different values in 2500 pixels are an image"),
        (np.zeros((9, 9), int), r"The labels have the shape \(9, 9\); give a time-lapse of shape \(T, Y, X\)"),
    ],
)
def test_what_is_no_labels_is_refused(labels: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        blunet.track(labels)


def test_a_result_has_names() -> None:
    assert Tracked._fields == ("labels", "tracks")
