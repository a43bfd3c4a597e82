"""Settings of simulated cells that live: how they move, change their shape and divide."""

from __future__ import annotations

from blunet.settings_model import SettingsModel, setting


class LifeSettings(SettingsModel):
    """Settings of the motion, the shapes and the divisions of simulated cells.

    Times are in frames. With a frame every five minutes, the defaults are cells that divide once a day.

    Examples
    --------
    >>> LifeSettings(cycle=150).mitosis
    9
    """

    speed: float = setting(
        0.045,
        title="Speed",
        description="Mean distance that a spread cell moves from frame to frame, in object diameters.",
        ge=0,
        le=1,
    )
    persistence: float = setting(
        12.0,
        title="Persistence",
        description="Frames after which a cell has forgotten its direction.",
        unit="frames",
        gt=0,
    )
    shape_change: float = setting(
        0.1,
        title="Change of shape",
        description="Standard deviation of the slow waves of an outline, relative to its radius.",
        ge=0,
        le=0.3,
    )
    renewal: float = setting(
        45.0,
        title="Renewal of the outline",
        description="Frames in which corners and processes are drawn in and others are put out.",
        unit="frames",
        gt=0,
    )
    cycle: float = setting(
        288.0,
        title="Cell cycle",
        description="Mean number of frames from one division to the next.",
        unit="frames",
        gt=20,
    )
    cycle_spread: float = setting(
        0.12,
        title="Spread of the cell cycle",
        description="Standard deviation of the cell cycle, relative to its mean.",
        ge=0,
        le=0.3,
    )
    mitosis: int = setting(
        9,
        title="Mitosis",
        description="Frames from the first rounding to the division; the daughters spread in as many.",
        unit="frames",
        ge=4,
        le=20,
    )
