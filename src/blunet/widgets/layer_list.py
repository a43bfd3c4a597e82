"""A list of the viewer's layers of one kind, which follows the viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


class LayerList(QComboBox):
    """A list of the layers of `kind`; the choice is kept while other layers are added, removed or renamed.

    Layers that this plugin made, with "blunet" in their metadata, are only listed if `own` is set, and none for which
    `wanted` returns False. With `none`, the first entry has this text and stands for no layer; then the list does not
    follow the active layer.
    """

    changed = Signal()
    """Emitted when another layer is chosen, or none."""

    def __init__(
        self,
        viewer: Viewer,
        kind: type[Layer],
        *,
        own: bool = False,
        wanted: Callable[[Layer], bool] = lambda _: True,
        none: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._kind, self._own = viewer, kind, own
        self._wanted, self._none = wanted, [none] if none else []
        self._layers: list[Layer] = []
        self.layer: Layer | None = None
        """The chosen layer."""
        self.activated.connect(self._on_activated)
        for emitter in (viewer.layers.events.inserted, viewer.layers.events.removed, viewer.layers.events.reordered):
            emitter.connect(self._fill)
        if not none:
            viewer.layers.selection.events.active.connect(self._on_active)
        self.setPlaceholderText("none")
        keep_narrow(self)
        self._fill()

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer of the list."""
        if layer is self.layer:
            return
        self.layer = layer
        self._show_choice()
        self.changed.emit()

    def _fits(self, layer: Layer) -> bool:
        return isinstance(layer, self._kind) and (self._own or "blunet" not in layer.metadata) and self._wanted(layer)

    def _show_choice(self) -> None:
        place = self._layers.index(self.layer) if self.layer in self._layers else -1
        self.setCurrentIndex(place + len(self._none))

    def _fill(self, _: object = None) -> None:
        layers = [layer for layer in reversed(self._viewer.layers) if self._fits(layer)]
        for layer in self._layers:
            if layer not in layers:
                layer.events.name.disconnect(self._rename)
        for layer in layers:
            if layer not in self._layers:
                layer.events.name.connect(self._rename)
        self._layers = layers
        self.clear()
        self.addItems([*self._none, *(layer.name for layer in layers)])
        before = self.layer
        if self.layer not in layers:
            self.layer = layers[0] if layers and not self._none else None
        self._show_choice()
        self.setEnabled(bool(layers or self._none))
        if self.layer is not before:
            self.changed.emit()

    def _rename(self, _: object = None) -> None:
        for i, layer in enumerate(self._layers, start=len(self._none)):
            self.setItemText(i, layer.name)

    def _on_activated(self, index: int) -> None:
        index -= len(self._none)
        self.choose(self._layers[index] if 0 <= index < len(self._layers) else None)

    def _on_active(self, _: object = None) -> None:
        active = self._viewer.layers.selection.active
        if active is not None and active in self._layers:
            self.choose(active)


def keep_narrow(box: QComboBox) -> None:
    """Elide long entries, so that they do not make a dock wide."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)
