"""Locked splits: who may look at them, what the log says of it, and what happens to the log itself."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import DATASET, DEV, PROMPT, RIGHT, TEST, Folder, jsonl
from scripted_server import Reply, Request, ScriptedServer, always, error, say

import harness
from harness import execution, holdout, holdoutlog
from harness.dataset import load_dataset
from harness.errors import DataError, UsageError
from harness.holdoutlog import Look, Looks, append, beginning, ending, look_of, looks_at, new_look
from harness.project import Project
from harness.runnames import list_runs
from harness.store import StoredRun

REFUSAL = (
    "--split test: must be asked for with --final, because 'test' of reviews is locked: a look spends some of what it can "
    "tell. So far it was {}. Add --final, and say why with --reason TEXT: the look is logged in runs/holdout.jsonl."
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers every sample rightly."""
    with ScriptedServer(rightly) as running:
        yield running


def rightly(request: Request) -> Reply:
    """Answer a sample exactly right."""
    return say(next(answer for text, answer in RIGHT.items() if text in request.text))


def run(folder: Folder, server: ScriptedServer, version: str = "v1", **options: Any) -> harness.Run:
    """Run a prompt on the locked split."""
    given = {"split": "test", "base_url": server.base_url, "project": folder.project}
    return harness.run(folder.path(version), **{**given, **options})


def rows(folder: Folder) -> list[dict[str, Any]]:
    """Return the lines of the log."""
    return [json.loads(line) for line in (folder.root / "runs/holdout.jsonl").read_text().splitlines()]


def looks(folder: Folder, split: str = "test") -> Looks:
    """Return the looks at a split."""
    return looks_at(folder.project, "reviews", split)


def runs_of(folder: Folder) -> list[StoredRun]:
    """Return all runs of a project."""
    return list_runs(folder.project.runs)


def a_look(**values: Any) -> Look:
    """Return a look as it may stand in a log."""
    usual = {
        "asked": "run", "dataset": "reviews", "split": "test", "version": "v1", "prompt": "p1", "inputs": "i1",
        "gold": "g1", "n_samples": 2, "models": ("scripted",), "reason": None,
    }  # fmt: skip
    return new_look(**{**usual, **values})


# --- which splits are locked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("splits", "locked", "default"),
    [
        ("{dev: a.jsonl, test: a.jsonl}", ("test",), "dev"),
        ("{train: a.jsonl, Test: a.jsonl, holdout: a.jsonl}", ("Test", "holdout"), "train"),
        ("{test: a.jsonl}", (), "test"),
        ("{test: a.jsonl, train: a.jsonl}", (), "test"),
        ("{test: a.jsonl, holdout: a.jsonl}", ("holdout",), "test"),
        ("{dev: a.jsonl, test: a.jsonl}\nlocked: []", (), "dev"),
        ("{dev: a.jsonl, test: a.jsonl}\nlocked:", ("test",), "dev"),
        ("{test: a.jsonl, train: a.jsonl}\nlocked: test", ("test",), "train"),
        ("{dev: a.jsonl, train: a.jsonl}\nlocked: [dev]", ("dev",), "train"),
        ("{dev: a.jsonl, a: a.jsonl, b: a.jsonl}\nlocked: [b, a, b]", ("b", "a"), "dev"),
    ],
)
def test_which_splits_are_locked(folder: Folder, splits: str, locked: tuple[str, ...], default: str) -> None:
    """The file says which; else those called test or holdout are, but for the default, which is never locked."""
    folder.write("datasets/a.jsonl", jsonl(DEV))
    path = folder.write("datasets/a.yaml", f"labels: [shipping, quality, price]\nsplits: {splits}\n")
    dataset = load_dataset(path, folder.project)
    assert (dataset.locked, dataset.default_split) == (locked, default)


