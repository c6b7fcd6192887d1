"""Baselines as files: what is in them, which one is meant, and a run measured against one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import ANSWERS, TEXTS, call_error, stored_run, write, write_samples

from harness.blessing import (
    Baseline,
    Found,
    baseline_of,
    check_name,
    default_name,
    find_blessed,
    path_of,
    read_baseline,
    write_baseline,
)
from harness.errors import DataError, RunNameError, UsageError
from harness.gatecheck import partial
from harness.identity import digest
from harness.measuring import Measured, measure, replaced_by
from harness.project import Project, find_project
from harness.records import FailureKind
from harness.store import StoredRun, load_run

project = cli_project.project


def blessed(root: Path, run: StoredRun, name: str = "reviews-dev", notes: str | None = None) -> Path:
    """Bless a run and return the file."""
    path = path_of(find_project(root), name)
    write_baseline(path, baseline_of(run, notes))
    return path


def found_of(path: Path) -> Found:
    """Return the baseline in a file."""
    return Found(read_baseline(path), path.name)


def measured(root: Path, run: StoredRun, path: Path | None) -> Measured:
    """Return a run, as it is on disk now, against the baseline in a file."""
    return measure(load_run(run.path), None if path is None else found_of(path), find_project(root))


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_baseline_has_what_a_comparison_needs(project: Path) -> None:
    """Run, version, hashes, labels, model, scores, and for each sample its id, hash of inputs and answers."""
    run = stored_run(project, "v3", hashes={"inputs": "i", "gold": "g", "labels": "l"})
    path = blessed(project, run, notes="the first")
    row = json.loads(path.read_text(encoding="utf-8"))
    assert {key: row[key] for key in ("v", "run", "version", "notes", "dataset", "split", "models", "repeats")} == {
        "v": 1,
        "run": run.manifest.id,
        "version": "v3",
        "notes": "the first",
        "dataset": "reviews",
        "split": "dev",
        "models": ["scripted"],
        "repeats": 1,
    }
    assert row["prompt_hash"] == run.manifest.prompt_hash
    assert row["hashes"] == {"inputs": "i", "gold": "g", "labels": "l"}
    assert row["labels"] == ["shipping", "quality", "price", "gift wrap"]
    assert row["scores"]["coverage"] == 0.8
    assert row["label_scores"]["gift wrap"] == {"support": 0, "precision": None, "recall": None, "f1": None}
    assert row["content_hash"] == digest({name: value for name, value in row.items() if name != "content_hash"})
    first, unread = row["samples"][0], row["samples"][6]
    assert (first["id"], first["answers"]) == ("r01", [{"labels": ["shipping"]}])
    assert unread["answers"] == [{"labels": [], "unanswered": "all", "failure": "unparseable"}]


def test_a_baseline_says_nothing_of_the_texts(project: Path) -> None:
    """Neither inputs nor what a model wrote are in the file: it is committed, and texts may be private."""
    answers = {**ANSWERS["v3"], "r01": "shipping, secret words"}
    content = blessed(project, stored_run(project, "v3", answers)).read_text(encoding="utf-8")
    for text, _ in TEXTS.values():
        assert text not in content
    assert "never came" not in content
    assert "secret" not in content


def test_a_baseline_has_one_line_a_sample(project: Path) -> None:
    """A changed answer changes its own line, the scores, and the hash of the answers."""
    path = blessed(project, stored_run(project, "v1"))
    before = path.read_text(encoding="utf-8").splitlines()
    again = blessed(project, stored_run(project, "v1", {**ANSWERS["v1"], "r01": "price"}, day=1)).read_text()
    changed = [old for old, new in zip(before, again.splitlines(), strict=True) if old != new]
    assert [line for line in changed if line.startswith('  {"id"')] == [line for line in before if '"r01"' in line]
    assert len(changed) == 6  # its line, the run, the headline, the hash, and the scores of two labels
    assert path.read_bytes().endswith(b"\n ]\n}\n")


def test_what_is_written_is_read_back(project: Path) -> None:
    """Labels, unanswered cells, failures and repeats survive, and the file is the same bytes for the same run."""

    def answer(call: Any) -> str:
        return "hm" if call.repeat and call.sample == "r01" else "shipping, price"

    run = stored_run(project, "v1", answer, repeats=2)
    baseline = baseline_of(run, "ein Anfang")
    path = blessed(project, run, notes="ein Anfang")
    content = path.read_bytes()
    assert sorted_of(read_baseline(path)) == sorted_of(baseline)
    write_baseline(path, read_baseline(path))
    assert path.read_bytes() == content
    by_slot = {(each.sample, each.repeat): each for each in read_baseline(path).predictions}
    assert by_slot["r01", 1].failure is FailureKind.UNPARSEABLE
    assert by_slot["r01", 1].unanswered == frozenset(run.manifest.space.names)
    assert by_slot["r01", 0].labels == {"shipping", "price"}


def sorted_of(baseline: Baseline) -> dict[str, Any]:
    """Return a baseline's values, its predictions in one order."""
    values = {name: getattr(baseline, name) for name in Baseline.__dataclass_fields__}
    return {**values, "predictions": sorted(baseline.predictions, key=lambda each: (each.sample, each.repeat))}


