"""What all parts of a run share. No Keras here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.run_data import Data
from blunet.compression.run_directory import RunDirectory
from blunet.compression.run_events import RunStopped
from blunet.compression.run_request import Request
from blunet.packed.model_card import ModelInfo

#: Diameter in pixels of simulated cells, if that of the real ones is not known.
SIMULATED_DIAMETER = 50.0


class Stopped(Exception):
    """The run was cancelled, and its state is saved.

    Parameters
    ----------
    event : RunStopped
    """

    def __init__(self, event: RunStopped) -> None:
        super().__init__(event)
        self.event = event


@dataclass(frozen=True)
class RunContext:
    """One run.

    Attributes
    ----------
    request : Request
    folder : RunDirectory
    data : Data
    info : ModelInfo
        The normalisation of all networks, and the card that their files share.
    is_cancelled : callable
        Returns whether the run is to stop.
    """

    request: Request
    folder: RunDirectory
    data: Data
    info: ModelInfo
    is_cancelled: Callable[[], bool]

    @property
    def settings(self) -> CompressionSettings:
        """The settings of the run; the maps are those that the masks allow."""
        return self.request.settings.choose_maps(self.data.report.instances)

    @property
    def steps(self) -> list[str]:
        """The names of the steps of the run, in order."""
        return self.settings.steps(self.request.teacher)

    @property
    def object_diameter(self) -> float:
        """The typical diameter of the objects in pixels."""
        return self.data.report.object_diameter or SIMULATED_DIAMETER

    def check(self, step: str) -> None:
        """Raise `Stopped` if the run is to stop before a step, or while it scores: "report"."""
        if self.is_cancelled():
            raise Stopped(RunStopped(step, 0, 0))