@pytest.mark.parametrize(
    ("locked", "message"),
    [
        ("[test, tset]", "14: 'locked' has 'tset', which is no split. Did you mean 'test'?"),
        ("\n  - dev\n  - tset", "16: 'locked' has 'tset', which is no split. Did you mean 'test'?"),
        ("[dev, test]", "14: 'locked' must leave a split to try prompts on, but locks dev, test."),
        ("{test: true}", "14: 'locked' must be a list of texts, got a mapping in it."),
    ],
)
def test_a_wrong_lock_is_told_with_its_line(folder: Folder, locked: str, message: str) -> None:
    """Names that are no splits, and a lock on all of them, are problems of the file."""
    text = "labels:\n  shipping:\n  quality:\n  price:\n\n\n\n\n\n\nsplits:\n  dev: reviews.dev.jsonl\n"
    path = folder.write("datasets/a.yaml", f"{text}  test: reviews.test.jsonl\nlocked: {locked}\n")
    with pytest.raises(DataError) as caught:
        load_dataset(path, folder.project)
    assert str(caught.value) == f"{path}:{message}"


def test_todays_file_says_whether_a_run_is_locked(folder: Folder, server: ScriptedServer) -> None:
    """A lock goes by today's dataset file; where that is gone or has no such split, by the split's name."""
    manifest = run(folder, server, final=True).stored.manifest
    dev = run(folder, server, split=None).stored.manifest
    path = folder.root / "datasets/reviews.yaml"
    assert holdout.is_locked(manifest, folder.project)
    assert not holdout.is_locked(dev, folder.project)
    folder.write("datasets/reviews.yaml", DATASET + "locked: []\n")
    assert not holdout.is_locked(manifest, folder.project)
    folder.write("datasets/reviews.yaml", DATASET.replace("  test:", "  other:"))
    assert holdout.is_locked(manifest, folder.project)
    path.unlink()
    assert holdout.is_locked(manifest, folder.project)
    assert not holdout.is_locked(dev, folder.project)


def test_a_labelling_is_on_no_locked_split(folder: Folder, server: ScriptedServer) -> None:
    """Labelling a file scores nothing, whatever the file is called."""
    path = folder.write("test", '{"text": "Never came."}\n').rename(folder.root / "test.jsonl")
    harness.label(folder.path("v1"), path, folder.root / "out.jsonl", base_url=server.base_url, project=folder.project)
    (stored,) = (each for each in runs_of(folder) if each.manifest.is_labelling)
    assert not holdout.is_locked(stored.manifest, folder.project)
    assert not (folder.root / "runs/holdout.jsonl").exists()


def test_what_tunes_refuses_a_locked_split(folder: Folder, server: ScriptedServer) -> None:
    """`refuse_locked` lets runs on other splits pass, and names one for those on a locked one."""
    holdout.refuse_locked(run(folder, server, split=None).stored, folder.project, "calibrate thresholds")
    stored = run(folder, server, final=True).stored
    with pytest.raises(DataError) as caught:
        holdout.refuse_locked(stored, folder.project, "calibrate thresholds")
    said = (
        f"run {stored.manifest.id}: must not be on a locked split to calibrate thresholds, but is on 'test', which is "
        "there to test what was tuned elsewhere. Name a run on {}."
    )
    assert str(caught.value) == said.format("'dev'")
    (folder.root / "datasets/reviews.yaml").unlink()
    with pytest.raises(DataError) as caught:
        holdout.refuse_locked(stored, folder.project, "calibrate thresholds")
    assert str(caught.value) == said.format("another split")


# --- looks of runs ----------------------------------------------------------------------------------------------------


def test_a_locked_split_needs_final(folder: Folder, server: ScriptedServer) -> None:
    """Without `final` nothing is asked, kept or logged; the error says how often the split was looked at by what."""
    with pytest.raises(UsageError) as caught:
        run(folder, server)
    assert str(caught.value) == REFUSAL.format("never looked at")
    assert (server.count, (folder.root / "runs").exists()) == (0, False)
    run(folder, server, final=True)
    folder.prompt("v2", PROMPT.replace("Labels:", "All labels:"))
    run(folder, server, "v2", final=True)
    with pytest.raises(UsageError) as caught:
        run(folder, server)
    assert str(caught.value) == REFUSAL.format("looked at 2 times, by 2 prompts (v1, v2)")


