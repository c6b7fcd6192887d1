"""What passes choose and how they build on each other: candidates, gates and merge rules that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Problems
from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import Output
from harness.project import Project, Settings
from harness.prompt import Candidates, MessageTemplate, Model, Pass, QuestionTemplates
from harness.promptoutput import impossible, unreadable_units
from harness.promptpasses import impossible_together, read_candidates
from harness.yamlfile import Section, read_yaml

SPACE = LabelSpace(
    (Label("shipping", group="delivery"), Label("packaging", group="delivery"), Label("price", group="money")),
    (Field("mood", "choice", ("happy", "mad")),),
)
TYPED = QuestionTemplates(MessageTemplate("label", "x"), MessageTemplate("field", "y"))


def asking(name: str = "main", template: str = "x", **options: Any) -> Pass:
    """Return a pass that answers in format list, unless the options say otherwise."""
    return Pass(name, (MessageTemplate("user", template),), **{"model": Model("m"), "output": Output(), **options})


def found(space: LabelSpace = SPACE, **options: Any) -> list[tuple[str, str]]:
    """Return what is impossible in a pass, and the keys that it is told at."""
    return list(impossible(asking(**options), space))


def told(tmp_path: Path, text: str, read: Callable[[Section], Any]) -> tuple[Any, list[str]]:
    """Return what is read in a file, and its problems without the file's name."""
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    problems = Problems(path)
    said = read(read_yaml(path, problems))
    return said, [str(each).removeprefix(f"{path}:") for each in problems.found]


def decider(**options: Any) -> dict[str, Any]:
    """Return the options of a pass that asks a decision API."""
    return {"model": Model("m", "decisions"), "output": Output("decisions"), "questions": TYPED, **options}


def many(n: int) -> LabelSpace:
    """Return a label space in which every label is a group."""
    return LabelSpace(tuple(Label(f"l{at}", group=f"g{at}") for at in range(n)), SPACE.fields)


# --- candidates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "candidates", "problems"),
    [
        ("x: 1", None, []),
        ("candidates: {k: 30}", Candidates(30), []),
        ("candidates: {k: 30, by: similar}", Candidates(30), []),
        ("candidates: {k: 5, by: embeddings, model: e}", Candidates(5, "embeddings", "e"), []),
        (
            "candidates: {by: tfidf}",
            Candidates(1),
            ["1: 'candidates.k' is missing. Say how many labels a sample is asked about."],
        ),
        ("candidates: {k: 0}", Candidates(1), ["1: 'candidates.k' must be at least 1, got 0."]),
        (
            "candidates: {k: 2, by: nearest}",
            Candidates(2),
            ["1: 'candidates.by' must be one of similar, tfidf, embeddings, got 'nearest'."],
        ),
        (
            "candidates: {k: 2, by: embeddings}",
            Candidates(2, "embeddings"),
            ["1: 'candidates.model' is missing. Name the server's embedding model."],
        ),
        (
            "candidates: {k: 2, model: e}",
            Candidates(2, "tfidf", "e"),
            ["1: 'candidates.model' needs 'by: embeddings'. Take it out."],
        ),
        ("candidates: {k: 2, from: [a]}", Candidates(2), ["1: 'candidates.from' must be a text, got a list."]),
        (
            "candidates: {k: 2, from: ../../elsewhere.jsonl}",
            Candidates(2),
            ["1: 'candidates.from' must lie in the project ROOT, got '../../elsewhere.jsonl'."],
        ),
        (
            "candidates: 30",
            Candidates(1),
            ["1: 'candidates' must be a mapping, got a number. Write candidates: {k: 30}."],
        ),
        ("candidates: {k: 3, n: 2}", Candidates(3), ["1: unknown key 'candidates.n'. Known here: by, from, k, model."]),
    ],
)
def test_candidates_are_read(tmp_path: Path, text: str, candidates: Candidates | None, problems: list[str]) -> None:
    """How many, by what, with which model and examples: what is missing or too much is told."""
    project = Project(tmp_path, Settings())
    problems = [each.replace("ROOT", str(tmp_path)) for each in problems]
    said = told(tmp_path, text, lambda section: read_candidates(section, tmp_path, project))
    assert said == ((candidates, None), problems)


