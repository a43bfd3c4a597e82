"""Simulated DIC fields: reproducible, exactly labelled, and true to the interference formula."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from blunet.errors import InputError
from blunet.simulation.cells import measure_relative_distance, place_cells
from blunet.simulation.dic_fields import compute_dic_intensity, simulate_dic
from blunet.simulation.dic_settings import DicSettings, draw_settings

SMALL = DicSettings(shape=(120, 160), object_diameter=30.0, coverage=0.5)
BARE = {"coverage": 0.0, "debris": 0.0, "scratches": 0.0, "roughness": 0.0}


def bump(shape: tuple[int, int] = (41, 41)) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.exp(-((y - shape[0] // 2) ** 2 + (x - shape[1] // 2) ** 2) / 50.0)


def assert_exact_instances(labels: np.ndarray) -> None:
    present = np.unique(labels)
    assert np.array_equal(present[present > 0], np.arange(1, labels.max() + 1))
    for label in range(1, labels.max() + 1):
        assert ndimage.label(labels == label)[1] == 1


def test_same_seed_gives_same_bytes_and_another_seed_another_field():
    first, again, other = simulate_dic(SMALL, 3), simulate_dic(SMALL, 3), simulate_dic(SMALL, 4)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()
    assert (first.labels != other.labels).mean() > 0.1
    assert (first.image != other.image).mean() > 0.9


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (3, 200), (120, 160)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shape_types_and_labels(shape, seed):
    field = simulate_dic(DicSettings(shape=shape, object_diameter=30.0), seed)
    assert field.image.shape == field.labels.shape == shape
    assert field.image.dtype == np.uint16
    assert field.labels.dtype == np.int32
    assert_exact_instances(field.labels)


@pytest.mark.parametrize("seed", range(6))
def test_drawn_settings_give_exact_instances_near_the_coverage(seed):
    settings = draw_settings(np.random.default_rng(seed), (192, 192), 24.0)
    field = simulate_dic(settings, seed)
    assert_exact_instances(field.labels)
    assert abs((field.labels > 0).mean() - settings.coverage) < 0.1
    assert 0.6 * 24 <= settings.object_diameter <= 1.7 * 24


def test_clustered_cells_touch_and_keep_their_labels():
    labels = simulate_dic(DicSettings(shape=(256, 256), coverage=0.5, clustering=0.95), 1).labels
    left, right = labels[:, :-1], labels[:, 1:]
    assert ((left != right) & (left > 0) & (right > 0)).sum() > 50


def test_cells_are_granular_and_background_is_smooth():
    field = simulate_dic(DicSettings(shape=(256, 256), photons=20000.0), 2)
    image = field.image / ndimage.gaussian_filter(field.image.astype(float), 15)
    grain = np.abs(image - ndimage.gaussian_filter(image, 2))
    background = ndimage.binary_erosion(field.labels == 0, iterations=4)
    assert np.median(grain[field.labels > 0]) > 1.5 * np.median(grain[background])


def test_masks_follow_the_cells():
    settings = DicSettings(shape=(256, 256), photons=1e6, read_noise=0.0, shading=0.0, blur=0.3, debris=0.0,
                           scratches=0.0, roughness=0.0)  # fmt: skip
    field = simulate_dic(settings, 5)
    background = np.median(field.image[field.labels == 0])
    changed = np.abs(field.image / background - 1) > 0.006
    away = ndimage.distance_transform_edt(field.labels == 0)
    assert away[changed].max() < 8
    assert changed[field.labels > 0].mean() > 0.75


@pytest.mark.parametrize("seed", range(8))
def test_bent_cells_are_not_cut_off(seed):
    settings = DicSettings(shape=(200, 200), elongation=3.0, protrusions=4.0)
    for cell in place_cells(settings, np.random.default_rng(seed)):
        _, distance = measure_relative_distance(replace(cell, y=500.0, x=500.0), (1000, 1000))
        assert (distance < 1).any()
        assert not (distance[[0, -1]] < 1).any()
        assert not (distance[:, [0, -1]] < 1).any()


def test_no_cells_at_coverage_zero():
    field = simulate_dic(DicSettings(shape=(64, 64), coverage=0.0), 0)
    assert not field.labels.any()


def test_flat_phase_gives_the_exposed_background():
    settings = DicSettings(shape=(64, 64), shading=0.0, photons=10000.0, read_noise=0.0, exposure=0.5, **BARE)
    image = simulate_dic(settings, 0).image.astype(float)
    assert image.mean() == pytest.approx(0.5 * 65535, rel=0.002)
    assert image.std() / image.mean() == pytest.approx(10000**-0.5, rel=0.1)


@pytest.mark.parametrize("kind", ["dust", "remnants", "floating"])
def test_what_is_no_cell_is_seen_and_has_no_label(kind):
    """Each kind changes the image beyond the noise, and no label of it appears."""
    settings = DicSettings(shape=(400, 400), shading=0.0, photons=1e6, read_noise=0.0, **BARE)
    clean, field = simulate_dic(settings, 0), simulate_dic(settings.changed(**{kind: 8.0}), 0)
    assert not field.labels.any()
    assert field.image.astype(float).std() > 2 * clean.image.astype(float).std()


@pytest.mark.parametrize("kind", ["remnants", "floating"])
def test_remnants_and_floating_cells_start_beside_cells(kind):
    settings = DicSettings(shape=(400, 400), coverage=0.4)
    clean, field = simulate_dic(settings, 0), simulate_dic(settings.changed(**{kind: 8.0}), 0)
    assert np.array_equal(field.labels, clean.labels)


def test_shading_runs_along_its_angle():
    settings = DicSettings(shape=(80, 80), shading=0.6, shading_angle=90.0, photons=1e7, **BARE)
    image = simulate_dic(settings, 0).image.astype(float)
    assert image[-10:].mean() > 1.4 * image[:10].mean()
    assert image[:, -10:].mean() == pytest.approx(image[:, :10].mean(), rel=0.01)


def test_bit_depth_bounds_the_counts():
    image = simulate_dic(DicSettings(shape=(64, 64), bit_depth=8, exposure=0.9, thickness=2.0), 0).image
    assert image.max() <= 255


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 225.0])
def test_phase_ramp_follows_the_formula(angle):
    slope_y, slope_x, shear, bias = 0.05, -0.11, 1.7, 0.8
    y, x = np.mgrid[:30, :40]
    intensity = compute_dic_intensity(slope_y * y + slope_x * x, shear, angle, bias)
    across = shear * (slope_x * np.cos(np.deg2rad(angle)) + slope_y * np.sin(np.deg2rad(angle)))
    expected = (1 - np.cos(across + bias)) / 2
    np.testing.assert_allclose(intensity[3:-3, 3:-3], expected, atol=1e-5)


def test_reversing_the_shear_mirrors_the_contrast():
    forward = compute_dic_intensity(bump(), 1.0, 35.0, np.pi / 2)
    backward = compute_dic_intensity(bump(), 1.0, 215.0, np.pi / 2)
    assert np.ptp(forward) > 0.05
    np.testing.assert_allclose(forward - 0.5, 0.5 - backward, atol=1e-6)
    np.testing.assert_allclose(forward, backward[::-1, ::-1], atol=1e-6)


def test_amplitude_enters_both_waves():
    half = np.full((9, 9), 0.5)
    plain = compute_dic_intensity(np.zeros((9, 9)), 1.0, 0.0, 1.0)
    np.testing.assert_allclose(compute_dic_intensity(np.zeros((9, 9)), 1.0, 0.0, 1.0, half), plain / 4, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": (0, 5)}, "'shape.0' is 0; give a"),
        ({"shape": (5,)}, "'shape.1' is missing"),
        ({"coverage": 1.5}, "'coverage' is 1.5; give a"),
        ({"object_diameter": 1.0}, "'object_diameter' is 1.0; give a"),
        ({"photons": 0.0}, "'photons' is 0.0; give a"),
        ({"blur": -1.0}, "'blur' is -1.0; give a"),
        ({"bias": float("nan")}, "'bias' is nan; give a"),
        ({"bit_depth": 17}, "'bit_depth' is 17; give a"),
        ({"elongation": 0.5}, "'elongation' is 0.5; give a"),
        ({"shading": 2.0}, "'shading' is 2.0; give a"),
    ],
)
def test_settings_out_of_range_are_named(change, said):
    with pytest.raises(InputError, match=said):
        DicSettings(**change)


def test_settings_are_read_back_from_json():
    settings = DicSettings(shape=(7, 9), shear=1.5)
    assert DicSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
