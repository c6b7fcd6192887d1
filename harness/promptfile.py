"""Prompt files: YAML becomes a `Prompt`, or all that is wrong with it, before any call is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from harness.answerlength import most_tokens, with_limits
from harness.dataset import Dataset, load_dataset
from harness.errors import DataError, Problems, did_you_mean, listing
from harness.includes import read_included
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS
from harness.project import Project
from harness.prompt import DEFAULT_PASS, MergeHow, MessageTemplate, Model, Pass, Prompt, templates_of
from harness.promptmodel import check_base_url, model_problems, read_model, with_local_params
from harness.promptnames import check_templates
from harness.promptoutput import (
    SaidOutput,
    default_output,
    impossible,
    read_output,
    read_per,
    read_questions,
    read_votes,
    unreadable_units,
)
from harness.promptpasses import ExampleFile, impossible_together, read_candidates, with_examples
from harness.promptshots import ShotFile, check_server, check_shots, choose_shots, inside, read_pool, read_shots
from harness.rendering import columns_of
from harness.samples import RESERVED, SampleSet
from harness.searched import Searched
from harness.yamlfile import Node, Section, read_text, read_yaml

TOP = ""
"""Stands for the top where lines are kept by pass; no pass is called so."""

ROLES = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt together with what it is run on: everything is read and checked."""

    prompt: Prompt
    dataset: Dataset
    samples: SampleSet


def load_task(
    path: Path,
    project: Project,
    *,
    split: str | None = None,
    model: str | None = None,
    base_url: str | None = None,
    variables: Mapping[str, str] | None = None,
    dataset: Path | None = None,
    read: Callable[[LabelSpace], SampleSet] | None = None,
) -> Task:
    """Return a prompt with its dataset and samples.

    Args:
        path: The prompt file.
        project: Where files may be read, and the settings.
        split: Which samples; default: the dataset's default split.
        model: Goes before the prompt's own model.
        base_url: Goes before the prompt's own base URL.
        variables: Template variables; they go before the prompt's own `vars`.
        dataset: Goes before the prompt's own dataset.
        read: Returns other samples than those of a split, for the label space.

    Raises:
        DataError: The prompt, the dataset or the samples have problems; those of one file come together.
        UsageError: A base URL is given, and no pass asks a server.
    """
    _refuse_bare_name(path, project)
    problems = Problems(path)
    file = _PromptFile(path, project, problems, model)
    prompt = file.prompt(variables or {})
    chosen = dataset or prompt.dataset
    if chosen is None:
        if file.names_dataset:
            problems.raise_if_any()
        with problems.before():
            raise DataError(f"{path}:1: 'dataset' is missing. Add: dataset: ../datasets/NAME.yaml")
    with problems.before():
        loaded = load_dataset(Path(project.show(chosen.resolve())), project)
    if prompt.dataset is None or chosen.resolve() != prompt.dataset.resolve():
        prompt = replace(prompt, searched=None)  # the samples of another dataset were never searched
    prompt = file.bind(prompt, loaded.space)
    with problems.before():
        samples = loaded.read(split) if read is None else read(loaded.space)
        file.check_searched(prompt.searched, loaded, samples if read is None else None, split)
    file.check(prompt, columns_of(samples.samples), loaded.space)
    problems.raise_if_any()
    answered = _placed(prompt, chosen, project).with_model(model, base_url)
    check_base_url(base_url, answered.models)
    return Task(answered, loaded, replace(samples, warnings=(*samples.warnings, *file.from_locked(loaded))))


def _refuse_bare_name(path: Path, project: Project) -> None:
    """Refuse a version where a file is asked for, with the file that it means: most commands take versions."""
    if path.name != str(path):
        return
    with suppress(OSError):  # a name that no file can have is told when it is read
        names = () if path.exists() else (path.name, f"{path.name}.yaml", f"{path.name}.yml")
        for meant in (project.root / "prompts" / name for name in names):
            if meant.is_file():
                raise DataError(f"{path}: no such file. Did you mean '{project.show(meant)}'?")


def _placed(prompt: Prompt, dataset: Path, project: Project) -> Prompt:
    """Return the prompt with its paths told from the project's root, so that a run can move with its project."""

    def from_root(path: Path) -> Path:
        whole = path.resolve()
        return whole.relative_to(project.root) if project.inside(path) else whole

    return replace(prompt, path=None if prompt.path is None else from_root(prompt.path), dataset=from_root(dataset))


@dataclass(frozen=True, slots=True)
class _Said:
    """What a mapping, the top or a pass, says of what the top can say for all passes; None where it says nothing."""

    model: Mapping[str, Any]
    model_line: int | None
    output: SaidOutput | None
    shots: ShotFile | None


