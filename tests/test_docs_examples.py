"""The Python code in the documentation runs, page by page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = ["how-to/python.md", "tutorials/compress-your-own.md"]


@pytest.mark.parametrize("name", PAGES)
def test_code_of_a_page_runs(name: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = BLOCK.findall((root / "docs" / name).read_text(encoding="utf-8"))
    assert blocks
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)


def test_no_page_with_code_is_forgotten(root: Path) -> None:
    pages = (root / "docs").rglob("*.md")
    with_code = [page for page in pages if BLOCK.search(page.read_text(encoding="utf-8"))]
    assert sorted(page.relative_to(root / "docs").as_posix() for page in with_code) == PAGES
