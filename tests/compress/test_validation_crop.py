"""The crop of a validation image that is used during training."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture
from tiny_compression import only, request

from blunet.compression.pipeline import compress
from blunet.compression.run_events import EpochDone
from blunet.dataset.fields import Field, crop_for_validation
from blunet.dataset.validation_crop import find_validation_crop
from blunet.jobs.validation_preview import read_preview


def labelled(*pixels, shape=(60, 91)):
    labels = np.zeros(shape, np.int32)
    for i, pixel in enumerate(pixels, start=1):
        labels[pixel] = i
    return labels


@pytest.mark.parametrize(
    ("labels", "rows", "columns"),
    [
        (labelled((30, 45)), (20, 40), (35, 55)),
        (labelled((20, 35), (0, 0)), (20, 40), (35, 55)),  # an object at its corner is in the middle
        (labelled(), (20, 40), (35, 55)),
        (labelled((30, 70), (0, 0)), (20, 40), (60, 80)),  # around the nearest one
        (labelled((0, 90)), (0, 20), (71, 91)),  # moved inwards
        (labelled((59, 3)), (40, 60), (0, 20)),
    ],
)
def test_the_crop_is_the_middle_or_around_the_nearest_object(labels, rows, columns):
    assert find_validation_crop(labels, 20) == (slice(*rows), slice(*columns))


@pytest.mark.parametrize(("size", "shape"), [(1, (1, 1)), (75, (60, 75)), (91, (60, 91)), (10**9, (60, 91))])
def test_shorter_sides_are_kept_whole(size, shape):
    labels = labelled((0, 0), (59, 90))
    crop = labels[find_validation_crop(labels, size)]
    assert crop.shape == shape
    assert crop.any()


def test_image_and_labels_are_cropped_alike():
    labels = labelled((50, 80))
    found = crop_for_validation(Field("f", labels.astype(np.float32), labels), 16)
    assert found.labels.max() == 1
    np.testing.assert_array_equal(found.image, found.labels)


def test_epochs_are_judged_where_objects_are(data, tmp_path):
    """A middle without objects would give every epoch an IoU of 0. The preview shows the same crop."""
    data = shutil.copytree(data, tmp_path / "data")
    for path in sorted(data.glob("*_mask.tif")):
        labels = tifffile.imread(path)
        labels[20:60, 28:68] = 0
        labels[:12, :12] = 1
        tifffile.imwrite(path, labels)
    settings = only("transfer", validation_order="consecutive", validation_size=20)
    settings = settings.changed(transfer=settings.transfer.changed(epochs=1))
    first, *events = compress(request(data, tmp_path / "run", settings, teacher="scratch"))
    (epoch,) = (e for e in events if isinstance(e, EpochDone))
    assert epoch.val_iou > 0
    (shown,) = read_preview(epoch.preview, data, first.validation[0])
    with Picture.open(epoch.preview) as mask:
        assert shown.image.shape == (20, 20) == mask.size
    image = tifffile.imread(next(data.glob(f"{first.validation[0]}.tif")))
    truth = tifffile.imread(next(data.glob(f"{first.validation[0]}_mask.tif")))
    region = find_validation_crop(truth.astype(np.int32), 20)
    assert truth[region].any()
    np.testing.assert_array_equal(shown.image, image[region])
