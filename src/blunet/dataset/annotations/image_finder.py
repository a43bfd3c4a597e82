"""Finding the image that annotations belong to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from blunet.errors import InputError
from blunet.images.image_files import ENDINGS, MADE, stem_of

#: Folders with more files are not searched to the end.
MOST_FILES = 500_000
#: What the names of sets of regions have besides that of their image.
ADDED = ("_roiset", "-roiset", "roiset_", "roiset-", "_rois", "_roi", "_annotations", "_labels")


class ImageFinder:
    """Finds images by the names that annotations give; no path in an annotation leads out of the folders.

    Parameters
    ----------
    folders : sequence of Path
        Searched in this order, with their subfolders.
    without : Path, optional
        A folder that is not searched.
    """

    def __init__(self, folders: Sequence[Path], without: Path | None = None) -> None:
        self.folders = folders
        self._without = None if without is None else without.resolve()
        self._hidden: set[Path] = set()
        self._by_name: list[dict[str, list[Path]]] | None = None

    def hide(self, files: Iterable[Path]) -> None:
        """Take files, such as masks, for no images."""
        self._hidden |= set(files)
        self._by_name = None

    def by_name(self, name: str) -> Path:
        """Return the image of a name; of several, that whose folders agree best with those in the name.

        Raises
        ------
        InputError
            If there is none, or two fit equally well.
        """
        wanted = PurePosixPath(name.replace("\\", "/"))
        for index in self._index():
            found = index.get(wanted.name.casefold()) or index.get(stem_of(wanted.name).casefold())
            if found:
                return _choose(found, wanted)
        raise InputError(
            f"There is no image '{wanted.name}' in {self._named()}; put it there, or name its folder with --images."
        )

    def of_annotation(self, path: Path) -> Path:
        """Return the image of a file of annotations: that of its name, or else the only one.

        Raises
        ------
        InputError
            If there is none, or it is not clear which one.
        """
        stems = [stem_of(path).casefold()]
        stems += [stems[0].replace(added, "") for added in ADDED if added in stems[0]]
        for index in self._index():
            for stem in stems:
                if stem and stem in index:
                    return _choose(index[stem], PurePosixPath(path.name))
        images = {file for index in self._index() for files in index.values() for file in files}
        images = {file for file in images if not stem_of(file).casefold().endswith((*MADE, "_cp_masks"))}
        if len(images) == 1:
            return images.pop()
        raise InputError(
            f"It is not clear which image '{path.name}' belongs to: {self._named()} holds {len(images)} images and "
            f"none named '{stem_of(path)}'; give the file the name of its image."
        )

    def _named(self) -> str:
        return " and ".join(f"'{folder}'" for folder in self.folders)

    def _index(self) -> list[dict[str, list[Path]]]:
        """Return, for each folder, the images by their names and by their stems, in lower case."""
        if self._by_name is None:
            self._by_name = [self._index_folder(folder) for folder in self.folders]
        return self._by_name

    def _index_folder(self, folder: Path) -> dict[str, list[Path]]:
        index: dict[str, list[Path]] = {}
        count = 0
        for place, folders, files in os.walk(folder):
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and (self._without is None or Path(place, name).resolve() != self._without)
            )
            count += len(files)
            if count > MOST_FILES:
                raise InputError(
                    f"'{folder}' holds more than {MOST_FILES:,} files; name the images' folder with --images."
                )
            for name in sorted(files):
                if name.lower().endswith(ENDINGS) and name[0] != "." and Path(place, name) not in self._hidden:
                    for key in {name.casefold(), stem_of(name).casefold()}:
                        index.setdefault(key, []).append(Path(place, name))
        return index


def _choose(found: Sequence[Path], wanted: PurePosixPath) -> Path:
    def agreement(path: Path) -> int:
        pairs = zip(reversed(path.parts[:-1]), reversed(wanted.parts[:-1]), strict=False)
        return next((count for count, (a, b) in enumerate(pairs) if a != b), len(wanted.parts))

    exact = [path for path in found if path.name.casefold() == wanted.name.casefold()] or list(found)
    best = max(map(agreement, exact))
    fitting = [path for path in exact if agreement(path) == best]
    if len(fitting) > 1 and len({path.parent for path in fitting}) < len(fitting):
        raise InputError(f"'{fitting[0]}' and '{fitting[1].name}' could both be the image '{wanted.name}'; keep one.")
    if len(fitting) > 1:
        nearest = min(len(path.parts) for path in fitting)
        fitting = [path for path in fitting if len(path.parts) == nearest]
    if len(fitting) > 1:
        raise InputError(
            f"'{fitting[0]}' and '{fitting[1]}' could both be the image '{wanted.name}'; name the folder with --images."
        )
    return fitting[0]