def test_partly_answered_samples_keep_their_cells(project: Path) -> None:
    """Which cells are unanswered is kept label by label."""
    write(
        project / "prompts/v4.yaml",
        "dataset: ../datasets/reviews.yaml\nmodel: scripted\nper: label\n"
        "template: '{{ label }}? {{ text }}'\noutput: yes_no\n",
    )
    run = stored_run(project, "v4", lambda call: "hm" if call.unit == "price" else "no", day=4)
    path = blessed(project, run)
    first = json.loads(path.read_text(encoding="utf-8"))["samples"][0]
    assert first["answers"] == [{"labels": [], "unanswered": ["price"], "failure": "unparseable"}]
    assert read_baseline(path).predictions[0].unanswered == {"price"}


def test_any_id_and_label_survives(project: Path) -> None:
    """Quotes, control characters and lone surrogates in ids do not damage the file."""
    strange = 'a "b"\x07\n\ud800'
    write_samples(project, {strange: {"text": "Late.", "labels": ["shipping"]}})
    path = blessed(project, stored_run(project, "v1", {strange: "shipping"}))
    assert list(read_baseline(path).inputs) == [strange]


# --- what is no baseline ----------------------------------------------------------------------------------------------


def refusal(run: StoredRun) -> str:
    """Return why a run is no baseline."""
    with pytest.raises(DataError) as caught:
        baseline_of(run)
    return str(caught.value)


def test_a_run_that_is_not_complete_is_no_baseline(project: Path) -> None:
    """Failed calls are no answers of the prompt; the message says how to go on."""
    run = stored_run(project, "v1", {**ANSWERS["v1"], "r01": call_error()})
    assert refusal(run) == (
        f"run {run.manifest.id}: must be complete to be a baseline, but is incomplete. "
        f"Type: harness run --resume {run.manifest.id}"
    )


def test_a_run_without_a_prediction_is_no_baseline(project: Path) -> None:
    """A sample without a prediction is no answer either, whatever the state says."""
    run = stored_run(project, "v1", repeats=2)
    path = run.path / "predictions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]), encoding="utf-8")
    assert refusal(load_run(run.path)) == (
        f"run {run.manifest.id}: must be whole to be a baseline, but is without a prediction: 1 of 10 (r10)."
    )


def test_a_labelling_is_no_baseline(project: Path) -> None:
    """New texts have no gold and no scores."""
    run = stored_run(project, "v1", split="file:new.csv")
    assert refusal(run) == (
        f"run {run.manifest.id}: must have scores to be a baseline, but labelled a file without gold."
    )
    with pytest.raises(DataError, match="must have gold to be measured, but labelled a file without it"):
        measured(project, run, None)


# --- damaged files ----------------------------------------------------------------------------------------------------

