"""What each operation of augmentation changes, and what it must not change."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

from blunet.dataset import augmentation
from blunet.dataset.augmentation import Planes
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.dataset.targets import compute_distance_map
from blunet.errors import InputError

NOTHING = AugmentationSettings.none()
PRESETS = [AugmentationSettings.study(), AugmentationSettings()]
SHAPES = [(96, 96), (64, 110), (37, 1), (1, 1)]


def discs(shape: tuple[int, int] = (96, 96)) -> NDArray[np.int32]:
    """Four discs numbered 3, 7, 8 and 1000."""
    y, x = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for number, row, column in ((3, 0.25, 0.25), (7, 0.25, 0.75), (8, 0.75, 0.3), (1000, 0.7, 0.75)):
        labels[(y - row * shape[0]) ** 2 + (x - column * shape[1]) ** 2 < (0.2 * min(shape)) ** 2] = number
    return labels


def noise_image(shape: tuple[int, int] = (96, 96)) -> NDArray[np.float32]:
    return np.random.default_rng(5).uniform(0.2, 0.7, shape).astype(np.float32)


def augment(
    image: NDArray[np.float32], labels: NDArray[np.int32], settings: AugmentationSettings, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Augment an image and labels without a distance map."""
    new_image, new_labels, distance = augmentation.augment(Planes(image, labels), settings, rng)
    assert distance is None
    return new_image, new_labels


