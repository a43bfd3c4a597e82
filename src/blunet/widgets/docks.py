"""The docks of this plugin in a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication

from blunet.widgets.layer_facts import unwrap_viewer

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from blunet.widgets.segment_widget import SegmentWidget

#: Name that napari gives to the dock when it is opened from the menu.
SEGMENT = "Segment cells (BLU-Net)"


def show_segment_dock(viewer: Viewer) -> SegmentWidget:
    """Show the Segment widget of a viewer's window, making it if there is none, and return it."""
    from blunet.widgets.segment_widget import SegmentWidget

    viewer = unwrap_viewer(viewer)
    for widget in QApplication.allWidgets():
        if isinstance(widget, SegmentWidget) and widget.viewer is viewer and widget.parent() is not None:
            dock = widget.parentWidget()
            if dock is not None:
                dock.show()
                dock.raise_()
            return widget
    made = SegmentWidget(viewer)
    viewer.window.add_dock_widget(made, name=SEGMENT, area="right")
    return made
