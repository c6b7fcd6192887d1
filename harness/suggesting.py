"""A model asked for a better prompt: from a stored run to the next version's file, or to why there is none.

The order is that of what can be lost: everything is checked before the one call is made, its completion is in the cache
before anything is done with it, and a file is written only when it loads and says what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.asking import Asked, ask
from harness.clients import connect
from harness.copiedtext import Copied, copied
from harness.dataset import load_dataset
from harness.digesting import digest_of
from harness.errors import DataError, UsageError, did_you_mean, listing
from harness.holdout import refuse_locked
from harness.identity import content
from harness.nextversion import check_new_file, load_as_run, next_path, parent_file, run_command, write_new
from harness.parsing.cleaning import encodable
from harness.predict import predict
from harness.pricing import Prices, estimated_tokens, spent
from harness.project import Project
from harness.prompt import Api, MessageTemplate, Model, Pass, Prompt
from harness.promptdiff import PromptDiff, prompt_diff
from harness.promptedit import with_messages
from harness.promptmodel import check_base_url, model_problems
from harness.records import Completion, Sample, Usage
from harness.store import StoredRun
from harness.suggestion import Digest, Request, request
from harness.suggestionanswer import Reworded, UnusableAnswer, read_instruction, read_messages
from harness.yamlfile import read_text

BUDGET = 16_000
"""Tokens of a request to a model whose context is unknown."""

ROOM = 0.75
"""Share of an embedded model's context that the request and its answer may take by our estimate, which can be too low."""

LOCAL_ANSWER = {True: 200, False: 1_200}
"""Most tokens of an embedded model's answer: for the form alone, and for a whole prompt."""

_NOT_PARAMS = ("model", "messages", "input", "prompt", "stream", "n")
_WRITING: tuple[Api, ...] = ("chat", "responses")


