"""Label analysis and the noise floor as a person reads them, at 100 columns, and as files."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cli_project
import pytest
from cli_project import stored_run
from rich.cells import cell_len
from rich.console import RenderableType
from strategies_labels import space_of
from syrupy.assertion import SnapshotAssertion

from harness.api import Run
from harness.execution import run_spent
from harness.labelanalysis import LabelAnalysis, analyse
from harness.labelspace import LabelSpace
from harness.noise import Noise, noise, noise_of
from harness.project import find_project
from harness.records import Call, FailureKind, Prediction, Sample
from harness.report import labels, terminal
from harness.report.files import to_csv
from harness.report.noise import noise_block
from harness.report.terminal import rendered
from harness.scoring import align, score
from harness.store import StoredRun

project = cli_project.project

REVIEWS = replace(
    space_of("shipping", "quality", "price", "gift wrap"),
    exclusive=(("price", "gift wrap"),),
    implies=(("gift wrap", "shipping"),),
)
GOLD: Mapping[str, Sequence[str]] = {each: gold for each, (_, gold) in cli_project.TEXTS.items()}
SAMPLES = [Sample(each, {"text": ""}, frozenset(gold)) for each, gold in GOLD.items()]


def predicted(answers: Mapping[str, str], repeat: int = 0) -> list[Prediction]:
    """Return the predictions of answers that are labels between commas, "?" for none."""
    return [
        Prediction(each, frozenset(), frozenset(REVIEWS.names), FailureKind.UNPARSEABLE, repeat=repeat)
        if said == "?"
        else Prediction(each, frozenset(filter(None, said.split(", "))), repeat=repeat)
        for each, said in answers.items()
    ]


PLAIN = {each: ", ".join(gold) for each, gold in GOLD.items()} | {
    "r01": "quality", "r02": "quality, gift wrap", "r03": "gift wrap", "r05": "price", "r07": "?", "r10": "price, quality",
}  # fmt: skip
AGAIN = PLAIN | {"r01": "shipping", "r02": "?", "r03": "price, gift wrap"}


def analysed(*repeats: Mapping[str, str], space: LabelSpace = REVIEWS) -> LabelAnalysis:
    """Return the analysis of repeats of answers."""
    predictions = [each for repeat, answers in enumerate(repeats) for each in predicted(answers, repeat)]
    return analyse(space, align(space, SAMPLES, predictions))


def shown(parts: Sequence[RenderableType]) -> str:
    """Return what is printed where there is no terminal, in 100 columns."""
    text = rendered(parts, io.StringIO())
    for line in text.splitlines():
        assert cell_len(line) <= 100, line
        assert line == line.rstrip(), line
    return text


def report(analysis: LabelAnalysis, limit: int = 10, label: str | None = None) -> str:
    """Return the analysis as it is printed."""
    return shown(labels.labels_report(analysis, "v1 on reviews dev", limit, label))


# --- labels -----------------------------------------------------------------------------------------------------------


def test_the_whole_report(snapshot: SnapshotAssertion) -> None:
    """How many labels, the bias of each, confusions as a matrix and as a list, pairs, and the rules that are broken."""
    assert report(analysed(PLAIN)) == snapshot


def test_a_report_over_repeats(snapshot: SnapshotAssertion) -> None:
    """Means over repeats keep a decimal."""
    assert report(analysed(PLAIN, AGAIN)) == snapshot


def test_the_report_about_one_label(snapshot: SnapshotAssertion) -> None:
    """Of one label there is neither a matrix nor what is about whole samples."""
    assert report(analysed(PLAIN).about("gift wrap"), label="gift wrap") == snapshot


def test_limits_are_told() -> None:
    """Of longer lists the number of the rest is told."""
    text = report(analysed(PLAIN), limit=1)
    assert "and 4 pairs more: see --limit" in text
    assert text.count("see --limit") == 2


def test_answers_that_are_all_right() -> None:
    """Where nothing is confused it is said in words; without rules nothing is said of rules."""
    space = replace(REVIEWS, exclusive=(), implies=())
    text = report(analysed({each: ", ".join(gold) for each, gold in GOLD.items()}, space=space))
    assert "No label was missed where another one was added.\n\nLabels stand together as often as in gold.\n" in text
    assert "Of 10 answered samples 0 have fewer labels than gold, 10 as many, 0 more.\n" in text
    assert "rule" not in text
    assert "unanswered cell" not in text


@pytest.mark.parametrize(("n", "matrix"), [(12, True), (13, False)])
def test_many_labels_have_no_matrix(n: int, matrix: bool) -> None:
    """Up to twelve labels stand in a matrix, with numbers for names where these are too long for it."""
    space = space_of(*(f"a rather long label {at}" for at in range(n)))
    samples = [Sample("s1", {"text": ""}, frozenset(space.names[:1]))]
    analysis = analyse(space, align(space, samples, [Prediction("s1", frozenset(space.names[1:2]))]))
    text = report(analysis)
    assert ("missed ↓  added →" in text) == matrix
    assert ("\n12 a rather long label 11 " in text) == matrix
    assert "\na rather long label 0  a rather long label 1        1  s1\n" in text


def test_markdown_holds_all_of_it(snapshot: SnapshotAssertion) -> None:
    """As Markdown the analysis has every pair and the ids of every sample that breaks a rule."""
    assert labels.labels_markdown(analysed(PLAIN), "v1 | reviews") == snapshot


def test_long_names_leave_room_for_the_ids() -> None:
    """In the list of confusions long names go on in the next line; numbers and ids are never cut for them."""
    names = [f"{letter} {'name that goes on ' * 4}".strip() for letter in "ab"]
    space = space_of(*names)
    samples = [Sample(f"r{at}", {"text": ""}, frozenset(names[:1])) for at in range(3)]
    answers = [Prediction(each.id, frozenset(names[1:])) for each in samples]
    text = shown([labels.confusion_list(analyse(space, align(space, samples, answers)), 10)])
    assert text.splitlines()[0].split() == ["missed", "added", "samples", "such", "as"]
    assert "3  r0, r1, r2" in text
    assert "…" not in text


def test_markdown_of_nothing_wrong() -> None:
    """Tables without rows are left out."""
    space = replace(REVIEWS, exclusive=(), implies=())
    text = labels.labels_markdown(analysed({each: ", ".join(gold) for each, gold in GOLD.items()}, space=space), "v1")
    assert "such as" not in text
    assert "rule" not in text
    assert "together" not in text


def test_rows_are_confusions_and_what_stands_alone(snapshot: SnapshotAssertion) -> None:
    """A row is a missed and an added label with some ids; then a label missed or added alone."""
    assert to_csv(labels.confusion_rows(analysed(PLAIN))) == snapshot


def test_label_names_and_ids_are_data() -> None:
    """Markup and control characters in names and ids are shown, and do nothing."""
    space = replace(space_of("[bold]x", "\x1b[31my"), implies=(("[bold]x", "\x1b[31my"),))
    samples = [Sample("[red]\x1b[2J", {"text": ""}, frozenset(["[bold]x"]))]
    analysis = analyse(space, align(space, samples, [Prediction("[red]\x1b[2J", frozenset(["\x1b[31my"]))]))
    text = report(analysis)
    assert "\x1b" not in text
    assert "[bold]x  \\x1b[31my        1  [red]\\x1b[2J" in text
    markdown = labels.labels_markdown(analysis, "v1")
    assert "\\[bold\\]x" in markdown
    assert "\x1b" not in markdown


# --- the noise floor --------------------------------------------------------------------------------------------------


def measured(*repeats: Mapping[str, str]) -> Noise:
    """Return the noise of repeats of answers."""
    predictions = [each for repeat, answers in enumerate(repeats) for each in predicted(answers, repeat)]
    found = noise(REVIEWS, align(REVIEWS, SAMPLES, predictions), score(REVIEWS, SAMPLES, predictions))
    assert found is not None
    return found


def test_the_noise_of_a_run(snapshot: SnapshotAssertion) -> None:
    """How many samples and cells change by themselves, how far macro F1 moves, and where."""
    assert shown([noise_block(measured(PLAIN, AGAIN, PLAIN))]) == snapshot


def test_one_sample_answers_by_itself() -> None:
    """One sample is told in the singular."""
    text = shown([noise_block(measured(PLAIN, PLAIN | {"r09": "price"}))])
    assert text.startswith("Same prompt, 2 repeats: 1 of 10 samples (10.0 %) answers differently by itself;\n")


def test_repeats_that_agree_are_said_so() -> None:
    """Where nothing moves one line says it."""
    text = shown([noise_block(measured(PLAIN, PLAIN))])
    assert text == "Same prompt, 2 repeats: every sample was answered the same each time.\n"


def test_the_run_report_has_the_noise(project: Path) -> None:
    """A run with repeats tells its noise below its failures, where it was measured."""

    def answer(call: Call) -> str:
        return cli_project.ANSWERS[f"v{1 + call.repeat}"][call.sample]

    run = stored_run(project, "v3", answer, repeats=2)
    measure = of_run(run)
    text = shown([measure(None), measure(find_noise(run))])
    plain, with_noise = text.split("v3 on reviews dev")[1:]
    assert "Same prompt" not in plain
    assert "\nSame prompt, 2 repeats: 6 of 10 samples (60.0 %) answer differently by themselves;\n" in with_noise


def find_noise(run: StoredRun) -> Noise | None:
    """Return the noise of a stored run."""
    scores = Run(run, find_project(run.path)).result
    return noise_of(run.manifest.space, run.samples, run.gold, run.predictions, scores)


def of_run(run: StoredRun) -> Callable[[Noise | None], RenderableType]:
    """Return what makes the report of a run with its noise."""
    where = find_project(run.path)
    scores, spent = Run(run, where).result, run_spent(run, where.settings.prices)
    return lambda found: terminal.run_report(run.manifest, scores, spent, None, None, found)
