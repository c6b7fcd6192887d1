"""Runs on disk: nothing that was answered is lost, whatever is cut, full, damaged or busy; and a name means one run."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.completionlog import CompletionLog, StoredCompletion, read_completions
from harness.errors import DataError, RunBusyError, RunNameError
from harness.jsonfiles import write_bytes, write_json
from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import Output
from harness.prompt import Engine, MessageTemplate, Model, Pass, Prompt
from harness.records import Call, CallError, Completion, FailureKind, Prediction, Sample, Usage
from harness.runnames import find_run, list_runs
from harness.shots import Shots
from harness.store import (
    FORMAT,
    TOGETHER,
    Manifest,
    RunWriter,
    StoredRun,
    create_run,
    is_held,
    load_run,
    new_id,
    open_run,
)

SPACE = LabelSpace(
    (Label("shipping", "Late", ("delivery",), "s", "logistics"), Label("quality")),
    (Field("mood", "choice", ("happy", "mad")),),
)
SAMPLES = (
    Sample("s1", {"text": "late \ud800"}, frozenset({"shipping"}), {"mood": "mad"}),
    Sample("s2", {"text": "fine\u2028"}, frozenset()),
    Sample("s3", {"text": "?"}, None),
)
PROMPT = Prompt(
    "v2",
    (
        Pass(
            "first",
            (MessageTemplate("system", "Label."), MessageTemplate("user", "{{ text }}")),
            Model("m", base_url="http://h/v1", params={"temperature": 0, "stop": ["\n"]}, engine=Engine(threads=3)),
            Output("list", {"separator": ";"}, ("mood",)),
            Shots((SAMPLES[0],)),
        ),
        Pass("second", (MessageTemplate("user", "again"),), Model("n"), Output(), None, "failed", ("quality",)),
    ),
    parent="v1",
    notes="why",
    dataset=Path("datasets/d.yaml"),
    variables={"tone": "dry"},
    path=Path("prompts/v2.yaml"),
)
MANIFEST = Manifest(
    id="v2-20260101-000000",
    version="v2",
    state="running",
    prompt=PROMPT,
    prompt_hash=PROMPT.hash,
    space=SPACE,
    dataset="d",
    hashes={"inputs": "a", "gold": "b", "labels": "c"},
    split="dev",
    default_split=True,
    selection={"limit": 5},
    repeats=1,
    endpoints={"first": {"base_url": "http://h/v1", "api": "chat"}},
    served=("m-2026",),
    seeds={"bootstrap": 7},
    versions={"harness": "0.1.0"},
    git={"commit": "abc", "dirty": True},
    tag="try",
    redrawn=("refusal",),
    n_samples=3,
    started="2026-01-01T00:00:00.000+00:00",
    ended="2026-01-01T00:01:00.000+00:00",
    seconds=60.0,
    cost_usd=0.25,
    constrained={"first": "json_schema", "second": {"a": "grammar", "b": "off"}},
)
ANSWER = Completion(
    "ok",
    raw="shipping",
    finish_reason="stop",
    logprobs={"content": [{"token": "a", "logprob": -0.25}]},
    usage=Usage(prompt_tokens=5, completion_tokens=1),
    latency_s=0.5,
    attempts=2,
    served_model="m-2026",
)


def call(sample: str = "s1", pass_name: str = "first", repeat: int = 0) -> Call:
    """A call of a sample."""
    return Call(sample, pass_name, "", repeat, ({"role": "user", "content": "late"},), draw=repeat)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The folder of runs, not made yet."""
    return tmp_path / "runs"


def stored(runs: Path, **changes: Any) -> StoredRun:
    """A run with one completion, as it is on disk."""
    with create_run(runs, replace(MANIFEST, **changes), SAMPLES) as writer:
        writer.append(call(), "k", ANSWER)
        writer.update(state=changes.get("state", "complete"))
    return load_run(writer.path)


# A run's life


