"""What passes choose and how they build on each other, as a prompt file says it: candidates, gates, merge rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import DataError, listing
from harness.labelspace import NONE_WORD, LabelSpace, is_visible, normalize
from harness.neighbours import examples_of
from harness.parsing import FORMATS
from harness.project import Project
from harness.prompt import DECISION_APIS, LOCAL, Candidates, Pass, templates_of, without_answer
from harness.promptshots import inside
from harness.samples import read_samples
from harness.template import TemplateError
from harness.templatenames import reached
from harness.units import MOST_QUESTIONS
from harness.yamlfile import Section

CANDIDATES_BY = ("similar", "tfidf", "embeddings")
"""What the nearness of a label's description to a text is measured with; "similar" leaves it to the harness: TF-IDF."""

Contradiction = tuple[str, str]
"""The key of a pass, or of the top, that a problem is told at; and the problem."""


@dataclass(frozen=True, slots=True)
class ExampleFile:
    """Where the examples of candidates come from, and the section that says so."""

    path: Path
    section: Section


def read_candidates(section: Section, folder: Path, project: Project) -> tuple[Candidates | None, ExampleFile | None]:
    """Return how a pass chooses the labels that a sample is asked about, and where their examples come from.

    Args:
        section: The pass, or the top.
        folder: What its paths are relative to.
        project: Where files may be read.

    Returns:
        None for a pass that asks about all; the examples, if there are any, are still to be read.
    """
    node = section.take("candidates")
    if node is not None and not isinstance(node.value, dict):
        section.problem("candidates", f"must be a mapping, got {node.kind}. Write candidates: {{k: 30}}.")
        return Candidates(1), None  # so that its templates are not told to be wrong too
    details = section.section("candidates")
    if details is None:
        return None, None
    k = details.integer("k", least=1)
    if k is None and not details.has("k"):
        details.problem("k", "is missing. Say how many labels a sample is asked about.")
    by, model = details.choice("by", CANDIDATES_BY), details.text("model")
    path = inside(details, "from", folder, project)
    if by == "embeddings" and not details.has("model"):
        details.problem("model", "is missing. Name the server's embedding model.")
    if details.has("model") and by != "embeddings":
        details.problem("model", "needs 'by: embeddings'. Take it out.")
    details.finish()
    how = Candidates(k or 1, "embeddings" if by == "embeddings" else "tfidf", model)
    return how, None if path is None else ExampleFile(path, details)


def with_examples(each: Pass, file: ExampleFile | None, space: LabelSpace) -> Candidates | None:
    """Return the candidates of a pass with the examples of their labels; what is wrong with these is noted.

    Args:
        each: Every label in its scope is one.
        file: Where they are; None leaves the candidates as they are.
        space: The label space.
    """
    if each.candidates is None or file is None:
        return each.candidates
    try:
        samples = read_samples(file.path, space).samples
    except DataError as error:
        file.section.problems.add(f"'candidates.from' cannot be used:\n{error}", file.section.line)
        return each.candidates
    names = each.inside(space)
    examples = examples_of(names, samples)
    if unlabelled := [one.id for one in samples if one.labels is None]:
        file.section.problem("from", f"must be labelled, but these are not: {listing(unlabelled, 5)}.")
    elif not examples:
        told = f"must have examples of labels that the pass asks about, but {file.path.name} has none."
        file.section.problem("from", f"{told} Add some, or take 'from' out.")
    about = frozenset(names)
    kept = (replace(one, labels=(one.labels or frozenset()) & about, fields={}) for one in examples)
    return replace(each.candidates, examples=tuple(kept))


# --- one pass ---------------------------------------------------------------------------------------------------------


def impossible_choices(each: Pass, space: LabelSpace) -> Iterator[Contradiction]:
    """Yield what is wrong with a pass that chooses groups, or that is asked about candidates."""
    inside = each.inside(space) if all(name in space.index for name in each.scope) else ()
    if each.chooses_groups:
        yield from _impossible_gate(each, space, inside)
    elif each.candidates is not None:
        yield from _impossible_candidates(each, each.candidates, inside)


def _impossible_candidates(each: Pass, offer: Candidates, inside: Sequence[str]) -> Iterator[Contradiction]:
    if each.per == "group":
        yield (
            "candidates",
            "'candidates' and 'per: group' exclude each other: a group is asked about whole. Take one out.",
        )
    if inside and offer.k >= len(inside):
        told = (
            f"'candidates' must choose fewer labels than the {len(inside)} that the pass asks about, got k {offer.k}."
        )
        yield "candidates", f"{told} Lower k, or take 'candidates' out."
    if each.questions is not None and offer.k + len(each.output.fields) > MOST_QUESTIONS:
        n_fields = len(each.output.fields)
        besides = f" beside {n_fields} {'field' if n_fields == 1 else 'fields'}" if n_fields else ""
        told = f"takes {MOST_QUESTIONS} questions a request, and k is {offer.k}{besides}. Lower k."
        yield "candidates", f"'api: {each.model.api}' {told}"
    if offer.by == "embeddings" and each.model.name.startswith(LOCAL):
        yield (
            "candidates",
            f"'by: embeddings' of 'candidates' needs a server with embeddings, and {each.model.name} has none. "
            "Use 'by: tfidf'.",
        )


