"""`blunet evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blunet.cli.console import given_path, print_json, report_errors, say, warn
from blunet.cli.progress import Bar
from blunet.cli.setting_help import select_given

if TYPE_CHECKING:
    from blunet.evaluation.scores import Scores


@report_errors
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(
            parser=given_path,
            metavar="MODEL",
            help="A .blunet or .keras file; with --tracks a folder that blunet track wrote.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            parser=given_path, metavar="DIR", help="Folder with 'images' and 'masks', or 'x.tif' beside 'x_mask.tif'."
        ),
    ],
    threshold: Annotated[float | None, typer.Option(metavar="T")] = None,
    splitting: Annotated[float | None, typer.Option(metavar="S")] = None,
    diameter: Annotated[float | None, typer.Option(metavar="PX")] = None,
    tracks: Annotated[
        bool,
        typer.Option(
            "--tracks",
            help="Score tracks instead: SEG, DET and TRA of the Cell Tracking Challenge. DIR holds the truth as its "
            "01_GT does: TRA/man_track000.tif and so on, TRA/man_track.txt, and SEG/man_seg000.tif for SEG.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a model on images with truth masks, or tracks by the truth of a time-lapse."""
    if tracks:
        _evaluate_tracks(model, data, as_json=as_json)
        return
    from blunet.jobs.evaluation_run import Evaluated, Scored, evaluate_folder
    from blunet.jobs.events import Skipped, Started, Warned
    from blunet.jobs.model_files import open_model
    from blunet.segmentation.segmentation_settings import SegmentationSettings

    settings = SegmentationSettings(**select_given(threshold=threshold, splitting=splitting, diameter=diameter))
    images: list[dict[str, Any]] = []
    content: dict[str, Any] = {}
    wide = total = 0
    with Bar("Scoring") as bar:
        for event in evaluate_folder(data, open_model(model), settings):
            match event:
                case Skipped(reason=reason):
                    warn(reason)
                case Warned(message=message):
                    with bar.paused():
                        warn(message)
                case Started(paths):
                    total = len(paths)
                    wide = max(len("mean"), *(len(path.name) for path in paths))
                    if not as_json:
                        say(f"{'image':<{wide}}     IoU      F1    AP50     mAP")
                case Scored(image, scores):
                    images.append({"image": str(image), **_plain(scores), "cells": asdict(scores.cells)})
                    if not as_json:
                        with bar.paused():
                            say(f"{image.name:<{wide}}{_columns(scores)}")
                case Evaluated(scores, used_threshold, used_splitting):
                    content = {**_plain(scores), "images": images, "model": str(model)}
                    content |= {"threshold": used_threshold, "splitting": used_splitting}
                    content["cells"] = asdict(scores.cells)
                    if not as_json:
                        with bar.paused():
                            say(f"{'mean':<{wide}}{_columns(scores)}")
                            say(f"{scores.cells.sentence}.")
            bar.update(len(images), total)
    if as_json:
        print_json(content)


def _plain(scores: Scores) -> dict[str, float]:
    return {"iou": scores.iou, "f1": scores.f1, "ap50": scores.ap50, "map": scores.map}


def _columns(scores: Scores) -> str:
    return "".join(f"  {score:6.4f}" for score in _plain(scores).values())


def _evaluate_tracks(result: Path, truth: Path, *, as_json: bool) -> None:
    from blunet.evaluation.track_scores import TOLERANCE, score_tracks

    with Bar("Scoring"):
        scores = score_tracks(result, truth)
    if as_json:
        content = {**asdict(scores), "division_f1": scores.division_f1, "tolerance_frames": TOLERANCE}
        print_json({**content, "result": str(result), "truth": str(truth)})
        return
    seg = "  -  " if scores.seg is None else f"{scores.seg:.3f}"
    say(f"SEG {seg}   DET {scores.det:.3f}   TRA {scores.tra:.3f}")
    say(
        f"Divisions: {scores.correct} of {scores.divisions} found, {scores.found - scores.correct} wrongly, F1 "
        f"{scores.division_f1:.3f} (at most {TOLERANCE} frame early or late)"
    )
