"""Writes docs/commands.md from the commands' own help; a test holds the two equal."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import COMMANDS, group

PAGE = Path(__file__).with_name("commands.md")
WIDTH = 100
HEAD = """# Commands

Made by `make docs` from the commands' own `--help`.

Results go to standard output; progress, warnings and errors go to standard error. Exit codes: 0 done, 1 something is
wrong with a file, a name or the model, 2 wrong usage, 3 the run is incomplete (failed calls remain, or a budget is used
up), 4 a gate failed, 130 interrupted.
"""


def page() -> str:
    """Return the whole page."""
    context = click.Context(group, info_name="harness", terminal_width=WIDTH, **group.context_settings)
    parts = [HEAD, _section("harness", group.get_help(context))]
    for name in COMMANDS:
        command = group.get_command(context, name)
        if command is not None:
            own = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH)
            parts.append(_section(f"harness {name}", command.get_help(own)))
            for sub, each in command.commands.items() if isinstance(command, click.Group) else ():
                inner = click.Context(each, info_name=sub, parent=own, terminal_width=WIDTH)
                parts.append(_section(f"harness {name} {sub}", each.get_help(inner)))
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