def test_a_run_comes_back_as_it_was_written(runs: Path) -> None:
    """Manifest, samples and completions are the same after a round trip through the files."""
    with create_run(runs, MANIFEST, SAMPLES) as writer:
        writer.append(call("s1"), "k1", ANSWER)
        writer.append(call("s2", "second", 1), "k2", replace(ANSWER, raw="none"))
    run = load_run(runs / MANIFEST.id)
    assert run.manifest == MANIFEST
    assert run.manifest.models == ("m", "n")
    assert run.samples == SAMPLES
    assert run.log.latest == {
        ("s1", "first", "", 0): StoredCompletion("k1", ("s1", "first", "", 0), ANSWER),
        ("s2", "second", "", 1): StoredCompletion("k2", ("s2", "second", "", 1), replace(ANSWER, raw="none")),
    }
    assert run.log.n_lines == 2
    assert list(run.log.warnings(run.path)) == []


def test_a_completion_is_in_the_file_when_append_returns(runs: Path) -> None:
    """Every completion is on disk, whole, before anything is done with it."""
    with create_run(runs, MANIFEST, SAMPLES) as writer:
        for number in range(3):
            writer.append(call(f"s{number}"), "k", ANSWER)
            lines = (writer.path / "completions.jsonl").read_bytes().splitlines(keepends=True)
            assert len(lines) == number + 1
            assert json.loads(lines[-1])["sample"] == f"s{number}"
            assert lines[-1].endswith(b"\n")


def sample_ids(path: Path) -> list[str]:
    """Whose completions are in a run's file, in order."""
    return [json.loads(line)["sample"] for line in (path / "completions.jsonl").read_bytes().splitlines()]


def test_completions_of_the_cache_are_written_together(runs: Path) -> None:
    """What the cache has too may wait for others, and is in the file, in order, once a new one or the end comes."""
    cached = replace(ANSWER, cached=True)
    with create_run(runs, MANIFEST, SAMPLES) as writer:
        writer.append(call("a"), "k", cached, in_cache=True)
        assert (sample_ids(writer.path), writer.n_answered, writer.is_empty) == ([], 0, True)
        writer.append(call("b"), "k", ANSWER)
        assert (sample_ids(writer.path), writer.n_answered) == (["a", "b"], 2)
        for number in range(TOGETHER):
            writer.append(call(f"s{number}"), "k", cached, in_cache=True)
        assert len(sample_ids(writer.path)) == writer.n_answered == 2 + TOGETHER
        writer.append(call("c"), "k", cached, in_cache=True)
        writer.flush()
        assert sample_ids(writer.path)[-1] == "c"
        writer.append(call("d"), "k", cached, in_cache=True)
    assert sample_ids(writer.path)[-2:] == ["c", "d"]
    assert load_run(writer.path).log.n_answered == writer.n_answered


def test_a_line_says_what_it_is_of(runs: Path) -> None:
    """A line of `completions.jsonl` has the format's version, the call's key and slot, and the completion; no messages."""
    run = stored(runs)
    (line,) = (run.path / "completions.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "v": FORMAT,
        "key": "k",
        "sample": "s1",
        "pass": "first",
        "unit": "",
        "repeat": 0,
        "attempt": 2,
        "status": "ok",
        "error": None,
        "raw": "shipping",
        "finish_reason": "stop",
        "logprobs": {"content": [{"token": "a", "logprob": -0.25}]},
        "usage": {"prompt_tokens": 5, "completion_tokens": 1},
        "latency_s": 0.5,
        "cached": False,
        "model": "m-2026",
    }


def test_the_latest_completion_of_a_slot_counts(runs: Path) -> None:
    """A slot that was asked anew has its last completion; the earlier one stays in the file."""
    error = Completion("error", error=CallError(kind="timeout", message="no answer", status=None))
    with create_run(runs, MANIFEST, SAMPLES) as writer:
        writer.append(call(), "k", error)
        assert (writer.failed, writer.n_answered) == ({call().slot}, 0)
        writer.append(call(), "k", ANSWER)
        assert (writer.failed, writer.n_answered) == (set(), 1)
    log = load_run(writer.path).log
    assert log.latest[call().slot].completion == ANSWER
    assert log.n_lines == 2


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_any_text_comes_back(raw: str, column: str) -> None:
    """Any raw text and input, lone surrogates and line separators among them, is the same after the round trip."""
    samples = (Sample("s1", {"text": column}),)
    with tempfile.TemporaryDirectory() as folder:
        with create_run(Path(folder), replace(MANIFEST, n_samples=1), samples) as writer:
            writer.append(call(), "k", Completion("ok", raw=raw))
        run = load_run(writer.path)
        assert run.samples == samples
        assert run.log.latest[call().slot].completion.raw == raw


