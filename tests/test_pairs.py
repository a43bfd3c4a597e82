"""Finding images and their masks."""

import numpy as np
import pytest
import tifffile

from blunet.dataset.pairs import find_pairs
from blunet.dataset.truth_masks import read_mask
from blunet.errors import InputError
from blunet.images.image_files import find_images, images_of, stem_of


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.zeros((4, 5), np.uint8))
    return folder


def test_a_folder_stands_for_its_images_in_natural_order(tmp_path):
    touch(tmp_path, "t10.tif", "t2.TIF", "t1.tiff", "a.png", "b.JPG", ".hidden.tif", "inner/x.tif")
    touch(tmp_path, "t1_labels.tif", "t1_probability.tif", "t1_mask.tif", "t1_mask.ome.tif")
    (tmp_path / "notes.txt").write_text("not an image")
    assert [path.name for path in find_images([tmp_path])[0]] == [
        "a.png",
        "b.JPG",
        "t1.tiff",
        "t2.TIF",
        "t10.tif",
    ]
    pattern = str(tmp_path / "t*")
    assert [path.name for path in find_images([pattern])[0]] == ["t1.tiff", "t2.TIF", "t10.tif"]


def test_each_file_is_found_once(tmp_path):
    touch(tmp_path, "b.tif", "a.tif", "a_mask.tif", "field [1].tif")
    found, _ = find_images([tmp_path / "b.tif", tmp_path, str(tmp_path / "*.tif"), tmp_path / "a_mask.tif"])
    assert [path.name for path in found] == ["b.tif", "a.tif", "field [1].tif", "a_mask.tif"]
    assert images_of(str(tmp_path / "field [1].tif")) == [tmp_path / "field [1].tif"]


def test_a_source_without_images_is_named_in_the_error(tmp_path):
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "only/x_labels.tif")
    for source in (tmp_path / "empty", tmp_path / "only", tmp_path / "nowhere.tif", tmp_path / "*.png"):
        with pytest.raises(InputError) as error:
            images_of(source)
        assert f"'{source}'" in str(error.value)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.b.tif", "a.b"),
        ("c.ome.tif", "c"),
        ("d.OME.TIFF", "d"),
        ("zélle 1.png", "zélle 1"),
        (".ome.tif", ".ome"),
    ],
)
def test_stems(name, stem):
    assert stem_of(name) == stem


def test_pairs_in_two_folders(tmp_path):
    touch(tmp_path, "images/s10.tif", "images/s9.ome.tif", "images/a.b.tif", "images/alone.tif")
    touch(tmp_path, "masks/s10.png", "masks/s9_mask.tif", "masks/a.b.TIF", "masks/lost.png")
    found = find_pairs(tmp_path)
    assert [(pair.name, pair.mask.name) for pair in found.pairs] == [
        ("a.b", "a.b.TIF"),
        ("s9", "s9_mask.tif"),
        ("s10", "s10.png"),
    ]
    assert [path.name for path in found.unpaired_images] == ["alone.tif"]
    assert [path.name for path in found.unpaired_masks] == ["lost.png"]


def test_pairs_side_by_side(tmp_path):
    touch(tmp_path, "x.tif", "x_mask.png", "y.tif", "z_mask.tif", "x_labels.tif")
    found = find_pairs(tmp_path)
    assert [(pair.image.name, pair.mask.name) for pair in found.pairs] == [("x.tif", "x_mask.png")]
    assert [path.name for path in found.unpaired_images] == ["y.tif"]
    assert [path.name for path in found.unpaired_masks] == ["z_mask.tif"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "holds no images and masks"),
        (["masks/a.tif", "masks/b.tif"], r"masks without images \(a, b\)"),
        (["a_mask.tif"], r"masks without images \(a\)"),
        (["images/a.tif"], r"images without masks \(a\)"),
        ([f"{i}.tif" for i in range(9)], r"images without masks \(0, 1, 2, 3, 4 and 4 more\)"),
        (["images/a.tif", "masks/b.tif"], r"images: a; masks: b"),
        (["images/a.tif", "images/a.png", "masks/a.tif"], "share the stem 'a'"),
        (["x.tif", "x_mask.tif", "x_mask.png"], "share the stem 'x'"),
    ],
)
def test_a_folder_without_pairs_says_what_it_holds(tmp_path, names, said):
    with pytest.raises(InputError, match=said):
        find_pairs(touch(tmp_path, *names))


def test_a_missing_folder_of_pairs(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        find_pairs(tmp_path / "nowhere")


def test_the_shared_pairs(shared_data):
    assert len(find_pairs(shared_data / "phase-usiigaci" / "train").pairs) == 35
    (pair,) = find_pairs(shared_data / "dic-adherent").pairs
    assert read_mask(pair.mask, (1024, 832)).max() == 46
