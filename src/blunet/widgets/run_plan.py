"""What a run of Segment is to do, read from the viewer and the form before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_part import ImagePart, enclose
from blunet.jobs.layer_segmentation import count_bytes
from blunet.packed.tiles import compute_halo
from blunet.quantities import describe_size
from blunet.segmentation.scale import scale_factor
from blunet.widgets.layer_facts import frames_of, shown_frame
from blunet.widgets.part_choice import VIEW
from blunet.widgets.preferences import read_memory
from blunet.widgets.view_region import find_visible_window

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from blunet.widgets.segment_form import SegmentForm


@dataclass(frozen=True)
class RunPlan:
    """Frames to segment.

    Attributes
    ----------
    frames : FrameSource
    chosen : list of int
        Indices of frames, the one that is shown first, if it is one of them.
    part : ImagePart or None
        The part of a frame that `frames` is.
    """

    frames: FrameSource
    chosen: list[int]
    part: ImagePart | None = None

    @property
    def bytes(self) -> int:
        """The memory that labels and maps take."""
        return count_bytes(self.frames, len(self.chosen))


def plan_run(viewer: Viewer, form: SegmentForm, image: Image) -> RunPlan:
    """Return what the form says is to be segmented.

    Raises
    ------
    InputError
        If the image cannot be segmented, the range of frames is empty, or the view shows nothing of the image or too
        much of it.
    """
    frames = frames_of(image)
    shown = shown_frame(viewer, image, frames)
    if form.parts.kind != VIEW:
        return RunPlan(frames, form.parts.list_frames(shown) if frames.stack else [0])
    model, diameter = form.picker.model, form.settings().diameter
    margin = ceil(compute_halo(model.network) / scale_factor(model.info, diameter))
    part = enclose(frames, shown, *find_visible_window(viewer, image), margin, model.network.multiple)
    plan = RunPlan(part.frames, [0], part)
    if plan.bytes > read_memory():
        raise InputError(
            f"The view shows {part.shape[1]} × {part.shape[0]} pixels, which take {describe_size(plan.bytes)} of "
            "memory; zoom in."
        )
    return plan
