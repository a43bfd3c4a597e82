"""Print what CHANGELOG.md says of one version: python scripts/release_notes.py 0.1.0"""

from __future__ import annotations

import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def release_notes(version: str, changelog: str) -> str:
    """Return the section of a version, without its heading.

    Raises
    ------
    ValueError
        If there is no such section, or it is empty.
    """
    for section in f"\n{changelog}".split("\n## ")[1:]:
        heading, _, notes = section.partition("\n")
        if heading.startswith(f"[{version}]") and notes.strip():
            return notes.strip()
    raise ValueError(f"CHANGELOG.md has no notes for version {version}.")


if __name__ == "__main__":
    try:
        print(release_notes(sys.argv[1], CHANGELOG.read_text(encoding="utf-8")))
    except ValueError as e:
        sys.exit(str(e))