def test_a_look_is_logged_with_all_that_it_was(folder: Folder, server: ScriptedServer) -> None:
    """One line before the first call, one that says which run came of it."""
    logged: list[bytes] = []

    def script(request: Request) -> Reply:
        logged.append((folder.root / "runs/holdout.jsonl").read_bytes())
        return rightly(request)

    with ScriptedServer(script) as watched:
        stored = run(folder, watched, final=True, reason="  before release ").stored
    manifest = stored.manifest
    first, second = rows(folder)
    assert len(first.pop("look")) == holdoutlog.ID
    assert first.pop("time") <= manifest.started
    assert first == {
        "v": 1,
        "asked": "run",
        "dataset": "reviews",
        "split": "test",
        "version": "v1",
        "prompt": manifest.prompt_hash,
        "inputs": manifest.hashes["inputs"],
        "gold": manifest.hashes["gold"],
        "n_samples": 2,
        "models": ["scripted"],
        "reason": "before release",
        "run": None,
    }
    assert second["run"] == manifest.id
    assert [line.count(b"\n") for line in logged] == [1, 1]
    assert looks(folder).looks[0].run == manifest.id


def test_other_splits_are_not_logged(folder: Folder, server: ScriptedServer) -> None:
    """A run on a split that is not locked needs no `final`, and there is no log for want of looks."""
    run(folder, server, split="dev", final=True)
    assert not (folder.root / "runs/holdout.jsonl").exists()
    assert looks(folder).words == "never looked at"


def test_a_look_that_came_to_nothing_is_withdrawn(folder: Folder) -> None:
    """Where no call was answered nothing was seen: the line stays, and does not count."""
    expired = always(error(401, "expired", code="invalid_api_key"))
    with ScriptedServer(expired) as server, pytest.raises(harness.HarnessError):
        run(folder, server, final=True)
    assert [row["run"] for row in rows(folder)] == [None, None]
    assert looks(folder).looks == ()
    assert not runs_of(folder)


def test_a_run_that_stopped_is_a_look_and_goes_on(folder: Folder) -> None:
    """What was answered was seen: the look stands, names the run, and resuming it is the same look."""
    stopped = True

    def script(request: Request) -> Reply:
        late = "Cheap" in request.text
        return error(401, "expired", code="invalid_api_key") if stopped and late else rightly(request)

    with ScriptedServer(script) as server:
        with pytest.raises(harness.HarnessError):
            run(folder, server, final=True, concurrency=1)
        (stored,) = runs_of(folder)
        assert looks(folder).looks[0].run == stored.manifest.id
        stopped = False
        assert harness.resume(stored.manifest.id, project=folder.project).state == "complete"
    assert len(rows(folder)) == 2
    assert looks(folder).words == "looked at once, by 1 prompt"


def test_a_killed_run_finds_its_look_again(folder: Folder, server: ScriptedServer) -> None:
    """A process that was killed could not say which run it was: resuming it says so, and is no other look."""
    stored = run(folder, server, final=True).stored
    path = folder.root / "runs/holdout.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert looks(folder).looks[0].run is None
    harness.resume(stored.manifest.id, project=folder.project)
    assert [row["run"] for row in rows(folder)] == [None, stored.manifest.id]
    assert len(looks(folder).looks) == 1


def test_a_run_without_a_look_needs_final_to_go_on(folder: Folder, server: ScriptedServer) -> None:
    """A run from before the split was locked, or whose log is lost, is looked at when it goes on."""
    stored = run(folder, server, final=True).stored
    (folder.root / "runs/holdout.jsonl").unlink()
    with pytest.raises(UsageError) as caught:
        harness.resume(stored.manifest.id, project=folder.project)
    assert str(caught.value) == REFUSAL.format("never looked at")
    harness.resume(stored.manifest.id, project=folder.project, final=True, reason="it was lost")
    (row,) = rows(folder)
    assert (row["asked"], row["reason"], row["run"]) == ("resume", "it was lost", stored.manifest.id)
    assert looks(folder).words == "looked at once, by 1 prompt"


