"""The settings of a benchmark of engines."""

from __future__ import annotations

from blunet.architecture import NetworkSettings
from blunet.settings_model import SettingsModel, setting, setting_of


class BenchmarkSettings(SettingsModel):
    """What is timed, and how often."""

    size: int = setting(
        512, title="Size", description="Side of the square image, a multiple of 2^(levels - 1).", unit="px", ge=1
    )
    threads: int | None = setting(
        None, title="Threads", description="Number of threads. Not given: one for each processor.", ge=1
    )
    levels: int = setting_of(NetworkSettings, "levels")
    base_filters: int = setting_of(NetworkSettings, "base_filters")
    rounds: int = setting(
        5, title="Rounds", description="How often each engine runs, after a first run that is not counted.", ge=1
    )
    engines: tuple[str, ...] | None = setting(
        None, title="Engines", description="Names of the engines that are timed. Not given: all."
    )