class UnusableSuggestion(DataError):  # noqa: N818 - the answer is told with it, it is no fault of the user's
    """The model answered, and no version can be made of it.

    Attributes:
        why: As the end of a sentence.
        prepared: What was asked.
        asked: What came back.
    """

    def __init__(self, why: str, prepared: Prepared, asked: Asked) -> None:
        name = prepared.model.name
        hint = "" if prepared.format_only else " For a small model, or for the form alone, type --format-only."
        if prepared.model.answers_alike:
            hint += " For another answer, add: --param temperature=0.7"
        else:
            hint += " For another answer, type --again."
        super().__init__(
            f"{name}: the model's answer cannot be used: {why} Nothing is written; the same command shows the answer again "
            f"without a call.{hint}"
        )
        self.why = why
        self.prepared = prepared
        self.asked = asked

    def to_json(self) -> dict[str, Any]:
        """Return what came back as plain values."""
        return {**self.prepared.to_json(), **self.asked.to_json(), "why": self.why, "written": None}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be asked, everything checked.

    Attributes:
        prompt: The run's prompt as its file has it today, which asks the same.
        digest: What went wrong.
        request: What is sent of it.
        model: Who is asked.
    """

    run: StoredRun
    prompt: Prompt
    digest: Digest
    request: Request
    model: Model
    format_only: bool

    def to_json(self) -> dict[str, Any]:
        """Return what will be asked as plain values."""
        return {
            "run": self.run.manifest.id,
            "pass": self.digest.target.name,
            "model": self.model.name,
            "format_only": self.format_only,
            "request": {
                "messages": [dict(each) for each in self.request.messages],
                "tokens": self.request.tokens,
                "budget": self.request.budget,
                "samples": list(self.request.samples),
                "n_unread": self.request.n_unread,
                "left_out": list(self.request.left_out),
            },
        }


@dataclass(frozen=True, slots=True)
class Growth:
    """How long a prompt is before and after.

    Attributes:
        characters: Of the templates of the pass.
        tokens: An estimate, of what the first pass asks about a sample, all its calls together, the mean over the run's
            samples; None for a later pass, of which it depends on the answers before it.
        usd: What those tokens cost in a run like this one; None when unknown.
    """

    characters: tuple[int, int]
    tokens: tuple[float, float] | None
    usd: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Suggested:
    """A suggestion, written as a version.

    Attributes:
        reworded: What the model wrote.
        diff: What it changes.
        copied: What the new messages hold of the run's samples, and of the others of its dataset.
        written: The new prompt file.
        is_new: False when the very same file was there already, from the same suggestion.
        next_command: What runs the version as the run was made.
    """

    prepared: Prepared
    asked: Asked
    reworded: Reworded
    diff: PromptDiff
    growth: Growth
    copied: tuple[Copied, ...]
    written: Path
    is_new: bool
    next_command: str

    def to_json(self) -> dict[str, Any]:
        """Return the suggestion as plain values."""
        from harness.plainvalues import to_plain

        roles = [each.role for each in self.prepared.digest.target.messages]
        messages = [{"role": role, "content": text} for role, text in zip(roles, self.reworded.messages, strict=True)]
        return {
            **self.prepared.to_json(),
            **self.asked.to_json(),
            "reasons": self.reworded.reasons,
            "notes": list(self.reworded.notes),
            "messages": messages,
            "diff": self.diff.to_json(),
            "growth": to_plain(self.growth),
            "copied": to_plain(self.copied),
            "written": str(self.written),
            "is_new": self.is_new,
        }


class CopiedTextError(DataError):
    """A version holds text of the samples that it would be scored on."""

    def __init__(self, found: Suggested) -> None:
        ids = listing(dict.fromkeys(each.name for each in found.copied))
        super().__init__(
            f"{found.written}: is not run, because it holds text of evaluated samples ({ids}): its score on them would "
            "flatter it. Take it out and run the file, or add --allow-copied."
        )


# --- before the call --------------------------------------------------------------------------------------------------


def prepare(
    run: StoredRun,
    project: Project,
    *,
    model: str | None = None,
    base_url: str | None = None,
    pass_name: str | None = None,
    format_only: bool = False,
    examples: int = 12,
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
    budget: int | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Prepared:
    """Return what a model will be asked about a run, everything checked that can be wrong before the call.

    Args:
        run: A scored run that a prompt made, not on a locked split.
        project: Where its prompt file is.
        model: Who is asked; default: the model of the pass.
        base_url: Its server; default: that of the pass.
        pass_name: Which pass is reworded; default: the first.
        format_only: Ask for a paragraph about the form of the answer, not for the messages.
        examples: Most wrong samples that are sent.
        seed: Decides which.
        params: Parameters of the request; those of the run are not taken over.
        budget: Tokens that the request may have; default: what an embedded model has room for, else `BUDGET`.
        warn: Told what a person should know.

    Raises:
        UsageError: There is no such pass, a parameter cannot be, or a base URL goes with an embedded model.
        DataError: The run or its prompt file cannot be used, or what must be sent is more than the budget.
        ModelError: The model cannot be had here.
    """
    _refuse(run)
    refuse_locked(run, project, "suggest a prompt", warn)
    target = _pass_of(run.manifest.prompt, pass_name)
    today = _todays(run, project)
    asked = _model(target, model, base_url, params or {}, format_only)
    connect(asked, project.settings)  # tells now where it cannot be had
    digest = digest_of(run, target, examples, seed)
    room = budget if budget is not None else _budget(asked)
    prepared = request(digest, format_only=format_only, budget=room)
    if prepared.tokens > room:
        more = "raise model.engine.context of the prompt" if asked.is_local and budget is None else "raise --budget"
        raise DataError(
            f"run {run.manifest.id}: what must be sent has about {prepared.tokens:,} tokens, and the budget is {room:,}. "
            f"Type --format-only, name another --model, or {more}."
        )
    return Prepared(run, today, digest, prepared, asked, format_only)


def _refuse(run: StoredRun) -> None:
    manifest = run.manifest
    if manifest.origin is not None:
        raise DataError(f"run {manifest.id}: no prompt made it, so there is none to reword. Name a run of a prompt.")
    if manifest.is_labelling or not run.scores:
        raise DataError(
            f"run {manifest.id}: must have gold labels to tell what is wrong, but its samples are unlabelled. "
            "Name a run on a split."
        )


def _pass_of(prompt: Prompt, name: str | None) -> Pass:
    if name is None:
        return prompt.passes[0]
    names = [each.name for each in prompt.passes]
    if name not in names:
        raise UsageError(f"--pass '{name}': must be one of {listing(names)}.{did_you_mean(name, names)}")
    return prompt.passes[names.index(name)]


def _todays(run: StoredRun, project: Project) -> Prompt:
    """Return the run's prompt as its file has it today.

    Raises:
        DataError: It is gone, has problems, or asks something else.
    """
    manifest = run.manifest
    today = load_as_run(parent_file(run, project), run, project)
    if today.hash != manifest.prompt_hash:
        raise DataError(
            f"{manifest.prompt.path}: must ask what run {manifest.id} asked, but has changed since. "
            "Run it again, and suggest from that run."
        )
    return today


def _model(target: Pass, name: str | None, base_url: str | None, params: Mapping[str, Any], format_only: bool) -> Model:
    """Return who is asked; an API that cannot write freely gives way to chat."""
    own = target.model
    if taken := [key for key in params if key in _NOT_PARAMS]:
        raise UsageError(f"--param {taken[0]}: must be a parameter that the request does not set itself. Take it out.")
    asked = Model(
        name=name or own.name,
        api=own.api if own.api in _WRITING and name in (None, own.name) else "chat",
        base_url=base_url or own.base_url,
        params=dict(params),
        engine=replace(own.engine, slots=1),
    )
    check_base_url(base_url, [asked])
    if asked.is_local:
        defaults = {"temperature": 0, "max_tokens": LOCAL_ANSWER[format_only]}
        asked = replace(asked, api="chat", params={**defaults, **params})
    for problem in model_problems(asked):
        raise UsageError(f"--param: {problem}")
    return asked


def _budget(model: Model) -> int:
    if not model.is_local:
        return BUDGET
    limit = model.params["max_tokens"]
    return max(0, int(model.engine.context * ROOM) - (limit if isinstance(limit, int) else 0))


# --- the version ------------------------------------------------------------------------------------------------------


def suggest(
    prepared: Prepared,
    project: Project,
    *,
    write: Path | None = None,
    again: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> Suggested:
    """Ask, read the answer, and write it as the next version of the run's prompt.

    Args:
        prepared: What is asked.
        project: Settings and cache.
        write: The new file; default: that of the next version. The same suggestion is not written twice.
        again: Ask anew.
        warn: Told what a person should know.

    Raises:
        UnusableSuggestion: No version can be made of the answer; it is in the cache.
        HarnessError: The file cannot be there, or no answer came.
    """
    run = prepared.run
    if write is not None:
        check_new_file(write, run, project)
    asked = ask(prepared.model, prepared.request.messages, project, again=again, warn=warn)
    try:
        reworded = _read(prepared, asked.completion)
        new = _expected(prepared, reworded)
        growth = _growth(run, prepared, new, project.settings.prices)
    except (UnusableAnswer, DataError) as error:
        raise UnusableSuggestion(str(error), prepared, asked) from None
    found = _copied(prepared, reworded, project, warn)
    path, is_new = _write(prepared, asked, new, found, project, write)
    diff = prompt_diff(prepared.prompt, new)
    command = run_command(path, run, project)
    return Suggested(prepared, asked, reworded, diff, growth, found, path, is_new, command)


def _read(prepared: Prepared, completion: Completion) -> Reworded:
    raw = encodable(completion.raw or "")
    cut = completion.finish_reason == "length"
    if completion.status == "refusal":
        raise UnusableAnswer(f"it is a refusal: {' '.join(raw.split())[:200]}")
    if not raw.strip():
        raise UnusableAnswer("it is empty." if not cut else "the tokens ran out before it began.")
    reading = read_instruction if prepared.format_only else read_messages
    return reading(raw, prepared.digest, cut=cut, files=prepared.prompt.files)


def _expected(prepared: Prepared, reworded: Reworded) -> Prompt:
    """Return the prompt with the new messages, which the file that is written must be."""
    target, prompt = prepared.digest.target, prepared.prompt
    messages = tuple(
        MessageTemplate(old.role, text) for old, text in zip(target.messages, reworded.messages, strict=True)
    )
    passes = (replace(each, messages=messages) if each.name == target.name else each for each in prompt.passes)
    return replace(prompt, passes=tuple(passes))


def _growth(run: StoredRun, prepared: Prepared, new: Prompt, prices: Prices) -> Growth:
    """Return how long the prompt was and is.

    Raises:
        DataError: A new template fails on a sample.
    """
    target = prepared.digest.target
    at = [each.name for each in new.passes].index(target.name)
    before, after = (
        sum(len(message.source) for message in prompt.passes[at].messages) for prompt in (prepared.prompt, new)
    )
    if at:
        return Growth((before, after), None, None)
    model, n = target.model.name, len(run.samples) * run.manifest.repeats
    tokens = tuple(_tokens(run, prompt) for prompt in (prepared.prompt, new))
    costs = [spent([(model, Usage(prompt_tokens=round(each), completion_tokens=0))], prices).usd for each in tokens]
    known = [usd * n for usd in costs if usd is not None]
    return Growth((before, after), (tokens[0], tokens[1]), (known[0], known[1]) if len(known) == len(costs) else None)


def _tokens(run: StoredRun, prompt: Prompt) -> float:
    """Return the mean of the estimated tokens that the first pass asks with about a sample."""
    space = run.manifest.space
    total = sum(estimated_tokens(call) for each in run.samples for call in next(predict(prompt, space, each)))
    return total / len(run.samples)


def _copied(
    prepared: Prepared, reworded: Reworded, project: Project, warn: Callable[[str], None]
) -> tuple[Copied, ...]:
    """Return what the new messages hold of samples: of the run's with its words, of all others by id and split alone."""
    prompt, space = prepared.prompt, prepared.run.manifest.space
    known = [message.source for each in prompt.passes for message in each.messages]
    known += [*prompt.files.values(), *prompt.variables.values()]
    known += [f"{label.name}: {label.description}" for label in space.labels]
    new = [text for text in reworded.messages if text not in known]
    mine = prepared.run.samples
    found = list(copied(new, known, mine))
    seen = {content(sample) for sample in mine}
    for split, samples in _splits(prepared, project, warn) if new else ():
        others = [sample for sample in samples if content(sample) not in seen]
        elsewhere = dict.fromkeys(each.sample for each in copied(new, known, others))
        found += [Copied(sample, "", split=split) for sample in elsewhere]
        seen |= {content(sample) for sample in others}
    return tuple(found)


