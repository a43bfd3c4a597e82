"""The report of a run, `report.json`: what each stage scores, and what each phase gained or lost. No Keras here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict

from blunet.architecture import Network
from blunet.errors import InputError
from blunet.evaluation.metrics import CellCounts
from blunet.segmentation.segmentation_settings import DEFAULT_SPLITTING
from blunet.settings_model import SettingsModel, setting


def _score(title: str, description: str, default: Any = ...) -> Any:
    return setting(default, title=title, description=description, ge=0, le=1)


def _points(title: str, default: Any = ...) -> Any:
    description = f"Change of the {title}, positive if it rose."
    return setting(default, title=title, description=description, unit="points of a hundred")


class ReportPart(SettingsModel):
    """A part of the report; entries that a newer version added are ignored."""

    model_config = ConfigDict(extra="ignore")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold, without those that are None; `from_dict` reads them back."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class CellFigures(ReportPart):
    """What became of the true cells, as `blunet.evaluation.metrics.CellCounts`."""

    cells: int = setting(title="Cells", description="True cells.", ge=0)
    found: int = setting(title="Found", description="Cells found singly, at an IoU of at least 0.5.", ge=0)
    merged: int = setting(title="Merged", description="Cells in one object with another cell.", ge=0)
    split: int = setting(title="Split", description="Cells in several objects.", ge=0)
    extra: int = setting(title="Extra", description="Objects that are no cells.", ge=0)

    @property
    def counts(self) -> CellCounts:
        """The same with words for them."""
        return CellCounts(**self.model_dump())


class ScoreFigures(ReportPart):
    """Agreement with the truth."""

    iou: float = _score("IoU", "Overlap of found and true foreground: 1 if they are equal.")
    f1: float = _score("F1", "Balance of precision and recall of the foreground's pixels.")
    ap50: float = _score("AP50", "Average precision of the objects at an IoU of 0.5.")
    map: float | None = _score(
        "mAP", "Average precision of the objects, mean over IoUs of 0.5, 0.55, ... 0.95. Older reports have none.", None
    )
    cells: CellFigures | None = setting(
        None, title="Cells", description="Cells found singly, merged and split, of all images. Older reports have none."
    )


#: A model is not ready for use if its IoU, or the share of the cells that it finds singly, is below this.
USABLE = 0.5
#: Images from which on a bad result is not explained by too few of them.
MANY_IMAGES = 20
#: Largest share of the cells that residual binarisation may lose without a word.
LOST = 0.1
#: The scores from 0 to 1.
SCORES = ("iou", "f1", "ap50", "map")


class ImageFigures(ScoreFigures):
    """Scores of one image."""

    image: str = setting(title="Image", description="Name of the pair of image and mask.")


class FileFigures(ScoreFigures):
    """Mean scores of several images, and those of each."""

    images: list[ImageFigures] = setting(title="Images", description="The scores image by image.")


class StageFigures(ScoreFigures):
    """What a stage of the run reaches; its mean scores are those of the test files, or else of the validation files."""

    name: str = setting(title="Stage", description="What the stage is called in the report.")
    network: Network = setting(title="Network", description="Kind of network.")
    threshold: float = _score("Threshold", "Foreground is more probable; chosen on the validation files.")
    splitting: float = _score(
        "Splitting", "How readily objects are split; chosen on the validation files.", DEFAULT_SPLITTING
    )
    parameters: int = setting(title="Parameters", description="Stored values, bits included.", ge=0)
    size_mib: float = setting(title="Size", description="Stored size.", unit="MiB", ge=0)
    seconds: float = setting(title="Time", description="Median time per image on this computer.", unit="s", ge=0)
    validation: FileFigures = setting(title="Validation", description="Scores of the validation files.")
    test: FileFigures | None = setting(None, title="Test", description="Scores of the test files, if there are any.")


class StageChange(ReportPart):
    """How the scores change from one stage to the next."""

    before: str = setting(alias="from", title="From", description="The earlier stage.")
    after: str = setting(alias="to", title="To", description="The later stage.")
    iou: float = _points("IoU")
    f1: float = _points("F1")
    ap50: float = _points("AP50")
    map: float | None = _points("mAP", None)

    @classmethod
    def between(cls, before: StageFigures, after: StageFigures) -> Self:
        """Compare two stages."""
        pairs = {key: (getattr(before, key), getattr(after, key)) for key in SCORES}
        points: dict[str, Any] = {
            key: None if None in pair else round(100 * (pair[1] - pair[0]), 2) for key, pair in pairs.items()
        }
        return cls(before=before.name, after=after.name, **points)


class Report(ReportPart):
    """What `report.json` holds."""

    models: list[StageFigures] = setting(title="Stages", description="The stages, in the order of the phases.")
    losses: list[StageChange] = setting(title="Changes", description="What each stage gained or lost.")
    training: list[str] = setting(title="Training files", description="Pairs that were trained on.")
    validation: list[str] = setting(title="Validation files", description="Pairs that chose weights and thresholds.")
    test: list[str] = setting(title="Test files", description="Pairs that were only scored.")
    teacher: str = setting(title="Teacher", description="simulated, scratch, or the teacher's file.")
    settings: dict[str, Any] = setting(title="Settings", description="The settings of the run.")
    seconds: float = setting(title="Training time", description="Time spent on training.", unit="s", ge=0)
    stored_bits: int = setting(title="Stored size", description="Size of BLU-Net.", unit="bits", ge=0)

    @property
    def scored(self) -> list[str]:
        """The pairs that the stages' mean scores are of: the test files, or else the validation files."""
        return self.test or self.validation

    @property
    def summary(self) -> str:
        """How many cells BLU-Net found, and in which images, in one sentence."""
        count, kind = len(self.scored), "test" if self.test else "validation"
        images = f"{count} {kind} image{'s' * (count != 1)}"
        cells = self.models[-1].cells
        return f"Mean of {images}." if cells is None else f"{cells.counts.sentence} ({images})."

    @property
    def warning(self) -> str:
        """Why BLU-Net had better not be used yet, and what helps; empty if there is no reason."""
        last = self.models[-1]
        cells = None if last.cells is None or not last.cells.cells else last.cells
        if last.iou < USABLE or (cells is not None and cells.found < USABLE * cells.cells):
            few = "Outline more images, or take a longer preset"
            if len(self.training) >= MANY_IMAGES:
                few = "Take a longer preset, and check that all cells are outlined and separate in the masks"
            return f"This model is not ready for use: it misses or merges more cells than it finds. {few}."
        before = self.models[-2].cells if len(self.models) > 1 else None
        if cells is not None and before is not None and before.found - cells.found > LOST * cells.cells:
            return (
                f"The lightweight U-Net found {before.found} cells singly, BLU-Net {cells.found}: more epochs of the "
                "last step, residual binarisation, win some back."
            )
        return ""


def compare_stages(stages: Sequence[StageFigures]) -> list[StageChange]:
    """Compare each stage with the one before it."""
    return [StageChange.between(before, after) for before, after in pairwise(stages)]


def read_report(path: str | Path) -> Report:
    """Read a `report.json`.

    Raises
    ------
    InputError
        If it cannot be read or is not a report.
    """
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"The report '{path}' cannot be read ({e}); open the run's report.html instead.") from e
    try:
        return Report.from_dict(held)
    except InputError as e:
        raise InputError(f"The report '{path}' cannot be read: {e}") from e
