"""The benchmarks of speed measure what they say: the same task for everyone, whole processes, aims held to figures."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import CHAT_PATH, Request
from syrupy.assertion import SnapshotAssertion

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

import figures as fig  # noqa: E402 - after the path, as the next
import kill  # noqa: E402
import shares  # noqa: E402
import storm  # noqa: E402
import throughput  # noqa: E402
from aims import AIMS, Aim, aims_table  # noqa: E402
from loadserver import Asked, Script, Server, load_server  # noqa: E402
from measuring import Usage, measured  # noqa: E402
from peers import install, ours, task  # noqa: E402
from peers.contender import Contender, Work  # noqa: E402

FEW = 20
NAMES = [each.name for each in throughput.CONTENDERS]
WANTED = task.expected(FEW)
DONE = Asked(calls=FEW, answered=FEW, drawn=0, limited=0, prompts=7, at_once=64)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server in a process of its own, without latency."""
    with load_server() as running:
        yield running


# --- the task ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6))
def test_every_sample_can_be_told_from_its_prompt(number: int) -> None:
    """The prompt of a sample has its number, its answer names known labels or none, and gold is never empty."""
    sample = task.sample(number)
    assert task.number_in(task.BEFORE + sample.text) == number
    assert sample.labels
    assert task.answer_to(number) == "none" or len(task.labels_in(task.answer_to(number))) in (1, 2)


def test_four_answers_of_five_are_right() -> None:
    """The share of right answers is known, so that a scorer that finds another one is found out."""
    assert task.expected(1000).exact == 0.8
    assert len(set(task.expected(1000).answers.values())) > 10


def test_samples_and_answers_are_read_as_written(tmp_path: Path) -> None:
    """What an adapter reads and leaves is what was written."""
    task.write_samples(tmp_path / "few.jsonl", 3)
    assert task.read_samples(tmp_path / "few.jsonl") == [task.sample(number) for number in range(3)]
    task.write_answers(tmp_path, WANTED.answers, 0.8)
    assert task.read_answers(tmp_path) == task.Outcome(WANTED.answers, 0.8)


def test_a_prompt_without_a_sample_is_an_error() -> None:
    """A prompt that asks about no sample is not answered."""
    with pytest.raises(LookupError, match="no sample in 'Hello'"):
        task.number_in("Hello")


# --- the server -------------------------------------------------------------------------------------------------------


def statuses(script: Script, times: int, seconds: float = 0.0) -> list[int]:
    """Return the statuses of so many calls at once, some seconds after the last ones."""
    body = {"messages": [{"role": "user", "content": task.BEFORE + task.sample(0).text}]}
    request = Request(CHAT_PATH, {}, body, 0, 0, script._at + seconds)
    return [script(request).status for _ in range(times)]


def test_the_server_answers_at_its_rate_and_no_more() -> None:
    """A full second's worth is answered at once, then nothing, and after a pause what the rate allows."""
    script = Script(rate=10)
    assert statuses(script, 11) == [200] * 10 + [429]
    assert statuses(script, 3, 0.25) == [200, 200, 429]
    told = script.told(3)
    assert (told.calls, told.answered, told.limited, told.at_once) == (14, 12, 2, 3)
    assert script.told(0) == Asked(0, 0, 0, 0, 0, 0)


def test_errors_are_a_share_and_cost_nothing_of_the_rate() -> None:
    """About a fifth of the calls fail by chance, and the rate is spent on the others alone."""
    script = Script(rate=300, errors=0.2)
    answered = statuses(script, 500).count(200)
    told = script.told(0)
    assert 80 <= told.drawn <= 120
    assert answered == told.answered == 300
    assert told.limited == 500 - 300 - told.drawn


# --- what a process takes ---------------------------------------------------------------------------------------------


