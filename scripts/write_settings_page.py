"""Write the documentation's page on settings from the descriptions in the settings' own models.

    python scripts/write_settings_page.py [PAGE]

PAGE is docs/reference/settings.md if it is not given. A test compares that file with what this script writes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from blunet.compression.compression_settings import CompressionSettings, StepSettings
from blunet.compression.presets import PRESETS, preset
from blunet.compression.steps import STEPS
from blunet.packed.model_card import ModelCard
from blunet.segmentation.segmentation_settings import SegmentationSettings
from blunet.settings_model import SettingFacts, SettingsModel, facts_of, nested_model
from blunet.tracking.tracking_settings import TrackingSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "settings.md"
INTRODUCTION = """# Settings

<!-- Written by scripts/write_settings_page.py: do not edit it. -->

## Segmentation

Options of `blunet segment`, with `-` in place of `_`; arguments of `blunet.segment`; fields of the widget *Segment
cells*.
"""
TRACKING = """## Tracking

Options of `blunet track`, with `-` in place of `_`; arguments of `blunet.track`. On the command line the step has its
unit with it (`--max-step 12um`), and `--no-divisions` and `--no-mend` switch these off.
"""
COMPRESSION = """## Compression

Entries of a TOML file for `blunet compress --settings FILE.toml`. What the file leaves out comes from the preset, or
from the run that is resumed. `RUN/settings.toml` has all settings of a run.
"""
STEP = """### Steps

Each step has a table of its own: {names}.
"""
PRESET = "The steps in the preset `{name}`; what is not listed has the default:\n"
CARD = """## Model card

What a `.blunet` file and a `.keras` file say about the model; `blunet info MODEL` shows it.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_page()).rstrip("\n") + "\n"


def _page() -> Iterator[str]:
    yield INTRODUCTION
    yield from _table(SegmentationSettings)
    yield TRACKING
    yield from _table(TrackingSettings)
    yield COMPRESSION
    presets = {name: preset(name) for name in PRESETS}
    yield from _table(CompressionSettings, presets)
    for name, field in CompressionSettings.model_fields.items():
        inner = nested_model(field.annotation)
        if inner is not None and name not in STEPS:
            facts = facts_of(CompressionSettings, name)
            yield f"### {facts.title}: `[{name}]`\n\n{facts.description}\n"
            yield from _table(inner, {key: getattr(settings, name) for key, settings in presets.items()})
    yield STEP.format(names=", ".join(f"`[{name}]`" for name in STEPS))
    yield from _table(StepSettings)
    for name, settings in presets.items():
        yield PRESET.format(name=name)
        yield from _steps(settings)
    yield CARD
    yield from _table(ModelCard)


def _table(model: type[SettingsModel], presets: dict[str, Any] | None = None) -> Iterator[str]:
    """Yield a table of a model's own settings, with their values in presets or else their defaults."""
    presets = presets or {}
    rows = []
    for name, field in model.model_fields.items():
        if nested_model(field.annotation) is None:
            facts = facts_of(model, name)
            values = [_value(getattr(settings, name)) for settings in presets.values()]
            rows.append([f"`{name}`", facts.description, _range(facts), *(values or [_default(model, facts)])])
    yield from _markdown(["setting", "", "unit and range", *(f"`{name}`" for name in presets or ["default"])], rows)


def _steps(settings: CompressionSettings) -> Iterator[str]:
    """Yield a table of what differs between the steps of a preset, or from the defaults."""
    plain = {name: settings.step(name).model_dump() for name in STEPS}
    defaults = {name: None if f.is_required() else f.default for name, f in StepSettings.model_fields.items()}
    columns = [c for c in StepSettings.model_fields if any(step[c] != defaults[c] for step in plain.values())]
    rows = [[f"`{name}`", *(_value(step[c]) for c in columns)] for name, step in plain.items()]
    yield from _markdown(["step", *(f"`{c}`" for c in columns)], rows)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _range(facts: SettingFacts) -> str:
    return "; ".join(part for part in (facts.unit, facts.allowed) if part)


def _default(model: type[SettingsModel], facts: SettingFacts) -> str:
    return "has to be given" if model.model_fields[facts.name].is_required() else _value(facts.default)


def _value(value: Any) -> str:
    """Write a value as TOML does; a dash where there is none."""
    if value in (None, "", {}):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, str) else f"`{value:.4g}`"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE).write_text(page(), encoding="utf-8", newline="\n")