def test_the_file_of_examples_is_told_from_the_prompts_folder(tmp_path: Path) -> None:
    """The path is relative to the prompt file; the examples are read once the labels are known."""
    project = Project(tmp_path, Settings())
    (candidates, file), problems = told(
        tmp_path,
        "candidates: {k: 2, from: ../shots.jsonl}",
        lambda section: read_candidates(section, tmp_path / "prompts", project),
    )
    assert (candidates, problems) == (Candidates(2), [])
    assert file.path == tmp_path / "prompts" / "../shots.jsonl"


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"candidates": Candidates(2)}, []),
        ({"candidates": Candidates(2), "per": "label"}, []),
        (
            {"candidates": Candidates(2), "per": "group"},
            ["'candidates' and 'per: group' exclude each other: a group is asked about whole. Take one out."],
        ),
        (
            {"candidates": Candidates(2), "scope": ("price", "shipping")},
            [
                "'candidates' must choose fewer labels than the 2 that the pass asks about, got k 2. "
                "Lower k, or take 'candidates' out."
            ],
        ),
        (
            {"candidates": Candidates(1, "embeddings", "e"), "model": Model("local/x")},
            ["'by: embeddings' of 'candidates' needs a server with embeddings, and local/x has none. Use 'by: tfidf'."],
        ),
        (decider(candidates=Candidates(2)), []),
    ],
)
def test_candidates_that_cannot_be(options: dict[str, Any], problems: list[str]) -> None:
    """They are some of the labels that a pass asks about, chosen by what there is."""
    assert found(**options) == [("candidates", problem) for problem in problems]


def test_a_decision_api_takes_so_many_candidates() -> None:
    """All candidates and fields are asked about in one request."""
    space = many(500)
    fields = decider(candidates=Candidates(400), output=Output("decisions", {}, ("mood",)))
    why = "'api: decisions' takes 400 questions a request, and k is 400 beside 1 field. Lower k."
    assert found(space, **fields) == [("candidates", why)]
    assert found(space, **decider(candidates=Candidates(400))) == []
    why = "'api: decisions' takes 400 questions a request, and k is 401. Lower k."
    assert found(space, **decider(candidates=Candidates(401))) == [("candidates", why)]


def test_every_candidate_needs_a_form_of_its_own() -> None:
    """Which labels a sample has as candidates is not known before: a code for two of them is none where one is missing."""
    codes = {"codes": {"s": ["shipping"], "k": ["packaging"], "p": ["price"], "b": ["shipping", "packaging"]}}
    assert not list(unreadable_units(asking(candidates=Candidates(2), output=Output("codes", codes)), SPACE))
    pairs = {"codes": {"b": ["shipping", "packaging"], "k": ["packaging"], "p": ["price"]}}
    (problem,) = unreadable_units(asking(candidates=Candidates(2), output=Output("codes", pairs)), SPACE)
    assert problem.startswith("format codes has no form for an answer about label shipping alone: ")


# --- gates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({}, []),
        ({"per": "group", "output": Output("yes_no")}, []),
        ({"output": Output("yes_no"), "scope": ("price",)}, []),
        (
            {"output": Output("yes_no")},
            [("output", "format yes_no answers for one group, and this pass asks about 2. Add: per: group")],
        ),
        (
            {"per": "label"},
            [("per", "'choose: groups' asks about groups. Use 'per: group', or take 'per' out for one call a sample.")],
        ),
        ({"how": "add"}, [("merge", "'how: add' merges labels, and this pass chooses groups. Take 'how' out.")]),
        (
            {"candidates": Candidates(2)},
            [("candidates", "'candidates' are labels, and this pass chooses groups. Take it out.")],
        ),
        (decider(), []),
    ],
)
def test_gates_that_cannot_be(options: dict[str, Any], problems: list[tuple[str, str]]) -> None:
    """A gate asks about the groups of its labels, in one call or group by group, and merges nothing."""
    assert found(chooses_groups=True, **options) == problems


def test_a_gate_needs_groups() -> None:
    """Every label that it is about has a group, and what is not about groups is not told of then."""
    none = LabelSpace((Label("a"), Label("b")))
    assert found(none, chooses_groups=True, how="add") == [
        ("choose", "'choose: groups' needs 'groups' in the dataset, and it has none.")
    ]
    some = LabelSpace((Label("a", group="g"), Label("b")))
    assert found(some, chooses_groups=True) == [
        (
            "choose",
            "'choose: groups' needs a group for every label that the pass is about, but these have none: b. "
            "Give them one, or narrow 'merge.scope'.",
        )
    ]
    assert found(some, chooses_groups=True, scope=("a",)) == []


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        (
            ("a b", "a_b"),
            "the groups 'a b' and 'a_b' are spelled alike, so that an answer could mean either. Rename one.",
        ),
        (("None",), "a group is called 'None', which is how the empty set is written. Rename it."),
        (("a\nb",), "a group's name must be visible text on one line, got 'a\\nb'."),
    ],
)
def test_groups_must_be_told_apart_in_an_answer(groups: tuple[str, ...], problem: str) -> None:
    """A name that could mean two things is no answer."""
    space = LabelSpace(tuple(Label(f"l{at}", group=group) for at, group in enumerate(groups)))
    assert found(space, chooses_groups=True) == [("choose", problem)]


