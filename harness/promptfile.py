"""Prompt files: YAML becomes a `Prompt`, or all that is wrong with it, before any call is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from harness.dataset import Dataset, load_dataset
from harness.errors import DataError, Problems, did_you_mean, listing
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS, Output
from harness.project import Project
from harness.prompt import (
    DEFAULT_PASS,
    TASK_NAMES,
    Api,
    Engine,
    MessageTemplate,
    Model,
    Pass,
    Prompt,
    Shots,
    columns_of,
    known_names,
)
from harness.samples import RESERVED, SampleSet, read_samples
from harness.template import check_expression, check_names
from harness.yamlfile import Node, Section, read_yaml

ROLES = ("system", "developer", "user", "assistant")
LOCAL_PARAMS: Mapping[str, object] = {"temperature": 0, "max_tokens": 64}
"""Parameters of the embedded model where the prompt says nothing else: greedy, and no endless rambling."""


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

    Raises:
        DataError: The prompt, the dataset or the samples have problems; those of one file come together.
    """
    problems = Problems(path)
    file = _PromptFile(path, project, problems, model or project.settings.model, overridden=model is not None)
    prompt = file.prompt(variables or {})
    chosen = dataset or prompt.dataset
    if chosen is None:
        problems.add("'dataset' is missing. Add: dataset: ../datasets/NAME.yaml", 1)
        raise DataError("\n".join(map(str, problems.found)))
    with problems.before():
        loaded = load_dataset(chosen, project)
    prompt = file.bind(prompt, loaded.space)
    with problems.before():
        samples = loaded.read(split)
    file.check_templates(prompt, columns_of(samples.samples))
    problems.raise_if_any()
    return Task(_placed(prompt, chosen, project).with_model(model, base_url), loaded, samples)


def _placed(prompt: Prompt, dataset: Path, project: Project) -> Prompt:
    """Return the prompt with its paths told from the project's root, so that a run can move with its project."""

    def from_root(path: Path) -> Path:
        whole = path.resolve()
        return whole.relative_to(project.root) if project.inside(path) else whole

    return replace(prompt, path=None if prompt.path is None else from_root(prompt.path), dataset=from_root(dataset))