def _lines_of_keys(section: Section) -> dict[str, int]:
    return {key: section.node.value[key].told_line for key in section.keys()}  # noqa: SIM118 - no dict


def _read_searched(section: Section) -> Searched | None:
    """Return what a prompt was drafted from; None when something of it is missing or wrong."""
    run, split, seed = section.text("run"), section.text("split"), section.integer("seed")
    share, aside = section.number("share", least=0, most=1), section.texts("set_aside") or ()
    section.finish()
    for key in ("run", "split", "seed", "share"):
        if not section.has(key):
            section.problem(key, "is missing. Write it as harness exceptions did, or take 'searched' out.")
    if share in (0, 1):
        section.problem("share", f"must be above 0 and below 1, got {share:g}.")
        return None
    if run is None or split is None or seed is None or share is None:
        return None
    return Searched(run, split, seed, share, tuple(dict.fromkeys(aside)))


class _PromptFile:
    """Reads one prompt file, collecting its problems."""

    def __init__(self, path: Path, project: Project, problems: Problems, other_model: str | None) -> None:
        self.path = path
        self.project = project
        self.problems = problems
        self.other_model = other_model
        self.names_dataset = False
        self.lines: dict[str, int] = {}
        self.key_lines: dict[str, dict[str, int]] = {}
        self.variable_lines: dict[str, int | None] = {}
        self.when_lines: dict[str, int] = {}
        self.scope_lines: dict[str, int] = {}
        self.output_lines: dict[str, int] = {}
        self.shot_files: dict[str, ShotFile] = {}
        self.example_files: dict[str, ExampleFile] = {}
        self.searched: Section | None = None

    def prompt(self, variables: Mapping[str, str]) -> Prompt:
        """Return the prompt as the file has it; shots and labels are still to be bound."""
        top = read_yaml(self.path, self.problems)
        self.key_lines[TOP] = _lines_of_keys(top)
        own = self._variables(top, variables)
        self.names_dataset = top.has("dataset")
        dataset = inside(top, "dataset", self.path.parent, self.project)
        self.searched = top.section("searched")
        said = self._said(top)
        listed = top.take("passes")
        if listed is None:
            for key in ("when", "merge"):
                if top.take(key) is not None:
                    top.problem(key, "is about one pass of several. Move it into a pass of 'passes'.")
        passes = self._passes(top, listed, said) if listed else (self._pass(top, DEFAULT_PASS, said),)
        prompt = Prompt(
            version=self.path.stem,
            parent=top.text("parent"),
            notes=(top.text("notes") or "").strip(),
            dataset=dataset,
            variables={**own, **variables},
            given=tuple(variables),
            path=self.path,
            passes=passes,
            files=read_included(templates_of(passes), self.path.parent, self.project, self.problems),
            searched=None if self.searched is None else _read_searched(self.searched),
        )
        top.finish()
        return prompt

    def from_locked(self, dataset: Dataset) -> Iterator[str]:
        """Yield a warning where shots, or examples of candidates, stand in the file of a locked split."""
        split_of = {dataset.splits[split].resolve(): split for split in dataset.locked}
        files = [("shots", file.path) for file in self.shot_files.values()]
        files += [("examples of 'candidates'", file.path) for file in self.example_files.values()]
        for what, path in dict.fromkeys(files):
            if (split := split_of.get(path.resolve())) is not None:
                yield (
                    f"{self.path}: {what} come from '{split}', which is locked: what the prompt holds of it cannot be "
                    "tested on it. Take them from another file."
                )

    def _variables(self, top: Section, given: Mapping[str, str]) -> dict[str, str]:
        """Read `vars`; note the names that a template could not use, those given from outside among them."""
        own: dict[str, str] = {}
        if (section := top.section("vars")) is not None:
            own = {name: self._variable(section, name) for name in section.keys()}  # noqa: SIM118 - no dict
            self.variable_lines.update({name: section.node.value[name].told_line for name in own})
        for name in {**own, **given}:
            line = self.variable_lines.setdefault(name, None)
            if name in RESERVED:
                self.problems.add(f"variable '{name}' has a name that templates use. Rename it.", line)
            elif not name.isidentifier():
                self.problems.add(f"variable '{name}' must be a name of letters, digits and '_'. Rename it.", line)
        return own

    def _variable(self, section: Section, name: str) -> str:
        """Return the value of a variable: a text, or with ``{file: PATH}`` what a file of the project holds."""
        if not isinstance(section.node.value[name].value, dict):
            return section.text(name) or ""
        details = section.section(name)
        path = None if details is None else inside(details, "file", self.path.parent, self.project)
        if details is not None:
            if not details.has("file"):
                details.problem("file", "is missing. Name a text file.")
            details.finish()
            try:
                return "" if path is None else read_text(path)
            except DataError as error:
                details.problem("file", f"cannot be read: {error}")
        return ""

    def _said(self, section: Section) -> _Said:
        shots = section.section("shots")
        file = None if shots is None else read_shots(shots, self.path.parent, self.project)
        named = section.take("model")
        return _Said(read_model(section), None if named is None else named.told_line, read_output(section), file)

    def _passes(self, top: Section, listed: Node, said: _Said) -> tuple[Pass, ...]:
        for key in ("template", "messages", "per", "choose", "candidates", "votes", "question", "when", "merge"):
            if top.take(key) is not None:
                top.problem(key, "stands beside 'passes'. Move it into a pass.")
        if not isinstance(listed.value, list) or not listed.value:
            self.problems.add("'passes' must be a list of at least one pass.", listed.told_line)
            return ()
        passes: list[Pass] = []
        for number, node in enumerate(listed.value, 1):
            if not isinstance(node.value, dict):
                self.problems.add(f"pass {number} must be a mapping, got {node.kind}.", node.line)
                continue
            section = Section(node, self.problems, f"passes[{number}]")
            name = section.text("name") or f"pass{number}"
            if name in self.lines:
                section.problem("name", f"must be another name than those of earlier passes, got '{name}'.")
            passes.append(self._later_pass(section, name, said))
            section.finish()
        if passes and passes[0].when is not None:
            line = self.when_lines[passes[0].name]
            self.problems.add("the first pass must not have a 'when': there is no answer yet. Take it out.", line)
        return tuple(passes)

    def _later_pass(self, section: Section, name: str, top: _Said) -> Pass:
        """Read a pass of a list; what it does not say of model, output and shots stands at the top."""
        own = self._said(section)
        said = _Said(
            {**top.model, **own.model},
            own.model_line or top.model_line,
            own.output or top.output,
            own.shots or top.shots,
        )
        when = section.text("when")
        if when is not None:
            self.when_lines[name] = section.node.value["when"].text_line
        scope: tuple[str, ...] = ()
        how: MergeHow = "replace"
        if (merge := section.section("merge", "merge: {how: confirm}")) is not None:
            self.scope_lines[name] = merge.line
            scope = merge.texts("scope") or ()
            how = merge.choice("how", get_args(MergeHow)) or "replace"
            merge.finish()
        return replace(self._pass(section, name, said), when=when, scope=scope, how=how)

    def _pass(self, section: Section, name: str, said: _Said) -> Pass:
        self.lines[name] = section.line
        self.key_lines[name] = _lines_of_keys(section)
        model = self._model(said.model, said.model_line or section.line)
        self.output_lines[name] = section.line if said.output is None else said.output.line
        if said.shots is not None:
            self.shot_files[name] = said.shots
        offer, examples = read_candidates(section, self.path.parent, self.project)
        if examples is not None:
            self.example_files[name] = examples
        return Pass(
            name,
            self._messages(section),
            model,
            output=default_output(model) if said.output is None else said.output.for_model(model),
            per=read_per(section),
            votes=read_votes(section),
            questions=read_questions(section, model),
            chooses_groups=section.choice("choose", ["groups"]) is not None,
            candidates=offer,
        )

    def _model(self, said: Mapping[str, Any], line: int) -> Model:
        default = self.other_model or self.project.settings.model
        named = {**said, "name": said.get("name") or default or ""}
        if not named["name"]:
            self.problems.add("must name a model. Add: model: local/smollm2-135m, or give --model.", line)
        asked = Model(**named)
        for problem in model_problems(asked, self.other_model):
            self.problems.add(problem, line)
        return with_local_params(asked, self.other_model)

    def _messages(self, section: Section) -> tuple[MessageTemplate, ...]:
        template, listed = section.take("template"), section.take("messages")
        if (template is None) == (listed is None):
            got = "both" if template else "neither"
            self.problems.add(f"must have either 'template' or 'messages', got {got}.", section.line)
        if template is not None:
            return tuple(self._message("user", template))
        if listed is None:
            return ()
        nodes = listed.value if isinstance(listed.value, list) else []
        if not nodes or not all(isinstance(each.value, dict) and len(each.value) == 1 for each in nodes):
            self.problems.add("'messages' must be a list of '- role: text' items.", listed.told_line)
            return ()
        if not any("user" in each.value for each in nodes):
            self.problems.add("'messages' must have a user message.", listed.told_line)
        return tuple(
            message for each in nodes for role, text in each.value.items() for message in self._message(role, text)
        )

    def _message(self, role: str, node: Node) -> list[MessageTemplate]:
        if role not in ROLES:
            near = did_you_mean(role, ROLES)
            self.problems.add(f"a role must be one of {listing(ROLES)}, got '{role}'.{near}", node.told_line)
        if not isinstance(node.value, str) or not node.value.strip():
            got = "an empty one" if isinstance(node.value, str) else node.kind
            self.problems.add(f"the {role} message must be a text, got {got}.", node.told_line)
            return []
        return [MessageTemplate(role, node.value, node.text_line)]

    def bind(self, prompt: Prompt, space: LabelSpace) -> Prompt:
        """Return the prompt with its shots chosen and everything that names a label checked."""
        files = {id(each): each for each in self.shot_files.values()}  # one that stands at the top is read once
        pools = {key: read_pool(each, space) for key, each in files.items()}
        passes = []
        for each in prompt.passes:
            wrong = FORMATS[each.output.format].check(each.output, each.answer_space(space))
            self._check_scope(each, space)
            file = self.shot_files.get(each.name)
            pool = None if file is None else pools[id(file)]
            known = all(name in space.index for name in each.scope)
            chosen = choose_shots(file, pool, each, space) if file is not None and pool is not None and known else None
            offer = with_examples(each, self.example_files.get(each.name), space) if known else each.candidates
            passes.append(
                self._limited(replace(each, shots=chosen, candidates=offer), space, sound=known and not wrong)
            )
            for key, message in (contradictions := list(impossible(passes[-1], space))):
                self.problems.add(message, self._line_of(key, each.name))
            if known and not wrong and not contradictions:
                wrong = list(unreadable_units(each, space))
            for message in wrong:
                self.problems.add(f"output: {message}", self.output_lines[each.name])
            if file is not None and chosen is not None and not wrong and not contradictions:
                check_shots(passes[-1], file, space)
                check_server(file, self.other_model or each.model.name)
        if all(name in space.index for each in passes for name in each.scope):
            for name, key, message in impossible_together(passes, space, prompt.files):
                self.problems.add(message, self._line_of(key, name))
        return replace(prompt, passes=tuple(passes))

    def _limited(self, each: Pass, space: LabelSpace, *, sound: bool) -> Pass:
        """Return a pass with numbers and texts for `auto`, by the model that will answer; one that is not sound as it is."""
        answering = replace(each.model, name=self.other_model or each.model.name)
        return with_limits(each, space, lambda _: _token_counter(answering)) if sound else each

    def _line_of(self, key: str, name: str) -> int:
        """Return where a pass, or else the top, says what it says of a key; where neither does, where the pass begins."""
        return self.key_lines[name].get(key, self.key_lines[TOP].get(key, self.lines[name]))

    def check_searched(
        self, searched: Searched | None, dataset: Dataset, samples: SampleSet | None, split: str | None
    ) -> None:
        """Note a split that was searched and is none, and samples set aside that are not in it.

        Args:
            searched: What the prompt says.
            dataset: Has the splits.
            samples: Those of ``split``; None where other samples than those of a split are read: then no id is checked.
            split: None means the default one.
        """
        if searched is None or self.searched is None:
            return
        if searched.split not in dataset.splits:
            near = did_you_mean(searched.split, dataset.splits)
            self.searched.problem("split", f"is '{searched.split}', which is no split of {dataset.path}.{near}")
        elif searched.set_aside and samples is not None:
            here = searched.split == (split or dataset.default_split)
            ids = {each.id for each in (samples if here else dataset.read(searched.split)).samples}
            node = self.searched.node.value["set_aside"]
            for item in node.value if isinstance(node.value, list) else [node]:
                if item.source not in ids:
                    told = f"'searched.set_aside' has '{item.source}', which is no sample of {searched.split}."
                    self.problems.add(f"{told}{did_you_mean(item.source, ids)}", item.line)

    def _check_scope(self, each: Pass, space: LabelSpace) -> None:
        for name in each.scope:
            if name not in space.index:
                near = did_you_mean(name, space.names)
                line = self.scope_lines[each.name]
                self.problems.add(f"'merge.scope' names '{name}', which is no label.{near}", line)

    def check(self, prompt: Prompt, columns: frozenset[str], space: LabelSpace) -> None:
        """Note every name that a template or `when` uses and nobody defines."""
        for name in prompt.variables:
            if name in columns:
                self.problems.add(f"variable '{name}' is an input column too. Rename it.", self.variable_lines[name])
        check_templates(prompt, columns, space, self.problems, self.when_lines)


def _token_counter(model: Model) -> Callable[[Sequence[str]], list[int]]:
    """Return what counts the tokens of answers: the model's own counter, or the most that there can be."""
    if not model.is_local:
        return most_tokens
    from harness.clients.embedded import token_counter

    return token_counter(model)
