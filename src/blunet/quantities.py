"""Durations and sizes in words, the same in a terminal, a window and a report."""

from __future__ import annotations


def describe_duration(seconds: float) -> str:
    """Return a duration in words.

    Parameters
    ----------
    seconds : float
        Less than one counts as one; from 100 on they are rounded to minutes.

    Returns
    -------
    str

    Examples
    --------
    >>> describe_duration(40), describe_duration(12_000)
    ('40 seconds', '3 hours and 20 minutes')
    """
    from humanize import precisedelta

    return precisedelta(max(1, seconds), minimum_unit="seconds" if seconds < 100 else "minutes", format="%.0f")


def describe_size(size: float) -> str:
    """Return a number of bytes to three figures, in units of a thousand as file managers have it.

    Parameters
    ----------
    size : float
        In bytes.

    Returns
    -------
    str

    Examples
    --------
    >>> describe_size(403_736), describe_size(1_514_016)
    ('404 kB', '1.51 MB')
    """
    from humanize import naturalsize

    return naturalsize(size, format="%.3g")