def test_a_decision_api_takes_so_many_groups() -> None:
    """A gate asks about all its groups in one request."""
    why = "'api: decisions' takes 400 questions a request, and there are 401 groups. Share them out among passes with "
    assert found(many(401), **decider(chooses_groups=True)) == [("choose", f"{why}'merge.scope'.")]


# --- several passes ---------------------------------------------------------------------------------------------------

GATE = asking("gate", chooses_groups=True)
FINE = asking("fine", per="group")
USELESS = (
    "'choose: groups' narrows later passes, but none asks about these groups with 'per: group' or 'per: label', or uses "
    "'passes.gate.groups'."
)


def together(*passes: Pass, **files: str) -> list[tuple[str, str, str]]:
    """Return what passes cannot do where they stand."""
    return list(impossible_together(passes, SPACE, {name.replace("_", "."): text for name, text in files.items()}))


@pytest.mark.parametrize(
    "after",
    [
        FINE,
        replace(FINE, per="label", when="failed"),
        asking("last", "{{ passes.gate.groups }}"),
        asking("last", '{{ passes["gate"].groups }}'),
        asking("last", when="passes.gate.groups"),
        asking("last", "{% include 'part.j2' %}"),
        asking("last", "{% broken"),
    ],
)
def test_a_gate_is_of_use(after: Pass) -> None:
    """By group, by label, or in words: a later pass goes by it. One that is no Jinja is told for that alone."""
    assert together(asking("all"), GATE, after, part_j2="{{ passes.gate.groups | length }}") == []


@pytest.mark.parametrize(
    ("passes", "step"),
    [
        ((asking("all"), GATE), "Add one."),
        ((asking("all"), GATE, asking("last", "{{ passes.gates }}", when="failed")), "Add one."),
        ((asking("all"), replace(GATE, scope=("price",)), replace(FINE, scope=("shipping",))), "Add one."),
        ((FINE, GATE), "Move this pass before fine."),
    ],
)
def test_a_gate_by_which_nobody_goes_is_paid_for_nothing(passes: tuple[Pass, ...], step: str) -> None:
    """Where no later pass asks about its groups, the gate is told, and what to do."""
    assert together(*passes) == [("gate", "choose", f"{USELESS} {step}")]


def test_a_rule_needs_something_to_merge_with() -> None:
    """An earlier pass asks about some label of the scope, and it is no gate."""
    why = "merges with what earlier passes said of its labels, and no earlier pass asks about them. Take 'how' out."
    assert together(asking("all", how="union")) == [("all", "merge", f"'how: union' {why}")]
    parts = asking("a", scope=("price",)), asking("b", scope=("shipping", "packaging"), how="intersection")
    assert together(*parts) == [("b", "merge", f"'how: intersection' {why}")]
    assert together(asking("all"), asking("b", how="confirm")) == []
    assert together(GATE, replace(FINE, how="union")) == [("fine", "merge", f"'how: union' {why}")]


@pytest.mark.parametrize(
    ("passes", "step"),
    [
        ((asking("a", scope=("price",)),), "Widen a 'merge.scope'."),
        (
            (asking("a", scope=("price",)), asking("b", how="add")),
            "'how: add' of pass b answers none by itself: say replace or union.",
        ),
        (
            (GATE, replace(FINE, when="failed")),
            "'choose: groups' of pass gate answers none by itself: add a pass with 'per: group' after it.",
        ),
    ],
)
def test_every_label_must_be_answered(passes: tuple[Pass, ...], step: str) -> None:
    """The message says what answers the labels that nobody answers."""
    *_, (name, key, message) = together(*passes)
    assert (name, key) == (passes[0].name, "")
    assert message.startswith("the passes without 'when' must together answer every label, but none answers shipping")
    assert message.endswith(f". {step}")
