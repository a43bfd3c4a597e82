"""What the Compress widget shows, read by tests."""

from __future__ import annotations


def said(widget):
    """Return what is shown about the training data."""
    return "\n".join(filter(None, (widget.view.facts.text(), widget.view.data_warning.text())))
