"""Files of a set are opened as one time-lapse; channels and positions stay apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from test_tiff_pages import PAGES, write_set

from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import write_labels
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_opening import LayerOpened, OpenSettings, open_layers
from blunet.jobs.layer_plan import plan_layers
from blunet.jobs.segmentation_inputs import find_inputs


def opened(paths: list[Path]) -> list[LayerOpened]:
    return [each for each in open_layers(plan_layers(paths), OpenSettings(), CancelToken()) if each.kind == "image"]


def planes(c: int, times: range) -> list[tuple[int, int, int, int, np.ndarray]]:
    return [(0, c, 0, t, PAGES[t] + c) for t in times]


def test_files_with_several_frames_each_open_as_one_time_lapse(tmp_path: Path) -> None:
    files = {"b.ome.tif": planes(0, range(4)), "a.ome.tif": planes(0, range(4, 7)), "c.ome.tif": planes(0, range(7, 8))}
    (layer,) = opened(write_set(tmp_path, files, sizes=(1, 1, 8)))
    assert (layer.data.shape, layer.interval, layer.files) == (
        (8, *PAGES[0].shape), 30, ("b.ome.tif", "a.ome.tif", "c.ome.tif")
    )  # fmt: skip
    np.testing.assert_array_equal(layer.data.compute(), PAGES[:8])
    np.testing.assert_array_equal(layer.data[5].compute(), PAGES[5])
    (whole,), skipped = find_inputs([tmp_path], time_lapse=True)
    assert whole.frames is not None
    assert not skipped
    np.testing.assert_array_equal(list(whole.frames.each([6, 0, 1, 7])), PAGES[[6, 0, 1, 7]])


def test_channels_of_a_set_are_layers_of_their_own(tmp_path: Path) -> None:
    files = {f"w_C{c}_{t}.ome.tif": planes(c, range(t, t + 1)) for t in range(3) for c in range(2)}
    write_set(tmp_path, files, sizes=(2, 1, 3))
    first, second = opened([tmp_path])
    np.testing.assert_array_equal(first.data.compute(), PAGES[:3])
    np.testing.assert_array_equal(second.data.compute(), PAGES[:3] + 1)
    assert first.name != second.name


def test_positions_of_a_set_are_layers_of_their_own(tmp_path: Path) -> None:
    files = {f"Pos{n}.ome.tif": [(n, 0, 0, 0, PAGES[n])] for n in range(3)}
    layers = opened(write_set(tmp_path, files, images=3))
    assert [layer.name for layer in layers] == ["Pos0", "Pos1", "Pos2"]


def test_slices_of_several_times_stay_stacks_of_slices(tmp_path: Path) -> None:
    files = {f"t{t}.ome.tif": [(0, 0, z, t, PAGES[4 * t + z]) for z in range(4)] for t in range(2)}
    layers = opened(write_set(tmp_path, files, sizes=(1, 4, 2)))
    assert [(layer.slices, layer.data.shape[0]) for layer in layers] == [(True, 4), (True, 4)]


def test_copies_of_one_file_of_a_set_are_not_joined(tmp_path: Path) -> None:
    files = {"a.ome.tif": planes(0, range(2)), "b.ome.tif": planes(0, range(2, 4))}
    first, _ = write_set(tmp_path, files, sizes=(1, 1, 4))
    (tmp_path / "copy.ome.tif").write_bytes(first.read_bytes())
    assert len(opened([first, tmp_path / "copy.ome.tif"])) == 2


@pytest.mark.parametrize(
    ("names", "lengths"),
    [
        (["x_t000.tif", "x_t001.tif", "x_t002.tif"], [3, 3, 3]),
        (["e_T9_C0.tif", "e_T10_C0.tif"], [2, 4]),
        (["frame-1.tif", "frame-2.tif"], [2, 2]),
        (["a_MMStack_Pos0.ome.tif", "a_MMStack_Pos0_1.ome.tif", "a_MMStack_Pos0_10.ome.tif"], [4, 4, 1]),
        (["a_NDTiffStack.tif", "a_NDTiffStack_1.tif"], [3, 2]),
    ],
)
def test_files_numbered_by_time_or_continued_are_one_time_lapse(
    tmp_path: Path, names: list[str], lengths: list[int]
) -> None:
    frames = iter(PAGES)
    for name, length in zip(names, lengths, strict=True):
        pages = np.stack([next(frames) for _ in range(length)])
        tifffile.imwrite(tmp_path / name, pages, photometric="minisblack", ome=False)
    (layer,) = opened([tmp_path])
    np.testing.assert_array_equal(layer.data.compute(), PAGES[: sum(lengths)])


@pytest.mark.parametrize(
    "names",
    [
        ["movie1.tif", "movie2.tif"],
        ["a_MMStack_Pos0.ome.tif", "a_MMStack_Pos1.ome.tif"],
        ["a_MMStack_1-Pos_000_000.ome.tif", "a_MMStack_1-Pos_000_001.ome.tif"],
        ["plant1.tif", "plant2.tif"],
        ["x_t0_C0.tif", "x_t0_C1.tif"],
    ],
)
def test_stacks_of_other_names_stay_apart(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        tifffile.imwrite(tmp_path / name, PAGES[:3], photometric="minisblack", ome=False)
    assert [layer.data.shape[0] for layer in opened([tmp_path])] == [3, 3]


def test_channels_that_are_numbered_in_the_names_are_layers_of_their_own(tmp_path: Path) -> None:
    for t in range(3):
        for c in range(2):
            tifffile.imwrite(tmp_path / f"x_t{t}_ch{c}.tif", PAGES[t] + np.uint8(c), photometric="minisblack")
    first, second = opened([tmp_path])
    assert first.files == ("x_t0_ch0.tif", "x_t1_ch0.tif", "x_t2_ch0.tif")
    np.testing.assert_array_equal(second.data.compute(), PAGES[:3] + np.uint8(1))


@pytest.mark.parametrize("names", [["c1.tif", "c2.tif"], ["x_t0_c1.tif", "x_t1_c1.tif"], ["x_t1.tif", "x_t2.tif"]])
def test_other_single_images_are_one_time_lapse(tmp_path: Path, names: list[str]) -> None:
    for t, name in enumerate(names):
        tifffile.imwrite(tmp_path / name, PAGES[t], photometric="minisblack")
    (layer,) = opened([tmp_path])
    assert layer.files == tuple(names)


def test_stacks_of_another_size_stay_apart(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x_t0.tif", PAGES[:3], photometric="minisblack")
    tifffile.imwrite(tmp_path / "x_t1.tif", PAGES[:3, 1:], photometric="minisblack")
    assert len(opened([tmp_path])) == 2


def test_saved_labels_and_masks_of_a_set_are_joined_too(tmp_path: Path) -> None:
    for t in range(2):
        tifffile.imwrite(tmp_path / f"x_t{t}.tif", PAGES[3 * t : 3 * t + 3], photometric="minisblack")
    labels = np.zeros((3, *PAGES[0].shape), np.int32)
    labels[:, 2:10, 2:10] = np.arange(1, 4)[:, None, None]
    mask = np.zeros_like(labels, np.uint8)
    mask[2, 5:20, 5:20] = 1
    write_labels(tmp_path / "x_t1_labels.tif", labels, description={})
    tifffile.imwrite(tmp_path / "x_t0_mask.tif", mask, photometric="minisblack")
    plan = plan_layers([tmp_path / "x_t0.tif", tmp_path / "x_t1.tif"])
    _, masks, cells = open_layers(plan, OpenSettings(), CancelToken())
    assert isinstance(masks, LayerOpened)
    assert isinstance(cells, LayerOpened)
    np.testing.assert_array_equal(masks.data, np.concatenate([mask, 0 * mask]))
    np.testing.assert_array_equal(cells.data, np.concatenate([0 * labels, labels]))


def write_continued(path: Path, indices: list[tuple[int, int, int]]) -> Path:
    """Write a file that continues a Micro-Manager acquisition: (channel, slice, frame) stand beside each page alone."""
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><BinaryOnly MetadataFile="a.ome.tif" UUID="u"/>'
    )
    with tifffile.TiffWriter(path) as tif:
        for number, (c, z, t) in enumerate(indices):
            text = f'{{"ChannelIndex": {c}, "SliceIndex": {z}, "FrameIndex": {t}, "PositionIndex": 0}}'.encode()
            tif.write(
                PAGES[number], description=f"{xml}</OME>".encode() if number == 0 else None, metadata=None,
                photometric="minisblack", extratags=[(51123, 2, len(text) + 1, text + b"\0", True)],
            )  # fmt: skip
    return path


def test_the_axes_of_a_continued_file_are_those_of_its_pages(tmp_path: Path) -> None:
    path = tmp_path / "a_1.ome.tif"
    assert FrameSource.from_file(write_continued(path, [(0, 0, t) for t in range(4)])).axes == "TYX"
    assert FrameSource.from_file(write_continued(path, [(1, z, 3) for z in range(4)])).axes == "ZYX"
    with pytest.raises(InputError, match="2 channels, 1 slices and 2 times of a set; export one"):
        FrameSource.from_file(write_continued(path, [(c, 0, t) for t in range(2) for c in range(2)]))
    with pytest.raises(InputError, match="1 channels, 2 slices and 2 times of a set; export one"):
        FrameSource.from_file(write_continued(path, [(0, z, t) for t in range(2) for z in range(2)]))
