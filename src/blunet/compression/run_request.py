"""What a compression is asked to do, as it is handed to the process that does it. No Keras here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from blunet.compression.compression_settings import CompressionSettings

#: Teachers that are no file: pretrained on simulated fields, or none at all.
WITHOUT_FILE = ("simulated", "scratch")


@dataclass(frozen=True)
class Request:
    """One compression.

    Attributes
    ----------
    data : str
        Folder of images with masks.
    run : str
        The run's folder.
    settings : CompressionSettings
    teacher : str
        "simulated", "scratch", or a `.keras` or published `.h5` file with a U-Net.
    test : str or None
        Folder of images with masks that are scored apart.
    resume : bool
        Whether `run` may hold an earlier part of the same run.
    """

    data: str
    run: str
    settings: CompressionSettings
    teacher: str = "simulated"
    test: str | None = None
    resume: bool = False

    @property
    def teacher_file(self) -> Path | None:
        """The file with the teacher; None where it starts from simulated fields or from nothing."""
        return None if self.teacher in WITHOUT_FILE else Path(self.teacher)

    def to_json(self) -> str:
        """Return one line of JSON that `request_from_json` reads back."""
        plain = {"data": self.data, "run": self.run, "teacher": self.teacher, "test": self.test}
        return json.dumps({**plain, "resume": self.resume, "settings": self.settings.to_dict()})


def request_from_json(line: str) -> Request:
    """Read a request written by `Request.to_json`."""
    data = json.loads(line)
    return Request(**{**data, "settings": CompressionSettings.from_dict(data["settings"])})