def test_a_run_in_which_nothing_was_answered_leaves_nothing(runs: Path) -> None:
    """A run that ends without a completion is not kept, also when it ends by an error."""
    with create_run(runs, MANIFEST, SAMPLES) as writer:
        assert writer.path.is_dir()
    with pytest.raises(KeyboardInterrupt), create_run(runs, MANIFEST, SAMPLES):
        raise KeyboardInterrupt
    assert list(runs.iterdir()) == []


def test_a_run_that_fails_after_an_answer_is_kept(runs: Path) -> None:
    """What was answered before an error is there afterwards."""
    with suppress(RuntimeError), create_run(runs, MANIFEST, SAMPLES) as writer:
        writer.append(call(), "k", ANSWER)
        raise RuntimeError
    assert load_run(runs / MANIFEST.id).log.n_lines == 1


def test_a_taken_id_gets_a_number(runs: Path) -> None:
    """Runs that start in the same second have folders and ids of their own."""
    assert [stored(runs).manifest.id for _ in range(3)] == [MANIFEST.id, f"{MANIFEST.id}-2", f"{MANIFEST.id}-3"]


def test_an_id_is_version_and_utc_time() -> None:
    """An id tells version and start, in UTC wherever it started."""
    start = datetime(2026, 3, 1, 1, 30, 5, tzinfo=timezone(timedelta(hours=2)))
    assert new_id("v3", start) == "v3-20260228-233005"
    assert new_id("v3", start.astimezone(UTC)) == new_id("v3", start)


def test_no_message_text_and_no_draft_file_is_left(runs: Path) -> None:
    """A finished folder holds the run's own files and the lock, no drafts."""
    run = stored(runs)
    assert sorted(each.name for each in run.path.iterdir()) == [
        ".lock",
        "completions.jsonl",
        "run.json",
        "samples.jsonl",
    ]


def test_resuming_adds_to_the_file(runs: Path) -> None:
    """An opened run knows its samples and completions, and appends after them."""
    run = stored(runs)
    with open_run(run) as writer:
        assert tuple(writer.samples) == SAMPLES
        assert set(writer.latest) == {call().slot}
        writer.append(call("s2"), "k2", ANSWER)
        writer.update(state="complete", seconds=99.0)
    again = load_run(run.path)
    assert set(again.log.latest) == {call().slot, call("s2").slot}
    assert (again.manifest.state, again.manifest.seconds) == ("complete", 99.0)


def test_an_opened_run_is_kept_though_nothing_was_added(runs: Path) -> None:
    """Resuming a run without making a call leaves it as it was."""
    run = stored(runs)
    before = (run.path / "completions.jsonl").read_bytes()
    with open_run(run):
        pass
    assert (run.path / "completions.jsonl").read_bytes() == before


# Damage


def test_a_torn_last_line_is_left_out_and_cut_off_before_appending(runs: Path) -> None:
    """A line that was cut in the middle of its write is warned of, and the next line does not begin inside it."""
    run = stored(runs)
    path = run.path / "completions.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    torn = load_run(run.path)
    assert dict(torn.log.latest) == {call().slot: StoredCompletion("k", call().slot, ANSWER)}
    assert (torn.log.n_lines, torn.log.torn, torn.log.whole_bytes) == (1, True, len(whole))
    assert list(torn.log.warnings(path)) == [
        f"{path}: the last line was cut off while it was written; its call is made again."
    ]
    with open_run(torn) as writer:
        writer.append(call("s2"), "k2", ANSWER)
    log = load_run(run.path).log
    assert (log.n_lines, log.torn, log.damaged) == (2, False, ())
    assert path.read_bytes().startswith(whole)


def test_a_line_without_its_line_break_counts_as_torn(runs: Path) -> None:
    """A last line that is whole but for the line break is cut off too: nobody can know that it is whole."""
    run = stored(runs)
    path = run.path / "completions.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    log = load_run(run.path).log
    assert (dict(log.latest), log.torn, log.whole_bytes) == ({}, True, 0)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b"1", b'"x"', b"{}", b"\0\0\0\0", b'{"sample": {}, "pass": 1}'],
)
def test_damaged_lines_are_left_out_and_numbered(runs: Path, line: bytes) -> None:
    """A line that holds no completion is told by its number; the lines around it count."""
    run = stored(runs)
    path = run.path / "completions.jsonl"
    whole = path.read_bytes()
    other = whole.replace(b'"s1"', b'"s2"')
    path.write_bytes(whole + line + b"\n" + other)
    log = load_run(run.path).log
    assert set(log.latest) == {call("s1").slot, call("s2").slot}
    assert (log.n_lines, log.torn, log.damaged) == (2, False, (2,))
    assert list(log.warnings(path)) == [f"{path}: lines 2 cannot be read; their calls are made again."]


