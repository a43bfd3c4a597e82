"""Annotations of other programs open their image, with its cells as labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from blunet.errors import InputError
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_opening import Doubted, LayerOpened, LeftOut, OpenSettings, open_layers
from blunet.jobs.layer_plan import plan_layers
from blunet.outlines.imagej_rois import write_rois
from blunet.outlines.outline import Outline
from blunet.outlines.tracing import trace_outlines

SHAPE = (24, 30)


def cells(shift: int = 0) -> np.ndarray:
    labels = np.zeros(SHAPE, np.int32)
    labels[2:9, 3 + shift : 10 + shift] = 1
    labels[12:20, 9:15] = 4
    return labels


def opened(*sources):
    return list(open_layers(plan_layers(sources), OpenSettings(), CancelToken()))


def layers(events):
    return {event.kind: event for event in events if isinstance(event, LayerOpened)}


def test_a_set_of_regions_opens_its_image_and_its_cells(tmp_path):
    image = np.random.default_rng(0).integers(0, 200, SHAPE).astype(np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", image, imagej=True, resolution=(2, 2), metadata={"unit": "um", "axes": "YX"})
    write_rois(tmp_path / "x_RoiSet.zip", trace_outlines(cells()))
    found = layers(opened(tmp_path / "x_RoiSet.zip"))
    np.testing.assert_array_equal(found["image"].data, image)
    np.testing.assert_array_equal(found["labels"].data, cells())
    assert found["labels"].name == "x – annotations"
    assert found["labels"].files == ("x_RoiSet.zip",)
    assert found["labels"].pixel_size == found["image"].pixel_size
    assert found["labels"].to_layer()[1]["scale"] == [0.5, 0.5]


def test_regions_of_a_stack_open_as_labels_in_time(tmp_path):
    stack = np.random.default_rng(0).integers(0, 200, (3, *SHAPE)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "s.tif", stack, imagej=True, metadata={"axes": "TYX"})
    outlines = [each for t in (0, 2) for each in trace_outlines(cells(t), frame=t)]
    write_rois(tmp_path / "s.zip", outlines)
    labels = layers(opened(tmp_path / "s.zip"))["labels"].data
    np.testing.assert_array_equal(labels, np.stack([cells(0), np.zeros(SHAPE), cells(2)]))


def test_a_file_of_several_images_opens_them_as_one_time_lapse(tmp_path):
    images, annotations = [], []
    for t in range(3):
        tifffile.imwrite(tmp_path / f"t{t}.tif", np.full(SHAPE, t, np.uint8))
        images.append({"id": t, "file_name": f"t{t}.tif", "height": SHAPE[0], "width": SHAPE[1]})
        corners = [3 + t, 3, 8 + t, 3, 8 + t, 8, 3 + t, 8]
        annotations.append({"image_id": t, "category_id": 1, "segmentation": [corners]})
    (tmp_path / "all.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    found = layers(opened(tmp_path / "all.json"))
    assert found["image"].data.shape == (3, *SHAPE)
    assert [np.flatnonzero(frame[5]).tolist() for frame in found["labels"].data] == [
        list(range(3 + t, 8 + t)) for t in range(3)
    ]


def test_a_dataset_of_the_challenge_opens_with_its_masks(tmp_path):
    for place in ("01", "01_ST/SEG"):
        (tmp_path / "set" / place).mkdir(parents=True)
    for t in range(2):
        tifffile.imwrite(tmp_path / f"set/01/t{t:03d}.tif", np.full(SHAPE, t, np.uint8))
        tifffile.imwrite(tmp_path / f"set/01_ST/SEG/man_seg{t:03d}.tif", cells(t).astype(np.uint16))
    found = layers(opened(tmp_path / "set"))
    np.testing.assert_array_equal(found["labels"].data, np.stack([cells(0), cells(1)]))


def test_lost_and_overlapping_outlines_are_told(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros(SHAPE, np.uint8))
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], float)
    outlines = [Outline(((ring,),), number=n + 1) for n, ring in enumerate([square, square + 4, square + 500])]
    write_rois(tmp_path / "x.zip", outlines)
    (told,) = [event.sentence for event in opened(tmp_path / "x.zip") if isinstance(event, Doubted)]
    assert "of its outlines 1 lie on top of larger ones" in told
    assert "1 left out, as they lie outside the image" in told


def test_annotations_of_another_image_leave_the_image_without_labels(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros(SHAPE, np.uint8))
    write_rois(tmp_path / "x.zip", [outline.moved(900, 900) for outline in trace_outlines(cells())])
    events = opened(tmp_path / "x.zip")
    assert set(layers(events)) == {"image"}
    assert any("lie outside the image" in event.sentence for event in events if isinstance(event, (LeftOut, Doubted)))


@pytest.mark.parametrize(
    ("name", "said"), [("x_seg.npy", "is a pickle"), ("a.json", "is no JSON"), ("a.zip", "is no JSON")]
)
def test_what_cannot_be_opened_is_one_sentence(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"\x93NUMPY" if name.endswith("npy") else b"{")
    with pytest.raises(InputError, match=said):
        plan_layers([tmp_path / name])
