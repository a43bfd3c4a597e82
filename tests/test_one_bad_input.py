"""One bad input never ends a batch: each error is one sentence that names the image, and the next image goes on."""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares
from typer.testing import CliRunner

import blunet
from blunet.cli import app
from blunet.dataset.dataset_check import check_dataset
from blunet.dataset.pairs import find_pairs
from blunet.dataset.split_settings import SplitSettings
from blunet.errors import InputError
from blunet.evaluation.scores import check_pairs, evaluate
from blunet.images.allocation import allocate
from blunet.jobs.events import CancelToken, Segmented, Skipped
from blunet.jobs.file_segmentation import segment_files
from blunet.jobs.layer_opening import LayerOpened, LeftOut, OpenSettings, open_layers
from blunet.jobs.layer_plan import plan_layers

#: An error that is drawn while a generator is closed cannot be raised.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PACKAGE = str(Path(blunet.__file__).parent)
ERRORS = (
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    MemoryError(),
    ZeroDivisionError("float division by zero"),
    struct.error("argument out of range"),
    UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed"),
    KeyError("size"),
    RuntimeError("two\nlines"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with a model, three images and a pair."""
    monkeypatch.chdir(tmp_path)
    bright_model().save("model.blunet")
    for name in ("a.tif", "b.tif", "c.tif"):
        tifffile.imwrite(name, squares())
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(app, ["segment", *arguments, "--model", "model.blunet", "--out", "out"])


class Calls:
    """Counts the calls of this package's functions while it is in use, and raises an error at one of them.

    Functions named `spared` are not counted, nor is any before the first of the name `begin`.
    """

    def __init__(
        self, at: int | None = None, error: Exception | None = None, *, spared: tuple[str, ...] = (), begin: str = ""
    ) -> None:
        self.at, self.error, self.spared, self.begin = at, error, (*spared, "naming_errors"), begin
        self.functions: list[CodeType] = []

    def __enter__(self) -> Calls:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if self.begin in ("", code.co_name):
            self.begin = ""
        if not self.begin and code.co_filename.startswith(PACKAGE) and code.co_name not in self.spared:
            self.functions.append(code)
            if len(self.functions) - 1 == self.at:
                assert self.error is not None
                raise self.error


def first_calls(functions: list[CodeType]) -> list[int]:
    """Return the number of the first call of each function."""
    first: dict[CodeType, int] = {}
    for number, function in enumerate(functions):
        first.setdefault(function, number)
    return list(first.values())


def segment_all(calls: Calls) -> list[Segmented | Skipped]:
    """Segment three images, the second with `calls`."""
    events, seen = segment_files(["a.tif", "b.tif", "c.tif"], "out", bright_model(), save_measurements=True), []
    for event in events:
        if isinstance(event, Segmented | Skipped):
            seen.append(event)
            if event.image.name == "a.tif":
                with calls:
                    seen.append(next(events))
    return seen


def test_an_error_at_any_call_skips_one_image(folder):
    spared = ("segment_files", "run", "__exit__", "close")  # these run when the files are complete
    calls = Calls(spared=spared)
    segment_all(calls)
    drawn = first_calls(calls.functions)
    assert len(drawn) > 60
    for i, number in enumerate(drawn):
        for old in folder.glob("out/*"):
            old.unlink()
        calls = Calls(number, ERRORS[i % len(ERRORS)], spared=spared)
        a, b, c = segment_all(calls)
        where = f"{calls.functions[-1].co_qualname}: {b}"
        assert (type(a), type(c)) == (Segmented, Segmented), where
        if isinstance(b, Segmented):  # the function handles the error
            continue
        assert "b.tif" in b.reason, where
        assert b.reason.endswith("."), where
        assert "\n" not in b.reason, where
        assert sorted(path.name for path in folder.glob("out/*_labels.tif")) == ["a_labels.tif", "c_labels.tif"], where


def pairs() -> list[Path]:
    for name in ("images", "masks"):
        Path("data", name).mkdir(parents=True, exist_ok=True)
        for stem in "xy":
            tifffile.imwrite(f"data/{name}/{stem}.tif", squares() if name == "images" else (squares() > 100) * 255)
    return sorted(Path("data").glob("*/*.tif"))


def test_an_error_at_any_call_of_an_evaluation_is_one_sentence():
    pairs()
    found, model = find_pairs("data").pairs[:1], bright_model()
    checked = check_pairs(found)
    spared = ("evaluate", "check_pairs")

    def draw(begin: str, work: Callable[[], Any]) -> None:
        with Calls(spared=spared, begin=begin) as calls:
            work()
        for i, number in enumerate(first_calls(calls.functions)):
            try:
                with Calls(number, ERRORS[i % len(ERRORS)], spared=spared, begin=begin):
                    work()
            except InputError as e:
                assert "x.tif" in str(e)  # noqa: PT017 - some functions handle the error

    draw("from_file", lambda: check_pairs(found))
    draw("predict_frames", lambda: list(evaluate(checked, model)))


def test_an_error_at_any_call_of_opening_leaves_one_image_out():
    plan, settings, token = plan_layers(["a.tif", "b.tif"], together=False), OpenSettings(), CancelToken()
    calls = Calls(spared=("open_layers", "check", "cancelled"))
    with calls:
        list(open_layers(plan, settings, token))
    for i, number in enumerate(first_calls(calls.functions)):
        with Calls(number, ERRORS[i % len(ERRORS)], spared=calls.spared):
            opened = list(open_layers(plan, settings, token))
        assert len(opened) == 2
        assert isinstance(opened[0], LayerOpened) or isinstance(opened[1], LayerOpened)
        for event in opened:
            assert isinstance(event, LayerOpened) or "tif'" in event.sentence


def test_names_that_the_system_refuses(folder):
    long = "n" * 250 + ".tif"  # with _labels.tif it is too long
    tifffile.imwrite(long, squares())
    tifffile.imwrite("~nobody.tif", squares())
    (folder / "out" / "b_labels.tif").mkdir(parents=True)
    result = run(long, "b.tif", "~nobody.tif", "~nobody/x.tif", "m" * 300 + ".tif", "--json")
    assert result.exit_code == 1, result.output
    content = json.loads(result.stdout)
    assert [image["image"] for image in content["images"]] == ["~nobody.tif"]
    reasons = {skipped["image"]: skipped["reason"] for skipped in content["skipped"]}
    assert list(reasons) == ["~nobody/x.tif", "m" * 300 + ".tif", long, "b.tif"]
    assert "name too long" in reasons[long]
    assert "there is a folder of this name" in reasons["b.tif"]
    for name, reason in reasons.items():
        assert name in reason
        assert reason in result.stderr


def test_a_file_of_another_program_stops_only_its_own_image(folder):
    (folder / "out").mkdir()
    tifffile.imwrite("out/b_labels.tif", np.ones((4, 4), np.uint8))
    before = Path("out/b_labels.tif").read_bytes()
    result = run("a.tif", "b.tif", "c.tif")
    assert result.exit_code == 1
    assert "1 input skipped of 3." in result.stderr
    assert Path("out/b_labels.tif").read_bytes() == before
    assert sorted(path.name for path in folder.glob("out/*")) == ["a_labels.tif", "b_labels.tif", "c_labels.tif"]


def test_one_missing_file_of_several_is_left_out_of_a_plan():
    plan = plan_layers(["a.tif", "nowhere.tif", "b.tif"])
    assert [path.name for path in plan.layers[0].frames.paths] == ["a.tif", "b.tif"]
    assert [skipped.image.name for skipped in plan.skipped] == ["nowhere.tif"]
    assert isinstance(next(open_layers(plan, OpenSettings(), CancelToken())), LeftOut)


def test_a_temporary_folder_that_is_full_stops_nothing(folder, monkeypatch):
    monkeypatch.setattr("blunet.jobs.result_files.SPOOL_BYTES", 100)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "nowhere"))
    tifffile.imwrite("s.tif", np.stack([squares()] * 3), imagej=True, metadata={"axes": "TYX"})
    assert run("s.tif", "a.tif", "--probability").exit_code == 0
    assert len(list(folder.glob("out/*"))) == 4


def test_large_arrays_name_the_temporary_folder_that_cannot_hold_them(folder, monkeypatch):
    monkeypatch.setattr("blunet.images.allocation.IN_MEMORY", 100)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "nowhere"))
    with pytest.raises(InputError, match=r"temporary folder '.*nowhere' cannot be used: No such file.* TMPDIR"):
        allocate((30, 30), np.float32)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a file system of bytes, and a full device")
def test_large_arrays_have_their_space_on_the_disk(monkeypatch):
    monkeypatch.setattr("blunet.images.allocation.IN_MEMORY", 100)
    with pytest.raises(InputError, match="temporary folder"):
        allocate((2**20, 2**20, 2**9), np.float32)  # 2 PiB: a sparse file of this size would be made, and break later


def test_letters_that_the_terminal_lacks_are_replaced(folder):
    (folder / "b.tif").rename(folder / "b_ナ.tif")
    arguments = ["segment", "a.tif", "b_ナ.tif", "c.tif", "--model", "model.blunet", "--out", "out"]
    done = CliRunner(charset="cp1252").invoke(app, arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "b_?.tif" in done.stdout
    assert len(list(folder.glob("out/*"))) == 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names are letters on other systems")
def test_names_that_are_not_unicode_and_control_characters(folder):
    odd = "f\udce9.tif"
    os.rename(folder / "b.tif", folder / odd)
    os.rename(folder / "c.tif", folder / "g\n\x1b[31m.tif")
    (folder / "d.tif").write_bytes(b"no image")
    os.rename(folder / "d.tif", folder / "h\udce9.tif")
    result = run(".")
    assert result.exit_code == 1, result.output
    assert len(result.stdout.splitlines()) == 4
    assert "f\ufffd.tif" in result.stdout
    assert "g\ufffd\ufffd[31m.tif" in result.stdout
    assert "Error: 'h\ufffd.tif' is no TIFF" in result.stderr
    content = json.loads(run(".", "--json").stdout)
    assert odd in [image["image"] for image in content["images"]]
    for path in pairs():
        if path.name == "x.tif":
            os.rename(path, path.with_name(odd))
    scored = CliRunner().invoke(app, ["evaluate", "model.blunet", "--data", "data"])
    assert scored.exit_code == 0, scored.output
    assert "f\ufffd.tif" in scored.stdout
    report = check_dataset("data", crop=16, split=SplitSettings())
    assert Path(odd).stem in [*report.training, *report.validation]
