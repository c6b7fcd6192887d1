"""The files that the templates of a prompt include or import: found beside it, read once, frozen into the run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.errors import DataError, Problems
from harness.project import Project
from harness.prompt import MessageTemplate
from harness.template import TemplateError
from harness.templatenames import Inclusion, inclusions
from harness.yamlfile import read_text


def read_included(
    templates: Iterable[MessageTemplate], folder: Path, project: Project, problems: Problems
) -> dict[str, str]:
    """Return the texts of all files that templates include or import, directly or not, by the names that they use.

    A name is always a path from the prompt's folder, in an included file too.

    Args:
        templates: Those of the prompt file.
        folder: The prompt's folder.
        project: Where files may be read.
        problems: Takes what cannot be read, at the line of the template that leads there.
    """
    files: dict[str, str] = {}
    refused: set[str] = set()
    for template in templates:
        for name, line, _ in _named(template.source):
            waiting = [(name, "")]
            while waiting:
                name, where = waiting.pop()
                if name in files or name in refused:
                    continue
                try:
                    files[name] = _text(name, folder, project)
                except DataError as error:
                    refused.add(name)
                    problems.add(f"{where}'{name}' cannot be included: {error}", template.line + line - 1)
                    continue
                waiting += [(each.name, f"{name}:{each.line}: ") for each in reversed(_named(files[name]))]
    return files


def _named(source: str) -> tuple[Inclusion, ...]:
    """Return the files that a template names; none for one that is no Jinja, which the check of its names tells."""
    try:
        return inclusions(source)
    except TemplateError:
        return ()


def _text(name: str, folder: Path, project: Project) -> str:
    if Path(name).is_absolute():
        raise DataError("must be a path from the prompt's folder, got an absolute one.")
    if barred := project.bars(folder / name):
        raise DataError(f"{barred}.")
    return read_text(folder / name)
