"""Data, teachers and run folders that a compression cannot use: a sentence before anything is trained."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile
from tiny_compression import TINY, request

from blunet.architecture import NetworkSettings
from blunet.compression.pipeline import compress
from blunet.compression.run_events import (
    Note,
)
from blunet.errors import InputError
from blunet.networks.build import build_network
from blunet.networks.keras_file import KerasModel
from blunet.packed.model_card import ModelInfo


@pytest.mark.parametrize("kind", ["full", "settings", "data", "teacher", "version", "damaged", "file"])
def test_a_run_folder_that_cannot_be_used(kind, data, finished, tmp_path):
    run = tmp_path / "run"
    asked = request(data, run, resume=True)
    if kind == "file":
        run.write_text("in the way")
    else:
        shutil.copytree(finished[0], run)
    facts = run / "run.json"
    if kind == "full":
        asked, says = request(data, run), "not empty"
    elif kind == "settings":
        asked, says = request(data, run, TINY.changed(seed=4), resume=True), "'seed' was 3"
    elif kind == "teacher":
        asked, says = request(data, run, teacher="scratch", resume=True), "teacher 'simulated'"
    elif kind == "version":
        facts.write_text(facts.read_text().replace('"format": 1', '"format": 9'))
        says = "another version"
    elif kind == "data":
        facts.write_text(facts.read_text().replace('"f0', '"f9'))
        says = r"'f0\.tif', 'f0_mask\.tif', 'f9\.tif', 'f9_mask\.tif' in .* were changed, added or removed"
    elif kind == "damaged":
        facts.write_text("{")
        says = "damaged"
    else:
        says = "a file stands in its place"
    with pytest.raises(InputError, match=says):
        list(compress(asked))


def test_a_teacher_is_recognised_by_the_content_of_its_file(data, tmp_path):
    run, teacher, moved = (tmp_path / name for name in ("run", "teacher.keras", "moved.keras"))
    unet = NetworkSettings(network="unet", levels=2, base_filters=4)

    def asked(path):
        return request(data, run, teacher=str(path), resume=run.exists())

    def saved(path, seed):
        KerasModel(build_network(unet, seed=seed), unet, ModelInfo(normalisation=TINY.normalisation)).save(path)

    saved(teacher, 0)
    list(compress(asked(teacher), lambda: True))
    teacher.rename(moved)
    assert next(compress(asked(moved))).resumed  # the same file in another place
    saved(moved, 1)
    with pytest.raises(InputError, match=r"its teacher '.*moved\.keras' was changed: put back"):
        list(compress(asked(moved)))
    saved(teacher, 1)
    with pytest.raises(InputError, match=r"has the teacher '.*moved\.keras', not '.*teacher\.keras'"):
        list(compress(asked(teacher)))
    with pytest.raises(InputError, match=r"has the teacher '.*moved\.keras', not 'scratch'"):
        list(compress(request(data, run, teacher="scratch", resume=True)))


def test_a_run_without_the_hash_of_its_teacher_can_be_resumed(data, tmp_path, monkeypatch):
    """Such as a run of an older version, which recorded the path as it was given, and no hash."""
    run, teacher = tmp_path / "run", tmp_path / "teacher.keras"
    unet = NetworkSettings(network="unet", levels=2, base_filters=4)
    KerasModel(build_network(unet, seed=0), unet, ModelInfo(normalisation=TINY.normalisation)).save(teacher)
    list(compress(request(data, run, teacher=str(teacher)), lambda: True))
    facts = json.loads((run / "run.json").read_text())
    noted = facts.pop("teacher_sha256")
    (run / "run.json").write_text(json.dumps(facts | {"teacher": "teacher.keras"}))
    moved = shutil.copy(teacher, tmp_path / "moved.keras")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"has the teacher 'teacher\.keras', not '.*moved\.keras'"):
        list(compress(request(data, run, teacher=str(moved), resume=True)))
    assert next(compress(request(data, run, teacher=str(teacher), resume=True))).resumed
    facts = json.loads((run / "run.json").read_text())
    assert facts["teacher_sha256"] == noted
    assert facts["teacher"] == str(teacher)  # from wherever it is resumed


def test_a_test_folder_that_cannot_be_scored_is_refused_before_anything_is_trained(data, tmp_path):
    test = tmp_path / "test"
    shutil.copytree(data, test)
    tifffile.imwrite(test / "f2_mask.tif", np.ones((9, 9), np.uint8))
    with pytest.raises(InputError, match=r"f2_mask\.tif"):
        next(compress(request(data, tmp_path / "run", test=str(test))))
    assert not (tmp_path / "run").exists()


def test_a_test_image_that_is_not_finite_is_refused_and_one_that_is_trained_on_is_named(data, tmp_path):
    test = tmp_path / "test"
    shutil.copytree(data, test)
    image = tifffile.imread(test / "f1.tif").astype(np.float32)
    tifffile.imwrite(test / "f1.tif", image)
    asked = request(data, tmp_path / "run", test=str(test))
    going = compress(asked)
    warnings = [next(going) for _ in range(8)][1:]
    going.close()
    said = [e.text for e in warnings if isinstance(e, Note) and e.warning and "Test: " in e.text]
    assert len(said) == 1
    assert "3 images that the run also learns from or chooses by: 'f0.tif', 'f2.tif', 'f3.tif'" in said[0]
    image[3, 3] = np.nan
    tifffile.imwrite(test / "f1.tif", image)
    with pytest.raises(InputError, match=r"f1\.tif': The image holds 1 NaN"):
        next(compress(asked.changed(run=str(tmp_path / "other"))))
    assert not (tmp_path / "other").exists()


def test_a_split_that_leaves_one_side_without_objects_is_refused(data, finished, tmp_path):
    (name,) = finished[1][0].validation
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    mask = tifffile.imread(folder / f"{name}_mask.tif")
    tifffile.imwrite(folder / f"{name}_mask.tif", np.zeros_like(mask))
    with pytest.raises(InputError, match=rf"1 images to choose the best weights by are empty \({name}\); .* 'seed'"):
        next(compress(request(folder, tmp_path / "run")))
    for path in folder.glob("*_mask.tif"):
        tifffile.imwrite(path, np.zeros_like(mask) if name not in path.name else mask)
    with pytest.raises(InputError, match=r"3 images to train on are empty \(f"):
        next(compress(request(folder, tmp_path / "run")))


def test_a_run_folder_in_use_is_refused(data, tmp_path):
    run = tmp_path / "run"
    first = compress(request(data, run))
    next(first)
    for resume in (False, True):
        with pytest.raises(InputError, match="in use"):
            next(compress(request(data, run, resume=resume)))
    first.close()
    assert not (run / "lock").exists()


@pytest.mark.parametrize("kind", ["lightweight", "filters", "missing", "packed"])
def test_a_teacher_that_cannot_be_used(kind, data, legacy, tmp_path):
    path = tmp_path / "teacher.keras"
    if kind == "lightweight":
        settings, says = NetworkSettings(network="lightweight", levels=2, base_filters=4), "'lightweight' network"
    else:
        settings, says = NetworkSettings(network="unet", levels=2, base_filters=8), "base_filters = 8"
    if kind == "packed":
        path = path.with_suffix(".blunet")
        path.write_bytes(b"")
        says = "is a '.blunet' file"
    elif kind == "missing":
        says = r"is no file; give a \.keras or published \.h5 file"
    else:
        KerasModel(build_network(settings), settings, ModelInfo()).save(path)
    with pytest.raises(InputError, match=says):
        list(compress(request(data, tmp_path / "run", teacher=str(path))))
    assert not (tmp_path / "run").exists()