def test_a_look_that_cannot_be_logged_is_refused(folder: Folder, server: ScriptedServer) -> None:
    """Where the log cannot be written no call is made."""
    path = folder.write("runs", "")
    with pytest.raises(DataError) as caught:
        run(folder, server, final=True)
    assert str(caught.value) == (
        f"{path}/holdout.jsonl: cannot be written (File exists). A look at a locked split that cannot be logged is "
        "refused: make room or check permissions."
    )
    with pytest.raises(DataError, match="cannot be written"):
        imported(folder, final=True)
    path.unlink()
    folder.write("runs/holdout.jsonl/x", "")
    with pytest.raises(DataError, match=r"holdout\.jsonl: cannot be read \(IsADirectoryError"):
        run(folder, server, final=True)
    assert server.count == 0


def test_an_end_that_cannot_be_logged_is_a_warning(
    folder: Folder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is logged and the run is paid for: that its id is not in the log breaks nothing off."""

    def end(*_: Any) -> Any:
        raise DataError("no room")

    monkeypatch.setattr(holdout, "ending", end)
    warned: list[str] = []
    assert run(folder, server, final=True, warn=warned.append).state == "complete"
    assert "no room" in warned
    assert len(looks(folder).looks) == 1


# --- the same samples under another name ------------------------------------------------------------------------------

UNLOCKED = {
    "test": DATASET + "locked: []\n",
    "extra": DATASET + "  extra: reviews.test.jsonl\n",
}
SAID = (
    "split '{}' of reviews is not locked, but its samples are those of 'test' of reviews, looked at once, by 1 prompt (v1). "
    "What is tuned on them has no test left in them."
)


@pytest.mark.parametrize("split", UNLOCKED)
def test_samples_that_were_unlocked_are_told_and_logged(folder: Folder, server: ScriptedServer, split: str) -> None:
    """By `locked: []`, or under another name, no `final` is needed; the look is told, logged, and counted as one at test."""
    run(folder, server, final=True)
    folder.write("datasets/reviews.yaml", UNLOCKED[split])
    folder.prompt("v2", PROMPT.replace("Labels:", "All labels:"))
    warned: list[str] = []
    stored = run(folder, server, "v2", split=split, warn=warned.append).stored
    assert f"{SAID.format(split)} The look is logged in runs/holdout.jsonl." in warned
    assert [(row["split"], row["version"]) for row in rows(folder) if "asked" in row] == [("test", "v1"), (split, "v2")]
    assert looks(folder).looks[1].run == stored.manifest.id
    assert looks(folder).words == "looked at 2 times, by 2 prompts"


def test_a_log_that_cannot_be_read_stops_no_other_split(folder: Folder, server: ScriptedServer) -> None:
    """A run on dev is told of it, and made."""
    folder.write("runs/holdout.jsonl", '{"v": 99}\n')
    warned: list[str] = []
    assert run(folder, server, split="dev", warn=warned.append).state == "complete"
    assert any("was written by a newer harness" in each for each in warned)


def test_other_samples_are_no_look(folder: Folder, server: ScriptedServer) -> None:
    """As many samples of which one is another are not those of the locked split."""
    run(folder, server, final=True)
    (last, (text, labels)) = list(TEST.items())[-1]
    folder.write("datasets/other.jsonl", jsonl({**TEST, last: (f"{text} So.", labels)}))
    folder.write("datasets/reviews.yaml", DATASET + "  extra: other.jsonl\n")
    warned: list[str] = []
    run(folder, server, split="extra", warn=warned.append)
    run(folder, server, split="dev", warn=warned.append)
    assert (len(rows(folder)), [each for each in warned if "locked" in each]) == (2, [])


def test_to_tune_on_samples_that_were_unlocked_is_told(folder: Folder, server: ScriptedServer) -> None:
    """Who wrote the dataset may do so; that these samples were a test is said."""
    stored = run(folder, server, final=True).stored
    folder.write("datasets/reviews.yaml", UNLOCKED["test"])
    warned: list[str] = []
    holdout.refuse_locked(stored, folder.project, "calibrate thresholds", warned.append)
    assert warned == [f"run {stored.manifest.id}: to calibrate thresholds: {SAID.format('test')}"]
    dev = run(folder, server, split="dev").stored
    holdout.refuse_locked(dev, folder.project, "calibrate thresholds", warned.append)
    assert len(warned) == 1


def test_imports_of_samples_that_were_unlocked_are_told_and_logged(folder: Folder, server: ScriptedServer) -> None:
    """Predictions from elsewhere are scored on them as well."""
    run(folder, server, final=True)
    folder.write("datasets/reviews.yaml", UNLOCKED["test"])
    warned: list[str] = []
    theirs = imported(folder, warn=warned.append).run.manifest
    assert f"{SAID.format('test')} The look is logged in runs/holdout.jsonl." in warned
    assert looks(folder).looks[1].run == theirs.id


# --- looks of other predictions ---------------------------------------------------------------------------------------


def imported(folder: Folder, name: str = "bert", **options: Any) -> Any:
    """Import predictions of the locked split."""
    path = folder.write(f"{name}.jsonl", jsonl(TEST))
    given = {"dataset": folder.root / "datasets/reviews.yaml", "name": name, "split": "test", "project": folder.project}
    return harness.import_predictions(path, **{**given, **options})


def test_imports_and_baselines_are_looks_too(folder: Folder) -> None:
    """Both need `final`, and every run that they make is one line with its id."""
    folder.write("datasets/reviews.test.jsonl", jsonl({f"t{at}": (f"{text} {at}", labels) for at in range(3)
                                                       for text, labels in TEST.values()}))  # fmt: skip
    dataset = folder.root / "datasets/reviews.yaml"
    with pytest.raises(UsageError) as caught:
        imported(folder)
    assert str(caught.value) == REFUSAL.format("never looked at")
    with pytest.raises(UsageError):
        harness.baseline(dataset, split="test", folds=2, project=folder.project)
    assert not (folder.root / "runs").exists()
    folder.write("datasets/reviews.test.jsonl", jsonl({**DEV, **TEST}))
    made = harness.baseline(dataset, split="test", folds=2, project=folder.project, final=True)
    theirs = imported(folder, final=True, reason="last year's").run.manifest
    assert [(row["asked"], row["version"], row["run"]) for row in rows(folder)] == [
        ("baseline", "majority", made[0].id),
        ("baseline", "tfidf", made[1].id),
        ("import", "bert", theirs.id),
    ]
    assert rows(folder)[2]["reason"] == "last year's"
    assert looks(folder).words == "looked at 3 times, by 2 baselines and 1 import"


def test_an_import_that_fails_is_no_look(folder: Folder) -> None:
    """A file that cannot be read shows nothing, and is not logged."""
    path = folder.write("x.jsonl", "nothing\n")
    with pytest.raises(DataError):
        harness.import_predictions(
            path,
            dataset=folder.root / "datasets/reviews.yaml",
            name="x",
            split="test",
            project=folder.project,
            final=True,
        )
    assert looks(folder).looks == ()


def test_an_import_that_cannot_be_logged_is_not_kept(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is removed again, so that no look is unlogged."""

    def fails(*_: Any) -> None:
        raise DataError("no room")

    monkeypatch.setattr(holdout, "append", fails)
    with pytest.raises(DataError, match="no room"):
        imported(folder, final=True)
    assert not runs_of(folder)


# --- how looks are counted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ([], "never looked at"),
        ([{}], "looked at once, by 1 prompt"),
        ([{}, {}], "looked at 2 times, by 1 prompt (1 look repeated an earlier one)"),
        ([{}, {"inputs": "i2"}], "looked at 2 times, by 1 prompt"),
        ([{}, {"prompt": "p2"}, {}, {}], "looked at 4 times, by 2 prompts (2 looks repeated an earlier one)"),
        ([{}, {"models": ("a", "b")}], "looked at 2 times, by 1 prompt with 2 models"),
        ([{}, {"asked": "resume", "prompt": "p2"}], "looked at 2 times, by 2 prompts"),
        ([{"asked": "import", "prompt": "o1"}], "looked at once, by 1 import"),
        (
            [{}, {"asked": "import", "prompt": "o1"}, {"asked": "baseline", "prompt": "o2"}],
            "looked at 3 times, by 1 prompt, 1 baseline and 1 import",
        ),
    ],
)
def test_looks_and_prompts_are_counted_apart(made: list[dict[str, Any]], words: str) -> None:
    """How many different prompts were tried matters; a look at the same prompt, models and samples teaches nothing new."""
    assert Looks("reviews", "test", tuple(a_look(**values) for values in made)).words == words


