"""Working on one frame while the next one is made."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items, each while the next one is made in a thread; one is kept at a time.

    Parameters
    ----------
    items : iterator
        Used in the thread alone. What it raises is raised here, after the items before.

    Notes
    -----
    Closing the generator waits until the item that is being made is done.

    Examples
    --------
    >>> list(prefetch(iter([1, 2, 3])))
    [1, 2, 3]
    """
    end = object()
    with ThreadPoolExecutor(1, "blunet-prefetch") as pool:
        coming = pool.submit(next, items, end)
        while True:
            item = coming.result()
            if item is end:
                return
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
