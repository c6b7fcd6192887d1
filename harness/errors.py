"""The exception tree: every failure a user can cause or meet, with its message, next step and exit code.

Messages follow one pattern: ``where: what must hold, got what. Next step.`` A file is checked whole, so its
problems come together: collect them in a `Problems` and raise them once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import ClassVar

MOST_TOLD = 50
"""Problems told of one file; what is wrong more often than that is wrong in one way."""

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_GATE = 4
EXIT_INTERRUPTED = 130


class HarnessError(Exception):
    """A failure that is told to the user as a message, never as a traceback."""

    exit_code: ClassVar[int] = EXIT_ERROR


class UsageError(HarnessError):
    """The command line or the call of the Python API does not fit together."""

    exit_code = EXIT_USAGE


class DataError(HarnessError):
    """A file of the user's cannot be used: dataset, prompt, samples, run or settings."""


class RunNameError(HarnessError):
    """A run name fits no run, or more than one."""


class RunBusyError(HarnessError):
    """Another process is writing this run."""


class ModelError(HarnessError):
    """The model cannot be used at all: no key, no server, no such model. It stops a run at once."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file."""

    where: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with one file, so that all of it is told at once."""

    path: Path
    found: list[Problem] = field(default_factory=list)

    def add(self, message: str, line: int | None = None) -> None:
        """Note a problem; ``line`` counts from 1, None where the problem is the file as a whole."""
        where = str(self.path) if line is None else f"{self.path}:{line}"
        self.found.append(Problem(where, message, line or 0))

    @contextmanager
    def before(self) -> Iterator[None]:
        """Tell the problems found so far before those of another file that is read meanwhile."""
        try:
            yield
        except DataError as error:
            raise DataError("\n".join([*self._told(), str(error)])) from None

    def raise_if_any(self) -> None:
        """Raise a `DataError` with the problems found so far, in the order of the file, at most `MOST_TOLD` of them.

        What was noted twice, because several passes take it over, is told once.
        """
        if self.found:
            raise DataError("\n".join(self._told()))

    def _told(self) -> list[str]:
        ordered = [str(problem) for problem in sorted(dict.fromkeys(self.found), key=lambda problem: problem.line)]
        rest = len(ordered) - MOST_TOLD
        more = [f"{self.path}: … and {rest} more problem{'' if rest == 1 else 's'}."] if rest > 0 else []
        return ordered[:MOST_TOLD] + more


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known word nearest to ``word``, or an empty string when none is near."""
    choices = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(word.casefold(), choices, n=1, cutoff=0.6)
    return f" Did you mean '{choices[near[0]]}'?" if near else ""


def did_you_mean_file(name: str, known: Iterable[str]) -> str:
    """Return what `did_you_mean` does, for a file's name: by what stands before the ending, which most files share.

    A file with another ending is meant only where the rest is nearly the same.
    """
    wanted, every = PurePath(name), [PurePath(each) for each in known]
    for alike, cutoff in ((True, 0.5), (False, 0.8)):
        stems = {each.stem.casefold(): each.name for each in every if (_ending(each) == _ending(wanted)) is alike}
        if near := difflib.get_close_matches(wanted.stem.casefold(), stems, n=1, cutoff=cutoff):
            return f" Did you mean '{stems[near[0]]}'?"
    return ""


def _ending(path: PurePath) -> str:
    ending = path.suffix.casefold()
    return ".yaml" if ending == ".yml" else ending


def listing(words: Iterable[str], most: int = 12) -> str:
    """Return the words joined by commas, at most ``most`` of them, the rest as a count."""
    every = list(words)
    text = ", ".join(every[:most])
    return text if len(every) <= most else f"{text} and {len(every) - most} more"


def shortened(text: str, most: int = 60) -> str:
    """Return the text for use in a message: its first ``most`` characters, with an ellipsis when there are more."""
    return text if len(text) <= most else f"{text[:most]}…"
