"""A hook of MkDocs: what the site takes from other files, so that it cannot differ from them.

The addresses come from pyproject.toml, the pages on contributing and changes from CONTRIBUTING.md and CHANGELOG.md, and
the commands from the command line itself.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = "<!-- the commands are put here when the site is built -->"
OPTION = re.compile(r"\* `(?P<name>[^`]+)`(?:: (?P<help>.*?))?(?:  \[(?P<note>[^\]]+)\])?")


def on_config(config: MkDocsConfig) -> None:
    """Set the addresses of the site and of the repository."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    config.site_url = urls["Documentation"]
    config.repo_url = urls["Source"]
    config.repo_name = urls["Source"].removeprefix("https://github.com/")
    config.watch += [str(ROOT / "CHANGELOG.md"), str(ROOT / "CONTRIBUTING.md")]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that are files of the repository."""
    from mkdocs.structure.files import File

    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name.lower(), content=text))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the commands where a page wants them."""
    return markdown.replace(COMMANDS, commands()) if COMMANDS in markdown else markdown


def commands() -> str:
    """Return a section for each command, with its arguments and options as tables."""
    typer = [sys.executable, "-m", "typer", "blunet.cli", "utils", "docs", "--name", "blunet"]
    text = subprocess.run(typer, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    text = re.sub(r"\{(\S+)\}", r"\1", text)  # typer's braces around arguments
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return "\n\n".join("## " + "\n".join(_tables(section.splitlines())) for section in sections)


def _tables(lines: list[str]) -> list[str]:
    """Turn typer's lists of arguments and options into tables."""
    done: list[str] = []
    for line in lines:
        if line in ("**Arguments**:", "**Options**:"):
            kind = line.strip("*:").rstrip("s")
            done += ["", f"| {kind} | | Default |", "|---|---|---|"]
        elif option := OPTION.fullmatch(line):
            note = option["note"] or ""
            default = f"`{note.removeprefix('default: ')}`" if note.startswith("default: ") else note
            name = re.sub(r" <[^>]*>", "", option["name"])
            if name == "--help":
                continue
            done.append(f"| `{name}` | {(option['help'] or '').replace('|', chr(92) + '|')} | {default} |")
        elif line.startswith("* "):
            raise ValueError(f"This line of `typer utils docs` is not understood: {line}")
        elif line != "**Usage**:" and not (done and done[-1].startswith("|")):
            done.append(line)
    return done