def test_many_damaged_lines_are_counted(runs: Path) -> None:
    """Of many damaged lines the first five are named."""
    run = stored(runs)
    path = run.path / "completions.jsonl"
    path.write_bytes(b"x\n" * 8)
    assert list(load_run(run.path).log.warnings(path)) == [
        f"{path}: lines 1, 2, 3, 4, 5 and 3 more cannot be read; their calls are made again."
    ]


SOUND = json.dumps(
    {"v": 1, "key": "k", "sample": "s", "pass": "p", "unit": "", "repeat": 0, **ANSWER.to_json()}
).encode()


@given(st.lists(st.one_of(st.just(SOUND), st.binary(max_size=40)), max_size=6))
def test_any_bytes_can_be_read(lines: list[bytes]) -> None:
    """Whatever stands in the file, reading ends; and cutting at `whole_bytes` leaves a file without a torn line."""
    content = b"\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "completions.jsonl"
        path.write_bytes(content)
        log = read_completions(path)
        assert log.torn == (log.whole_bytes < len(content))
        path.write_bytes(content[: log.whole_bytes])
        again = read_completions(path)
        assert not again.torn
        assert (again.latest, again.n_lines, again.damaged) == (log.latest, log.n_lines, log.damaged)


def test_a_line_whose_sample_is_no_name_is_damaged(tmp_path: Path) -> None:
    """A completion of a slot that cannot be one is damaged, not a crash."""
    path = tmp_path / "completions.jsonl"
    path.write_bytes(SOUND.replace(b'"sample": "s"', b'"sample": ["s"]') + b"\n")
    assert read_completions(path).damaged == (1,)


def test_no_file_is_no_completions(tmp_path: Path) -> None:
    """A run without the file has no completions yet."""
    assert read_completions(tmp_path / "completions.jsonl") == CompletionLog({})


def test_a_newer_format_is_refused(runs: Path) -> None:
    """A run that a newer version wrote is not guessed at."""
    run = stored(runs)
    file = run.path / "run.json"
    row = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**row, "v": FORMAT + 1}), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_run(run.path)
    assert str(caught.value) == (
        f"{file}: was written by a newer harness (format {FORMAT + 1}, this one reads {FORMAT}). Update it."
    )
    assert list_runs(runs) == []


def test_an_unknown_key_of_the_manifest_is_ignored(runs: Path) -> None:
    """A key that this version does not know is no damage."""
    run = stored(runs)
    file = run.path / "run.json"
    row = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**row, "later": 1}), encoding="utf-8")
    assert load_run(run.path).manifest == run.manifest


def test_a_manifest_from_before_constraints_comes_back(runs: Path) -> None:
    """A run that was written before answers could be constrained has none."""
    run = stored(runs)
    file = run.path / "run.json"
    row = json.loads(file.read_text(encoding="utf-8"))
    del row["constrained"]
    file.write_text(json.dumps(row), encoding="utf-8")
    assert load_run(run.path).manifest == replace(run.manifest, constrained={})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "JSONDecodeError: Expecting property name"),
        (b"\xff", "UnicodeDecodeError: "),
        (b"[]", "TypeError: "),
        (b"{}", "KeyError: 'v'"),
        (b'{"v": "1"}', "TypeError: "),
        (b'{"v": 1}', "KeyError: 'prompt'"),
        (b'{"v": 1, "prompt": [], "space": {}}', "TypeError: "),
        (b'{"v": 1, "prompt": null}', "TypeError: "),
    ],
)
def test_a_damaged_manifest_is_told(runs: Path, content: bytes, why: str) -> None:
    """A manifest that cannot be read is told with the file and the next step."""
    run = stored(runs)
    file = run.path / "run.json"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_run(run.path)
    assert str(caught.value).startswith(f"{file}: cannot be read ({why}")
    assert str(caught.value).endswith("). Restore it from a copy, or start a new run.")


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    """A folder without a manifest is no run."""
    with pytest.raises(DataError) as caught:
        load_run(tmp_path)
    assert str(caught.value) == f"{tmp_path}: must be a run's folder, but has no run.json. See: harness runs"


