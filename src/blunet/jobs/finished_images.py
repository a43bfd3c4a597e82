"""Images that an earlier run of a batch has finished, known by what their labels say about themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blunet.errors import InputError
from blunet.files import sha256_of
from blunet.images.image_writer import read_description
from blunet.images.ome_zarr_labels import read_labels_description
from blunet.jobs.events import Segmented, Warned
from blunet.jobs.result_files import FOUND, LABELS, OBJECTS, PROBABILITY
from blunet.jobs.segmentation_inputs import Input
from blunet.segmentation.provenance import TABLE_HASH


def find_finished(
    each: Input, folder: Path, files: Sequence[str], description: Mapping[str, Any], into: str | None = None
) -> list[Warned | Segmented]:
    """Return the events of an image if an earlier run wrote all files that this run would write.

    Parameters
    ----------
    each : Input
    folder : Path
        Of the results.
    files : sequence of str
        Which of `LABELS`, `PROBABILITY` and `OBJECTS` are wanted.
    description : mapping
        Of this run: the program's version, the model, the settings and the hashes of model and image.
    into : str, optional
        Name of labels that are wanted in an OME-Zarr.

    Returns
    -------
    list of Warned and Segmented
        The warnings of then, and what was found. Empty if a file is missing, was made with something else, or is not
        as it was written.
    """
    stem, image = each.stem, each.path
    labels = folder / f"{stem}_{LABELS}"
    try:
        made = read_description(labels)
    except InputError:  # also if there is no such file
        return []
    wanted = json.loads(json.dumps(dict(description)))
    if made.get("edited") or FOUND not in made or any(made.get(key) != value for key, value in wanted.items()):
        return []
    try:
        if OBJECTS in files and sha256_of(folder / f"{stem}_{OBJECTS}") != made.get(TABLE_HASH):
            return []
        if PROBABILITY in files and read_description(folder / f"{stem}_{PROBABILITY}") != made:
            return []
        if (
            into is not None
            and each.zarr is not None
            and read_labels_description(each.zarr, into) != _without_table(made)
        ):
            return []
    except (OSError, InputError):
        return []
    found = made[FOUND]
    result = Segmented(image, labels, found["objects"], found["foreground"], 0.0, earlier=True)
    return [*(Warned(image, message) for message in found["warnings"]), result]


def _without_table(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description as labels in an OME-Zarr have it: no table lies beside them."""
    return {key: value for key, value in description.items() if key != TABLE_HASH}
