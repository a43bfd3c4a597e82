"""One annotated image is cut into a part to train on and a part to validate on."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from made_pairs import put

from blunet.compression.presets import preset
from blunet.compression.run_events import Note, RunFailed, RunStarted
from blunet.compression.run_request import Request
from blunet.dataset.pairs import find_pairs
from blunet.dataset.single_image import cut_if_single, divide
from blunet.dataset.split_settings import SplitSettings
from blunet.errors import InputError
from blunet.jobs import compression_run
from blunet.jobs.training_data import check_data, check_layers, write_pairs
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings


@pytest.fixture(scope="module")
def field():
    return simulate_dic(DicSettings(shape=(200, 420), object_diameter=30, coverage=0.4), seed=2)


@pytest.fixture
def data(tmp_path, field):
    put(tmp_path / "lone", "field", field.image, field.labels.astype(np.uint16))
    return tmp_path / "lone"


def test_the_parts_are_a_gap_apart_along_the_longer_side(field):
    for labels, axis in ((field.labels, 1), (field.labels.T, 0)):
        parts = divide(labels)
        training, validation = (part[axis] for part in parts)
        assert (training.start, validation.stop, validation.stop - validation.start) == (0, 420, 105)
        assert 20 <= validation.start - training.stop <= 40
        assert all(part[1 - axis] == slice(0, 200) for part in parts)


def test_the_other_end_validates_where_the_first_has_no_cells(field):
    labels = field.labels.copy()
    labels[:, 300:] = 0
    training, validation = divide(labels)
    assert (validation[1].start, validation[1].stop, training[1].stop) == (0, 105, 420)
    labels[:, :150] = 0
    assert divide(labels) is None  # all cells lie in the part to train on
    assert divide(np.zeros((500, 500), int)) is None
    assert divide(field.labels[:60]) is None


def test_a_folder_with_one_pair_is_checked_as_two_parts(data, tmp_path):
    (checked,) = check_data(data, 64, SplitSettings())
    assert checked.lines[0].startswith(f"One image with a mask in '{data}': a part of it trains")
    assert checked.validation_sizes == ((200, 105),)
    folder = cut_if_single(data, tmp_path / "parts")
    assert [pair.name for pair in find_pairs(folder).pairs] == ["field_training", "field_validation"]
    assert (folder / "validation.txt").read_text() == "field_validation\n"
    assert cut_if_single(folder, tmp_path / "again") == folder
    assert not (tmp_path / "again").exists()


def test_one_pair_that_is_too_small(tmp_path):
    put(tmp_path / "few", "only", np.zeros((40, 40), np.uint8), np.ones((40, 40), np.uint8))
    with pytest.raises(InputError, match=r"'only.tif', which is too small.*at least two"):
        list(check_data(tmp_path / "few", 64, SplitSettings()))
    request = Request(data=str(tmp_path / "few"), run=str(tmp_path / "run"), settings=preset("quick"))
    (failed,) = compression_run.compress(request)
    assert isinstance(failed, RunFailed)
    assert "too small" in failed.sentence
    assert not (tmp_path / "run data").exists()


def test_a_layer_with_one_labelled_frame_is_cut(field, tmp_path):
    stack = np.stack([field.image, field.image])
    labels = np.stack([np.zeros_like(field.labels), field.labels])
    (checked,) = check_layers(stack, labels, 64, SplitSettings())
    assert checked.lines[0].startswith("One frame has labels: a part of it trains")
    assert len(list(write_pairs(stack, labels, tmp_path))) == 1
    masks = [tifffile.imread(pair.mask) for pair in find_pairs(tmp_path).pairs]
    assert masks[0].shape[1] > 2 * masks[1].shape[1] == 210
    both = np.stack([field.labels, field.labels])
    list(write_pairs(stack, both, tmp_path))  # the parts of before are gone
    assert [pair.name for pair in find_pairs(tmp_path).pairs] == ["frame_0001", "frame_0002"]
    assert not (tmp_path / "validation.txt").exists()
    with pytest.raises(InputError, match="only one frame has labels"):
        list(write_pairs(stack[:, :50, :50], labels[:, :50, :50], tmp_path / "small"))
    (checked,) = check_layers(field.image, field.labels, 64, SplitSettings())
    assert checked.lines[0].startswith("One image with labels")


def test_a_run_begins_with_the_parts(data, tmp_path):
    request = Request(data=str(data), run=str(tmp_path / "run"), settings=preset("quick"), teacher="scratch")
    events = compression_run.compress(request)
    note, started = next(events), next(events)
    events.close()
    assert isinstance(note, Note)
    assert str(tmp_path / "run data") in note.text
    assert isinstance(started, RunStarted)
    assert (started.training, started.validation) == (["field_training"], ["field_validation"])
