"""Normalising raw grey values to [0, 1]."""

import warnings

import numpy as np
import pytest

from blunet.errors import InputError
from blunet.images.normalisation import Limits, estimate_limits, normalise
from blunet.images.normalisation_settings import Normalisation
from blunet.images.slow_background import SlowBackground

RANGE = Normalisation()
PERCENTILE = Normalisation(method="percentile", low=0, high=100)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 51, 255], np.uint8, [0, 0.2, 1]),
        ([0, 13107, 65535], np.uint16, [0, 0.2, 1]),
        ([0, 2**31, 2**32 - 1], np.uint32, [0, 0.5, 1]),
        ([-128, -1, 127], np.int8, [0, 0, 1]),
        ([-5, 2**30, 2**31 - 1], np.int32, [0, 0.5, 1]),
        ([0, 1, 1], np.bool_, [0, 1, 1]),
        ([-0.5, 0.25, 1.5], np.float16, [0, 0.25, 1]),
        ([-1e300, 0.25, 1e300], np.float64, [0, 0.25, 1]),
    ],
)
def test_range_divides_integers_by_their_maximum_and_leaves_floats(values, dtype, expected):
    result = normalise(np.array([values], dtype), RANGE)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [expected], rtol=1e-6)


def test_percentiles_become_0_and_1_whatever_the_grey_values():
    ramp = np.arange(1001, dtype=np.uint16).reshape(7, 143)
    result = normalise(ramp, Normalisation(method="percentile", low=10, high=90))
    assert result.flat[100] == 0
    assert result.flat[500] == pytest.approx(0.5)
    assert result.flat[900] == pytest.approx(1)
    assert result.min() == 0
    assert result.max() == 1
    brighter = normalise(ramp * np.uint16(3) + np.uint16(700), Normalisation(method="percentile", low=10, high=90))
    np.testing.assert_allclose(brighter, result, atol=1e-6)


def test_an_even_background_with_a_few_bright_pixels_is_normalised_by_its_whole_range():
    image = np.zeros((100, 100), np.uint8)
    image[3, 4] = 200
    result = normalise(image, Normalisation(method="percentile"))
    assert result[3, 4] == 1
    assert result.sum() == 1


def test_a_stack_has_one_pair_of_limits():
    stack = np.stack([np.full((8, 8), 10, np.uint8), np.full((8, 8), 110, np.uint8)])
    stack[:, 0, 0] += 100
    limits = estimate_limits(iter(stack), PERCENTILE)
    assert limits == Limits(10, 210)
    assert normalise(stack[0], PERCENTILE, limits)[1, 1] == 0
    assert normalise(stack[1], PERCENTILE, limits)[1, 1] == 0.5
    # Its own limits would have made both frames equal.
    np.testing.assert_array_equal(normalise(stack[0], PERCENTILE), normalise(stack[1], PERCENTILE))


def test_limits_of_a_large_image_are_estimated_from_a_grid_of_its_pixels():
    image = np.random.default_rng(0).normal(1000, 100, (2000, 1500))
    low, high = estimate_limits([image], Normalisation(method="percentile", low=1, high=99))
    np.testing.assert_allclose([low, high], np.percentile(image, [1, 99]), atol=5)


@pytest.mark.parametrize("settings", [RANGE, PERCENTILE, Normalisation(method="percentile", shading=20)])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 30)])
def test_a_constant_image_gives_a_warning_and_a_constant_result(settings, shape):
    with pytest.warns(UserWarning, match="constant"):
        result = normalise(np.full(shape, 51, np.uint8), settings)
    assert result.shape == shape
    np.testing.assert_allclose(result, 0.2 if settings is RANGE else 0, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 7), (3, 5), (100, 3)])
