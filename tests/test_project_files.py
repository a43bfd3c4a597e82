"""The files around the package agree with each other: version, addresses, links, changelog."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import blunet

LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    """What pyproject.toml says."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_citation_names_the_version(root: Path) -> None:
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == blunet.__version__


def test_changelog_has_notes_of_this_version_or_of_the_next(root: Path) -> None:
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert blunet.__version__ in headings or "### " in changelog.split("## [Unreleased]")[1]


def test_release_notes_are_the_section_of_their_version(root: Path, tmp_path: Path) -> None:
    changelog = (
        "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-01\n\n- New.\n\n## [0.1.0] - 2026-12-01\n\n- Old.\n"
    )
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "release_notes.py"
    script.write_bytes((root / "scripts" / "release_notes.py").read_bytes())
    (tmp_path / "CHANGELOG.md").write_text(changelog, encoding="utf-8")

    def notes_of(version: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, script, version], capture_output=True, text=True, check=False)

    assert notes_of("0.2.0").stdout == "- New.\n"
    missing = notes_of("0.3.0")
    assert missing.returncode == 1
    assert missing.stderr == "CHANGELOG.md has no notes for version 0.3.0.\n"


def test_the_repository_has_one_address(project: dict) -> None:
    urls = project["project"]["urls"]
    source = urls["Source"]
    owner, name = source.removeprefix("https://github.com/").split("/")
    assert urls["Issues"] == f"{source}/issues"
    assert urls["Changelog"] == f"{source}/blob/main/CHANGELOG.md"
    assert urls["Documentation"] == f"https://{owner}.github.io/{name}/"
    pictures, links = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    assert f"https://raw.githubusercontent.com/{owner}/{name}/v$" in pictures["replacement"]
    assert f"{source}/blob/v$" in links["replacement"]


def test_pictures_and_links_of_the_packaged_readme_have_whole_addresses(root: Path, project: dict) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    for step in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        readme = re.sub(step["pattern"], step["replacement"], readme)
    targets = LINK.findall(readme)
    assert "https://raw.githubusercontent.com" in readme
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"])
def test_links_lead_to_files(root: Path, name: str) -> None:
    pages = [root / name] if name.endswith(".md") else sorted((root / name).rglob("*.md"))
    missing = [
        f"{page.relative_to(root)}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if ":" not in target and not (page.parent / target).exists()
    ]
    assert missing == []


def test_the_guide_to_the_code_names_every_package(root: Path, project: dict) -> None:
    guide = (root / "docs" / "developing.md").read_text(encoding="utf-8")
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    names = [name for layer in layers for name in layer.split(" | ") if name != "__main__"]
    assert [name for name in names if f"`{name}`" not in guide] == []