@pytest.mark.parametrize("content", [b"{\n", b"[]\n", b'{"id": "s1"}\n', b"\xff\n", None])
def test_damaged_samples_are_told(runs: Path, content: bytes | None) -> None:
    """Samples that cannot be read, or are gone, are told with the file and the next step."""
    run = stored(runs)
    file = run.path / "samples.jsonl"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        _ = load_run(run.path).samples
    assert str(caught.value).startswith(f"{file}: cannot be read (")
    assert str(caught.value).endswith("). Restore it from a copy, or start a new run.")


# Derived files

PREDICTIONS = (
    Prediction("s1", frozenset({"shipping"}), fields={"mood": "mad"}, asked_fields=("mood",), off_list=("lost",)),
    Prediction(
        "s2", frozenset(), frozenset({"quality", "shipping"}), FailureKind.UNPARSEABLE, "nothing recognised", repeat=1
    ),
    Prediction("s3", frozenset({"quality", "shipping"}), repaired=True),
)


def test_what_is_derived_comes_back(runs: Path) -> None:
    """Predictions, their gold and scores are the same after the round trip; deriving anew replaces them."""
    run = stored(runs)
    with open_run(run) as writer:
        writer.derive(PREDICTIONS[:1], {"f1": 1.0})
        writer.derive(PREDICTIONS, {"f1": 0.5})
    again = load_run(run.path)
    assert again.predictions == PREDICTIONS
    assert again.gold == {"s1": frozenset({"shipping"}), "s2": frozenset(), "s3": None}
    assert again.scores == {"f1": 0.5}


def test_labels_are_written_in_label_space_order(runs: Path) -> None:
    """In the file labels stand in the order of the label space, gold beside them."""
    run = stored(runs)
    with open_run(run) as writer:
        writer.derive(PREDICTIONS, {})
    rows = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[2]["labels"] == rows[1]["unanswered"] == ["shipping", "quality"]
    assert [row["gold"] for row in rows] == [["shipping"], [], None]


def test_what_was_not_derived_yet_is_told_with_the_command(runs: Path) -> None:
    """A run without predictions or scores says how to get them."""
    run = stored(runs, state="interrupted")
    with pytest.raises(DataError) as predictions:
        _ = run.predictions
    assert str(predictions.value) == (
        f"run {run.manifest.id}: has no predictions yet (interrupted). Type: harness run --resume {run.manifest.id}"
    )
    with pytest.raises(DataError) as scores:
        _ = run.scores
    assert str(scores.value) == f"run {run.manifest.id}: has no scores yet. Type: harness score {run.manifest.id}"


@pytest.mark.parametrize("content", ["{", '{"id": "s1"}', "[]"])
@pytest.mark.parametrize("part", ["predictions", "gold"])
def test_damaged_predictions_are_told_with_the_command(runs: Path, part: str, content: str) -> None:
    """Derived files that cannot be read can be derived again."""
    run = stored(runs)
    file = run.path / "predictions.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        getattr(run, part)
    assert str(caught.value).startswith(f"{file}: cannot be read (")
    assert str(caught.value).endswith(f"). Type: harness score {run.manifest.id}")


def test_damaged_scores_are_told_with_the_command(runs: Path) -> None:
    """Scores that cannot be read can be derived again."""
    run = stored(runs)
    file = run.path / "scores.json"
    file.write_bytes(b"{")
    with pytest.raises(DataError) as caught:
        _ = run.scores
    assert str(caught.value).startswith(f"{file}: cannot be read (JSONDecodeError: ")
    assert str(caught.value).endswith(f"). Type: harness score {run.manifest.id}")


# A disk that refuses


def full_disk(path: Path) -> None:
    """Let every write to a file fail as on a full disk."""
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/full")