AGAIN = "Restore it from git, or bless a run again: harness bless RUN"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-9], f"cannot be read (JSONDecodeError: Expecting ',' delimiter: line). {AGAIN}"),
        (lambda text: "[]", f"cannot be read (TypeError: list indices must be integers or slices, not str). {AGAIN}"),
        (lambda text: "{}", f"cannot be read (KeyError: 'v'). {AGAIN}"),
        (
            lambda text: text.replace('"labels": ["quality"]', '"labels": ["price"]'),
            f"is not as it was written: it was merged or edited. {AGAIN}",
        ),
        (
            lambda text: text.replace('"macro_f1": 0.', '"macro_f1": 0.9'),
            f"is not as it was written: it was merged or edited. {AGAIN}",
        ),
        (
            lambda text: text.replace('"support": ', '"support": 1'),
            f"is not as it was written: it was merged or edited. {AGAIN}",
        ),
        (
            lambda text: text.replace('"v": 1', '"v": 2'),
            "was written by a newer harness (format 2, this one reads 1). Update it.",
        ),
    ],
    ids=["cut", "a list", "empty", "answer edited", "score edited", "label score edited", "newer"],
)  # fmt: skip
def test_damaged_baselines_are_told(project: Path, change: Callable[[str], str], message: str) -> None:
    """A file that was cut, merged, edited or written by a newer version is refused with the next step."""
    path = blessed(project, stored_run(project, "v1"))
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_baseline(path)
    told = str(caught.value).removeprefix(f"{path}: ")
    assert told.partition(": line")[0] == message.partition(": line")[0]
    assert told.endswith(message[-20:])


def test_a_key_that_is_missing_is_told(project: Path) -> None:
    """What lacks a part of it is damaged too."""
    path = blessed(project, stored_run(project, "v1"))
    path.write_text(path.read_text(encoding="utf-8").replace('"columns"', '"colums"'), encoding="utf-8")
    with pytest.raises(DataError, match="is not as it was written"):
        read_baseline(path)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "split", "name"),
    [
        ("reviews", "dev", "reviews-dev"),
        ("My reviews/2", "dev", "My-reviews-2-dev"),
        ("../..", "x", "x"),
        ("é", "", "baseline"),
    ],
)
def test_the_default_name_is_that_of_dataset_and_split(dataset: str, split: str, name: str) -> None:
    """What a file cannot be called becomes a hyphen, and nothing leads out of the folder."""
    assert default_name(dataset, split) == name


def test_names_are_checked() -> None:
    """A name is one file in the folder of baselines."""
    check_name("release-1.0")
    for name, say in (("../x", "x"), ("a b", "a-b"), ("", "release")):
        with pytest.raises(UsageError) as caught:
            check_name(name)
        assert str(caught.value) == f"--as: must be letters, digits, '.', '-' and '_', got '{name}'. Say: --as {say}"


def test_which_baseline_is_meant(project: Path) -> None:
    """By itself that of dataset and split; named it is a baseline, else a file of one, else a run."""
    where = find_project(project)
    run = stored_run(project, "v2")
    assert find_blessed(where, run) is None
    old = stored_run(project, "v1")
    path = blessed(project, old)
    other = blessed(project, stored_run(project, "v3"), "v1")
    shutil.copy(path, project / "copy.json")

    def meant(named: str | None) -> tuple[str, str]:
        found = find_blessed(where, run, named)
        assert found is not None
        return found.baseline.version, found.where

    assert meant(None) == ("v1", "baselines/reviews-dev.json")
    assert meant("reviews-dev") == ("v1", "baselines/reviews-dev.json")
    assert meant("v1") == ("v3", "baselines/v1.json")  # a baseline goes before a run
    assert meant("copy.json") == ("v1", "copy.json")
    other.unlink()
    assert meant("v1") == ("v1", f"run {old.manifest.id}")


def test_a_baseline_that_is_not_there_is_told(project: Path) -> None:
    """The message names what there is, and what is near."""
    where = find_project(project)
    run = stored_run(project, "v1", state="running")

    def told(named: str) -> str:
        with pytest.raises(RunNameError) as caught:
            find_blessed(where, run, named)
        return str(caught.value)

    assert told("main") == "--against main: no such baseline, file or run. Baselines: none. Runs: see harness runs."
    blessed(project, stored_run(project, "v2"))
    assert told("reviews-dv") == (
        "--against reviews-dv: no such baseline, file or run. Baselines: reviews-dev. Runs: see harness runs."
        " Did you mean 'reviews-dev'?"
    )
    assert told("v1").startswith("--against v1: run 'v1': no complete run on the default split.")
    nothing = Project(project / "prompts")
    with pytest.raises(RunNameError) as caught:
        find_blessed(nothing, run, "main")
    assert str(caught.value) == "--against main: there are no baselines and no runs yet. Type: harness bless RUN"


# --- a run against its baseline ---------------------------------------------------------------------------------------