class _PromptFile:
    """Reads one prompt file, collecting its problems."""

    def __init__(
        self, path: Path, project: Project, problems: Problems, default_model: str | None, *, overridden: bool
    ) -> None:
        self.path = path
        self.project = project
        self.problems = problems
        self.default_model = default_model
        self.overridden = overridden
        self.shot_files: dict[str, tuple[Path, int | None, int]] = {}
        self.lines: dict[str, int] = {}

    def prompt(self, variables: Mapping[str, str]) -> Prompt:
        """Return the prompt as the file has it; shots and labels are still to be bound."""
        top = read_yaml(self.path, self.problems)
        own = {name: str(value) for name, value in top.mapping("vars").items()}
        for name in {**own, **variables}:
            if name in RESERVED:
                self.problems.add(f"variable '{name}' has a name that templates use. Rename it.", top.line)
        dataset = self._inside(top, "dataset")
        listed = top.take("passes")
        passes = self._passes(top, listed) if listed else (self._pass(top, None, DEFAULT_PASS),)
        prompt = Prompt(
            version=self.path.stem,
            parent=top.text("parent"),
            notes=(top.text("notes") or "").strip(),
            dataset=dataset,
            variables={**own, **variables},
            path=self.path,
            passes=passes,
        )
        top.finish()
        return prompt

    def _inside(self, section: Section, key: str) -> Path | None:
        text = section.text(key)
        if text is None:
            return None
        path = self.path.parent / text
        if not self.project.inside(path):
            section.problem(key, f"must lie in the project {self.project.root}, got '{text}'.")
            return None
        return path

    def _passes(self, top: Section, listed: Node) -> tuple[Pass, ...]:
        for key in ("template", "messages"):
            if top.take(key) is not None:
                top.problem(key, "stands beside 'passes'. Move it into a pass.")
        for key in ("model", "output", "shots"):
            top.take(key)  # defaults of every pass
        if not isinstance(listed.value, list) or not listed.value:
            self.problems.add("'passes' must be a list of at least one pass.", listed.line)
            return ()
        passes: list[Pass] = []
        for number, node in enumerate(listed.value, 1):
            if not isinstance(node.value, dict):
                self.problems.add(f"pass {number} must be a mapping, got {node.kind}.", node.line)
                continue
            section = Section(node, self.problems, f"passes[{number}]")
            name = section.text("name") or f"pass{number}"
            if name in self.lines:
                section.problem("name", f"'{name}' is that of an earlier pass too.")
            passes.append(self._pass(section, top, name))
            section.finish()
        if passes and passes[0].when is not None:
            self.problems.add(
                "the first pass must not have a 'when': there is no answer yet.", self.lines[passes[0].name]
            )
        return tuple(passes)

    def _pass(self, section: Section, top: Section | None, name: str) -> Pass:
        """Read a pass; what it does not say stands at the top."""

        def source(key: str) -> Section:
            return section if top is None or section.has(key) else top

        self.lines[name] = section.line
        if (shots := source("shots").section("shots")) is not None:
            self._shots(shots, name)
        for key in ("model", "output", "shots"):
            section.take(key)
        merge = section.section("merge") if top is not None else None
        scope: tuple[str, ...] = ()
        if merge is not None:
            scope = merge.texts("scope") or ()
            merge.choice("how", ["replace"])
            merge.finish()
        return Pass(
            name=name,
            messages=self._messages(section),
            model=self._model(source("model")),
            output=self._output(source("output")),
            when=section.text("when") if top is not None else None,
            scope=scope,
        )

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
            self.problems.add("'messages' must be a list of '- role: text' items.", listed.line)
            return ()
        found = [
            message for each in nodes for role, text in each.value.items() for message in self._message(role, text)
        ]
        if not any(message.role == "user" for message in found):
            self.problems.add("'messages' must have a user message.", listed.line)
        return tuple(found)

    def _message(self, role: str, node: Node) -> list[MessageTemplate]:
        if role not in ROLES:
            self.problems.add(
                f"a role must be one of {listing(ROLES)}, got '{role}'.{did_you_mean(role, ROLES)}", node.line
            )
        if not isinstance(node.value, str) or not node.value.strip():
            self.problems.add(f"the {role} message must be a text, got {node.kind}.", node.line)
            return []
        return [MessageTemplate(role, node.value, node.text_line)]

    def _model(self, section: Section) -> Model:
        node = section.take("model")
        if node is None or isinstance(node.value, str):
            name = node.value if node else self.default_model
            if not name:
                self.problems.add("'model' is missing. Add: model: local/smollm2-135m, or give --model.", section.line)
            return _with_defaults(Model(name or ""), self.default_model if self.overridden else None)
        details = section.section("model")
        if details is None:
            return Model("")
        name = details.text("name") or self.default_model
        if not name:
            self.problems.add("'model.name' is missing.", details.line)
        model = Model(
            name=name or "",
            api=details.choice("api", get_args(Api)) or "chat",  # type: ignore[arg-type]
            base_url=details.text("base_url"),
            params=details.mapping("params"),
            engine=_engine(details),
        )
        if "messages" in model.params or "model" in model.params:
            details.problem("params", "must not set 'model' or 'messages': the prompt does.")
        if model.params.get("stream") or model.params.get("n", 1) != 1:
            details.problem("params", "must not set 'stream' or 'n': one call has one answer. For more, use --repeat.")
        details.finish()
        return _with_defaults(model, self.default_model if self.overridden else None)

    def _output(self, section: Section) -> Output:
        node = section.take("output")
        if node is None or isinstance(node.value, str):
            name = node.value if node else "list"
            if name not in FORMATS:
                section.problem(
                    "output", f"must be one of {listing(FORMATS)}, got '{name}'.{did_you_mean(name, FORMATS)}"
                )
                name = "list"
            return Output(name)
        details = section.section("output")
        if details is None:
            return Output()
        name = details.choice("format", FORMATS) or "list"
        asked = details.texts("fields") or ()
        options = {key: each.plain() for key, each in details.node.value.items() if key not in ("format", "fields")}
        return Output(name, options, asked)

    def _shots(self, section: Section, pass_name: str) -> None:
        path = self._inside(section, "from")
        count = section.integer("k", least=1)
        section.choice("select", ["fixed"])
        if not section.has("from"):
            section.problem("from", "is missing. Name a sample file.")
        if path is not None:
            self.shot_files[pass_name] = (path, count, section.line)
        section.finish()

    def bind(self, prompt: Prompt, space: LabelSpace) -> Prompt:
        """Return the prompt with its shots read and everything that names a label checked."""
        return replace(prompt, passes=tuple(self._bind_pass(each, space) for each in prompt.passes))

    def _bind_pass(self, each: Pass, space: LabelSpace) -> Pass:
        line = self.lines[each.name]
        for message in FORMATS[each.output.format].check(each.output, space):
            self.problems.add(f"output: {message}", line)
        for name in each.scope:
            if name not in space.index:
                self.problems.add(
                    f"'merge.scope' names '{name}', which is no label.{did_you_mean(name, space.names)}", line
                )
        if each.name not in self.shot_files:
            return each
        path, count, shots_line = self.shot_files[each.name]
        try:
            shots = read_samples(path, space).samples
        except DataError as error:
            self.problems.add(f"'shots' cannot be used:\n{error}", shots_line)
            return each
        if unlabelled := [shot.id for shot in shots if shot.labels is None]:
            self.problems.add(f"'shots.from' must be labelled; {listing(unlabelled, 5)} are not.", shots_line)
        if count is not None and count > len(shots):
            self.problems.add(
                f"'shots.k' must be at most {len(shots)}, the samples of {path.name}; got {count}.", shots_line
            )
        return replace(each, shots=Shots(shots[:count], str(path)))

    def check_templates(self, prompt: Prompt, columns: frozenset[str]) -> None:
        """Note every name that a template or `when` uses and nobody defines."""
        variables = frozenset(prompt.variables)
        if taken := sorted(columns & variables):
            self.problems.add(f"variable '{taken[0]}' is an input column too. Rename it.", 1)
        for number, each in enumerate(prompt.passes):
            names = known_names(each, first=number == 0, columns=columns, variables=variables)
            for message in each.messages:
                for error in check_names(message.source, names):
                    self.problems.add(error.message, message.line + error.line - 1)
            if each.when is not None:
                for error in check_expression(each.when, names - TASK_NAMES):
                    self.problems.add(f"'when' of pass {each.name}: {error.message}", self.lines[each.name])


def _with_defaults(model: Model, other: str | None) -> Model:
    """Return the model with the embedded model's default parameters where it (or what replaces it) is one."""
    if not (replace(model, name=other) if other else model).is_local:
        return model
    return replace(model, params={**LOCAL_PARAMS, **model.params})


def _engine(details: Section) -> Engine:
    section = details.section("engine")
    if section is None:
        return Engine()
    default = Engine()
    auto = section.take("threads")
    engine = Engine(
        slots=section.integer("slots", least=1) or default.slots,
        threads=None if auto is None or auto.value == "auto" else section.integer("threads", least=1),
        prefix_reuse=bool(section.boolean("prefix_reuse")),
        context=section.integer("context", least=128) or default.context,
    )
    section.finish()
    return engine
