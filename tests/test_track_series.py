"""What plots of tracks show: numbers by frame, and the rows of a lineage tree."""

from __future__ import annotations

import numpy as np
import pytest

from blunet.images.pixel_size import PixelSize
from blunet.tracking.lineage_layout import lay_out_lineage
from blunet.tracking.series import (
    count_objects,
    measure_area,
    measure_confluence,
    measure_speed,
    summarise_by_frame,
)
from blunet.tracking.tracks import Tracks


def make(rows, parents=None, frames=6):
    """Return tracks from rows of (track, frame, y, x, area)."""
    track, frame, y, x, area = np.array(rows).T
    box = np.zeros((track.size, 4), np.int64)
    return Tracks(frames, (10, 20), track, frame, np.stack([y, x], 1).astype(float), area, box, parents or {})


@pytest.fixture
def tracks():
    """1 moves by (3, 4) a frame and is missing in frame 2; 2 is there in frames 1 and 2."""
    return make([(1, 0, 0, 0, 10), (1, 1, 3, 4, 20), (1, 3, 9, 12, 30), (2, 1, 5, 5, 40), (2, 2, 5, 5, 60)])


def test_objects_are_counted_in_every_frame(tracks):
    assert count_objects(tracks).values.tolist() == [1, 2, 1, 1, 0, 0]
    confluence = measure_confluence(tracks)
    assert confluence.unit == "%"
    assert confluence.values.tolist() == [5, 30, 30, 15, 0, 0]


def test_areas_have_the_unit_of_the_pixels(tracks):
    assert (measure_area(tracks).unit, measure_area(tracks).values[0]) == ("px²", 10)
    size = PixelSize(0.5, 0.5, "µm")
    assert (measure_area(tracks, size).unit, measure_area(tracks, size).values[0]) == ("µm²", 2.5)


def test_speed_counts_the_frames_of_a_gap(tracks):
    speed = measure_speed(tracks)
    assert speed.unit == "px/frame"
    np.testing.assert_allclose(speed.values, [np.nan, 5, 5, np.nan, 0])
    physical = measure_speed(tracks, PixelSize(0.5, 0.5, "µm"), 300.0)
    assert physical.unit == "µm/min"
    np.testing.assert_allclose(physical.values, [np.nan, 0.5, 0.5, np.nan, 0])


def test_quartiles_are_those_of_a_frame(tracks):
    quartiles = summarise_by_frame(tracks, measure_area(tracks).values)
    np.testing.assert_allclose(quartiles[:, 1], [25, 30, 35])
    assert np.isnan(quartiles[:, 4:]).all()
    assert np.isnan(summarise_by_frame(tracks, measure_speed(tracks).values)[:, 0]).all()


def test_a_mother_lies_between_her_daughters():
    rows = [(n, t, 0, 0, 1) for n, t in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (9, 0)]]
    tracks = make(rows, {2: 1, 3: 1, 4: 3, 5: 3})
    branches = lay_out_lineage(tracks, 5)
    assert [branch.track for branch in branches] == [1, 2, 3, 4, 5]
    assert {branch.track: branch.row for branch in branches} == {2: 0, 4: 1, 5: 2, 3: 1.5, 1: 0.75}
    assert {branch.track: branch.parent_row for branch in branches}[4] == 1.5
    assert lay_out_lineage(tracks, 9) == [(9, 0, 0, 0.0, None)]


def test_a_long_lineage_is_laid_out():
    chain = make([(n, n - 1, 0, 0, 1) for n in range(1, 3001)], {n: n - 1 for n in range(2, 3001)}, frames=3000)
    assert {branch.row for branch in lay_out_lineage(chain, 1500)} == {0.0}
