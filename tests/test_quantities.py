"""Durations and sizes as the terminal, the docks and the report tell them."""

from __future__ import annotations

import pytest

from blunet.quantities import describe_duration, describe_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 Bytes"),
        (9_400, "9.4 kB"),
        (403_736, "404 kB"),
        (999_950, "1 MB"),
        (1_514_016, "1.51 MB"),
        (124_000_000, "124 MB"),
        (2.1e9, "2.1 GB"),
    ],
)
def test_size(size: float, text: str) -> None:
    assert describe_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 second"),
        (59, "59 seconds"),
        (90, "1 minute and 30 seconds"),
        (600, "10 minutes"),
        (7199, "2 hours"),
        (9000, "2 hours and 30 minutes"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert describe_duration(seconds) == text