@pytest.mark.parametrize("n_answered", [0, 1])
def test_a_full_disk_stops_the_run_and_says_how_to_go_on(runs: Path, n_answered: int) -> None:
    """A completion that cannot be written is told with the command that goes on, and does not count as kept."""
    run = stored(runs)
    log = run.log if n_answered else CompletionLog({})
    with open_run(run) as writer:
        full_disk(writer.path / "completions.jsonl")
        full = RunWriter(writer.path, writer.manifest, SAMPLES, log)
        with pytest.raises(DataError) as caught:
            full.append(call("s2"), "k2", ANSWER)
        full.close()
    again = (
        f"harness run --resume {run.manifest.id}" if n_answered else "the same command again"
    )  # nothing is kept of it
    assert str(caught.value) == (
        f"{run.path / 'completions.jsonl'}: cannot be written (No space left on device). Make room, then type: {again}"
    )
    assert full.n_answered == n_answered


def test_predictions_wait_in_no_buffer_for_a_disk_that_is_full(runs: Path) -> None:
    """A prediction that cannot be written is told at once: a file that fails as it is closed would hide what came before."""
    run = stored(runs)
    with open_run(run) as writer:
        full_disk(run.path / ".predictions.jsonl.draft")
        with writer.predicting() as draft:
            draft.add(0, SAMPLES[0], Prediction("s1", frozenset()))
            with pytest.raises(DataError) as caught:
                draft.flush()
    assert str(caught.value) == (
        f"{run.path / 'predictions.jsonl'}: cannot be written (No space left on device). "
        f"Make room, then type: harness run --resume {run.manifest.id}"
    )


@pytest.mark.parametrize("n_left", [0, 2])
def test_samples_that_are_missing_are_told(runs: Path, n_left: int) -> None:
    """A run whose samples were cut, at the end of a line too, is neither scored without them nor gone on with."""
    run = stored(runs)
    path = run.path / "samples.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:n_left]))
    told = f"{path}: must have the 3 samples of the run, has {n_left}. Restore it from a copy, or start a new run."
    with pytest.raises(DataError, match=re.escape(told)):
        load_run(run.path).samples  # noqa: B018
    with pytest.raises(DataError, match=re.escape(told)), open_run(load_run(run.path)):
        pytest.fail("it is held")


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes: a write then ends half way, as on a disk that runs full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_half_a_line_is_taken_back(runs: Path) -> None:
    """When the disk takes only a part of a line, that part is removed, so that a later line is not glued to it."""
    with create_run(runs, MANIFEST, SAMPLES) as writer:
        writer.append(call("s1"), "k1", ANSWER)
        path = writer.path / "completions.jsonl"
        whole = path.read_bytes()
        with (
            largest_file(len(whole) + 10),
            pytest.raises(DataError, match="File too large"),
        ):
            writer.append(call("s2"), "k2", ANSWER)
        assert path.read_bytes() == whole
        assert writer.n_answered == 1
        writer.append(call("s3"), "k3", ANSWER)
    log = load_run(writer.path).log
    assert set(log.latest) == {call("s1").slot, call("s3").slot}
    assert (log.torn, log.damaged) == (False, ())


def test_a_run_that_cannot_be_begun_leaves_nothing(runs: Path) -> None:
    """When not even the samples can be written the error says so, and no folder stays."""
    with largest_file(10), pytest.raises(DataError) as caught, create_run(runs, MANIFEST, SAMPLES):
        pytest.fail("it must not begin")
    path = runs / MANIFEST.id / "samples.jsonl"
    assert str(caught.value) == f"{path}: cannot be written (File too large). Make room or check permissions."
    assert list(runs.iterdir()) == []


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path) -> None:
    """A whole file is written beside the old one, which stays when the disk refuses; no draft is left."""
    path = tmp_path / "run.json"
    write_json(path, {"state": "running"})
    before = path.read_bytes()
    with (
        largest_file(5),
        pytest.raises(DataError, match=r"run\.json: cannot be written \(File too large\)\. Make room"),
    ):
        write_json(path, {"state": "complete"})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    """Where neither file nor draft can be made the message is about the file."""
    path = tmp_path / "gone" / "scores.json"
    with pytest.raises(DataError) as caught:
        write_bytes(path, b"")
    assert (
        str(caught.value) == f"{path}: cannot be written (No such file or directory). Make room or check permissions."
    )


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_a_runs_folder_that_cannot_be_made_is_told(runs: Path, kind: str) -> None:
    """Something else in the place of `runs/` is told, without end neither tried nor waited for."""
    if kind == "file":
        runs.touch()
    else:
        runs.symlink_to(runs.parent / "unmounted")
    with pytest.raises(DataError) as caught, create_run(runs, MANIFEST, SAMPLES):
        pytest.fail("it must not begin")
    assert str(caught.value) == (
        f"{runs / MANIFEST.id}: cannot be written (File exists). Check the folder's permissions."
    )