def test_a_file_is_as_good_as_the_run(project: Path) -> None:
    """A comparison with the file finds what one with the run itself finds, from another machine and without its run."""
    from harness.versions import compare_runs

    old, new = stored_run(project, "v1"), stored_run(project, "v3")
    expected = compare_runs([old, new], find_project(project)).comparison
    path = blessed(project, old)
    shutil.rmtree(old.path)
    found = measured(project, new, path)
    assert found.names == ("v1", "v3")
    assert found.notes == ()
    assert found.evidence.comparison is not None
    assert found.evidence.diff is not None
    assert found.evidence.partial == ()
    diff = expected.diffs[0]
    for kind in ("regressed", "fixed", "churned"):
        ours, theirs = getattr(found.evidence.diff, kind), getattr(diff, kind)
        assert [(each.sample, each.flips) for each in ours] == [(each.sample, each.flips) for each in theirs]
    assert found.evidence.diff.headline == diff.headline
    assert repr(found.evidence.diff.labels) == repr(diff.labels)
    assert repr(found.evidence.alone and found.evidence.alone.scores) == repr(expected.runs[1].scores)


def test_both_are_scored_against_todays_gold(project: Path) -> None:
    """A corrected gold label counts for the run and for its baseline."""
    path = blessed(project, stored_run(project, "v1"))
    new = stored_run(project, "v2")
    rows = {identity: {"text": text, "labels": gold} for identity, (text, gold) in TEXTS.items()}
    write_samples(project, {**rows, "r09": {"text": TEXTS["r09"][0], "labels": ["price"]}})
    found = measured(project, new, path)
    assert found.evidence.diff is not None
    assert "r09" in [each.sample for each in found.evidence.diff.regressed]
    assert found.notes == ("gold: today's; samples that had other labels when they were run: 1",)


def test_samples_with_other_inputs_are_not_compared(project: Path) -> None:
    """A sample whose text is not what the baseline saw is left out; a new column of it does not matter."""
    path = blessed(project, stored_run(project, "v1"))
    rows = {identity: {"text": text, "labels": gold, "new": 1} for identity, (text, gold) in TEXTS.items()}
    write_samples(project, {**rows, "r02": {"text": "Another text.", "labels": ["quality"]}})
    found = measured(project, stored_run(project, "v2"), path)
    assert found.evidence.changed == {"r02"}
    assert found.evidence.comparison is not None
    assert found.evidence.comparison.n_common == 9
    assert found.notes == ("not compared, because their inputs have changed: r02",)
    assert found.evidence.partial == ()
    assert found.evidence.alone is not None
    assert found.evidence.alone.scores.n_samples == 10


@pytest.mark.parametrize("what", ["inputs", "gold"])
def test_a_comparison_of_too_few_is_none(project: Path, what: str) -> None:
    """Changing the texts, or removing the gold, of more than a tenth of the samples does not hide what regressed."""
    path = blessed(project, stored_run(project, "v1"))
    rows = {identity: {"text": text, "labels": gold} for identity, (text, gold) in TEXTS.items()}
    for identity in ("r02", "r03"):
        rows[identity] = (
            {**rows[identity], "text": "Another."} if what == "inputs" else {"text": rows[identity]["text"]}
        )
    write_samples(project, rows)
    found = measured(project, stored_run(project, "v2"), path)
    assert found.evidence.partial == (
        "only 8 of the baseline's 10 samples can be compared: the others have other inputs, or no gold, today. "
        "Bless a run that has today's",
    )


def test_new_samples_count_for_the_run_alone(project: Path) -> None:
    """What the baseline does not have is scored and not compared."""
    some = {key: ANSWERS["v1"][key] for key in ("r01", "r02", "r03")}
    path = blessed(project, stored_run(project, "v1", some))
    found = measured(project, stored_run(project, "v2"), path)
    assert found.evidence.comparison is not None
    assert found.evidence.comparison.n_common == 3
    assert found.notes == ("not compared, because the baseline or today's gold does not have them: 7 of the run",)
    assert found.evidence.partial == ()


def test_a_run_that_lacks_samples_of_the_baseline_is_partial(project: Path) -> None:
    """Leaving out what went wrong must not help."""
    path = blessed(project, stored_run(project, "v1"))
    some = {key: ANSWERS["v2"][key] for key in ("r01", "r02", "r03")}
    found = measured(project, stored_run(project, "v2", some), path)
    assert found.evidence.partial == (
        "samples of the baseline that the run does not have: 7 of 10 (r04, r05, r06, r07, r08 and 2 more)",
    )


