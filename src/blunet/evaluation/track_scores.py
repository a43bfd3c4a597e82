"""Scores of tracks, computed by the reference implementation of the Cell Tracking Challenge's metrics."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blunet.errors import InputError, describe_error
from blunet.images.image_files import images_in
from blunet.images.image_reader import reading
from blunet.tracking.challenge_table import read_table

#: A division counts as found if it is at most this many frames early or late.
TOLERANCE = 1


@dataclass(frozen=True)
class TrackScores:
    """How well tracks agree with the truth.

    Attributes
    ----------
    seg : float or None
        Mean IoU of the truth's objects with those that cover more than half of them; None without a truth in SEG.
    det, tra : float
        1 minus the cost of correcting the objects, or objects and links, relative to adding all of them by hand.
    divisions, found, correct : int
        Divisions in the truth, in the result, and in both, at most one frame apart.
    """

    seg: float | None
    det: float
    tra: float
    divisions: int
    found: int
    correct: int

    @property
    def division_f1(self) -> float:
        """F1 of the divisions; 1 if there are none in truth and result."""
        together = self.divisions + self.found
        return 2 * self.correct / together if together else 1.0


def score_tracks(result: str | Path, truth: str | Path) -> TrackScores:
    """Score the result of a tracking by a truth, both in the form of the Cell Tracking Challenge.

    Parameters
    ----------
    result : str or Path
        Folder with `maskTTT.tif` and `res_track.txt`, as `blunet track` writes it.
    truth : str or Path
        Folder with `TRA/man_trackTTT.tif`, `TRA/man_track.txt` and, for SEG, `SEG/man_segTTT.tif`.

    Raises
    ------
    InputError
        If a folder lacks these files, they have different numbers of frames, a table is wrong, the result breaks the
        challenge's rules, or py-ctcmetrics is not installed.

    Notes
    -----
    SEG, DET and TRA are those of M. Maška et al. 2023, Nature Methods 20:1010, computed by py-ctcmetrics (T. Kaiser et
    al. 2024, CHOTA). Divisions are counted by the same package (branching correctness).
    """
    result, truth = Path(result), Path(truth)
    try:
        from ctc_metrics import evaluate_sequence
    except ImportError as e:
        raise InputError("Scores of tracks need py-ctcmetrics: pip install napari-blunet[tracks].") from e
    _check(result, "res_track.txt", "mask", "as blunet track writes it")
    _check(truth / "TRA", "man_track.txt", "man_track", "the truth in the form of the Cell Tracking Challenge")
    counts = len(_named(result, "mask")), len(_named(truth / "TRA", "man_track"))
    if counts[0] != counts[1]:
        raise InputError(f"'{result}' has {counts[0]} frames and '{truth}' {counts[1]}; give those of one time-lapse.")
    segmented = bool(_named(truth / "SEG", "man_seg"))
    said = io.StringIO()
    with reading(result), warnings.catch_warnings(record=True) as remarks, contextlib.redirect_stdout(said):
        warnings.simplefilter("always")
        found = evaluate_sequence(
            str(result), str(truth), metrics=["Valid", *["SEG"] * segmented, "DET", "TRA", "BC"], threads=1
        )
    if not found.get("Valid"):
        reason = describe_error(remarks[0].message) if remarks and isinstance(remarks[0].message, Warning) else ""
        raise InputError(f"'{result}' breaks the rules of the Cell Tracking Challenge: {reason or 'see its table'}.")
    return _scores(found)


def _scores(found: Mapping[str, Any]) -> TrackScores:
    correct, wrong, missed = (int(found[f"{kind}_div({TOLERANCE})"]) for kind in ("tp", "fp", "fn"))
    seg = found.get("SEG")
    return TrackScores(
        seg=None if seg is None else float(seg),
        det=float(found["DET"]),
        tra=float(found["TRA"]),
        divisions=correct + missed,
        found=correct + wrong,
        correct=correct,
    )


def _check(folder: Path, table: str, masks: str, kind: str) -> None:
    """Check that a folder holds masks and a table of tracks without errors.

    Raises
    ------
    InputError
        If not.
    """
    if not folder.is_dir() or not (folder / table).is_file() or not _named(folder, masks):
        raise InputError(f"'{folder}' has no '{table}' with '{masks}000.tif' and so on; give a folder {kind}.")
    read_table(folder / table)


def _named(folder: Path, name: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in images_in(folder, made=True) if path.name.startswith(name) and path.suffix == ".tif"]
