"""From frames to objects: one normalisation, one check of a frame, one numbering."""

from __future__ import annotations

import threading
import time

import dask.array as da
import numpy as np
import pytest
import tifffile
from bright_model import bright_model, squares

import blunet
from blunet.errors import InputError
from blunet.images import frame_source, grey_image, normalisation
from blunet.images.frame_source import FrameSource
from blunet.images.normalisation_settings import Normalisation
from blunet.images.pixel_size import PixelSize
from blunet.jobs.events import Cancelled, CancelToken
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.segmentation import prediction
from blunet.segmentation.frames import FramePredicted, label_frames, predict_frames
from blunet.segmentation.prefetch import prefetch
from blunet.segmentation.segmentation_settings import DEFAULTS, SegmentationSettings

ADAPTING = ModelInfo(
    normalisation=Normalisation(method="percentile", low=0, high=100), card=ModelCard(object_diameter=20.0)
)


def lapse(count: int = 4) -> np.ndarray:
    """Frames of two squares that move, each frame of another brightness."""
    return np.stack([np.roll(squares(), t % 20, axis=1) + np.uint8(2 * (t % 20)) for t in range(count)])


def labelled(source, model, settings=DEFAULTS, **options):
    settings = settings.for_model(model.info)
    return list(label_frames(predict_frames(source, model, settings), source, settings, **options))


@pytest.mark.parametrize("diameter", [None, 30])
@pytest.mark.parametrize("info", [ModelInfo(card=ModelCard(object_diameter=20.0)), ADAPTING])
def test_every_frame_is_checked_once(monkeypatch, tmp_path, info, diameter):
    """Through a real file of 40 frames, of which 16 are also read for the shared normalisation."""
    tifffile.imwrite(tmp_path / "lapse.tif", lapse(40), imagej=True, metadata={"axes": "TYX"})
    checked = []

    def counting(image):
        checked.append(image)
        return grey_image.check_image(image)

    for module in (frame_source, normalisation, prediction):
        monkeypatch.setattr(module, "check_image", counting)
    source = FrameSource.from_file(tmp_path / "lapse.tif")
    found = labelled(source, bright_model(info), DEFAULTS.changed(diameter=diameter), measured=True)
    assert len(found) == 40
    assert len(checked) == 40


def test_labels_are_numbered_on_from_frame_to_frame():
    stack = lapse()
    stack[1] = 40
    source = FrameSource.from_array(stack, pixel_size=PixelSize(0.5, 0.5, "µm"))
    found = labelled(source, bright_model(), measured=True)
    assert [np.unique(each.labels).tolist() for each in found] == [[0, 1, 2], [0], [0, 3, 4], [0, 5, 6]]
    assert [each.objects for each in found] == [2, 0, 2, 2]
    assert [each.table["label"].tolist() for each in found] == [[1, 2], [], [3, 4], [5, 6]]
    assert [each.table["frame"].tolist() for each in found] == [[0, 0], [], [2, 2], [3, 3]]
    assert [each.table["area_um2"].tolist() for each in found] == [[100, 100], [], [100, 100], [100, 100]]
    assert found[0].diameter == pytest.approx(np.sqrt(4 / np.pi * 400))


def test_a_mask_is_not_numbered():
    settings = SegmentationSettings(objects="mask")
    found = labelled(FrameSource.from_array(lapse(3)), bright_model(), settings)
    assert [each.labels.dtype for each in found] == [bool] * 3
    assert [each.objects for each in found] == [1, 1, 1]
    assert blunet.segment(lapse(3), bright_model(), objects="mask").max() == 1