def test_completions_that_cannot_be_opened_are_told(runs: Path) -> None:
    """A folder in the place of `completions.jsonl` is a DataError."""
    run = stored(runs)
    path = run.path / "completions.jsonl"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError) as caught, open_run(run):
        pytest.fail("it must not open")
    assert str(caught.value) == f"{path}: cannot be written (Is a directory). Make room or check permissions."


def test_json_for_people_ends_with_a_line_break_and_holds_any_text(tmp_path: Path) -> None:
    """JSON files keep umlauts readable and lone surrogates escaped."""
    path = tmp_path / "x.json"
    write_json(path, {"text": "ä\ud800", "path": Path("a/b")})
    assert path.read_text(encoding="utf-8") == '{\n "text": "ä\\ud800",\n "path": "a/b"\n}\n'
    assert json.loads(path.read_text(encoding="utf-8")) == {"text": "ä\ud800", "path": "a/b"}


# One process at a time

HOLD = """
import sys
from pathlib import Path
from harness.store import load_run, open_run

with open_run(load_run(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held_elsewhere(run: StoredRun) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the run until it is told to end."""
    command = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate("\n")


def test_a_run_that_another_process_writes_is_refused(runs: Path) -> None:
    """The second process is told that the run is busy, can read it, and may write it when the first has ended."""
    run = stored(runs)
    with held_elsewhere(run):
        assert is_held(run.path)
        with pytest.raises(RunBusyError) as caught, open_run(run):
            pytest.fail("it must not open")
        assert load_run(run.path).log.n_lines == 1
    assert str(caught.value) == (
        f"run {run.manifest.id}: another process is writing it. Wait until it has ended, or start a run of its own."
    )
    assert not is_held(run.path)
    with open_run(run) as writer:
        assert is_held(run.path)
        writer.append(call("s2"), "k2", ANSWER)


def test_a_killed_process_holds_nothing(runs: Path) -> None:
    """A run whose process was killed can be resumed at once."""
    run = stored(runs)
    with held_elsewhere(run) as process:
        process.kill()
        process.wait()
        assert not is_held(run.path)
        with open_run(run) as writer:
            writer.append(call("s2"), "k2", ANSWER)


def test_a_new_run_is_held_while_it_is_written(runs: Path) -> None:
    """A run is held from its first moment to its end."""
    with create_run(runs, MANIFEST, SAMPLES) as writer:
        writer.append(call(), "k", ANSWER)
        assert is_held(writer.path)
    assert not is_held(writer.path)


def test_a_folder_that_cannot_be_locked_counts_as_held(runs: Path) -> None:
    """Where the lock cannot even be tried, nobody may write: the message says why."""
    run = stored(runs)
    (run.path / ".lock").unlink()
    (run.path / ".lock").mkdir()
    assert is_held(run.path)
    told = r"\.lock: cannot be written \(.+\)\. Check the folder's permissions\.$"
    with pytest.raises(DataError, match=told), open_run(run):
        pytest.fail("it must not open")


# Which run is meant


def several(runs: Path) -> None:
    """Runs of two versions in all states."""
    for number, (version, state, default) in enumerate(
        [
            ("v1", "complete", True),
            ("v2", "complete", True),
            ("v2", "complete", True),
            ("v2", "complete", False),
            ("v2", "incomplete", True),
            ("v3", "interrupted", True),
        ]
    ):
        stored(
            runs,
            id=f"{version}-2026010{number}-000000",
            version=version,
            state=state,
            default_split=default,
            split="dev" if default else "test",
            started=f"2026-01-0{number}T00:00:00.000+00:00",
        )