def _splits(
    prepared: Prepared, project: Project, warn: Callable[[str], None]
) -> Iterator[tuple[str, Sequence[Sample]]]:
    """Yield the splits of the run's dataset with their samples, locked ones too: the prompt will be scored on them."""
    if prepared.prompt.dataset is None:
        return
    dataset = load_dataset(Path(project.show(project.root / prepared.prompt.dataset)), project)
    for split in dataset.splits:
        try:
            yield split, dataset.read(split).samples
        except DataError as error:
            told = str(error).splitlines()[0]
            warn(
                f"{dataset.path}: the new messages are not compared with split '{split}', which cannot be read: {told}"
            )


def _write(
    prepared: Prepared, asked: Asked, new: Prompt, found: tuple[Copied, ...], project: Project, write: Path | None
) -> tuple[Path, bool]:
    """Write the version, check it as it is read back, and return its file and whether it is new."""
    run, target = prepared.run, prepared.digest.target
    manifest = run.manifest
    old = parent_file(run, project)
    what = "output instructions" if prepared.format_only else "wording"
    where = "" if len(new.passes) == 1 else f" of pass {target.name}"
    notes = (
        f"{what}{where} suggested by {prepared.model.name} from run {manifest.id} ({manifest.dataset} {manifest.split})"
    )
    at = [each.name for each in new.passes].index(target.name)
    text = with_messages(
        read_text(old),
        str(manifest.prompt.path),
        parent=manifest.version,
        notes=notes,
        pass_number=at,
        messages=[each.source for each in new.passes[at].messages],
        remarks=[_remark(each) for each in found],
    )
    if write is None and (same := _same_file(old.parent, text)) is not None:
        return Path(project.show(same)), False
    path = write or next_path(run, project)
    write_new(path, text)
    try:
        made = load_as_run(path, run, project)
        wanted = (new.hash, new.models, new.dataset, manifest.version, notes)
        why = None
        if (made.hash, made.models, made.dataset, made.parent, made.notes) != wanted:
            why = (
                f"{manifest.prompt.path} cannot be edited so that only its messages change. Write the version by hand."
            )
    except DataError as error:
        why = str(error)
    if why is not None:
        path.unlink()
        raise UnusableSuggestion(why, prepared, asked)
    return path, True


def _remark(each: Copied) -> str:
    """Return what stands in the file about a copied piece, on one line."""
    what = each.name if each.split is not None else f"{each.sample}: {each.text}"
    words = "".join(character if character.isprintable() else " " for character in what)
    return f"copied from evaluated sample {words}"


def _same_file(folder: Path, text: str) -> Path | None:
    """Return the prompt file that says the very same already."""
    content = text.encode()
    for path in sorted(folder.glob("*.yaml")):
        try:
            if path.stat().st_size == len(content) and path.read_bytes() == content:
                return path
        except OSError:  # it is not ours to mind
            continue
    return None
