"""The command reference is what the commands say of themselves."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from harness.cli import COMMANDS

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("commands_page", DOCS / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_commands_say(maker: ModuleType) -> None:
    """`docs/commands.md` equals what `make docs` writes from the commands' help."""
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == maker.page(), "type: make docs"


def test_every_command_is_on_the_page(maker: ModuleType) -> None:
    """The page has a section for every command, in the order of the loop, and behind it for every command of a group."""
    titles = [line.removeprefix("## ") for line in maker.page().splitlines() if line.startswith("## ")]
    assert [title for title in titles if title.count(" ") < 2] == ["harness", *(f"harness {name}" for name in COMMANDS)]
    for group, inner in (("cache", ["stats", "verify", "prune", "clear"]), ("batch", ["status", "fetch", "cancel"])):
        at = titles.index(f"harness {group}") + 1
        assert sorted(titles[at : at + len(inner)]) == sorted(f"harness {group} {name}" for name in inner)


def test_the_page_is_as_wide_as_the_terminal_s_help(maker: ModuleType) -> None:
    """No line of the page is wider than 120 columns, whatever terminal made it."""
    assert max(map(len, maker.page().splitlines())) <= 120
