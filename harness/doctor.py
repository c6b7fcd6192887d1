"""Everything that a run needs, looked at one after the other; a check that fails or hangs stops no other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import installation, projectchecks, serverchecks
from harness.errors import HarnessError, UsageError
from harness.health import Check, bounded
from harness.installation import DEFAULT_LOCAL
from harness.project import Settings
from harness.prompt import Model
from harness.promptmodel import check_base_url
from harness.serverchecks import KEY, Target

QUICK_S = 10.0
"""Seconds for what takes none."""

SERVER_S = 30.0
"""Seconds for a server, which has 10 to answer; with calls `CALLS_S`."""

CALLS_S = 300.0
EMBEDDED_S = 120.0
FILES_S = 120.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be looked at beside the installation and the project.

    Attributes:
        prompts: Prompt files, whose models are checked.
        model: A model, instead of theirs; or to be checked by itself.
        base_url: A server, instead of theirs; or to be checked by itself.
        calls: Make a few tiny calls of each remote model, which cost.
    """

    prompts: Sequence[Path] = ()
    model: str | None = None
    base_url: str | None = None
    calls: bool = False

    @property
    def says_model(self) -> bool:
        """Whether some model or server was named."""
        return bool(self.prompts or self.model or self.base_url)


def diagnose(
    wanted: Wanted,
    start: Path | None = None,
    *,
    encoding: str | None = "utf-8",
    width: int | None = None,
) -> Iterator[Check]:
    """Yield what is found, group by group, each as soon as it is known.

    Args:
        wanted: What to look at.
        start: A folder of the project; default: the current one, or that of the first prompt.
        encoding: Of the terminal.
        width: Of the terminal in characters; None where there is none.

    Raises:
        UsageError: A server is named beside an embedded model.
    """
    if not wanted.prompts:
        check_base_url(wanted.base_url, [Model(wanted.model or "")])
    before = dict(os.environ)  # finding the project loads its .env
    yield installation.python_check()
    yield from bounded(
        lambda: installation.package_checks(installation.required()), installation.GROUP, "packages", QUICK_S
    )
    yield installation.terminal_check(encoding, width)
    found = projectchecks.find(start or (wanted.prompts[0] if wanted.prompts else None))
    project = found.project
    targets, local, wrong = _models(wanted, found)
    yield from _embedded(wanted, local, found)
    yield _key(before, targets)
    yield from bounded(lambda: projectchecks.root_checks(found), "project", "root", QUICK_S)
    yield from bounded(lambda: projectchecks.disk_checks(project), "project", "disk", QUICK_S)
    yield from bounded(lambda: projectchecks.file_checks(project), "files", "files", FILES_S)
    yield from wrong
    yield from bounded(lambda: projectchecks.run_checks(project), "runs", "runs", FILES_S)
    yield from bounded(lambda: projectchecks.cache_checks(project), "cache", "file", FILES_S)
    for target in targets:
        yield from _server(target, wanted, found)


def _server(target: Target, wanted: Wanted, found: projectchecks.Found) -> Iterable[Check]:
    settings = found.project.settings
    seconds = CALLS_S if wanted.calls else SERVER_S
    name = target.model.base_url or "server"
    return bounded(
        lambda: serverchecks.server_checks(target, settings, calls=wanted.calls), f"server {name}", "server", seconds
    )


def _models(wanted: Wanted, found: projectchecks.Found) -> tuple[list[Target], list[Model], list[Check]]:
    """Return the remote and the embedded models that were named, and what is wrong with prompts that were."""
    targets: list[Target] = []
    local: list[Model] = []
    wrong: list[Check] = []
    for path in wanted.prompts:
        try:
            prompt = projectchecks.task_of(path, found.project, wanted.model, wanted.base_url).prompt
        except HarnessError as error:
            step = None if isinstance(error, UsageError) else f"Type: harness check {path}"
            wrong.append(Check("files", str(path), "problem", str(error).splitlines()[0], step))
            continue
        local += [each for each in prompt.models if each.is_local and each not in local]
        for target in serverchecks.targets_of(prompt):
            targets += [target] if target not in targets else []
    if not wanted.prompts and wanted.says_model:
        model = Model(wanted.model or "", base_url=wanted.base_url)
        if model.is_local:
            local.append(model)
        else:
            targets.append(Target(model))
    return targets, local, wrong


def _embedded(wanted: Wanted, local: Sequence[Model], found: projectchecks.Found) -> Iterator[Check]:
    """Yield whether the embedded models work that were named; where nothing was named, the shipped one.

    That one may be missing, but not where prompts of the project name an embedded model.
    """
    models: list[Model] = list(local)
    if not wanted.says_model:
        missing = installation.missing_embedded()
        named = projectchecks.local_models(found.project) if missing else []
        if missing and not named:
            yield installation.no_embedded_check(missing)
            return
        models = [Model(name) for name in named or [DEFAULT_LOCAL]]
    settings = found.project.settings
    for model in models:
        look = _looking(model, settings)
        yield from bounded(look, installation.GROUP, model.name, EMBEDDED_S)


def _looking(model: Model, settings: Settings) -> Callable[[], list[Check]]:
    return lambda: [installation.embedded_check(model, settings)]


def _key(before: Mapping[str, str], targets: Sequence[Target]) -> Check:
    """Return whether there is a key; only OpenAI's own servers are known to need one."""
    source = "the environment" if before.get(KEY) else ".env"
    needed = any(not (target.model.base_url or os.environ.get("OPENAI_BASE_URL")) for target in targets)
    return serverchecks.key_check(os.environ.get(KEY), source, needed=needed)
