"""The settings of tracking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from blunet.errors import InputError
from blunet.settings_model import SettingsModel, setting

if TYPE_CHECKING:
    from blunet.images.pixel_size import PixelSize

Method = Literal["assignment", "trackastra"]


class TrackingSettings(SettingsModel):
    """How objects are followed through time."""

    max_step: float | None = setting(
        None,
        title="Largest step",
        description="The furthest that an object moves from one frame to the next, in the unit of 'step_unit'. Not "
        "given: estimated from the distances between neighbouring objects of successive frames.",
        gt=0,
    )
    step_unit: Literal["px", "um"] = setting(
        "px",
        title="Unit of the step",
        description="Pixels, or micrometres, which need labels with a pixel size.",
    )
    gap: int = setting(
        1,
        title="Longest gap",
        description="Number of successive frames in which an object may be missing and is still the same object "
        "afterwards. 0: an object that is missing in a frame is a new one afterwards.",
        unit="frames",
        ge=0,
    )
    divisions: bool = setting(
        True,
        title="Divisions",
        description="Whether an object may divide in two. Without it a new object has no parent.",
    )
    mend: bool = setting(
        True,
        title="Mend flicker",
        description="Whether objects that are missing for at most 'gap' frames, and objects that are in pieces or "
        "merged with others for one frame, are mended from the frames before and after. What was mended is listed.",
    )
    method: Method = setting(
        "assignment",
        title="Method",
        description="What links the objects: assignment is built in; trackastra needs this package, and the images.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _unwrap_numpy_scalars(cls, value: Any) -> Any:
        return value.item() if hasattr(value, "item") else value

    def step_in_pixels(self, size: PixelSize | None) -> float | None:
        """Return the largest step in pixels; None: it is to be estimated.

        Parameters
        ----------
        size : PixelSize, optional
            Of the labels. Where pixels are not square, the smaller side counts.

        Raises
        ------
        InputError
            If the step is in micrometres and the size of a pixel is not known.
        """
        if self.max_step is None or self.step_unit == "px":
            return self.max_step
        if size is None:
            raise InputError(
                f"The largest step is {self.max_step:g} um, but the labels have no pixel size; give the step in "
                "pixels, or labels with a pixel size."
            )
        sides = size.in_micrometres
        return self.max_step / min(sides.y, sides.x)


DEFAULTS = TrackingSettings()
