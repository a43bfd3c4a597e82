"""The methods of linking, by their names in the settings."""

from __future__ import annotations

from blunet.images.pixel_size import PixelSize
from blunet.tracking.assignment_linker import AssignmentLinker
from blunet.tracking.links import Linker
from blunet.tracking.trackastra_linker import TrackastraLinker, import_trackastra
from blunet.tracking.tracking_settings import TrackingSettings


def choose_linker(settings: TrackingSettings, pixel_size: PixelSize | None = None) -> Linker:
    """Return the method that the settings name.

    Raises
    ------
    InputError
        If its package is not installed, or the step is in micrometres and the labels have no pixel size.
    """
    step = settings.step_in_pixels(pixel_size)
    if settings.method == "trackastra":
        import_trackastra()
        return TrackastraLinker(settings.divisions)
    return AssignmentLinker(step, settings.gap, settings.divisions, settings.mend)
