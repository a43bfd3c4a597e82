"""From a raw image to labels: the model's threshold and scale, and the picture of the result."""

from __future__ import annotations

import numpy as np
import pytest
from bright_model import BRIGHT, DARK, bright_model, squares
from PIL import Image

import blunet
from blunet.errors import InputError
from blunet.images.frame_source import FrameSource
from blunet.images.normalisation import Limits
from blunet.images.normalisation_settings import Normalisation
from blunet.packed.model_card import ModelCard, ModelInfo
from blunet.segmentation.frames import estimate_shared_limits
from blunet.segmentation.overlay import draw_overlay, write_overlay
from blunet.segmentation.prediction import predict_probability
from blunet.segmentation.scale import rescale, scale_factor


def test_segment_labels_what_the_model_sees():
    image = squares()
    labels = blunet.segment(image, bright_model())
    assert (labels.shape, labels.dtype, labels.max()) == (image.shape, np.int32, 2)
    assert np.count_nonzero(labels) == 800
    assert np.count_nonzero(blunet.segment(image, bright_model(), min_size=9)) == 809
    assert blunet.segment(image, bright_model(), objects="mask").max() == 1


def test_the_threshold_is_the_models_own_unless_given():
    strict = bright_model(ModelInfo(threshold=0.9))
    assert not blunet.segment(squares(), strict).any()
    assert blunet.segment(squares(), strict, threshold=0.5).max() == 2
    assert blunet.segment(squares(), strict, threshold=0.05).min() == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
def test_grey_values_of_every_type(dtype):
    bright = squares() > 100
    most = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    found = predict_probability((bright * most).astype(dtype), bright_model())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.where(bright, BRIGHT, DARK), atol=1e-5)


@pytest.mark.parametrize(("diameter", "shape"), [(10, (61, 93)), (40, (61, 93)), (33, (3, 5)), (60, (1, 7))])
def test_the_result_has_the_images_size_at_any_scale(diameter, shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = predict_probability(image, bright_model(), diameter=diameter)
    assert found.shape == shape
    assert found.min() >= DARK - 1e-5
    assert found.max() <= BRIGHT + 1e-5


@pytest.mark.parametrize("diameter", [10, 20, 45])
def test_objects_stay_where_they_are_at_any_scale(diameter):
    labels = blunet.segment(squares(), bright_model(), diameter=diameter, min_size=100)
    truth = blunet.segment(squares(), bright_model())
    assert labels.max() == 2
    wrong = np.count_nonzero((labels > 0) != (truth > 0))
    assert wrong <= 160  # not more than one pixel along the two outlines


class Watching:
    """A predictor that keeps what it is given."""

    def __init__(self, info: ModelInfo) -> None:
        self.info, self.settings, self.seen = info, bright_model().settings, []

    def predict(self, image, *, limits=None, check=None):
        self.seen.append((image, limits))
        return np.full(image.shape, 0.25, np.float32)


def test_the_model_sees_the_image_at_its_own_scale():
    model = Watching(ModelInfo(card=ModelCard(object_diameter=15.0)))
    image = np.arange(60 * 90, dtype=np.uint16).reshape(60, 90)
    assert (predict_probability(image, model, diameter=30) == 0.25).all()
    assert predict_probability(image, model, diameter=7.5).shape == (60, 90)
    predict_probability(image, model)
    seen = [image for image, _ in model.seen]
    assert [image.shape for image in seen] == [(30, 45), (120, 180), (60, 90)]
    assert all(image.dtype == np.uint16 for image in seen)  # so that `range` keeps its meaning
    assert seen[2].values is image


def test_frames_of_a_stack_share_limits_of_the_resampled_frames():
    info = ModelInfo(
        normalisation=Normalisation(method="percentile", low=0, high=100), card=ModelCard(object_diameter=10.0)
    )
    checks = np.indices((40, 40)).sum(axis=0) % 2 * 200.0  # averaged away by shrinking
    stack = FrameSource.from_array(np.stack([checks, np.full((40, 40), 50.0)]))
    limits = estimate_shared_limits(stack, Watching(info), 40)
    assert limits.low == 50
    assert limits.high == pytest.approx(100, abs=3)
    assert estimate_shared_limits(FrameSource.from_array(checks[None]), Watching(info), None) == Limits(0, 200)
    model = Watching(info)
    predict_probability(checks, model, diameter=40, limits=limits)
    assert model.seen[0][1] is limits


def test_shrinking_averages_and_stays_within_the_images_range():
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = rescale(checks, 0.25)
    assert (small.shape, small.dtype) == ((16, 16), np.uint8)
    assert np.abs(small[2:-2, 2:-2].astype(int) - 128).max() <= 4
    edge = np.repeat(np.array([[1000, 60000]], np.uint16), 40, axis=1).repeat(40, axis=0)
    large = rescale(edge, 2.5)
    assert (large.min(), large.max()) == (1000, 60000)
    offset = np.array([[1e9, 1e9 + 4]]).repeat(8, axis=1).repeat(8, axis=0)
    assert np.unique(np.round(rescale(offset, 1.5) - 1e9, 3)).size > 2  # an offset costs no precision


@pytest.mark.parametrize(
    ("diameter", "trained", "words"),
    [
        (0.0, 20.0, "diameter is 0 px"),
        (-3.0, 20.0, "diameter is -3 px"),
        (float("nan"), 20.0, "diameter is nan px"),
        (30.0, None, "does not state the size"),
        (1.0, 20.0, "from 1.25 to 320 px"),
        (1e9, 20.0, "from 1.25 to 320 px"),
    ],
)
def test_diameters_that_cannot_be_used(diameter, trained, words):
    with pytest.raises(InputError, match=words):
        scale_factor(ModelInfo(card=ModelCard(object_diameter=trained)), diameter)


def test_an_image_that_would_become_too_large_is_refused():
    with pytest.raises(InputError, match="64000 x 16000 px"):
        rescale(np.broadcast_to(np.uint8(0), (4000, 1000)), 16.0)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.array([[0.0, np.nan]]), "1 NaN"),
        (np.zeros((2, 3, 4, 5)), r"\(2, 3, 4, 5\)"),
        (np.zeros((0, 4)), r"\(0, 4\)"),
        (np.array([["a"]]), "type"),
    ],
)
@pytest.mark.parametrize("diameter", [None, 10])
def test_images_that_cannot_be_used(image, words, diameter):
    with pytest.raises(InputError, match=words):
        blunet.segment(image, bright_model(), diameter=diameter)


