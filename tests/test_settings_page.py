"""The documentation's page on settings is what their descriptions give."""

from __future__ import annotations

import runpy


def test_the_settings_page_is_up_to_date(root):
    written = runpy.run_path(str(root / "scripts" / "write_settings_page.py"))["page"]()
    page = (root / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert page == written, "run scripts/write_settings_page.py"
    assert "| `min_size` | Area of the smallest object that is kept. | px; 0 or more | `20` |" in page
