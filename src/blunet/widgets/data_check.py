"""Looking at the training data as soon as there are some, and saying what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from blunet.compression.compression_settings import CompressionSettings
from blunet.errors import InputError
from blunet.jobs.events import CancelToken
from blunet.jobs.run_cost import RunCost, estimate_cost
from blunet.jobs.training_data import Checked, check_data, check_layers
from blunet.quantities import describe_duration, describe_size
from blunet.widgets.compress_form import CompressForm
from blunet.widgets.worker import Job

if TYPE_CHECKING:
    from napari.layers import Layer

#: A change of the form waits so long (milliseconds) for the next before the data are looked at.
PATIENCE = 400
FIRST = "Choose a folder with images and masks, or layers with labels: then this says what they are worth."
LOOKING = "Looking at the data…"


class DataCheck(QObject):
    """Looks at what a form names, in a thread, whenever that changes.

    Parameters
    ----------
    form : CompressForm
    written : callable
        Returns the folder of pairs that a run to be resumed has been given, None if there is none.
    parent : QObject
    """

    changed = Signal()
    """`text` or `refused` may have changed."""

    def __init__(self, form: CompressForm, written: Callable[[], Path | None], parent: QObject) -> None:
        super().__init__(parent)
        self.text = FIRST
        """What is known of the data, or what is wrong with them."""
        self.refused = True
        """Whether they cannot be trained on."""
        self._form, self._written = form, written
        self._job: Job | None = None
        self._labels: Layer | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PATIENCE)
        self._timer.timeout.connect(self._check)
        form.data_changed.connect(self.later)
        form.labels.changed.connect(self._watch)
        self._watch()

    def later(self) -> None:
        """Look in a moment, when nothing changes any more."""
        self._timer.start()

    def _check(self) -> None:
        if self._job is not None and self._job.running:
            self._job.cancel()
            self.later()
            return
        try:
            make = self._captured()
        except InputError as e:
            self._say(str(e), refused=True)
            return
        self._say(LOOKING, refused=True)
        self._job = Job(lambda token: _gently(make(token)), self)
        self._job.event.connect(self._on_checked)
        self._job.start()

    def _captured(self) -> Callable[[CancelToken], Iterable[tuple[Checked, RunCost]]]:
        """Take what the job needs off the form.

        Raises
        ------
        InputError
            If something is missing or does not fit.
        """
        form = self._form
        settings, teacher = form.settings(), form.teacher_name()
        crop, split = settings.largest_crop(teacher), settings.split
        folder: str | Path | None = form.folder.text
        if form.from_layers:
            folder = self._written()
            if folder is None:
                image, labels = form.layers()
                return lambda token: _with_cost(check_layers(image, labels, crop, split, token), settings, teacher)
        if not folder:
            raise InputError(FIRST)
        path = Path(folder).expanduser()
        return lambda _: _with_cost(check_data(path, crop, split), settings, teacher)

    def _on_checked(self, found: tuple[Checked, RunCost] | InputError) -> None:
        if isinstance(found, InputError):
            self._say(str(found), refused=True)
            return
        checked, cost = found
        needed = f"A run takes about {describe_duration(cost.seconds)} and {describe_size(cost.bytes)}."
        self._say("\n".join([*checked.lines, needed]), refused=False)

    def _say(self, text: str, *, refused: bool) -> None:
        self.text, self.refused = text, refused
        self.changed.emit()

    def _watch(self) -> None:
        """Hear of what is painted on the chosen labels."""
        if self._labels is not None:
            self._labels.events.paint.disconnect(self._on_painted)
        self._labels = self._form.labels.layer
        if self._labels is not None:
            self._labels.events.paint.connect(self._on_painted)

    def _on_painted(self, _: object = None) -> None:
        if self.refused:
            self.later()  # perhaps the frame that was missing


def _with_cost(
    checks: Iterable[Checked], settings: CompressionSettings, teacher: str
) -> Iterable[tuple[Checked, RunCost]]:
    """Add the cost of a run to each check: in the thread, because this computer's speed is measured for it."""
    for checked in checks:
        yield checked, estimate_cost(settings, teacher, checked.validation_sizes)


def _gently(found: Iterable[Any]) -> Iterable[Any]:
    """Yield what was found, or why it cannot be used: no notification for what is being chosen."""
    try:
        yield from found
    except InputError as e:
        yield e