@pytest.mark.parametrize("shading", [None, 0.5, 20, 1000])
def test_small_images_are_normalised(shape, shading):
    image = np.random.default_rng(0).integers(0, 4000, shape, np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = normalise(image, Normalisation(method="percentile", low=0, high=100, shading=shading))
    assert result.shape == shape
    assert result.min() == 0
    assert result.max() == pytest.approx(1)


@pytest.mark.parametrize(("bad", "count"), [([np.nan], 1), ([np.nan, np.inf, -np.inf], 3)])
@pytest.mark.parametrize("settings", [RANGE, PERCENTILE])
def test_nan_and_infinity_are_counted_and_refused(bad, count, settings):
    image = np.zeros((4, 4), np.float32)
    image.flat[: len(bad)] = bad
    with pytest.raises(InputError, match=f"{count} NaN"):
        normalise(image, settings)


@pytest.mark.parametrize(
    "image", [np.zeros((2, 3, 4)), np.zeros((0, 3)), np.zeros((3, 3), complex), np.full((3, 3), "a")]
)
def test_arrays_that_are_no_grey_images_are_refused(image):
    with pytest.raises(InputError):
        normalise(image, RANGE)


def test_shading_is_removed_and_cells_stay():
    y, x = np.mgrid[:256, :320].astype(float)
    cells = 40 * np.sin(x / 3) * np.sin(y / 3)
    shading = 3000 * np.cos(x / 200) + 8 * y
    settings = Normalisation(method="percentile", shading=25)
    result = normalise(np.round(8000 + shading + cells).astype(np.uint16), settings)
    inner = np.s_[80:-80, 80:-80]  # away from the mirrored borders
    assert np.corrcoef(result[inner].ravel(), cells[inner].ravel())[0, 1] > 0.97
    without = normalise(np.round(8000 + shading + cells).astype(np.uint16), Normalisation(method="percentile"))
    assert np.corrcoef(without[inner].ravel(), cells[inner].ravel())[0, 1] < 0.2


@pytest.mark.parametrize("sigma", [1, 9, 30])
def test_the_background_is_a_gaussian_blur(sigma):
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(np.random.default_rng(0).normal(size=(150, 203)), 6).astype(np.float32)
    expected = gaussian_filter(image, sigma, mode="reflect")
    everything = slice(None)
    found = SlowBackground(image.shape, sigma, [(everything, image)]).part(everything, everything)
    difference = found - expected
    assert np.abs(difference).max() < 0.03 * np.ptp(expected)


def test_limits_of_unshaded_images_fit_unshaded_images():
    stack = np.random.default_rng(0).integers(0, 65535, (3, 40, 50), np.uint16)
    settings = Normalisation(method="percentile", shading=10)
    limits = estimate_limits(stack, settings)
    assert limits.low < 0 < limits.high
    for frame in stack:
        result = normalise(frame, settings, limits)
        assert 0.4 < result.mean() < 0.6


def test_settings_can_be_written_as_plain_values_and_read_back():
    for settings in (RANGE, Normalisation(method="percentile", low=1, high=99.5, shading=40)):
        assert Normalisation.from_dict(settings.to_dict()) == settings
    assert Normalisation.from_dict({}) == RANGE


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"method": "zscore"}, "zscore"),
        ({"method": ["range"]}, "range"),
        ({"metod": "range"}, "metod"),
        ({"method": "percentile", "low": 50, "high": 50}, "50"),
        ({"method": "percentile", "low": -1}, "-1"),
        ({"method": "percentile", "high": 101}, "101"),
        ({"method": "percentile", "high": float("nan")}, "nan"),
        ({"method": "percentile", "low": "1"}, "'1'"),
        ({"method": "percentile", "shading": 0}, "0"),
        ({"method": "percentile", "shading": True}, "True"),
        ({"method": "range", "shading": 20}, "range"),
        ("percentile", "percentile"),
    ],
)
def test_wrong_settings_are_named(settings, named):
    with pytest.raises(InputError, match=named):
        Normalisation.from_dict(settings)


def test_no_frame_is_an_error():
    with pytest.raises(InputError, match="no frame"):
        estimate_limits([], PERCENTILE)
