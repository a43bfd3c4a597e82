"""Which object of a frame is which of an earlier frame: what every method of linking gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from blunet.images.frame_source import FrameSource
from blunet.tracking.detections import Detections


@dataclass(frozen=True, eq=False)
class Links:
    """Where each object comes from.

    Attributes
    ----------
    before : ndarray of shape (N,), int64
        Index in `Detections` of the same object in an earlier frame, or of its mother; -1 where it is new. An object
        that two others come from has divided. Frames in between are a gap.
    """

    before: NDArray[np.int64]

    @property
    def followers(self) -> NDArray[np.int64]:
        """How many objects come from each object: 0 at the end of a track, 1 within it, 2 at a division."""
        return np.bincount(self.before[self.before >= 0], minlength=self.before.size)


class Linker(Protocol):
    """A method of linking; `blunet.tracking.methods.choose_linker` returns one."""

    def link(self, detections: Detections, labels: FrameSource, image: FrameSource | None) -> Links:
        """Return where each object comes from.

        Parameters
        ----------
        detections : Detections
        labels : FrameSource
            The label images that the detections were measured in, for methods that look at pixels.
        image : FrameSource, optional
            The image, for methods that look at it.

        Raises
        ------
        InputError
            If the method cannot run.
        """
        ...
