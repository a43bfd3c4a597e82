"""A hook of MkDocs: what the site takes from other files, so that it cannot differ from them.

The addresses come from pyproject.toml, the pages on contributing and changes from CONTRIBUTING.md and CHANGELOG.md, the
commands from the command line itself, and the pages on the packages from the modules that there are.
"""

from __future__ import annotations

import posixpath
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
#: Files at the top of the repository that are pages of the site too.
REPOSITORY_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")
#: Packages that have a page in the reference, and what they are for.
PACKAGES = {
    "images": "Read, write and normalise images.",
    "segmentation": "From frames to probabilities, objects and measurements.",
    "evaluation": "Scores of a segmentation against the truth.",
    "simulation": "Simulated DIC images and time-lapses whose true cells are known.",
    "dataset": "Training pairs: find, check, split, crop and augment them.",
    "architecture": "The settings of a network, its table of layers, and its size.",
    "packed": "The `.blunet` file and the engine that runs it. Its kernels have no page.",
    "jobs": "What the command line and the widgets run: generators of events that can be cancelled.",
}
COMMANDS = "<!-- the commands are put here when the site is built -->"
PICTURE = re.compile(r"^!\[[^\]]*\]\((?P<target>[^)]+\.png)\)$", re.MULTILINE)
#: What makes the theme's script count.
COUNTED = ' data-md-component="source"'
OPTION = re.compile(r"\* `(?P<name>[^`]+)`(?:: (?P<help>.*?))?(?:  \[(?P<note>[^\]]+)\])?")


def on_config(config: MkDocsConfig) -> None:
    """Set the addresses of the site and of the repository."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    config.site_url = urls["Documentation"]
    config.repo_url = urls["Source"]
    config.repo_name = urls["Source"].removeprefix("https://github.com/")
    config.watch += [str(ROOT / name) for name in REPOSITORY_PAGES]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that are files of the repository, and one for each package."""
    from mkdocs.structure.files import File

    for package, purpose in PACKAGES.items():
        modules = sorted(path.stem for path in (ROOT / "src" / "blunet" / package).glob("[!_]*.py"))
        parts = [f"# blunet.{package}", purpose, *(f"::: blunet.{package}.{module}" for module in modules)]
        files.append(File.generated(config, f"reference/{package}.md", content="\n\n".join(parts)))

    for name in REPOSITORY_PAGES:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name.lower(), content=text))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the commands where a page wants them, and let links to files of the repository lead to their pages."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation", "toc"]
    folder = posixpath.dirname(page.file.src_uri) or "."
    for name in REPOSITORY_PAGES:
        page_of_it = posixpath.relpath(name.lower(), folder)
        markdown = re.sub(rf"\]\((?:\.\./)+{re.escape(name)}", f"]({page_of_it}", markdown)
    markdown = PICTURE.sub(r"[\g<0>](\g<target>)", markdown)  # a click shows a picture at its full size
    return markdown.replace(COMMANDS, commands()) if COMMANDS in markdown else markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show one colon where a docstring has two before its code, as reStructuredText wants it."""
    return html.replace("::</p>", ":</p>")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Let the link to the repository be only a link: the theme's script would ask GitHub for stars and forks."""
    return output.replace(COUNTED, "")


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """Do the same on the page for addresses that do not exist."""
    return output.replace(COUNTED, "")


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
