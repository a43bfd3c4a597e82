"""Checking the training data in a thread whenever the form changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from blunet.compression.compression_settings import CompressionSettings
from blunet.errors import InputError
from blunet.files import expand_user
from blunet.jobs.events import CancelToken
from blunet.jobs.run_cost import RunCost, estimate_cost
from blunet.jobs.training_data import Checked, check_data, check_layers
from blunet.widgets.compress_form import CompressForm
from blunet.widgets.compress_state import CompressState
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    from napari.layers import Layer

#: A change of the form waits for the next one before the data are checked, in milliseconds.
DELAY = 400


class DataCheck(QObject):
    """Checks the data that a form names and passes what was found to `state`.

    Parameters
    ----------
    state : CompressState
    form : CompressForm
    pairs_written : callable
        Returns the folder with the pairs of the run that is to be resumed, if it was begun with layers; else None.
    parent : QObject
    """

    def __init__(
        self, state: CompressState, form: CompressForm, pairs_written: Callable[[], Path | None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._state, self._form, self._pairs_written = state, form, pairs_written
        self._job: Job | None = None
        self._watched: list[Layer] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self._check)
        form.data_changed.connect(self.check_soon)
        for layers in (form.image, form.labels, form.reviewed):
            layers.changed.connect(self._watch_layers)
        self._watch_layers()

    def check_soon(self) -> None:
        """Check the data after a moment without changes."""
        self._state.check_data()
        self._timer.start()

    def _check(self) -> None:
        if self._job is not None and self._job.running:
            self._job.cancel()
            self._timer.start()
            return
        try:
            make = self._capture()
        except InputError as e:
            self._state.refuse_data(str(e))
            return
        if make is None:
            self._state.miss_data()
            return
        self._job = Job(lambda token: _without_errors(make(token)), self)
        self._job.event.connect(self._on_checked)
        self._job.failed.connect(self._state.refuse_data)
        self._job.start()

    def _capture(self) -> Callable[[CancelToken], Iterable[tuple[Checked, RunCost]]] | None:
        """Read from the form what the job needs; None if no folder is chosen.

        Raises
        ------
        InputError
            If something is missing or does not fit.
        """
        form = self._form
        if not form.from_layers and not form.folder.text:
            return None
        settings, teacher = form.settings(), form.teacher_name()
        crop, split = settings.largest_crop(teacher), settings.split
        folder = self._pairs_written() if form.from_layers else expand_user(form.folder.text)
        if folder is None:
            image, labels, reviewed = form.layers()
            return lambda token: _with_cost(
                check_layers(image, labels, crop, split, token, reviewed), settings, teacher
            )
        return lambda _: _with_cost(check_data(folder, crop, split), settings, teacher)

    def _on_checked(self, found: tuple[Checked, RunCost] | InputError) -> None:
        if self._timer.isActive():
            return  # something was changed while this was checked
        if isinstance(found, InputError):
            self._state.refuse_data(str(found))
        else:
            self._state.accept_data(*found)

    def _watch_layers(self) -> None:
        """Check again when the chosen layers get other values, or the user paints."""
        for layer in self._watched:
            for emitter in _emitters(layer):
                emitter.disconnect(self._on_values)
        self._watched = [
            layer
            for layer in (self._form.image.layer, self._form.labels.layer, self._form.reviewed.layer)
            if layer is not None
        ]
        for layer in self._watched:
            for emitter in _emitters(layer):
                emitter.connect(self._on_values)

    def _on_values(self, _: object = None) -> None:
        if self._form.from_layers and not self._state.busy:
            self.check_soon()


def _emitters(layer: Layer) -> list[Any]:
    """Return what a layer emits when its values have changed."""
    names = ("data", "paint", "labels_update")
    return [getattr(layer.events, name) for name in names if hasattr(layer.events, name)]


def _with_cost(
    checks: Iterable[Checked], settings: CompressionSettings, teacher: str
) -> Iterable[tuple[Checked, RunCost]]:
    """Add the cost of a run to each check: in the thread, because this computer's speed is measured for it."""
    for checked in checks:
        yield checked, estimate_cost(settings, teacher, checked.validation_sizes)


def _without_errors(found: Iterable[Any]) -> Iterable[Any]:
    """Yield what was found, or the error: while data are being chosen, an error needs no notification."""
    try:
        yield from found
    except InputError as e:
        yield e