def crop_at_random(
    image: NDArray[np.float32], labels: NDArray[np.int32], size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Crop an image and labels without a distance map."""
    new_image, new_labels, _ = augmentation.crop_at_random(Planes(image, labels), size, rng)
    return new_image, new_labels


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("settings", PRESETS)
def test_equal_seeds_give_equal_crops_and_other_seeds_others(settings: AugmentationSettings) -> None:
    image, labels = noise_image(), discs()
    first = augment(image, labels, settings, rng(1))
    again = augment(image, labels, settings, rng(1))
    other = augment(image, labels, settings, rng(2))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


@pytest.mark.parametrize("settings", PRESETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_types_ranges_and_instance_numbers_stay(settings: AugmentationSettings, shape: tuple[int, int]) -> None:
    image, labels = noise_image(shape), discs(shape)
    before = image.copy(), labels.copy()
    for seed in range(12):
        new_image, new_labels = augment(image, labels, settings, rng(seed))
        assert new_image.shape == new_labels.shape == shape
        assert (new_image.dtype, new_labels.dtype) == (np.float32, np.int32)
        assert np.isfinite(new_image).all()
        assert new_image.min() >= 0
        assert new_image.max() <= 1
        assert set(np.unique(new_labels)) <= set(np.unique(labels))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize("settings", PRESETS)
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_constant_image_stays_finite(settings: AugmentationSettings, value: float) -> None:
    image = np.full((40, 40), value, np.float32)
    for seed in range(10):
        assert np.isfinite(augment(image, discs((40, 40)), settings, rng(seed))[0]).all()


def test_nothing_changes_where_everything_is_off() -> None:
    image, labels = noise_image(), discs()
    new_image, new_labels = augment(image, labels, NOTHING, rng())
    np.testing.assert_array_equal(new_image, image)
    np.testing.assert_array_equal(new_labels, labels)


@pytest.mark.parametrize(
    "change",
    [
        {"elastic": 6.0},
        {"rotation": 180.0},
        {"zoom": 1.4},
        {"shift": 15.0},
        {"flips": True},
        {"quarter_turns": True},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("shape", [(96, 96), (64, 110)])
def test_image_and_labels_move_together(change: dict[str, float], shape: tuple[int, int]) -> None:
    labels = discs(shape)
    mask = (labels > 0).astype(np.float32)
    moved = 0
    for seed in range(8):
        image, new_labels = augment(mask, labels, NOTHING.changed(**change), rng(seed))
        # The nearest pixel has at least 1/4 of a linear sample: the two cannot differ by more than 3/4.
        inside = new_labels > 0
        assert (np.abs(image - inside) < 0.751).all()
        assert np.mean((image > 0.5) != inside) < 0.03
        moved += not np.array_equal(new_labels, labels)
    assert moved >= 4


@pytest.mark.parametrize("shape", [(96, 96), (64, 110)])
def test_the_histogram_warp_is_monotone_and_keeps_the_range(shape: tuple[int, int]) -> None:
    image, labels = noise_image(shape), discs(shape)
    order = np.argsort(image, axis=None)
    curves = []
    for seed in range(20):
        warped = augment(image, labels, NOTHING.changed(histogram=1), rng(seed))[0]
        assert (np.diff(warped.ravel()[order]) >= 0).all()
        assert warped.min() == image.min()
        assert warped.max() == image.max()
        curves.append(warped)
    assert np.abs(np.array(curves) - image).max(axis=(1, 2)).min() > 0.005
    assert np.std(curves, axis=0).max() > 0.05


def test_the_histogram_warp_of_an_almost_constant_image_is_finite() -> None:
    image = np.zeros((8, 8), np.float32)
    image[0, 0] = np.finfo(np.float32).smallest_subnormal
    assert np.isfinite(augment(image, discs((8, 8)), NOTHING.changed(histogram=1), rng())[0]).all()


def test_the_histogram_warp_happens_with_its_probability() -> None:
    image, labels = noise_image((9, 9)), discs((9, 9))
    settings = NOTHING.changed(histogram=0.25)
    warped = sum(not np.array_equal(augment(image, labels, settings, rng(s))[0], image) for s in range(400))
    assert 70 <= warped <= 130


def test_the_illumination_warp_is_a_smooth_gain_along_one_axis() -> None:
    image = np.full((64, 110), 0.5, np.float32)
    axes, bent = set(), 0
    for seed in range(12):
        warped = augment(image, discs((64, 110)), NOTHING.changed(illumination=0.4), rng(seed))[0]
        gain = warped / image
        assert gain.min() >= 0.8 - 1e-6
        assert gain.max() <= 1.2 + 1e-6
        axis = int(np.ptp(gain, axis=1).max() > 1e-6)
        assert np.ptp(gain, axis=1 - axis).max() < 1e-6
        profile = np.take(gain, 0, axis=1 - axis)
        assert np.abs(np.diff(profile)).max() < 0.05
        axes.add(axis)
        bent += np.ptp(np.diff(profile)) > 1e-4
    assert axes == {0, 1}
    assert bent == 12


def test_brightness_and_contrast_are_one_rising_line_about_mid_grey() -> None:
    image, labels = np.linspace(0.4, 0.6, 81, dtype=np.float32).reshape(9, 9), discs((9, 9))
    slopes, middles = [], []
    for seed in range(300):
        changed = augment(image, labels, NOTHING.changed(contrast=0.25, brightness=0.03), rng(seed))[0]
        slope, middle = np.polyfit(image.ravel() - 0.5, changed.ravel(), 1)
        np.testing.assert_allclose(changed, middle + slope * (image - 0.5), atol=1e-5)
        slopes.append(slope)
        middles.append(middle - 0.5)
    assert min(slopes) > 0
    assert np.std(np.log(slopes)) == pytest.approx(0.25, rel=0.15)
    assert np.std(middles) == pytest.approx(0.03, rel=0.15)


def test_noise_has_the_published_deviation() -> None:
    image = np.full((300, 300), 0.5, np.float32)
    settings = NOTHING.changed(noise=1 / 255)
    noise = augment(image, discs((300, 300)), settings, rng())[0] - image
    assert noise.std() == pytest.approx(1 / 255, rel=0.02)
    assert abs(noise.mean()) < 1e-4
    drawn = [
        augment(image, discs((300, 300)), settings.changed(noise_range=3), rng(s))[0].std() * 255 for s in range(40)
    ]
    assert max(drawn) < 3.05
    assert np.mean(drawn) == pytest.approx(1.5, abs=0.4)


def test_half_of_the_images_are_blurred() -> None:
    image, labels = noise_image(), discs()
    blurred = [augment(image, labels, NOTHING.changed(blur=1.5), rng(s))[0] for s in range(100)]
    sharp = sum(np.array_equal(b, image) for b in blurred)
    assert 30 <= sharp <= 70
    assert min(b.std() for b in blurred) < 0.5 * image.std()
    assert all(b.mean() == pytest.approx(image.mean(), abs=2e-3) for b in blurred)


def test_flips_and_quarter_turns_are_exactly_the_eight_poses() -> None:
    image, labels = noise_image((31, 31)), discs((31, 31))
    poses = [np.rot90(plane, k) for plane in (image, image[::-1]) for k in range(4)]
    settings = NOTHING.changed(flips=True, quarter_turns=True)
    seen = set()
    for seed in range(120):
        moved, moved_labels = augment(image, labels, settings, rng(seed))
        pose = next(i for i, p in enumerate(poses) if np.array_equal(p, moved))
        np.testing.assert_array_equal(
            moved_labels, [np.rot90(p, k) for p in (labels, labels[::-1]) for k in range(4)][pose]
        )
        seen.add(pose)
    assert seen == set(range(8))


def test_an_oblong_crop_is_rotated_by_0_or_180_degrees() -> None:
    image, labels = noise_image((20, 33)), discs((20, 33))
    seen = set()
    for seed in range(40):
        moved = augment(image, labels, NOTHING.changed(quarter_turns=True), rng(seed))[0]
        seen.add(next(k for k in (0, 2) if np.array_equal(np.rot90(image, k), moved)))
    assert seen == {0, 2}


def test_rotation_of_a_disc_in_the_middle_keeps_it_and_zoom_scales_it() -> None:
    y, x = np.indices((121, 121)) - 60
    disc = (y**2 + x**2 < 20**2).astype(np.int32)
    image = disc.astype(np.float32)
    areas = []
    for seed in range(60):
        turned = augment(image, disc, NOTHING.changed(rotation=180), rng(seed))[1]
        assert np.mean(turned != disc) < 0.005
        areas.append(augment(image, disc, NOTHING.changed(zoom=1.4), rng(seed))[1].sum() / disc.sum())
    zooms = np.sqrt(areas)
    assert zooms.min() > 0.69
    assert zooms.max() < 1.43
    assert zooms.min() < 0.77
    assert zooms.max() > 1.3


def test_a_shift_moves_everything_by_one_distance() -> None:
    labels = np.zeros((81, 81), np.int32)
    labels[40, 40] = 5
    image = (labels > 0).astype(np.float32)
    for seed in range(20):
        moved = augment(image, labels, NOTHING.changed(shift=10), rng(seed))[0]
        assert moved.sum() == pytest.approx(1, abs=1e-4)
        assert np.abs(np.argwhere(moved > 0) - 40).max() <= 11


def test_elastic_displacements_have_their_standard_deviation() -> None:
    y, x = np.indices((101, 101), dtype=np.float32) / 100
    corner = []
    for seed in range(200):
        moved = augment(0.25 + y / 2, discs((101, 101)), NOTHING.changed(elastic=6), rng(seed))[0]
        corner.append((moved[50, 50] - 0.5) * 2 * 100)
    assert np.std(corner) == pytest.approx(6, rel=0.15)
    bent = augment(0.25 + x / 2, discs((101, 101)), NOTHING.changed(elastic=6), rng(3))[0]
    assert np.ptp(np.diff(bent, axis=1)) > 1e-4


def test_borders_are_mirrored() -> None:
    ramp = np.tile(np.linspace(0.25, 0.75, 65, dtype=np.float32), (65, 1))
    labels = np.tile(np.arange(1, 66, dtype=np.int32), (65, 1))
    for seed in range(20):
        image, moved = augment(ramp, labels, NOTHING.changed(shift=200), rng(seed))
        np.testing.assert_allclose(image[0], 0.25 + (moved[0] - 1) / 128, atol=0.5 / 128 + 1e-5)
        assert np.abs(np.diff(moved[0])).max() <= 2


@pytest.mark.parametrize("shape", [(100, 130), (40, 130), (30, 20), (64, 64)])
def test_crops_are_squares_padded_at_the_bottom_and_right(shape: tuple[int, int]) -> None:
    labels = np.arange(1, shape[0] * shape[1] + 1, dtype=np.int32).reshape(shape)
    image = (labels / labels.size).astype(np.float32)
    height, width = min(64, shape[0]), min(64, shape[1])
    origins = set()
    for seed in range(30):
        crop, crop_labels = crop_at_random(image, labels, 64, rng(seed))
        assert crop.shape == crop_labels.shape == (64, 64)
        row, column = divmod(int(crop_labels[0, 0]) - 1, shape[1])
        region = (slice(row, row + height), slice(column, column + width))
        np.testing.assert_array_equal(crop_labels[:height, :width], labels[region])
        np.testing.assert_array_equal(crop[:height, :width], image[region])
        assert np.count_nonzero(crop_labels) == height * width
        origins.add((row, column))
    assert (len(origins) > 1) == (max(shape) > 64)


def test_a_random_crop_reaches_every_origin() -> None:
    labels = np.arange(1, 21, dtype=np.int32).reshape(4, 5)
    seen = {int(crop_at_random(labels.astype(np.float32), labels, 3, rng(s))[1][0, 0]) for s in range(200)}
    assert seen == {1, 2, 3, 6, 7, 8}


def test_planes_of_other_shapes_and_empty_crops_are_refused() -> None:
    image, labels = noise_image(), discs()
    with pytest.raises(InputError, match=r"labels have the shape \(64, 110\)"):
        augment(image, discs((64, 110)), NOTHING, rng())
    with pytest.raises(InputError, match=r"labels have the shape \(95, 96\)"):
        crop_at_random(image, labels[1:], 32, rng())
    with pytest.raises(InputError, match="size is 0"):
        crop_at_random(image, labels, 0, rng())
    with pytest.raises(InputError, match="grey image"):
        augment(np.zeros((4, 4, 3), np.float32), labels, NOTHING, rng())


def test_the_study_is_the_published_list() -> None:
    assert AugmentationSettings.study() == NOTHING.changed(
        histogram=1.0, elastic=20.0, noise=1 / 255, flips=True, quarter_turns=True
    )


@pytest.mark.parametrize("settings", [*PRESETS, NOTHING])
def test_settings_are_read_back_from_plain_values(settings: AugmentationSettings) -> None:
    assert AugmentationSettings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"histogram": 1.5}, "'histogram' is 1.5; give a number, 0 to 1"),
        ({"zoom": 0.7}, "'zoom' is 0.7; give a number, 1 or more"),
        ({"noise": -1}, "'noise' is -1; give a number, 0 or more"),
        ({"elastic": float("nan")}, "'elastic' is nan"),
        ({"rotation": "much"}, "'rotation' is 'much'; give a number"),
        ({"blur": True}, "'blur' is True; give a number"),
        ({"flips": 1}, "'flips' is 1; give true or false"),
        ({"hue": 1}, "'hue' is not a setting; known are histogram, illumination,"),
        ([1, 2], r"is \[1, 2\]; give a table of histogram, illumination,"),
    ],
)
def test_bad_settings_are_named(data: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        AugmentationSettings.from_dict(data)


def test_the_distance_map_moves_with_the_labels() -> None:
    labels = discs()
    distance = compute_distance_map(labels)
    settings = NOTHING.changed(zoom=1.3, rotation=90, flips=True, quarter_turns=True, elastic=4)
    for seed in range(8):
        moved = augmentation.augment(Planes(noise_image(), labels, distance), settings, rng(seed))
        assert moved.distance is not None
        assert moved.distance.shape == labels.shape
        # A linear sample of the map is above 0 where the nearest pixel is inside an object, and 0 far outside.
        assert (moved.distance[moved.labels > 0] > 0).all()
        assert moved.distance[minimum_filter(moved.labels == 0, 3)].max() < 0.1
        assert moved.distance.max() > 0.9


def test_crops_with_objects_are_preferred() -> None:
    labels = np.zeros((200, 200), np.int32)
    labels[150:, 150:] = 1
    planes = Planes(np.zeros((200, 200), np.float32), labels)
    shares = {
        wanted: np.mean([augmentation.crop_at_random(planes, 40, rng(s), wanted).labels.any() for s in range(300)])
        for wanted in (0.0, 0.05)
    }
    assert shares[0.05] > 1.7 * shares[0.0] > 0
