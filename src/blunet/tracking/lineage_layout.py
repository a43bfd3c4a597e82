"""Where the tracks of a family lie in a drawn lineage tree."""

from __future__ import annotations

from typing import NamedTuple

from blunet.tracking.tracks import Tracks


class Branch(NamedTuple):
    """A track in a lineage tree.

    Attributes
    ----------
    track : int
    start, end : int
        First and last frame.
    row : float
        Height in the tree: daughters lie on both sides of their mother.
    parent_row : float or None
        Height of the parent, if it has one.
    """

    track: int
    start: int
    end: int
    row: float
    parent_row: float | None


def lay_out_lineage(tracks: Tracks, track: int) -> list[Branch]:
    """Return the branches of the family of a track, the first ancestor first; rows are counted from 0."""
    children, spans = tracks.children, tracks.spans
    family = tracks.lineage_of(track)
    rows: dict[int, float] = {}
    leaves = 0
    # Depth first, without recursion, as lineages can be long: leaves get the next free row.
    stack = [(family[0], False)]
    while stack:
        member, ready = stack.pop()
        daughters = children.get(member, [])
        if not daughters:
            rows[member] = float(leaves)
            leaves += 1
        elif ready:
            rows[member] = sum(rows[daughter] for daughter in daughters) / len(daughters)
        else:
            stack.append((member, True))
            stack += [(daughter, False) for daughter in reversed(daughters)]
    parents = tracks.parents
    return [
        Branch(member, *spans[member], rows[member], rows[parents[member]] if member in parents else None)
        for member in family
    ]