def test_the_versions_stand_where_they_are_counted() -> None:
    """Behind the prompts, before what else is told of the log."""
    made = (a_look(version="v1"), a_look(version="v2", prompt="p2"), a_look(version="v1"))
    told = Looks("reviews", "test", made, damaged=(4,)).named()
    assert told == (
        "looked at 3 times, by 2 prompts (v1, v2), 1 look repeated an earlier one; line 4 of runs/holdout.jsonl cannot be "
        "read, and may be more looks"
    )
    assert Looks("reviews", "test").named() == "never looked at"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from("12"))))
def test_the_order_of_looks_decides_no_count(made: list[tuple[str, str, str]]) -> None:
    """Every count is the same for any order of looks, and looks are those that are new and those that are repeated."""
    found = [a_look(prompt=prompt, models=(model,), inputs=inputs) for prompt, model, inputs in made]
    seen, turned = Looks("d", "t", tuple(found)), Looks("d", "t", tuple(reversed(found)))
    assert seen.words == turned.words
    assert seen.n_repeated + len(set(made)) == len(made)
    assert seen.n_prompts <= len(set(made)) <= len(made)


def test_looks_as_plain_values() -> None:
    """As JSON there are the counts, the words and every look."""
    look = a_look(reason="x")
    plain = Looks("reviews", "test", (look, look), damaged=(3,)).to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert {name: plain[name] for name in ("n_looks", "n_prompts", "n_models", "n_repeated", "damaged")} == {
        "n_looks": 2, "n_prompts": 1, "n_models": 1, "n_repeated": 1, "damaged": [3],
    }  # fmt: skip
    assert plain["looks"][0]["reason"] == "x"


