"""Corrections of tracks: join, cut, swap, divisions; labels, rows and parents follow, and undo brings all back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blunet.errors import InputError
from blunet.segmentation.measurements import measure
from blunet.tracking.array_tracking import track
from blunet.tracking.corrections import (
    apply_correction,
    correct_labels,
    cut,
    join,
    mark_division,
    replace_frame,
    swap,
)
from blunet.tracking.tracks import Tracks


def draw(*rows):
    """Return labels of eight frames from rows of (label, first frame, last frame, top, left): squares of 6 x 6."""
    labels = np.zeros((8, 40, 60), np.int32)
    for label, first, last, top, left in rows:
        labels[first : last + 1, top : top + 6, left : left + 6] = label
    return labels


def describe(labels, parents):
    """Return the tracks of labels as they are."""
    tables = [measure(frame) for frame in labels]
    empty = np.zeros(0, np.int64)
    tracks = Tracks(8, (40, 60), empty, empty, np.zeros((0, 2)), empty, np.zeros((0, 4), np.int64), parents)
    for t, table in enumerate(tables):
        tracks = replace_frame(tracks, t, table)
    return replace(tracks, parents=parents)


@pytest.fixture
def labels():
    """1 becomes 2 (to be joined), 3 stays, and 4 has the daughters 5 and 6."""
    return draw(
        (1, 0, 3, 2, 2), (2, 4, 7, 2, 4), (3, 0, 7, 2, 20), (4, 0, 3, 20, 30), (5, 4, 7, 16, 30), (6, 4, 7, 24, 30)
    )


@pytest.fixture
def tracks(labels):
    return describe(labels, {5: 4, 6: 4})


def corrected(labels, tracks, correction):
    """Apply a correction; labels and rows agree afterwards, and taking it back gives everything as it was."""
    before = labels.copy()
    after = apply_correction(tracks, correction)
    correct_labels(labels, tracks, correction)
    same = describe(labels, dict(after.parents))
    for name in ("track", "frame", "area", "box", "centre"):
        np.testing.assert_array_equal(getattr(after, name), getattr(same, name))
    undone = labels.copy()
    correct_labels(undone, after, correction.reversed)
    np.testing.assert_array_equal(undone, before)
    back = apply_correction(after, correction.reversed)
    np.testing.assert_array_equal(back.track, tracks.track)
    np.testing.assert_array_equal(back.box, tracks.box)
    assert back.parents == tracks.parents
    return after


def test_two_tracks_become_one(labels, tracks):
    after = corrected(labels, tracks, join(tracks, 2, 1))
    assert after.spans[1] == (0, 7)
    assert 2 not in after.spans
    assert not (labels == 2).any()


def test_the_daughters_of_the_later_track_stay_and_those_that_come_too_early_do_not(labels, tracks):
    child = describe(labels, {5: 4, 6: 4, 2: 1})
    assert join(child, 1, 2).after == {5: 4, 6: 4}
    rest = draw((1, 0, 1, 2, 2), (2, 3, 5, 2, 2), (3, 6, 7, 2, 2), (4, 6, 7, 12, 2))
    chain = describe(rest, {3: 2, 4: 2})
    after = corrected(rest, chain, join(chain, 1, 2))
    assert after.parents == {3: 1, 4: 1}
    early = draw((1, 0, 2, 2, 2), (2, 5, 7, 2, 2), (3, 3, 7, 12, 2), (4, 3, 7, 22, 2))
    assert join(describe(early, {3: 1, 4: 1}), 1, 2).after == {}


def test_a_track_is_cut_and_its_daughters_go_with_the_rest(labels, tracks):
    after = corrected(labels, tracks, cut(tracks, 4, 2))
    assert (after.spans[4], after.spans[7]) == ((0, 1), (2, 3))
    assert after.parents == {5: 7, 6: 7}
    parted = corrected(labels, after, cut(after, 5, 4))
    assert parted.parents == {6: 7}
    assert parted.spans == after.spans


def test_two_tracks_are_swapped_from_a_frame_on(labels, tracks):
    after = corrected(labels, tracks, swap(tracks, 3, 4, 2))
    assert (after.spans[3], after.spans[4]) == ((0, 3), (0, 7))
    assert after.parents == {5: 3, 6: 3}
    assert labels[1, 2, 20] == 3
    assert labels[2, 2, 20] == 4


def test_a_division_is_marked(labels, tracks):
    """One daughter was taken for the mother: she is cut there."""
    mistaken = draw((1, 0, 7, 2, 2), (2, 4, 7, 10, 2))
    found = describe(mistaken, {})
    after = corrected(mistaken, found, mark_division(found, 1, (1, 2), 4))
    assert after.parents == {2: 1, 3: 1}
    assert after.spans == {1: (0, 3), 2: (4, 7), 3: (4, 7)}
    plain = corrected(labels, tracks, mark_division(tracks, 1, (2, 3), 4))  # 3 was there before: it is cut
    assert plain.parents == {5: 4, 6: 4, 2: 1, 7: 1}
    assert plain.spans[3] == (0, 3)
    assert plain.divisions == 2


def test_another_division_of_the_same_mother_takes_the_place_of_the_first(tracks):
    assert mark_division(tracks, 4, (5, 2), 4).after == {5: 4, 2: 4}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda t: join(t, 1, 3), "Tracks 1 and 3 are both in frame 0: cut one"),
        (lambda t: join(t, 3, 3), "Track 3 cannot be joined with itself"),
        (lambda t: join(t, 3, 99), "There is no track 99"),
        (lambda t: cut(t, 2, 1), "Track 2 is not in frame 1: go to a frame of it, 4 to 7"),
        (lambda t: cut(t, 1, 0), "Track 1 begins in frame 0: go to a later frame"),
        (lambda t: swap(t, 1, 3, 5), "Track 1 ends in frame 3"),
        (lambda t: swap(t, 1, 1, 2), "Track 1 cannot be swapped with itself"),
        (lambda t: mark_division(t, 3, (5, 6), 4), "Track 3 is still there in frame 4"),
        (lambda t: mark_division(t, 2, (5, 6), 4), "Track 2 begins in frame 4"),
        (lambda t: mark_division(t, 4, (5, 5), 4), "Both daughters are track 5"),
        (lambda t: mark_division(t, 4, (5, 1), 4), "Track 1 is not in frame 4"),
    ],
)
def test_what_cannot_be_corrected_is_said(tracks, make, said):
    with pytest.raises(InputError, match=said):
        make(tracks)


def test_painted_labels_become_rows(labels, tracks):
    labels[5][labels[5] == 2] = 0
    labels[5, 30:34, 5:9] = 9
    after = replace_frame(tracks, 5, measure(labels[5]))
    assert after.frame[after.rows_of(9)].tolist() == [5]
    assert after.frame[after.rows_of(2)].tolist() == [4, 6, 7]
    assert after.parents == tracks.parents
    labels[4:][labels[4:] == 5] = 0
    for t in range(4, 8):
        after = replace_frame(after, t, measure(labels[t]))
    assert after.parents == {6: 4}


def test_tracks_that_were_linked_can_be_corrected(labels):
    found, tracks = track(labels)
    number = int(found[0, 4, 22])
    after = corrected(found, tracks, cut(tracks, number, 4))
    assert after.spans[number] == (0, 3)