def test_what_differs_beside_the_prompt_is_told(project: Path) -> None:
    """Another model, dataset, split or number of repeats stands in the notes."""
    path = blessed(project, stored_run(project, "v1"))
    run = stored_run(project, "v1", day=9, repeats=2, dataset="other")
    found = measured(project, run, path)
    old = read_baseline(path).run
    assert found.names == (old, run.manifest.id)
    mine = run.manifest.id
    assert found.notes == (
        f"dataset: {old} reviews, {mine} other",
        f"repeats: {old} 1, {mine} 2",
    )


def test_a_run_against_itself_is_told_apart(project: Path) -> None:
    """The blessed run measured against its own baseline has two names."""
    run = stored_run(project, "v1")
    found = measured(project, run, blessed(project, run))
    assert found.names == (f"{run.manifest.id} as blessed", run.manifest.id)


def test_other_labels_are_refused(project: Path) -> None:
    """A baseline of another label space is told to be blessed again."""
    path = blessed(project, stored_run(project, "v1"))
    write(project / "datasets/reviews.yaml", cli_project.DATASET.replace("  gift wrap:", "  colour:"))
    run = stored_run(project, "v2")
    with pytest.raises(DataError) as caught:
        measured(project, run, path)
    assert str(caught.value) == (
        f"reviews-dev.json: must have the labels of run {run.manifest.id}, but they differ in colour, gift wrap. "
        "Bless a run that has today's labels: harness bless RUN"
    )


def test_nothing_in_common_is_no_comparison(project: Path) -> None:
    """Where no sample can be compared, the reason stands in the place of the comparison."""
    path = blessed(project, stored_run(project, "v1", {"r01": "shipping"}))
    found = measured(project, stored_run(project, "v2", {"r02": "quality"}), path)
    assert found.evidence.comparison is None
    assert found.evidence.uncompared == "no sample with gold labels and the same inputs is in both"
    assert found.evidence.alone is not None


def test_a_run_that_broke_off_has_nothing_to_measure(project: Path) -> None:
    """Before there are predictions there are no scores, and the run is partial."""
    run = stored_run(project, "v1", state="interrupted")
    (run.path / "predictions.jsonl").unlink()
    found = measured(project, run, None)
    assert found.evidence.alone is None
    assert found.evidence.partial == (
        "the run is interrupted",
        "without a prediction: 10 of 10 (r01, r02, r03, r04, r05 and 5 more)",
    )
    assert partial("complete", [], 1, [], ()) == ()


def test_a_complete_run_without_predictions_is_damaged(project: Path) -> None:
    """A complete run has predictions: where they are gone, it is told how to make them again."""
    run = stored_run(project, "v1")
    (run.path / "predictions.jsonl").unlink()
    with pytest.raises(DataError, match="has no predictions yet"):
        measured(project, run, None)


def test_without_a_prediction_a_sample_is_wrong(project: Path) -> None:
    """A lost prediction is a failure in the scores of the run."""
    run = stored_run(project, "v2")
    path = run.path / "predictions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]), encoding="utf-8")
    found = measured(project, run, None)
    assert found.evidence.alone is not None
    assert found.evidence.alone.scores.failures[FailureKind.CALL_ERROR] == 1


def test_what_a_baseline_replaces(project: Path) -> None:
    """A run is compared with the baseline that it replaces; one that cannot be read is told."""
    path = blessed(project, stored_run(project, "v1"))
    run, where = stored_run(project, "v2"), find_project(project)
    found = replaced_by(run, path, where)
    assert isinstance(found, Measured)
    assert found.evidence.judgement is None
    assert found.evidence.diff is not None
    write(path, "{}")
    assert replaced_by(run, path, where) == f"{where.show(path)}: cannot be read (KeyError: 'v'). {AGAIN}"


def test_a_run_is_no_baseline_of_its_own(project: Path) -> None:
    """A run named as its own baseline is refused: it would pass every rule about changes."""
    run = stored_run(project, "v1")
    with pytest.raises(RunNameError) as told:
        find_blessed(find_project(project), run, "v1")
    assert str(told.value) == f"--against v1: must be another run, got {run.manifest.id} itself. See: harness runs"
