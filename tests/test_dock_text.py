"""Figures as the docks tell them."""

from __future__ import annotations

import pytest

from blunet.widgets.text import duration, file_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "1 kB"),
        (9_400, "9 kB"),
        (403_736, "404 kB"),
        (1_514_016, "1.5 MB"),
        (124_000_000, "124 MB"),
        (2.1e9, "2,100 MB"),
    ],
)
def test_file_size(size, text):
    assert file_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59, "59 s"), (61, "1 minute"), (600, "10 minutes"), (9000, "2.5 hours")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text
