"""Settings of a compression: presets, the study's recipe, files, wrong values."""

from __future__ import annotations

import re

import pytest
from tiny_compression import TINY

from blunet.architecture import ResidualLevels
from blunet.compression.compression_settings import CompressionSettings
from blunet.compression.presets import PRESETS, preset
from blunet.compression.run_request import Request
from blunet.compression.settings_file import read_settings, write_settings
from blunet.dataset.augmentation_settings import AugmentationSettings
from blunet.errors import InputError
from blunet.images.normalisation_settings import Normalisation
from blunet.packed.model_card import ModelInfo
from blunet.settings_model import setting_table


def test_presets_survive_a_file(tmp_path):
    for name in PRESETS:
        write_settings(preset(name), tmp_path / "s.toml")
        assert read_settings(tmp_path / "s.toml") == preset(name)
    (tmp_path / "s.toml").write_text("base_filters = 8\n[binarise]\nepochs = 3\n")
    changed = read_settings(tmp_path / "s.toml", preset("quick"))
    assert (changed.base_filters, changed.binarise.epochs) == (8, 3)
    assert changed.binarise.batches == preset("quick").binarise.batches


def test_a_settings_file_describes_every_setting_above_it(tmp_path):
    write_settings(preset("quick"), tmp_path / "s.toml")
    lines = (tmp_path / "s.toml").read_text().splitlines()
    assert all(len(line) <= 120 for line in lines)
    keys = [i for i, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(keys) == sum(not facts.name.endswith(".decay") for facts in setting_table(CompressionSettings))
    assert all(lines[i - 1].startswith("# ") for i in keys)
    tables = [i for i, line in enumerate(lines) if line.startswith("[")]
    assert [lines[i] for i in tables[-2:]] == ["[retrain]", "[binarise]"]
    assert all(lines[i - 1].startswith("# ") for i in tables)
    at = lines.index("[normalisation]")
    assert lines[lines.index("shading = 50.0", at) - 1].endswith("Only with percentile. (in px; above 0)")


def test_a_wrong_setting_is_named_with_its_tables():
    with pytest.raises(InputError) as caught:
        ModelInfo.from_dict({"threshold": 0.5, "normalisation": {}, "card": {"figures": {"iou": [1]}}})
    assert str(caught.value) == "'card.figures.iou' is [1]; give a number."
    wrong = TINY.to_dict() | {"retrain": {"epochs": 2, "batches": 1, "learning_rate": 0.1, "ignored_epochs": 2}}
    with pytest.raises(InputError, match=r"^'settings\.retrain\.ignored_epochs' is 2; give less than the 2 epochs\.$"):
        Request.from_dict({"data": "d", "run": "r", "settings": wrong})


def test_the_study_is_the_published_recipe():
    study = preset("study")
    recipe = {
        "transfer": (1e-4, 512, "val_loss", 1e-7),
        "hint_encoder": (1e-3, 256, "val_loss", 0.0),
        "hint_decoder": (1e-3, 256, "val_loss", 0.0),
        "retrain": (1e-3, 512, "val_iou", 0.0),
        "binarise": (1e-3, 256, "val_iou", 0.0),
    }
    for name, wanted in recipe.items():
        step = study.step(name)
        assert (step.learning_rate, step.crop, step.monitor, step.l2) == wanted
        assert (step.epochs, step.batch, step.decay, step.loss) == (400, 1, 0.95, "bce")
        assert (step.ignored_epochs, step.border_weights, step.run) == (0, False, True)
    assert (study.levels, study.base_filters, study.folds, study.start) == (5, 64, 5, "published")
    assert study.residual_levels == ResidualLevels.uniform(3)
    assert (study.normalisation, study.augmentation) == (Normalisation(method="range"), AugmentationSettings.study())


def test_the_ablations_of_the_study_are_settings_that_the_docs_give(root, tmp_path):
    found = {}
    for block in re.findall(
        r"```toml\n(# .*? from scratch.*?)```", (root / "docs" / "how-to" / "study.md").read_text(), re.S
    ):
        (tmp_path / "s.toml").write_text(block)
        settings = read_settings(tmp_path / "s.toml", preset("study"))
        (name,) = settings.steps("scratch")
        step = settings.step(name)
        found[name] = (step.crop, step.learning_rate, step.l2, step.monitor, step.ignored_epochs)
    assert found == {"binarise": (256, 1e-4, 0.0, "val_iou", 40), "retrain": (512, 1e-3, 1e-7, "val_loss", 40)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"levels": "five"}, r"^'levels' is 'five'; give a whole number, 1 to 8\.$"),
        ({"depth": 3}, "^'depth' is not a setting; known are levels, "),
        ({"transfer": {"epochs": 0}}, r"^'transfer\.epochs' is 0; give a whole number, 1 or more\.$"),
        ({"retrain": {"crop": 33}}, r"^'retrain\.crop' is 33; 2 levels take multiples of 2 pixels\.$"),
        (
            {"binarise": {"learning_rate": -1.0}},
            r"^'binarise\.learning_rate' is -1\.0; give a number, above 0 and below 1\.$",
        ),
        ({"binarise": {"learning_rate": float("nan")}}, r"^'binarise\.learning_rate' is nan; give a number"),
        ({"binarise": {"l2": 1e-7}}, r"'binarise\.l2' is 1e-07; only pretrain, transfer, retrain have one"),
        (
            {"augmentation": {"zoom": 0.1}},
            r"^'augmentation.zoom' is 0\.1; give a number, 1 or more\.$",
        ),
        ({"transfer": {"l2": float("inf")}}, r"^'transfer\.l2' is inf; give a number, 0 or more\.$"),
        ({"validation_size": 1}, r"^'validation_size' is 1; give a whole number, 2 or more\.$"),
        (
            {"validation_order": "last"},
            r"^'validation_order' is 'last'; give one of random, consecutive, auto\.$",
        ),
        ({"folds": -3}, r"^'folds' is -3; give a whole number, 1 or more\.$"),
        ({"pretraining_fields": 0}, "'pretraining_fields' is 0"),
        ({"seed": 10**30}, "'seed' is 10+; give a whole number, 0 to 2147483648"),
    ],
)
def test_wrong_settings_are_named(change, says):
    base = TINY.to_dict()
    data = {**base, **{k: {**base[k], **v} if isinstance(v, dict) else v for k, v in change.items()}}
    with pytest.raises(InputError, match=says):
        CompressionSettings.from_dict(data)