def test_chosen_frames_share_the_normalisation_of_the_whole_stack():
    stack = np.stack([squares() // 4, squares()])  # by itself, the first frame would be stretched
    source = FrameSource.from_array(stack)
    (chosen,) = predict_frames(source, bright_model(ADAPTING), DEFAULTS, chosen=[0])
    assert not chosen.foreground.any()
    (alone,) = predict_frames(FrameSource.from_array(stack[0]), bright_model(ADAPTING), DEFAULTS)
    assert alone.foreground.any()


def test_labels_come_from_kept_probabilities_without_another_run():
    source = FrameSource.from_array(lapse())
    predicted = list(predict_frames(source, bright_model(), DEFAULTS, keep_probability=True))
    assert all(each.foreground is None for each in predicted)
    settings = SegmentationSettings(threshold=0.5, splitting=0.4)
    kept = [FramePredicted(each.t, each.probability) for each in predicted]
    again = list(label_frames(kept, source, settings, measured=True))
    for one, other in zip(labelled(source, bright_model(), settings, measured=True), again, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.table["mean_intensity"].tolist() == other.table["mean_intensity"].tolist()


def test_errors_name_the_frame():
    holes = (lapse() / 255).astype(np.float32)
    holes[2, 3, 4] = np.nan
    source = FrameSource.from_array(holes, name="Lapse")
    found = predict_frames(source, bright_model(), DEFAULTS)
    assert [next(found).t, next(found).t] == [0, 1]
    with pytest.raises(InputError, match=r"^'Lapse': frame 3 of 4: The image holds 1 NaN"):
        next(found)
    with pytest.raises(InputError, match="frame 3 of 4"):
        list(predict_frames(source, bright_model(ADAPTING), DEFAULTS))
    large = FrameSource.from_array(np.broadcast_to(np.uint8(0), (2, 4000, 1000)))
    with pytest.raises(InputError, match="frame 1 of 2: The image of 4000 x 1000 px would be enlarged"):
        list(predict_frames(large, bright_model(), DEFAULTS.changed(diameter=1.25)))


def test_constant_frames_and_a_first_frame_unlike_the_training_images_give_warnings():
    stack = lapse().astype(np.uint16)  # dark for a model that takes 65,535 for white
    stack[2] = 7
    source = FrameSource.from_array(stack, name="Lapse")
    first, second, third, fourth = (each.warning for each in predict_frames(source, bright_model(), DEFAULTS))
    assert first.startswith("'Lapse': frame 1 of 4: The image has grey values from 40 to 200")
    assert third.startswith("'Lapse': frame 3 of 4: The image is constant (every pixel is 7)")
    assert second == fourth == ""


def test_the_work_can_be_stopped_within_a_frame():
    token, calls = CancelToken(), []

    def check():
        calls.append(None)
        if len(calls) == 5:
            token.cancel()
        token.check()

    source = FrameSource.from_array(lapse())
    with pytest.raises(Cancelled):
        list(predict_frames(source, bright_model(), DEFAULTS, check=check))
    assert len(calls) == 5


@pytest.mark.parametrize("lazy", [False, True])
def test_segment_takes_time_lapses(lazy):
    stack = lapse(20)
    image = da.from_array(stack, (3, 60, 90)) if lazy else stack
    labels = blunet.segment(image, bright_model(ADAPTING))
    assert (labels.dtype, labels.shape) == (np.int32, stack.shape)
    source = FrameSource.from_array(stack)
    expected = np.stack([each.labels for each in labelled(source, bright_model(ADAPTING))])
    np.testing.assert_array_equal(labels, expected)
    assert labels.max() == 40


def test_warnings_of_segment_point_at_the_caller():
    with pytest.warns(UserWarning, match=r"^frame 1 of 2: The image is constant") as caught:
        blunet.segment(np.stack([np.full((60, 90), 7, np.uint8), squares()]), bright_model())
    assert caught[0].filename == __file__


def test_the_next_frame_is_made_while_one_is_used():
    """Items come in order; the next one is made before it is asked for; an error comes after the items before it."""
    made = []

    def make():
        for i in range(3):
            made.append(i)
            yield i
        raise InputError("the fourth is damaged")

    each = prefetch(make())
    assert next(each) == 0
    deadline = time.monotonic() + 10
    while made != [0, 1] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made == [0, 1]
    assert [next(each), next(each)] == [1, 2]
    with pytest.raises(InputError, match="the fourth"):
        next(each)


def test_closing_early_ends_the_thread():
    before = threading.active_count()
    each = prefetch(iter(range(100)))
    next(each)
    each.close()
    assert threading.active_count() == before
