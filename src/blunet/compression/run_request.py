"""The request for a compression, which is sent to the child process. No Keras here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from blunet.compression.compression_settings import CompressionSettings
from blunet.settings_model import SettingsModel, setting

#: Teachers that are no file: pretrained on simulated images, or none at all.
WITHOUT_FILE = ("simulated", "scratch")


class Request(SettingsModel):
    """One compression."""

    data: str = setting(
        title="Training data",
        description="Folder with 'images' and 'masks', or with 'x.tif' beside 'x_mask.tif'.",
    )
    run: str = setting(title="Run folder", description="Folder of the run: checkpoints, report, model.")
    settings: CompressionSettings = setting(title="Settings", description="How to compress.")
    teacher: str = setting(
        "simulated",
        title="Teacher",
        description="U-Net to start from: a .keras or published .h5 file, one pretrained on simulated images "
        "(simulated), or none (scratch).",
    )
    test: str | None = setting(
        None,
        title="Test data",
        description="Folder of images and masks, as for the training data, that are only scored.",
    )
    name: str = setting(
        "", title="Name", description="What the model is called on its card; empty: after the folder of the data."
    )
    resume: bool = setting(False, title="Resume", description="Continue the run that the run folder holds.")

    @property
    def teacher_file(self) -> Path | None:
        """The file of the teacher; None if there is none."""
        return None if self.teacher in WITHOUT_FILE else Path(self.teacher)

    def to_json(self) -> str:
        """Return one line of JSON that `from_json` reads back."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read what `to_json` wrote."""
        return cls.from_dict(json.loads(line))