def _impossible_gate(each: Pass, space: LabelSpace, inside: Sequence[str]) -> Iterator[Contradiction]:
    if not space.groups:
        yield "choose", "'choose: groups' needs 'groups' in the dataset, and it has none."
        return
    if lone := [name for name in inside if name not in space.group_of]:
        why = "needs a group for every label that the pass is about, but these have none"
        yield "choose", f"'choose: groups' {why}: {listing(lone, 5)}. Give them one, or narrow 'merge.scope'."
    asked = list(dict.fromkeys(space.group_of[name] for name in inside if name in space.group_of))
    if each.per == "label":
        yield "per", "'choose: groups' asks about groups. Use 'per: group', or take 'per' out for one call a sample."
    elif each.per == "sample" and FORMATS[each.output.format].one_label and len(asked) > 1:
        why = f"format {each.output.format} answers for one group, and this pass asks about {len(asked)}."
        yield "output", f"{why} Add: per: group"
    if each.how != "replace":
        yield "merge", f"'how: {each.how}' merges labels, and this pass chooses groups. Take 'how' out."
    if each.candidates is not None:
        yield "candidates", "'candidates' are labels, and this pass chooses groups. Take it out."
    if each.model.api in DECISION_APIS and len(asked) + len(each.output.fields) > MOST_QUESTIONS:
        told = f"takes {MOST_QUESTIONS} questions a request, and there are {len(asked)} groups"
        yield "choose", f"'api: {each.model.api}' {told}. Share them out among passes with 'merge.scope'."
    yield from (("choose", problem) for problem in _unclear_groups(asked))


def _unclear_groups(groups: Sequence[str]) -> Iterator[str]:
    """Yield where an answer that names groups could mean two things, as `dataset` does for labels."""
    spellings: dict[str, str] = {}
    for group in groups:
        form = normalize(group)
        other = spellings.setdefault(form, group)
        if other != group:
            yield f"the groups '{other}' and '{group}' are spelled alike, so that an answer could mean either. Rename one."
        if not is_visible(group):
            yield f"a group's name must be visible text on one line, got {group!a}."
        elif form == NONE_WORD:
            yield f"a group is called '{group}', which is how the empty set is written. Rename it."


# --- several passes ---------------------------------------------------------------------------------------------------


def impossible_together(
    passes: Sequence[Pass], space: LabelSpace, files: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Yield what passes cannot do where they stand: name of the pass, the key that it is told at, and the message.

    Args:
        passes: Every label in their scopes is one.
        space: The label space.
        files: What their templates include.
    """
    for at, each in enumerate(passes):
        if each.chooses_groups and space.groups:
            yield from _useless_gate(each, passes[:at], passes[at + 1 :], space, files)
        elif not each.chooses_groups and each.how != "replace":
            yield from _nothing_to_merge(each, passes[:at], space)
    if passes and (left := without_answer(passes, space)):
        told = f"the passes without 'when' must together answer every label, but none answers {listing(left)}."
        yield passes[0].name, "", f"{told} {_remedy(passes, left, space)}"


def _useless_gate(
    gate: Pass, before: Sequence[Pass], after: Sequence[Pass], space: LabelSpace, files: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Yield a gate by which no later pass goes: it would be paid for nothing."""
    if any(_goes_by(each, gate, space) or _names(each, gate.name, files) for each in after):
        return
    told = (
        "'choose: groups' narrows later passes, but none asks about these groups with 'per: group' or 'per: label', or uses "
        f"'passes.{gate.name}.groups'."
    )
    earlier = next((each for each in before if _goes_by(each, gate, space)), None)
    step = "Add one." if earlier is None else f"Move this pass before {earlier.name}."
    yield gate.name, "choose", f"{told} {step}"


def _goes_by(each: Pass, gate: Pass, space: LabelSpace) -> bool:
    """Return whether a pass asks less where a gate closes groups."""
    asks_in_parts = each.per != "sample" and not each.chooses_groups
    return asks_in_parts and not frozenset(each.inside(space)).isdisjoint(gate.inside(space))


def _names(each: Pass, name: str, files: Mapping[str, str]) -> bool:
    """Return whether a pass uses what an earlier one left, in its templates, their files or its `when`."""
    sources = [message.source for message in templates_of((each,))]
    for source in tuple(sources):
        try:
            sources += [files[file] for file, _ in reached(source, files)]
        except TemplateError:
            return True  # told with the names; who knows what it uses
    of_pass = re.compile(rf"\bpasses\s*(?:\.\s*{re.escape(name)}\b|\[\s*[\"']{re.escape(name)}[\"']\s*\])")
    return any(of_pass.search(source) for source in (*sources, each.when or ""))


def _nothing_to_merge(each: Pass, before: Sequence[Pass], space: LabelSpace) -> Iterator[tuple[str, str, str]]:
    """Yield a merge rule for which there is no earlier answer."""
    inside = frozenset(each.inside(space))
    if all(one.chooses_groups or inside.isdisjoint(one.inside(space)) for one in before):
        why = "merges with what earlier passes said of its labels, and no earlier pass asks about them. Take 'how' out."
        yield each.name, "merge", f"'how: {each.how}' {why}"


def _remedy(passes: Sequence[Pass], left: Sequence[str], space: LabelSpace) -> str:
    """Return the next step where no pass without a `when` answers some labels."""
    about = [each for each in passes if each.when is None and set(left) & set(each.inside(space))]
    if merging := [each for each in about if not each.chooses_groups]:
        return f"'how: {merging[0].how}' of pass {merging[0].name} answers none by itself: say replace or union."
    if about:
        return (
            f"'choose: groups' of pass {about[0].name} answers none by itself: add a pass with 'per: group' after it."
        )
    return "Widen a 'merge.scope'."
