"""Requests with gaps: what a pass asks of every sample alike is rendered once, and a sample's own texts are put in.

A template that does nothing with the columns of a sample but print them (``{{ text }}``) comes to the same text around them
for all samples. It is rendered with marks in their place, and cut at the marks. What else a template does with a column, or
with the answer so far, takes Jinja for every sample.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.kept import Kept
from harness.labelspace import LabelSpace
from harness.prompt import Pass, Prompt, templates_of
from harness.records import Call, Message, Question, Sample
from harness.rendering import ANSWER_NAMES, WEIGHED_NAMES, base_context, render_call, unit_context
from harness.template import ENVIRONMENT, TemplateError
from harness.templatenames import names_used, printed_alone
from harness.units import Unit

MOST_UNITS = 256
"""Units of a pass for each of which a stencil is kept."""

LONGEST = 1_000_000
"""Characters of a sample's texts that are put in without a look at what a template may make."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A message: its role, its pieces, and between them the columns; one piece more than columns."""

    role: str
    pieces: tuple[str, ...]
    columns: tuple[str, ...]

    def filled(self, sample: Sample) -> str:
        if not self.columns:
            return self.pieces[0]
        texts = [self.pieces[0]]
        for name, piece in zip(self.columns, self.pieces[1:], strict=True):
            texts += sample.inputs[name], piece
        return "".join(texts)


@dataclass(frozen=True, slots=True)
class Stencil:
    """The request of a pass about a unit, with gaps for the columns of a sample.

    Attributes:
        columns: The columns that are printed, each once.
    """

    pass_name: str
    unit: str
    texts: tuple[_Text, ...]
    columns: tuple[str, ...]
    draws: int
    labels: tuple[str, ...]
    questions: tuple[Question, ...]

    def fits(self, sample: Sample) -> bool:
        """Return whether the texts of a sample can be put in: then the templates cannot fail on it."""
        room = LONGEST
        for name in self.columns:
            value = sample.inputs[name]
            if type(value) is not str:
                return False
            room -= len(value)
        return room >= 0

    def call(self, sample: Sample, repeat: int) -> Call:
        """Return the request about a sample that fits, its first draw: just what `rendering.render_call` returns."""
        messages: tuple[Message, ...] = tuple(
            {"role": text.role, "content": text.filled(sample)} for text in self.texts
        )
        first = repeat * self.draws
        return Call(sample.id, self.pass_name, self.unit, repeat, messages, first, self.labels, self.questions)


_STENCILS = Kept["Stencil | None"]()


def stencil_of(each: Pass, unit: Unit, space: LabelSpace, prompt: Prompt, sample: Sample) -> Stencil | None:
    """Return the request of a pass about a unit, for samples with the columns of this one; None where there is none.

    Args:
        each: The pass.
        unit: One of its own units: what is asked of certain samples alone is rendered for them.
        space: The label space.
        prompt: The pass's prompt: its variables and files.
        sample: Its columns count, not what stands in them.
    """
    columns = tuple(sample.inputs)
    objects = (each, unit, space, prompt.variables, prompt.files)
    return _STENCILS.of(columns, objects, lambda: _stencil(each, unit, space, prompt, columns))


def _stencil(each: Pass, unit: Unit, space: LabelSpace, prompt: Prompt, columns: tuple[str, ...]) -> Stencil | None:
    chosen_for_each = each.candidates is not None or (each.shots is not None and each.shots.nearest is not None)
    if chosen_for_each or len(each.units(space)) > MOST_UNITS or not _prints_alone(each, unit, space, prompt, columns):
        return None
    drafts = [_marked(each, unit, space, prompt, columns, mark) for mark in ("\ue0a1", "\ue0a2")]
    if drafts[0] is None or drafts[0] != drafts[1]:
        return None
    return drafts[0]


def _prints_alone(each: Pass, unit: Unit, space: LabelSpace, prompt: Prompt, columns: tuple[str, ...]) -> bool:
    """Return whether the templates of a pass do no more with what changes from sample to sample than print columns."""
    own, answers = frozenset(columns), ANSWER_NAMES | WEIGHED_NAMES
    others = {"labels", "groups", "shots", *unit_context(each, unit, space)}
    if not own.isdisjoint(others) or not own.isdisjoint(ENVIRONMENT.globals):
        return False
    messages = {id(message) for message in each.messages}
    for template in templates_of([each]):
        used = names_used(template.source, prompt.files).keys()
        may = printed_alone(template.source) if id(template) in messages else frozenset[str]()
        if not used.isdisjoint(answers | (own - may)):
            return False
    return True


def _marked(
    each: Pass, unit: Unit, space: LabelSpace, prompt: Prompt, columns: tuple[str, ...], mark: str
) -> Stencil | None:
    """Return the request with its gaps where a sample has such marks; None where a template fails on it."""
    sample = Sample("", {name: f"{mark}{at}{mark}" for at, name in enumerate(columns)})
    try:
        call = render_call(each, sample, unit, space, base_context(sample, space, prompt.variables), 0, prompt.files)
    except TemplateError:
        return None
    texts = []
    for message in call.messages:
        parts = re.split(f"{mark}([0-9]+){mark}", message["content"])
        texts.append(_Text(message["role"], tuple(parts[::2]), tuple(columns[int(at)] for at in parts[1::2])))
    printed = tuple(dict.fromkeys(name for text in texts for name in text.columns))
    return Stencil(call.pass_name, call.unit, tuple(texts), printed, each.draws, call.labels, call.questions)