def test_runs_are_listed_newest_first(runs: Path) -> None:
    """All readable runs, newest first; other folders and files are no runs; no folder is no runs."""
    assert list_runs(runs) == []
    several(runs)
    (runs / "README.md").touch()
    (runs / "empty").mkdir()
    stored(runs, id="damaged")
    (runs / "damaged" / "run.json").write_text("{", encoding="utf-8")
    assert [run.manifest.id[:11] for run in list_runs(runs)] == [
        "v3-20260105",
        "v2-20260104",
        "v2-20260103",
        "v2-20260102",
        "v2-20260101",
        "v1-20260100",
    ]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("latest", "v3-20260105-000000"),
        ("v2-20260103-000000", "v2-20260103-000000"),
        ("v2", "v2-20260102-000000"),
        ("v1", "v1-20260100-000000"),
        ("v2-20260104", "v2-20260104-000000"),
    ],
)
def test_a_name_means_one_run(runs: Path, name: str, found: str) -> None:
    """`latest`, an id, a version (its newest complete run on the default split) or the beginning of one id."""
    several(runs)
    assert find_run(runs, name).manifest.id == found


def test_a_version_in_any_state_means_its_newest_run(runs: Path) -> None:
    """What is to be resumed is the newest run of a version, whatever its state and split."""
    several(runs)
    assert find_run(runs, "v2", any_state=True).manifest.id == "v2-20260104-000000"
    assert find_run(runs, "v3", any_state=True).manifest.id == "v3-20260105-000000"


def test_a_labelling_run_is_meant_by_its_id_alone(runs: Path) -> None:
    """A run that labelled a file without gold is never what a version or `latest` means, in whatever state."""
    several(runs)
    stored(runs, id="v2-20260301-000000", version="v2", split="file:new.csv", started="2026-03-01")
    assert find_run(runs, "latest").manifest.id == "v3-20260105-000000"
    assert find_run(runs, "v2", any_state=True).manifest.id == "v2-20260104-000000"
    assert find_run(runs, "v2-20260301-000000").manifest.is_labelling


def test_a_path_means_the_run_there(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path to a run's folder means that run, also outside of `runs/`."""
    several(runs)
    elsewhere = tmp_path / "elsewhere"
    (runs / "v1-20260100-000000").rename(elsewhere)
    assert find_run(runs, str(elsewhere)).manifest.id == "v1-20260100-000000"
    monkeypatch.chdir(tmp_path)
    assert find_run(runs, "runs/v2-20260104-000000").manifest.state == "incomplete"


def test_an_id_goes_before_a_version_of_the_same_name(runs: Path) -> None:
    """A version that is called like an id does not hide the run of that id."""
    several(runs)
    stored(runs, id="other", version="v2-20260101-000000", started="2026-02-01")
    assert find_run(runs, "v2-20260101-000000").manifest.version == "v2"


def test_an_ambiguous_beginning_is_told_with_the_ids(runs: Path) -> None:
    """The beginning of several ids names them."""
    several(runs)
    with pytest.raises(RunNameError) as caught:
        find_run(runs, "v2-2026010")
    assert str(caught.value) == (
        "run 'v2-2026010': must mean one run, but 4 begin so: v2-20260104-000000, v2-20260103-000000, "
        "v2-20260102-000000, v2-20260101-000000. Type more of the id."
    )


def test_a_version_without_a_complete_run_is_told(runs: Path) -> None:
    """A version whose runs are all unfinished or on another split says what there is and how to go on."""
    several(runs)
    with pytest.raises(RunNameError) as caught:
        find_run(runs, "v3")
    assert str(caught.value) == (
        "run 'v3': no complete run on the default split. Its newest is v3-20260105-000000 (interrupted, split dev). "
        "Name it by its id, or type: harness run --resume v3-20260105-000000"
    )


@pytest.mark.parametrize(
    ("name", "hint"), [("v22", " Did you mean 'v2'?"), ("prompts/v2.yaml", " Did you mean 'v2'?"), ("baseline", "")]
)
def test_an_unknown_name_is_told_with_what_there_is(runs: Path, name: str, hint: str) -> None:
    """A name that fits no run says which versions there are, and the nearest."""
    several(runs)
    with pytest.raises(RunNameError) as caught:
        find_run(runs, name)
    assert str(caught.value) == f"run '{name}': no such run. There are v3, v2, v1, or any id of 'harness runs'.{hint}"


def test_without_runs_the_first_command_is_told(runs: Path) -> None:
    """Where there are no runs yet the message says how to make one."""
    with pytest.raises(RunNameError) as caught:
        find_run(runs, "v1")
    assert str(caught.value) == f"{runs}: there are no runs yet. Type: harness run prompts/YOURS.yaml"