# --- the log ----------------------------------------------------------------------------------------------------------


def test_a_line_that_was_cut_off_stays_and_ends(folder: Folder) -> None:
    """What is appended behind a torn line begins on a line of its own, and the torn one is told."""
    append(folder.project, beginning(a_look()))
    path = folder.root / "runs/holdout.jsonl"
    path.write_bytes(path.read_bytes() + b'{"v": 1, "look": "x", "asked": "r')
    append(folder.project, beginning(a_look(prompt="p2")))
    assert looks(folder).words == (
        "looked at 2 times, by 2 prompts; line 2 of runs/holdout.jsonl cannot be read, and may be more looks"
    )
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # as an editor may leave it
    append(folder.project, beginning(a_look(prompt="p3")))
    assert len(looks(folder).looks) == 3


@pytest.mark.parametrize(
    "line",
    [
        "<<<<<<< HEAD",
        "[]",
        "{}",
        '{"v": 1, "asked": "run", "look": "x"}',
        '{"v": "x"}',
        '{"v": 1, "look": ["x"], "run": "y"}',
        "[" * 100_000,
        json.dumps({**beginning(a_look()), "asked": "other"}),
        json.dumps({**beginning(a_look()), "version": None}),
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_lines_that_are_none_are_told(folder: Folder, line: str) -> None:
    """A line of something else, as a merge may leave, hides no look and is none."""
    append(folder.project, beginning(a_look()))
    path = folder.root / "runs/holdout.jsonl"
    path.write_text(f"\n{line}\n" + path.read_text(), encoding="utf-8")
    found = looks(folder)
    assert (len(found.looks), found.damaged) == (1, (2,))


def test_lines_may_stand_in_any_order(folder: Folder) -> None:
    """After a merge an end may stand before its beginning, and a line twice."""
    one, two = a_look(), a_look(prompt="p2")
    append(folder.project, ending(one, "v1-1"), ending(two, None), beginning(two), beginning(one), beginning(one))
    assert [(each.look, each.run) for each in looks(folder).looks] == [(one.look, "v1-1")]
    assert looks(folder, "dev").looks == ()


def test_a_newer_log_is_refused(folder: Folder) -> None:
    """What a newer version of this program wrote is neither read nor written."""
    path = folder.write("runs/holdout.jsonl", '{"v": 2}\n')
    with pytest.raises(DataError) as caught:
        looks(folder)
    assert str(caught.value) == f"{path}:1: was written by a newer harness (format 2, this one reads 1). Update it."


def test_two_processes_write_whole_lines(folder: Folder) -> None:
    """Lines that are written at once stand one after the other."""

    def write(number: int) -> None:
        for at in range(10):
            append(folder.project, beginning(a_look(prompt=f"{number}-{at}")))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (looks(folder).n_prompts, looks(folder).damaged) == (40, ())


def test_a_part_of_a_line_is_taken_back(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk takes only a part, the log is as it was before, and the error says what to do."""
    append(folder.project, beginning(a_look()))
    path = folder.root / "runs/holdout.jsonl"
    before = path.read_bytes()
    opened = holdoutlog.opened

    @contextmanager
    def filling(project: Project) -> Iterator[Any]:
        with opened(project) as file:
            yield Full(file)

    monkeypatch.setattr(holdoutlog, "opened", filling)
    with pytest.raises(DataError) as caught:
        append(folder.project, beginning(a_look()))
    assert str(caught.value) == (
        f"{path}: cannot be written (the disk took only a part of the line). A look at a locked split that cannot be "
        "logged is refused: make room or check permissions."
    )
    assert path.read_bytes() == before


class Full:
    """A file on a disk that takes only a part."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, content: bytes) -> int:
        """Write the first half."""
        return int(self.file.write(content[: len(content) // 2]))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_log_that_may_not_be_written(folder: Folder) -> None:
    """A read-only log is an error that names it."""
    path = folder.write("runs/holdout.jsonl", "")
    path.chmod(0o444)
    with pytest.raises(DataError, match=r"holdout\.jsonl: cannot be written \(Permission denied\)"):
        append(folder.project, beginning(a_look()))


def test_a_look_is_of_its_run_alone(folder: Folder, server: ScriptedServer) -> None:
    """A look belongs to a run of the same prompt and samples that began no earlier."""
    stored = run(folder, server, final=True).stored
    (mine,) = looks(folder).looks
    assert mine.is_of(stored.manifest)
    assert not look_of(stored.manifest, "run", None).is_of(stored.manifest)  # it is later
    assert looks(folder).of(stored.manifest) == 1
    model = run(folder, server, final=True, model="other").stored.manifest
    assert looks(folder).of(model) == 1
    other = run(folder, server, final=True, samples=["t1"]).stored.manifest
    assert not mine.is_of(other)


def test_start_itself_knows_no_locks(folder: Folder, server: ScriptedServer) -> None:
    """Looks are asked for where people ask: a plan says that its split is locked."""
    assert folder.plan(split="test").locked
    assert not folder.plan().locked
    plan = folder.plan(split="test", base_url=server.base_url)
    assert execution.start(plan, folder.project).manifest.state == "complete"


def test_paths(folder: Folder) -> None:
    """The log lies beside the runs."""
    assert holdoutlog.path_of(folder.project) == Path(folder.root / "runs/holdout.jsonl")
