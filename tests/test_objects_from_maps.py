"""Objects from the distance map of a network: how they are split, and the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from random_networks import latent_weights, normalised
from scipy.ndimage import gaussian_filter, label
from two_map_model import TwoMapModel, touching_cells
from typer.testing import CliRunner

import blunet
from blunet.cli import app
from blunet.dataset.targets import compute_distance_map
from blunet.dataset.truth_masks import read_mask
from blunet.errors import InputError
from blunet.evaluation.metrics import average_precision
from blunet.images.frame_source import FrameSource
from blunet.images.image_writer import read_description
from blunet.jobs.events import CancelToken
from blunet.jobs.layer_segmentation import relabel_frames, segment_frames
from blunet.packed.binary_weights import binarise_weights
from blunet.packed.model_card import ModelInfo
from blunet.packed.packed_model import PackedModel
from blunet.segmentation import basins
from blunet.segmentation.frames import predict_frames
from blunet.segmentation.objects import label_objects
from blunet.segmentation.prediction import predict_maps
from blunet.segmentation.segmentation_settings import DEFAULTS, SegmentationSettings
from blunet.simulation.dic_fields import simulate_dic
from blunet.simulation.dic_settings import DicSettings


def cells() -> tuple[np.ndarray, np.ndarray]:
    """The probability and the distance of `touching_cells`."""
    image = touching_cells()
    return (image > 0).astype(np.float32), (image / 255).astype(np.float32)


def noisy(seed: int, shape: tuple[int, int] = (120, 150)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = gaussian_filter(rng.normal(size=shape), 6)
    distance = np.clip(gaussian_filter(rng.normal(size=shape), 3) * 6, 0, 1)
    return (probability > 0).astype(np.float32), distance.astype(np.float16)


def test_the_map_splits_cells_that_the_foreground_cannot():
    probability, distance = cells()
    assert label_objects(probability, 0.5).max() == 2
    labels = label_objects(probability, 0.5, distance=distance)
    assert labels.max() == 3
    assert np.array_equal(labels > 0, probability > 0.5)
    assert len(np.unique(labels[10:30, 10:30])) == len(np.unique(labels[10:30, 30:50])) == 1


@pytest.mark.parametrize("kind", ["components", "mask"])
def test_other_kinds_of_objects_do_not_use_the_map(kind):
    probability, distance = cells()
    expected = label_objects(probability, 0.5, kind)
    assert np.array_equal(label_objects(probability, 0.5, kind, distance=distance), expected)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_number_of_objects_does_not_fall_as_splitting_rises(seed, mapped):
    probability, distance = noisy(seed)
    counts = []
    for splitting in np.linspace(0, 1, 11):
        labels = label_objects(probability, 0.5, min_size=0, splitting=splitting, distance=distance if mapped else None)
        if not mapped:
            assert np.array_equal(labels > 0, probability > 0.5)
        assert all(label(labels == number)[1] == 1 for number in np.unique(labels)[1:])
        counts.append(int(labels.max()))
    assert counts == sorted(counts)
    whole = label_objects(probability, 0.5, "components", min_size=0).max()
    assert counts[0] == whole if not mapped else 0 < counts[0] <= whole
    assert counts[-1] > counts[0]


def test_the_default_without_a_map_is_a_splitting_of_two_fifths():
    probability, _ = noisy(7)
    assert np.array_equal(label_objects(probability, 0.5), label_objects(probability, 0.5, splitting=0.4))


@pytest.mark.parametrize("value", [0.0, 0.45, 0.55, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (30, 40)])
def test_constant_maps(shape, value):
    distance = np.full(shape, value, np.float16)
    for splitting in (0.0, 0.4, 1.0):
        labels = label_objects(np.ones(shape), 0.5, min_size=1, splitting=splitting, distance=distance)
        assert (labels == (value > 0.5)).all()  # without any middle, there is no object
        assert labels.dtype == np.int32
        assert not label_objects(np.zeros(shape), 0.5, splitting=splitting, distance=distance).any()


def test_one_cell_stays_one_and_two_that_fill_the_image_are_two():
    whole = np.zeros((40, 60), int)
    whole[:, :30], whole[:, 30:] = 1, 2
    labels = label_objects(np.ones(whole.shape), 0.5, distance=compute_distance_map(whole))
    assert labels.max() == 2
    one = np.zeros((40, 60), int)
    one[5:30, 8:50] = 1
    assert label_objects(one.astype(float), 0.5, distance=compute_distance_map(one)).max() == 1


def test_cells_of_the_map_outside_of_the_foreground_are_left_out():
    probability, distance = cells()
    probability[36:56, 60:80] = 0
    labels = label_objects(probability, 0.5, distance=distance)
    assert labels.max() == 2
    assert not labels[36:56, 60:80].any()


def test_foreground_without_a_middle_is_no_object_and_takes_nothing_from_one():
    probability, distance = cells()
    probability[50:58, 5:30] = 1  # far from cells: the map is 0
    probability[10:30, 50:60] = 1  # beside a cell
    labels = label_objects(probability, 0.5, distance=distance)
    assert labels.max() == 3
    assert not labels[50:58, 5:30].any()
    assert len(np.unique(labels[10:30, 30:60])) == 1
    assert label_objects(probability, 0.5, "components", distance=distance).max() == 3


def test_sizes_are_judged_after_splitting():
    probability, distance = cells()
    assert label_objects(probability, 0.5, min_size=400, distance=distance).max() == 3
    assert label_objects(probability, 0.5, min_size=401, distance=distance).max() == 0
    assert label_objects(probability, 0.5, min_size=401, splitting=0, distance=distance).max() == 1


def test_seventy_thousand_touching_cells():
    side = 265
    tent = np.array([1, 2, 3, 4, 3, 2, 1]) / 4
    distance = np.tile(np.minimum.outer(tent, tent), (side, side)).astype(np.float16)
    labels = label_objects(np.ones(distance.shape), 0.5, splitting=0.9, distance=distance)
    assert labels.max() == side**2
    assert np.bincount(labels.ravel())[1:].min() >= 30


def test_real_cells_are_parted_by_blurred_maps(shared_data):
    masks = sorted((shared_data / "phase-usiigaci" / "train" / "masks").glob("*.png"))[::12]
    alone, mapped = [], []
    for truth in map(read_mask, masks):
        foreground = (truth > 0).astype(np.float32)
        distance = gaussian_filter(compute_distance_map(truth), 2.5)
        alone.append(average_precision(truth, label_objects(foreground, 0.5)))
        mapped.append(average_precision(truth, label_objects(foreground, 0.5, distance=distance)))
    assert np.mean(mapped) > np.mean(alone) + 0.03
    assert np.mean(mapped) > 0.9


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(InputError, match=r"\(4, 5\) and \(5, 4\)"):
        label_objects(np.zeros((4, 5)), 0.5, distance=np.zeros((5, 4)))
    with pytest.raises(InputError, match=r"'splitting' is 1\.2"):
        label_objects(np.zeros((4, 5)), 0.5, splitting=1.2)


# From images ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objects", "keep", "asked"),
    [
        ("watershed", False, "maps"),
        ("components", False, "foreground"),
        ("mask", False, "foreground"),
        ("mask", True, "maps"),
    ],
)
def test_the_map_is_predicted_only_where_it_is_needed(objects, keep, asked):
    model = TwoMapModel()
    source = FrameSource.from_array(touching_cells())
    settings = DEFAULTS.changed(objects=objects)
    (predicted,) = predict_frames(source, model, settings, keep_distance=keep)
    assert model.runs == [asked]
    assert (predicted.distance is not None) == (asked == "maps")
    assert predicted.foreground.dtype == bool
    (kept,) = predict_frames(source, model, settings, keep_probability=True)
    assert (kept.probability.dtype, kept.foreground) == (np.float32, None)


def test_maps_are_resampled_with_the_image():
    image = touching_cells()
    maps = predict_maps(image, TwoMapModel(), diameter=10)
    assert (maps.shape, maps.dtype) == ((2, *image.shape), np.float32)
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert np.abs(maps[1] - image / 255).mean() < 0.02
    assert blunet.segment(image, TwoMapModel(), diameter=10).max() == 3


def test_the_splitting_is_the_models_own_unless_given():
    image = touching_cells()
    assert blunet.segment(image, TwoMapModel()).max() == 3
    assert blunet.segment(image, TwoMapModel(splitting=0)).max() == 2
    assert blunet.segment(image, TwoMapModel(splitting=0), splitting=0.4).max() == 3
    assert SegmentationSettings().for_model(ModelInfo(splitting=0.7)).splitting == 0.7
    assert SegmentationSettings(splitting=0.1, threshold=0.2).for_model(ModelInfo()).to_dict()["splitting"] == 0.1


@pytest.mark.parametrize("splitting", [None, 0.0, 0.25, 0.9])
def test_command_and_python_agree_and_say_the_splitting(tmp_path, monkeypatch, splitting):
    monkeypatch.chdir(tmp_path)
    stack = np.stack([touching_cells(), touching_cells()[::-1]])
    tifffile.imwrite("lapse.tif", stack, imagej=True, metadata={"axes": "TYX"})
    model = TwoMapModel(splitting=0.3)
    monkeypatch.setattr("blunet.jobs.model_files.open_model", lambda _: model)
    option = [] if splitting is None else ["--splitting", str(splitting)]
    result = CliRunner().invoke(app, ["segment", "lapse.tif", "--out", "out", "--probability", "--json", *option])
    assert result.exit_code == 0, result.output
    found = blunet.segment(stack, model, splitting=splitting)
    assert np.array_equal(tifffile.imread("out/lapse_labels.tif"), found)
    assert json.loads(result.stdout)["images"][0]["objects"] == found.max() == (4 if splitting == 0 else 6)
    used = 0.3 if splitting is None else splitting
    assert read_description(Path("out/lapse_labels.tif"))["settings"]["splitting"] == used


def test_scores_are_of_objects_from_maps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = touching_cells()
    truth = blunet.segment(image, TwoMapModel()).astype(np.uint8)
    tifffile.imwrite("a.tif", image)
    tifffile.imwrite("a_mask.tif", truth)
    monkeypatch.setattr("blunet.jobs.model_files.open_model", lambda _: TwoMapModel())

    def evaluate(*options: str) -> dict:
        return json.loads(CliRunner().invoke(app, ["evaluate", "m.blunet", "--data", ".", "--json", *options]).stdout)

    own = evaluate()
    assert (own["iou"], own["ap50"], own["map"], own["splitting"]) == (1, 1, 1, 0.4)
    assert set(own["images"][0]) == {"image", "iou", "f1", "ap50", "map", "cells"}
    whole = evaluate("--splitting", "0")
    assert (whole["iou"], whole["splitting"]) == (1, 0)
    assert whole["ap50"] == 2 / 3  # at an IoU of exactly 0.5, the pair matches one of its cells
    assert whole["map"] == pytest.approx((2 / 3 + 9 * 1 / 4) / 10)


@pytest.mark.parametrize("count", [1, 3])
def test_layers_are_labelled_again_without_another_run(monkeypatch, count):
    model = TwoMapModel()
    monkeypatch.setattr("blunet.jobs.layer_segmentation.load_model", lambda path, threads: model)
    frames = [touching_cells(), touching_cells()[::-1], touching_cells()[:, ::-1]][:count]
    source = FrameSource.from_array(np.stack(frames) if count > 1 else frames[0])
    token, chosen = CancelToken(), list(range(count))
    first = DEFAULTS.changed(objects="mask")
    events = list(segment_frames(source, None, first, token, chosen=chosen))
    predictions = {event.t: event for event in events if hasattr(event, "distance")}
    runs = len(model.runs)
    for splitting, cells in ((0.0, 2), (0.4, 3)):
        settings = SegmentationSettings(threshold=0.5, splitting=splitting)
        again = [e for e in relabel_frames(source, predictions, settings, token) if hasattr(e, "labels")]
        assert sum(event.objects for event in again) == count * cells
        expected = blunet.segment(
            source.frame() if count == 1 else np.stack(frames), TwoMapModel(), splitting=splitting
        )
        assert np.array_equal(np.squeeze(np.stack([event.labels for event in again])), expected)
    assert len(model.runs) == runs


def test_a_network_of_keras_with_two_maps():
    from blunet.architecture import NetworkSettings
    from blunet.networks.build import build_network
    from blunet.networks.keras_file import KerasModel

    settings = NetworkSettings(
        network="lightweight", levels=2, base_filters=4, form="normalised", maps=("foreground", "distance")
    )
    model = KerasModel(build_network(settings, seed=0), settings, ModelInfo(threshold=0.45))
    image = np.random.default_rng(0).integers(0, 256, (61, 83)).astype(np.uint8)
    maps = model.predict_maps(image)
    assert maps.shape == (2, 61, 83)
    labels = blunet.segment(image, model, min_size=5)
    threshold, distance = 0.45, maps[1].astype(np.float16)
    assert np.array_equal(labels, label_objects(maps[0], threshold, min_size=5, distance=distance))
    mask = blunet.segment(image, model, min_size=0, objects="mask")
    assert np.array_equal(mask > 0, maps[0] > threshold)


@pytest.mark.parametrize("tile", [1280, 64])
def test_a_packed_network_with_two_maps_in_one_piece_and_in_tiles(tmp_path, monkeypatch, tile):
    settings = normalised(2, 4, "3333")
    weights = binarise_weights(settings, latent_weights(settings, seed=3))
    model = PackedModel(weights, ModelInfo(threshold=0.45), tile=tile)
    image = np.random.default_rng(0).integers(0, 256, (190, 230)).astype(np.uint8)
    maps = PackedModel(weights, model.info).predict_maps(image)
    assert maps.shape == (2, 190, 230)
    expected = label_objects(maps[0], 0.45, min_size=5, distance=maps[1].astype(np.float16))
    assert np.array_equal(blunet.segment(image, model, min_size=5), expected)
    (kept,) = predict_frames(FrameSource.from_array(image), model, DEFAULTS, keep_probability=True)
    assert np.array_equal(kept.probability, maps[0])
    assert np.array_equal(kept.distance, maps[1].astype(np.float16))
    model.save(tmp_path / "two.blunet")
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("x.tif", image)
    command = ["segment", "x.tif", "--out", "out", "--model", "two.blunet", "--min-size", "5"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert np.array_equal(tifffile.imread("out/x_labels.tif"), expected)


@pytest.mark.parametrize("tile", [100, 256, 333])
def test_tiles_give_the_objects_of_the_whole_image(tile, monkeypatch):
    """Cells on the borders of tiles are one object; labels, maxima and saddles equal those of the whole image."""
    monkeypatch.setattr(basins, "MARGIN", 80)
    truth, distance = crowded_cells(noise=0.1)
    whole, tiled = (basins.find_basins(truth > 0, distance, tile=side) for side in (10_000, tile))
    assert whole.maxima.size > 200
    for name in ("labels", "maxima", "pairs", "saddles"):
        np.testing.assert_array_equal(getattr(tiled, name), getattr(whole, name))
    for splitting in (0.2, 0.4, 0.8):
        found = basins.join_basins(tiled, splitting)
        np.testing.assert_array_equal(found, basins.join_basins(whole, splitting))


def test_tiles_differ_from_the_whole_image_at_ties_alone(monkeypatch):
    """Without noise two basins often reach a pixel at one height: such pixels may change sides, and nothing else."""
    monkeypatch.setattr(basins, "MARGIN", 80)
    truth, distance = crowded_cells(noise=0.0)
    whole, tiled = (basins.find_basins(truth > 0, distance, tile=side) for side in (10_000, 256))
    np.testing.assert_array_equal(tiled.maxima, whole.maxima)
    assert np.mean(tiled.labels != whole.labels) < 1e-4


def crowded_cells(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels of cells that touch, and their distance map with smooth noise of this standard deviation."""
    truth = simulate_dic(DicSettings(shape=(700, 900), object_diameter=40, coverage=0.8, clustering=0.9), 3).labels
    blurred = gaussian_filter(np.random.default_rng(0).standard_normal(truth.shape), 3)
    distance = compute_distance_map(truth) + noise * blurred / blurred.std()
    return truth, np.clip(distance, 0, 1).astype(np.float16)


def test_an_object_larger_than_a_tile_is_one(monkeypatch):
    """The maximum of a cone lies in one tile, and the tiles around know it as long as it is in their margin."""
    monkeypatch.setattr(basins, "MARGIN", 150)
    y, x = np.ogrid[:300, :300]
    distance = np.clip(1 - np.hypot(y - 140, x - 160) / 130, 0, 1)
    found = basins.find_basins(distance > 0, distance, tile=64)
    assert found.maxima.size == 2
    np.testing.assert_array_equal(basins.join_basins(found, 0.4), distance > 0)


@pytest.mark.parametrize("foreground", [False, True])
def test_tiles_of_constant_maps(foreground):
    found = basins.find_basins(np.full((50, 70), foreground), np.full((50, 70), 0.7), tile=20)
    assert found.labels.shape == (50, 70)
    assert basins.join_basins(found, 0.4).max() == int(foreground)