def test_an_overlay_outlines_the_objects_and_leaves_the_rest_grey():
    image = squares().astype(np.uint16) * 100
    labels = np.zeros(image.shape, np.int32)
    labels[10:30, 10:30], labels[30:50, 50:70] = 1, 2
    picture = draw_overlay(image, labels)
    assert (picture.shape, picture.dtype) == ((60, 90, 3), np.uint8)
    colourful = np.ptp(picture.astype(int), axis=2)
    assert colourful[40, 30] == colourful[0, 0] == 0
    assert colourful[10, 20] > 100  # an outline
    assert 0 < colourful[20, 20] < 60  # a tint
    first, second = picture[20, 9].astype(int), picture[40, 49].astype(int)
    assert np.abs(first - second).max() > 60  # colours of their own
    assert draw_overlay(image, labels, scale=2).shape == (120, 180, 3)
    assert np.ptp(draw_overlay(image, np.zeros_like(labels)), axis=2).max() == 0


def test_objects_at_the_border_and_of_one_pixel_are_drawn():
    labels = np.zeros((30, 40), np.int32)
    labels[:8, :8], labels[20, 30] = 1, 2
    colourful = np.ptp(draw_overlay(np.zeros((30, 40)), labels).astype(int), axis=2)
    assert colourful[:10, :10].max() > 100
    assert colourful[18:23, 28:33].max() > 60
    assert colourful[12:17, 12:25].max() == 0


def test_an_overlay_is_written_as_png(tmp_path):
    picture = draw_overlay(squares(), np.zeros((60, 90), np.int32))
    write_overlay(tmp_path / "a.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)
    with pytest.raises(InputError, match="nowhere"):
        write_overlay(tmp_path / "nowhere" / "a.png", picture)
    with pytest.raises(InputError, match=r"\(60, 90\).*\(2, 2\)"):
        draw_overlay(squares(), np.zeros((2, 2), int))