def test_memory_is_the_process_s_own(tmp_path: Path) -> None:
    """What this process holds does not count for the one that it measures."""
    ballast = bytearray(200_000_000)
    usage, code = measured([sys.executable, "-S", "-c", "pass"], tmp_path)
    assert len(ballast) > usage.peak_mb * 1e6
    assert 0 < usage.peak_mb < 100
    assert 0 < usage.cpu_s < 60
    assert code == 0


def test_children_count(tmp_path: Path) -> None:
    """The memory of a child is in the peak."""
    child = "x = bytearray(150_000_000)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert measured([sys.executable, "-c", parent], tmp_path).usage.peak_mb > 150


def test_a_failure_tells_what_was_said(tmp_path: Path) -> None:
    """A process that fails is an error with the end of its output, unless its code is expected."""
    command = [sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"]
    with pytest.raises(RuntimeError, match=r"exited with 3: no such thing$"):
        measured(command, tmp_path)
    assert measured(command, tmp_path, codes=(0, 3)).code == 3
    with pytest.raises(RuntimeError, match="could not be started"):
        measured([str(tmp_path / "nothing")], tmp_path)


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """Nothing is left of a process that did not end in time."""
    waits = f"import os, signal; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); signal.pause()"
    with pytest.raises(RuntimeError, match=r"took more than 1\.5 s\.$"):
        measured([sys.executable, "-S", "-c", waits], tmp_path, timeout=1.5)


# --- contenders -------------------------------------------------------------------------------------------------------


def test_contenders_load_without_their_tools(tmp_path: Path) -> None:
    """Every adapter can be looked at where its tool is missing, and says how to have it."""
    missing = {each.name: each.missing(tmp_path) for each in throughput.CONTENDERS}
    how = f"is not in {tmp_path}. Type: python benchmarks/peers/install.py --peers {tmp_path}"
    assert missing == {
        "harness run": None,
        "bare aiohttp": None,
        "bare AsyncOpenAI": None,
        "pydantic_evals": f"pydantic_evals {how}",
        "pydantic_evals on aiohttp": f"pydantic_evals {how}",
        "promptfoo": f"promptfoo {how}",
        "inspect_ai": f"inspect_ai {how}",
    }


def test_commands_name_the_server_and_the_concurrency(tmp_path: Path) -> None:
    """Every contender is told the same address and the same concurrency, on its command line or in its config."""
    work = Work(tmp_path, tmp_path / "few.jsonl", "http://here/v1", 37, tmp_path)
    task.write_samples(work.data, 3)
    for contender in throughput.CONTENDERS:
        contender.prepare(work)
        said = " ".join(contender.command(work))
        assert "37" in said
        assert contender.name == "promptfoo" or "http://here/v1" in said
    config = json.loads((tmp_path / "promptfooconfig.json").read_text())
    assert config["providers"][0]["config"]["apiBaseUrl"] == "http://here/v1"
    assert len(config["tests"]) == 3


def test_the_installer_needs_npm_for_promptfoo_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without npm it says what to install, and what is installed has its version told."""
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert not install._npm(tmp_path)
    assert capsys.readouterr().err == (
        "promptfoo: npm is not here. Install Node.js 20.20 or newer, then type this again.\n"
    )
    package = tmp_path / "npm" / "node_modules" / "promptfoo" / "package.json"
    package.parent.mkdir(parents=True)
    package.write_text('{"version": "1.2.3"}')
    facts = tmp_path / "python" / "lib" / "python3.11" / "site-packages" / "inspect_ai-4.5.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: inspect_ai\nVersion: 4.5\n")
    found = install.versions(tmp_path)
    assert (found["inspect-ai"], found["promptfoo"]) == ("4.5", "1.2.3")
    assert {"Python", "aiohttp", "openai"} <= set(found)


@pytest.mark.parametrize("contender", throughput.CONTENDERS[:3], ids=NAMES[:3])
def test_the_task_is_done(contender: Contender, server: Server, tmp_path: Path) -> None:
    """Ours and the bare loops ask every sample once and have its answer; ours asks nothing when typed again."""
    task.write_samples(tmp_path / "few.jsonl", FEW)
    (tmp_path / "home").mkdir()
    work = Work(tmp_path / "home", tmp_path / "few.jsonl", server.url, 8, tmp_path)
    step = throughput.Step(contender, 1, cached=contender.caches)
    took = list(throughput.run_step(step, work, server, FEW))
    assert [each.asked.calls for each in took] == [FEW, 0][: len(took)]
    assert len(took) == 1 + contender.caches


@pytest.mark.parametrize(
    ("asked", "outcome", "message"),
    [
        (DONE._replace(calls=19), WANTED, "it must make 20 calls, it made 19."),
        (DONE._replace(prompts=8), WANTED, "it sent other prompts, or some of them twice."),
        (DONE._replace(at_once=65), WANTED, "it must have at most 64 calls under way, it had 65."),
        (DONE, WANTED._replace(answers={}), "20 of its 20 answers are missing or wrong."),
        (DONE, WANTED._replace(exact=1.0), "it must find 80.0% of the answers right, it found 100.0%."),
    ],
)
def test_who_does_something_else_is_found_out(asked: Asked, outcome: task.Outcome, message: str) -> None:
    """Other calls, prompts, answers or scores, and more calls at once, are told in words."""
    with pytest.raises(throughput.OtherTaskError) as error:
        throughput.check(asked, outcome, WANTED, 7, FEW, 64)
    assert str(error.value) == message


def test_who_does_the_task_passes() -> None:
    """A contender that scores nothing passes as one does that scores right."""
    throughput.check(DONE, WANTED, WANTED, 7, FEW, 64)
    throughput.check(DONE, WANTED._replace(exact=None), WANTED, 7, FEW, 64)


# --- rounds -----------------------------------------------------------------------------------------------------------


def test_a_cell_is_measured_and_a_failure_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every round counts, the warm-up does not, and a contender that fails is named and has no row."""
    bare = throughput.CONTENDERS[1]
    broken = replace(bare, name="broken", command=lambda _work: [sys.executable, "-c", "raise SystemExit('no')"])
    failed: set[str] = set()
    cell = throughput.Cell(0.01, FEW, [throughput.Step(bare, 2, False), throughput.Step(broken, 2, False)])
    (row,) = throughput.run_cell(cell, tmp_path, 4, tmp_path, failed)
    assert (row.contender, row.rounds, row.samples, row.cached) == ("bare aiohttp", 2, FEW, False)
    assert 1 <= row.at_once <= 4
    assert failed == {"broken"}
    told = capsys.readouterr().err
    assert told.count("broken: python") == 1
    assert "20 samples, server latency 10 ms: bare aiohttp, round 2 of 2:" in told


def test_contenders_take_turns() -> None:
    """Each round begins with another contender, so that none always follows the same one."""
    steps = [throughput.Step(each, 3, False) for each in throughput.CONTENDERS[:3]]
    orders = [[step.contender.name for step in throughput._turned(steps, at)] for at in range(3)]
    assert sorted(Counter(order[0] for order in orders).values()) == [1, 1, 1]
    assert all(sorted(order) == sorted(NAMES[:3]) for order in orders)
    assert throughput._turned([], 2) == []


def test_the_whole_matrix() -> None:
    """Every size and latency has every contender, and a cached re-run of those that have a cache."""
    options = argparse.Namespace(samples=[5, 9], latency=[0.0, 0.1], rounds=2, cached=True)
    plan = throughput.full_plan(throughput.CONTENDERS, options)
    assert [(cell.samples, cell.latency) for cell in plan] == [(5, 0.0), (5, 0.1), (9, 0.0), (9, 0.1)]
    assert {step.contender.name for step in plan[0].steps if step.cached} == {"harness run", "promptfoo", "inspect_ai"}


def test_the_quick_plan_judges_every_aim() -> None:
    """With the rows of the quick plan no aim of this script is left without a figure."""
    plan = throughput.quick_plan(throughput.CONTENDERS)
    rows = [
        fig.medians(cell.latency, cell.samples, step.contender.name, cached, [Usage(1.0, 1.0, 1.0)], 64)
        for cell in plan
        for step in cell.steps
        for cached in (False, True)[: 1 + step.cached]
    ]
    figures = {"throughput": {"rows": [row._asdict() for row in rows]}}
    assert all(aim.met(figures) is not None for aim in AIMS if aim.script == "throughput.py")
    assert throughput.quick_plan([])[0].steps == []


def test_a_cell_that_is_measured_again_takes_the_place_of_its_rows() -> None:
    """Figures are put in the file cell by cell: the rows of the others stay, and all stand in the order of the page."""

    def row(latency: float, samples: int, name: str, seconds: float) -> fig.Row:
        return fig.Row(latency, samples, name, False, 1, seconds, seconds, 1.0, 1)

    before = [row(0.0, 2000, "x", 1), row(0.0, 20_000, "x", 2), row(0.0, 2000, "gone", 3)]
    now = [row(0.0, 2000, "x", 4), row(0.05, 2000, "x", 5)]
    assert throughput.merged(before, now) == [now[1], now[0], before[1]]


@pytest.mark.parametrize(("only", "chosen"), [([], 7), (["harness", "bare"], 3), (["nothing"], 0)])
def test_contenders_are_chosen_by_a_part_of_their_name(only: list[str], chosen: int) -> None:
    """No word chooses all."""
    assert sum(throughput._chosen(each, only) for each in throughput.CONTENDERS) == chosen


def test_a_contender_that_is_none_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A word that is in no name is told with all names."""
    monkeypatch.setattr("sys.argv", ["throughput.py", "--only", "harness,promptfo0"])
    with pytest.raises(SystemExit, match="2"):
        throughput.main()
    assert f"error: --only promptfo0: no such contender. They are {', '.join(NAMES)}." in capsys.readouterr().err


# --- the storm and the kills ------------------------------------------------------------------------------------------


def test_the_storm_is_weathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours answers every sample of a small storm, the bare loop as many as it can, and the figures are in the file."""
    small = f"--samples {FEW} --rate 15 --retry-after 0.01 --latency 0 --rounds 1 --json {tmp_path / 'f.json'}"
    monkeypatch.setattr("sys.argv", ["storm.py", *small.split()])
    storm.main()
    found = fig.read_figures(tmp_path / "f.json")["storm"]
    ours, bare = found["rows"]
    assert (ours["contender"], ours["unanswered"], bare["contender"]) == ("harness run", 0, "bare AsyncOpenAI")
    assert "429 drawn" in capsys.readouterr().out


def test_the_server_s_own_limit() -> None:
    """The limit is the time for all samples but the first second's worth."""
    assert storm.limit_s(5000, 500) == 9.0
    assert storm.limit_s(100, 500) == 0.0


def test_a_storm_must_be_longer_than_a_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A storm that the server answers at once is none."""
    monkeypatch.setattr("sys.argv", ["storm.py", "--samples", "500"])
    with pytest.raises(SystemExit, match="2"):
        storm.main()
    assert "error: --samples must be more than 500, which this server answers at once." in capsys.readouterr().err


def test_a_small_run_survives_its_kill() -> None:
    """A run that is killed and resumed loses nothing and ends as an unbroken one."""
    found = kill.killed(samples=24, kills=1, concurrency=4, latency=0.03, cache=True)
    assert (found["lost"], found["paid_twice"], found["same_scores"]) == (0, 0, True)
    assert found["in_flight"] <= 4 * (found["kills"] + 1)


@pytest.mark.parametrize(
    ("before", "now", "asked", "wrong"),
    [
        ({}, {"a": "x"}, {"a": 1, "b": 1}, (0, 0, 1)),
        ({"a": "x"}, {}, {}, (1, 0, 0)),
        ({"a": "x"}, {"a": "y"}, {}, (1, 0, 0)),
        ({"a": "x"}, {"a": "x"}, {"a": 1}, (0, 1, 0)),
        ({}, {"a": "x"}, {"a": 3}, (0, 2, 0)),
    ],
)
def test_what_a_life_did_wrong_is_counted(
    before: dict[str, str], now: dict[str, str], asked: dict[str, int], wrong: tuple[int, int, int]
) -> None:
    """Lost or changed answers, answers paid again, and calls that were in flight are told apart."""
    assert kill.life(before, now, Counter(asked)) == wrong


def test_a_torn_line_is_no_answer(tmp_path: Path) -> None:
    """Failed calls and a last line without its end are not answers."""
    run = tmp_path / "runs" / "v1"
    run.mkdir(parents=True)
    lines = [{"sample": "a", "status": "ok", "raw": "x"}, {"sample": "b", "status": "error", "raw": None}]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"sample": "c", "status": "ok"'
    (run / "completions.jsonl").write_text(text)
    assert kill.answers_of(tmp_path) == {"a": "x"}


# --- tables -----------------------------------------------------------------------------------------------------------

ROWS = [
    fig.medians(0.0, 20_000, "harness run", False, [Usage(9.0, 8.5, 120.0), Usage(11.0, 9.5, 140.0)], 64),
    fig.medians(0.0, 20_000, "harness run", True, [Usage(2.5, 2.0, 110.0)], 0),
    fig.medians(0.0, 20_000, "bare AsyncOpenAI", False, [Usage(44.0, 43.0, 90.0)], 64),
    fig.medians(0.0, 20_000, "promptfoo", False, [Usage(95.0, 130.0, 1600.0)], 64),
    fig.medians(0.0, 20_000, "promptfoo", True, [Usage(80.0, 99.0, 1500.0)], 0),
    fig.medians(0.05, 2_000, "harness run", False, [Usage(2.5, 1.9, 90.0)], 64),
    fig.medians(0.05, 2_000, "bare aiohttp", False, [Usage(2.0, 0.9, 40.0)], 64),
]
STORM_ROW = {"cpu_s": 3.0, "calls": 6400, "drawn": 1300, "limited": 100, "at_once": 64}
FIGURES: dict[str, Any] = {
    "throughput": {"rows": [row._asdict() for row in ROWS]},
    "storm": {
        "samples": 5000,
        "errors": 0.2,
        "retry_after": 1.0,
        "limit_s": 9.0,
        "rows": [
            {"contender": "harness run", "wall_s": 12.0, "unanswered": 0, **STORM_ROW},
            {"contender": "bare AsyncOpenAI", "wall_s": 30.0, "unanswered": 4, **STORM_ROW},
        ],
    },
    "kill": {
        "samples": 5000,
        "kills": 50,
        "lost": 0,
        "paid_twice": 1,
        "in_flight": 2100,
        "most_in_flight": 64,
        "same_scores": True,
    },
    "scale": {"samples": 120_000, "labels": 230, "run_peak_mb": 1234.0, "score_s": 9.5},
    "shares": {"samples": 5000, "cached": False, "shares": {"aiohttp": 0.31, "harness/runner": 0.2, "others": 0.49}},
}


def test_the_tables_of_the_benchmarks(snapshot: SnapshotAssertion) -> None:
    """Tables are Markdown; a dash is what was not measured, and our own line is compared with nothing."""
    parts = [
        fig.matrix(ROWS),
        fig.storm_table(FIGURES["storm"]),
        fig.kill_table(FIGURES["kill"]),
        fig.shares_table(FIGURES["shares"]),
        aims_table(FIGURES),
        aims_table({}, "kill.py"),
    ]
    assert "\n\n".join(parts) == snapshot


def test_figures_of_a_smaller_size_judge_nothing() -> None:
    """An aim at full size is not met by a small run."""
    small = {name: {**FIGURES[name], "samples": 20} for name in ("storm", "kill", "scale")}
    assert {aim.met(small) for aim in AIMS} == {None}


@given(st.floats(0, 100), st.floats(0, 100), st.booleans())
def test_an_aim_is_met_at_its_bound(value: float, bound: float, at_least: bool) -> None:
    """Of two numbers at least one is met by the other, and an aim is met by exactly its bound."""
    aim = Aim("it", "x.py", lambda _figures: value, bound, at_least)
    assert replace(aim, bound=value).met({}) is True
    assert aim.met({}) == (value >= bound if at_least else value <= bound)


def test_a_section_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    """Each benchmark writes its own section of the one file."""
    assert fig.read_figures(tmp_path / "f.json") == {}
    fig.update(tmp_path / "f.json", "storm", {"rows": []})
    assert fig.update(tmp_path / "f.json", "kill", {"lost": 0}) == {"kill": {"lost": 0}, "storm": {"rows": []}}
    assert fig.read_figures(tmp_path / "f.json") == {"kill": {"lost": 0}, "storm": {"rows": []}}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (str(ROOT / "harness" / "clients" / "remote.py"), "harness/clients/remote"),
        ("/x/lib/python3.11/site-packages/aiohttp/client.py", "aiohttp"),
        ("/x/lib/python3.11/site-packages/six.py", "six"),
        ("/x/lib/python3.11/asyncio/events.py", "asyncio"),
        ("/x/lib/python3.11/re.py", "re"),
        ("<frozen importlib._bootstrap>", "imports"),
        ("~", "built in"),
    ],
)
def test_time_counts_for_a_part(file: str, name: str) -> None:
    """A file belongs to a module of ours, a package, or a module of the standard library."""
    assert shares.part(file) == name


def test_a_run_is_profiled(tmp_path: Path) -> None:
    """The profile of a run is there when it has ended, and its parts are all of the time."""
    data = tmp_path / "few.jsonl"
    task.write_samples(data, 5)
    with load_server() as server:
        work = Work(tmp_path, data, server.url, 4, tmp_path)
        ours.prepare(work)
        shares.profile(work, tmp_path / "profile")
    found = shares.shares(tmp_path / "profile")
    assert sum(found.values()) == pytest.approx(1, abs=0.02)
    assert min(found.values()) >= 0


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that puts the figures into the page."""
    spec = importlib.util.spec_from_file_location("performance_page", ROOT / "docs" / "performance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_figures_of_the_file(maker: ModuleType) -> None:
    """The tables of `docs/performance.md` are those of `docs/performance.json`."""
    text = maker.PAGE.read_text(encoding="utf-8")
    assert text == maker.page(text, fig.read_figures(maker.FIGURES)), "type: make docs"


def test_every_table_has_its_place_on_the_page(maker: ModuleType) -> None:
    """Each block is on the page once, and is filled by its section."""
    text = maker.PAGE.read_text(encoding="utf-8")
    assert [text.count(f"<!-- {name} -->") for name in maker.BLOCKS] == [1] * len(maker.BLOCKS)
    empty = maker.page(text, {})
    assert empty.count(maker.NOT_YET) == len(maker.BLOCKS) - 1  # the aims are told without figures too
    machine = {"cores": 2, "processor": "a chip", "system": "Linux x86_64", "when": "2026-01-02"}
    measured_ = {"throughput": {**FIGURES["throughput"], "machine": machine, "versions": {"openai": "3.1"}}}
    filled = maker.page(empty, {**FIGURES, **measured_})
    assert maker.NOT_YET not in filled
    assert "Measured on 2 cores of a chip, Linux x86_64, 2026-01-02; openai 3.1." in filled
    assert maker.page(filled, {}) == empty


def test_the_machine_is_told() -> None:
    """What the numbers depend on stands beside them."""
    assert set(throughput.machine()) == {"when", "cores", "processor", "system", "python"}
