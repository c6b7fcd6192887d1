"""Runs from plan to end: what they leave on disk, how they end, and how they go on."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from projects import DEV, HEAD, KEY, PROMPT, SHOTS, TWO_PASSES, Folder, Switch, jsonl, right_but
from scripted_server import Reply, ScriptedServer, broken_json, cut, drop, error, refuse, say

from harness import execution
from harness.errors import EXIT_INTERRUPTED, DataError, ModelError, RunBusyError
from harness.execution import InterruptedRun, run_spent
from harness.identity import gold_hash, inputs_hash, space_hash
from harness.outlook import Outlook, foresee
from harness.planning import plan_labels
from harness.pricing import Spent
from harness.records import FailureKind
from harness.runnames import list_runs
from harness.runner import Progress
from harness.selection import Selection
from harness.store import StoredRun, load_run, open_run

OTHER = frozenset(FailureKind) - {FailureKind.CALL_ERROR}


@pytest.fixture
def switch() -> Switch:
    """Return a script that answers exactly right until it is told otherwise."""
    return Switch(right_but())


@pytest.fixture
def server(switch: Switch) -> Iterator[ScriptedServer]:
    """Return a server that answers as the switch stands."""
    with ScriptedServer(switch) as running:
        yield running


def start(folder: Folder, server: ScriptedServer, version: str = "v1", **options: Any) -> StoredRun:
    """Make a run."""
    how = {key: options.pop(key) for key in ("use_cache", "progress", "warn", "concurrency") if key in options}
    return execution.start(folder.plan(version, base_url=server.base_url, **options), folder.project, **how)


def resume(folder: Folder, run: StoredRun, **options: Any) -> StoredRun:
    """Go on with a run as it is on disk now."""
    return execution.resume(load_run(run.path), folder.project, **options)


def only_run(folder: Folder) -> StoredRun:
    """Return the only run of the project."""
    (run,) = list_runs(folder.project.runs)
    return run


# --- what a run leaves ------------------------------------------------------------------------------------------------


def test_a_run_is_a_folder_with_five_files(folder: Folder, server: ScriptedServer) -> None:
    """A finished run holds its manifest, samples, completions, predictions and scores."""
    run = start(folder, server)
    names = {path.name for path in run.path.iterdir() if path.name != ".lock"}
    assert names == {"run.json", "samples.jsonl", "completions.jsonl", "predictions.jsonl", "scores.json"}
    assert run.path.parent == folder.project.runs
    assert [sample.id for sample in run.samples] == list(DEV)
    assert len(run.log.latest) == len(DEV) == server.count
    assert {each.sample: set(each.labels) for each in run.predictions} == {
        identity: set(labels) for identity, (_, labels) in DEV.items()
    }


def test_the_manifest_says_what_was_asked_of_whom(folder: Folder, server: ScriptedServer) -> None:
    """The manifest holds prompt, hashes, split, selection, endpoint, models, versions, times and state."""
    plan = folder.plan(base_url=server.base_url, repeats=2, limit=3, tag="night")
    manifest = execution.start(plan, folder.project).manifest
    assert manifest.id.startswith("v1-")
    assert (manifest.version, manifest.state, manifest.tag, manifest.repeats) == ("v1", "complete", "night", 2)
    assert manifest.prompt == plan.prompt
    assert manifest.prompt_hash == plan.prompt.hash
    assert manifest.hashes == {
        "inputs": inputs_hash(plan.samples),
        "gold": gold_hash(plan.samples),
        "labels": space_hash(plan.space),
    }
    assert (manifest.dataset, manifest.split, manifest.default_split) == ("reviews", "dev", True)
    assert (manifest.selection, manifest.n_samples) == ({"limit": 3}, 3)
    assert manifest.endpoints == {"main": {"base_url": server.base_url, "api": "chat"}}
    assert (manifest.models, manifest.served) == (("scripted",), ("scripted",))
    assert {"harness", "python", "openai"} <= manifest.versions.keys()
    assert manifest.started < str(manifest.ended)
    assert manifest.seconds > 0
    assert manifest.redrawn == ()


def test_the_manifest_says_where_git_was(folder: Folder, server: ScriptedServer) -> None:
    """The manifest has the project's commit, and whether files differed from it."""
    assert start(folder, server).manifest.git is None
    folder.write(".gitignore", "runs/\n.harness/\n")
    git = ["git", "-C", str(folder.root), "-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    clean = start(folder, server).manifest.git
    assert clean is not None
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    folder.prompt("v1", PROMPT + "notes: changed\n")
    assert start(folder, server).manifest.git == {"commit": clean["commit"], "dirty": True}


def test_no_key_and_no_header_reaches_a_file(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Neither runs nor cache hold the API key or a header, also when the server repeats them in an error."""
    switch.to(right_but(s1=error(500, f"bad Authorization: Bearer {KEY}"), s2=error(400, KEY)))
    run = start(folder, server)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert run.manifest.state == "incomplete"
    saved = folder.saved()
    assert b"scripted" in saved
    assert KEY.encode() not in saved
    for header in (b"x-request-id", b"user-agent", b"content-length"):
        assert header not in saved.lower()


# --- how a run ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [error(500), error(400), drop(), broken_json()], ids=["500", "400", "drop", "json"])
def test_a_run_with_failed_calls_is_incomplete(
    folder: Folder, switch: Switch, server: ScriptedServer, reply: Reply
) -> None:
    """A call that failed is a failure of its kind, and the run is incomplete; the rest is answered."""
    switch.to(right_but(s2=reply))
    run = start(folder, server)
    assert run.manifest.state == "incomplete"
    assert [each.sample for each in run.predictions if each.failure is FailureKind.CALL_ERROR] == ["s2"]
    assert run.scores["coverage"] == pytest.approx(5 / 6)


def test_bad_answers_do_not_make_a_run_incomplete(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Refused, cut and unparseable answers are answers: the run is complete, and they are counted by kind."""
    switch.to(right_but(s1=refuse("No."), s2=cut("qual"), s3="bananas"))
    run = start(folder, server)
    assert run.manifest.state == "complete"
    assert {each.sample: str(each.failure) for each in run.predictions if each.failed} == {
        "s1": "refusal",
        "s2": "truncated",
        "s3": "unparseable",
    }


def test_a_model_that_cannot_be_used_stops_the_run(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """When the model refuses the key in the middle, what was answered is kept, and the message says how to go on."""
    switch.to(right_but(s4=error(401, "Incorrect key.")))
    with pytest.raises(ModelError) as caught:
        start(folder, server, concurrency=1)
    run = only_run(folder)
    assert run.manifest.state == "stopped"
    assert str(caught.value).splitlines()[1] == (
        f"run {run.manifest.id}: 3 completions are kept. Go on with: harness run --resume {run.manifest.id}"
    )
    assert sorted(slot[0] for slot in run.log.latest) == ["s1", "s2", "s3"]
    switch.to(right_but())
    server.reset()
    assert resume(folder, run).manifest.state == "complete"
    assert server.count == 3


def test_a_run_without_any_answer_leaves_nothing(folder: Folder, server: ScriptedServer, switch: Switch) -> None:
    """When the model cannot be used from the start there is nothing to go on with: no folder, no such advice."""
    switch.to(error(401, "Incorrect key."))
    with pytest.raises(ModelError) as caught:
        start(folder, server)
    assert "--resume" not in str(caught.value)
    assert list_runs(folder.project.runs) == []


def test_a_missing_key_is_told_before_anything_is_sent(
    folder: Folder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key OpenAI's own server is not asked."""
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelError, match=r"model scripted: needs an API key, got none\. Set OPENAI_API_KEY"):
        execution.start(folder.plan(), folder.project)
    assert list_runs(folder.project.runs) == []


@pytest.mark.parametrize(
    ("after", "kept"),
    [(1, "1 completion is kept. Go on with: harness run --resume "), (3, "3 completions are kept. Go on with: ")],
)
def test_ctrl_c_keeps_what_was_answered(folder: Folder, server: ScriptedServer, after: int, kept: str) -> None:
    """Ctrl-C ends a run as interrupted, with its completions, the way to go on, and the exit code 130."""

    def stop(progress: Progress) -> None:
        if progress.calls == after and progress.done == after - 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRun) as caught:
        start(folder, server, concurrency=1, progress=stop)
    run = only_run(folder)
    assert str(caught.value).startswith(f"run {run.manifest.id}: stopped; {kept}")
    assert caught.value.exit_code == EXIT_INTERRUPTED
    assert run.manifest.state == "interrupted"
    assert len(run.log.latest) == after
    server.reset()
    assert resume(folder, run).manifest.state == "complete"
    assert server.count == len(DEV) - after


def test_ctrl_c_before_any_answer_leaves_nothing(folder: Folder, server: ScriptedServer, switch: Switch) -> None:
    """Interrupted before the first answer, which never comes, a run leaves no folder and says nothing of going on."""
    folder.project = replace(folder.project, settings=replace(folder.project.settings, timeout_s=0.3))

    def stop_at_once(_: Any) -> Reply:
        # As the terminal does it: to the main thread, whose wait ends. Once, for only one call is under way.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return Reply(hang=True)

    switch.to(stop_at_once)
    with pytest.raises(InterruptedRun, match=r"stopped; nothing was answered yet, so nothing is kept\.$"):
        start(folder, server, concurrency=1)
    assert list_runs(folder.project.runs) == []


def test_labelling_has_predictions_and_no_scores(folder: Folder, server: ScriptedServer) -> None:
    """A run on samples without gold is made like any other, and nothing is scored."""
    rows = "".join(json.dumps({"id": key, "text": text}) + "\n" for key, (text, _) in DEV.items())
    folder.write("datasets/reviews.dev.jsonl", rows)
    run = execution.start(plan_labels(folder.task(base_url=server.base_url), Selection()), folder.project)
    assert run.manifest.state == "complete"
    assert len(run.predictions) == len(DEV)
    assert run.scores == {}


# --- the cache --------------------------------------------------------------------------------------------------------


def test_a_second_run_makes_no_call(folder: Folder, server: ScriptedServer) -> None:
    """Identical calls come from the cache and cost nothing; the answers are the same."""
    first = start(folder, server)
    again = start(folder, server)
    assert server.count == len(DEV)
    assert all(each.completion.cached for each in again.log.latest.values())
    assert again.predictions == first.predictions
    assert run_spent(again, {}) == Spent(0, 0, 0, 0.0)


def test_without_the_cache_every_call_is_made(folder: Folder, server: ScriptedServer) -> None:
    """`use_cache=False` neither takes from the cache nor puts into it."""
    start(folder, server, use_cache=False)
    assert not folder.project.cache.exists()
    start(folder, server, use_cache=False)
    assert server.count == 2 * len(DEV)


def test_a_new_second_pass_reuses_the_first(folder: Folder, server: ScriptedServer) -> None:
    """A prompt with a pass more pays for the new calls alone."""
    folder.prompt("v2", HEAD + "passes:\n  - template: '{{ text }}'\n")
    start(folder, server, "v2")
    folder.prompt(
        "v3", HEAD + "passes:\n  - template: '{{ text }}'\n  - {template: 'Again: {{ text }}', when: failed}\n"
    )
    folder.prompt("v4", HEAD + "passes:\n  - template: '{{ text }}'\n  - template: 'Again: {{ text }}'\n")
    server.reset()
    start(folder, server, "v3")
    assert server.count == 0
    start(folder, server, "v4")
    assert server.count == len(DEV)


# --- foresee ----------------------------------------------------------------------------------------------------------


def made(run: StoredRun) -> tuple[int, int]:
    """Return how many calls a run has, and how many of them were cached."""
    cached = [each.completion.cached for each in run.log.latest.values()]
    return len(cached), sum(cached)


def test_a_dry_run_foresees_what_the_run_makes(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Calls and cached calls of a dry run are those of the run that follows, also for repeated texts and repeats."""
    start(folder, server, limit=2)
    repeated = {**DEV, "r1": DEV["s1"], "r2": ("New.", ["price"]), "r3": ("New.", ["price"])}
    folder.write("datasets/reviews.dev.jsonl", jsonl(repeated))
    switch.to("price")
    server.reset()
    plan = folder.plan(base_url=server.base_url, repeats=2)
    outlook = foresee(plan, folder.project)
    assert server.count == 0
    assert (outlook.calls, outlook.cached) == made(execution.start(plan, folder.project))
    assert server.count == outlook.calls - outlook.cached
    after = foresee(plan, folder.project)
    assert (after.calls, after.cached) == (18, 18)
    assert (after.prompt_tokens, after.completion_tokens, after.usd) == (0, 0, 0.0)


def test_a_dry_run_touches_nothing(folder: Folder, server: ScriptedServer) -> None:
    """A dry run makes no call, no run and no cache file."""
    assert foresee(folder.plan(base_url=server.base_url), folder.project).calls == len(DEV)
    assert server.count == 0
    assert folder.saved() == b""


def test_without_the_cache_a_dry_run_foresees_every_call(folder: Folder, server: ScriptedServer) -> None:
    """`use_cache=False` foresees that cached calls are made anew."""
    start(folder, server)
    plan = folder.plan(base_url=server.base_url)
    assert (foresee(plan, folder.project).cached, foresee(plan, folder.project, use_cache=False).cached) == (6, 0)


@pytest.mark.parametrize(
    ("text", "completion_tokens", "later_calls", "priced"),
    [
        (PROMPT, 6 * 16, 0, True),
        (PROMPT.replace("max_tokens", "max_completion_tokens"), 6 * 16, 0, True),
        (PROMPT.replace("{name", "{api: responses, name").replace("max_tokens", "max_output_tokens"), 6 * 16, 0, True),
        (PROMPT.replace(", max_tokens: 16", ""), None, 0, False),
        (TWO_PASSES, 6 * 16, 6, False),
    ],
    ids=["max_tokens", "max_completion_tokens", "max_output_tokens", "unbounded", "two passes"],
)
def test_a_dry_run_tells_a_price_only_where_it_is_a_bound(
    folder: Folder, text: str, completion_tokens: int | None, later_calls: int, priced: bool
) -> None:
    """The price is the most that it can cost: unknown when tokens or later passes are not bounded."""
    folder.prompt("v1", text)
    project = replace(folder.project, settings=replace(folder.project.settings, prices={"scripted": PRICE}))
    outlook = foresee(folder.plan(base_url="http://localhost:1/v1"), project)
    assert (outlook.completion_tokens, outlook.later_calls) == (completion_tokens, later_calls)
    assert (outlook.usd is not None) == priced
    if priced:
        assert outlook.usd == pytest.approx((outlook.prompt_tokens * 2 + 6 * 16 * 10) / 1e6)


def test_a_dry_run_tells_texts_without_a_vector(folder: Folder) -> None:
    """Shots by embeddings ask for vectors first: their number stands alone, and without it no price is a bound."""
    folder.prompt(
        "v1", PROMPT + "shots: {from: ../datasets/shots.jsonl, k: 2, select: similar, by: embeddings, model: e5}\n"
    )
    project = replace(folder.project, settings=replace(folder.project.settings, prices={"scripted": PRICE}))
    with ScriptedServer(right_but()) as server:
        plan = folder.plan(base_url=server.base_url)
        outlook = foresee(plan, project)
        assert (outlook.embeddings, outlook.calls, outlook.usd) == (len(DEV) + len(SHOTS), len(DEV), None)
        assert server.count == 0
        execution.start(plan, folder.project)
        assert foresee(plan, project).embeddings == 0
        assert foresee(plan, project).usd == 0
        assert foresee(plan, project, use_cache=False).embeddings == len(DEV) + len(SHOTS)


PRICE = {"input": 2.0, "output": 10.0}


def test_tokens_are_a_fourth_of_the_bytes(folder: Folder) -> None:
    """A dry run counts four bytes a token, and four tokens a message."""
    folder.prompt("v1", HEAD + "template: '12345678'\n")
    outlook = foresee(folder.plan(base_url="http://localhost:1/v1", limit=1), folder.project)
    assert outlook == Outlook(1, 0, 0, 2 + 4, 16, None)


def test_a_run_tells_what_it_cost(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Cost is that of the calls that were answered, from the settings' prices."""
    project = replace(folder.project, settings=replace(folder.project.settings, prices={"scripted": PRICE}))
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    switch.to(right_but(s1=error(500), **{key: Reply("price", usage=usage) for key in DEV if key != "s1"}))
    run = execution.start(folder.plan(base_url=server.base_url), project)
    assert run.manifest.cost_usd == pytest.approx(5 * (100 * 2 + 10 * 10) / 1e6)
    assert run_spent(run, project.settings.prices) == Spent(5, 500, 50, run.manifest.cost_usd)


# --- resume -----------------------------------------------------------------------------------------------------------


def test_resume_makes_exactly_the_missing_calls(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """After a partial run only what failed is asked, and the scores are those of an unbroken run."""
    switch.to(right_but(s2=error(500), s5=error(500)))
    partial = start(folder, server)
    switch.to(right_but())
    server.reset()
    resumed = resume(folder, partial, use_cache=False)
    assert sorted(request.text.splitlines()[-1] for request in server.requests) == sorted([DEV["s2"][0], DEV["s5"][0]])
    assert resumed.manifest.state == "complete"
    whole = start(folder, server, use_cache=False)
    assert resumed.scores == whole.scores
    assert resumed.predictions == whole.predictions
    assert resumed.manifest.seconds > partial.manifest.seconds


def test_resuming_a_complete_run_asks_nothing(folder: Folder, server: ScriptedServer) -> None:
    """A complete run has nothing missing: its scores come out the same."""
    run = start(folder, server)
    server.reset()
    assert resume(folder, run, use_cache=False).scores == run.scores
    assert server.count == 0


def test_resume_uses_only_what_the_run_froze(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Prompt, label space and samples that were edited or deleted since do not change what a resumed run asks."""
    switch.to(right_but(s2=error(500)))
    partial = start(folder, server)
    asked = [body for body in server.bodies() if DEV["s2"][0] in body["messages"][0]["content"]]
    folder.prompt("v1", PROMPT.replace("Labels:", "Choose:"))
    folder.write("datasets/reviews.yaml", "labels: [other]\nsplits: {dev: reviews.dev.jsonl}\n")
    (folder.root / "datasets/reviews.dev.jsonl").unlink()
    switch.to(right_but())
    server.reset()
    resumed = resume(folder, partial)
    assert server.bodies() == asked
    assert resumed.scores["averages"]["subset_accuracy"] == 1.0


def test_resume_takes_from_the_cache_what_another_run_has_paid(
    folder: Folder, switch: Switch, server: ScriptedServer
) -> None:
    """A call that failed here and was answered elsewhere since is not paid again, with --retry-failures too."""
    switch.to(right_but(s2=error(500)))
    partial = start(folder, server)
    switch.to(right_but())
    start(folder, server)
    server.reset()
    resumed = resume(folder, partial, retry=frozenset({FailureKind.CALL_ERROR}))
    assert server.count == 0
    assert (resumed.manifest.state, resumed.manifest.redrawn) == ("complete", ())


def test_resume_with_a_changed_endpoint_is_refused(
    folder: Folder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run does not go on against another server: half of its answers would be somebody else's."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    run = execution.start(folder.plan(), folder.project)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    with pytest.raises(DataError) as caught:
        resume(folder, run)
    assert str(caught.value) == (
        f"run {run.manifest.id}: its calls went to base_url {server.base_url}, api chat, now they would go to base_url "
        "http://localhost:1/v1, api chat. Restore that, or start a new run."
    )


def test_a_run_that_is_written_is_not_resumed(folder: Folder, server: ScriptedServer) -> None:
    """Two processes never write one run."""
    run = start(folder, server)
    with open_run(run), pytest.raises(RunBusyError, match=f"run {run.manifest.id}: another process is writing it"):
        resume(folder, run)


def test_resume_tells_what_was_damaged(folder: Folder, server: ScriptedServer) -> None:
    """A line that was cut off is told, and its call made again."""
    run = start(folder, server)
    log = run.path / "completions.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    told: list[str] = []
    server.reset()
    assert resume(folder, run, use_cache=False, warn=told.append).scores == run.scores
    assert told == [f"{log}: the last line was cut off while it was written; its call is made again."]
    assert server.count == 1


# --- failures drawn again ---------------------------------------------------------------------------------------------


def test_only_call_errors_are_drawn_again_by_default(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """--retry-failures asks again what failed as a call, and leaves bad answers as they are."""
    switch.to(right_but(s1=error(500), s2="bananas", s3=refuse("No.")))
    run = start(folder, server)
    switch.to(right_but())
    server.reset()
    resumed = resume(folder, run, retry=frozenset({FailureKind.CALL_ERROR}))
    assert server.count == 1
    assert {each.sample for each in resumed.predictions if each.failed} == {"s2", "s3"}
    assert resumed.manifest.redrawn == ()


def test_other_kinds_go_past_the_cache_and_mark_the_run(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Bad answers that are drawn again are asked anew, and the run says which kinds."""
    switch.to(right_but(s2="bananas", s3=refuse("No.")))
    run = start(folder, server)
    switch.to(right_but())
    server.reset()
    resumed = resume(folder, run, retry=frozenset({FailureKind.UNPARSEABLE}))
    assert server.count == 1
    assert {each.sample for each in resumed.predictions if each.failed} == {"s3"}
    assert resumed.manifest.redrawn == ("unparseable",)
    again = resume(folder, resumed, retry=OTHER)
    assert again.manifest.redrawn == ("refusal", "unparseable")
    assert not any(each.failed for each in again.predictions)
    assert len(again.log.latest) == len(DEV)


@pytest.mark.parametrize(
    ("params", "why"), [("{temperature: 1, seed: 5}", "'seed' of its params"), ("{seed: 0}", "'seed' of its params")]
)
def test_what_would_be_the_same_answer_is_not_drawn_again(
    folder: Folder, switch: Switch, server: ScriptedServer, params: str, why: str
) -> None:
    """Where a request has the same answer whenever it is sent, drawing again is refused before a call; so is no mark set."""
    folder.prompt("v2", PROMPT.replace("{temperature: 0, max_tokens: 16}", params))
    switch.to(right_but(s2="bananas", s3=error(500)))
    run = start(folder, server, "v2")
    server.reset()
    with pytest.raises(DataError) as caught:
        resume(folder, run, retry=OTHER)
    assert str(caught.value) == (
        f"run {run.manifest.id}: answers must differ when they are drawn again, but by {why} pass main gives the same ones. "
        "Change the prompt, and run it anew."
    )
    assert server.count == 0
    assert resume(folder, run, retry=frozenset({FailureKind.CALL_ERROR})).manifest.redrawn == ()


def test_nothing_to_draw_again_marks_nothing(folder: Folder, server: ScriptedServer) -> None:
    """A run without such failures is not marked."""
    run = start(folder, server)
    server.reset()
    assert resume(folder, run, retry=OTHER).manifest.redrawn == ()
    assert server.count == 0


def test_only_the_pass_that_failed_is_drawn_again(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Of a sample with several passes the good answer of one stays when another's is drawn again."""
    folder.prompt(
        "v2",
        HEAD
        + "passes:\n"
        + "  - {name: a, template: 'A: {{ text }}', merge: {scope: [shipping]}}\n"
        + "  - {name: b, template: 'B: {{ text }}', merge: {scope: [quality, price]}}\n",
    )
    switch.to(lambda request: say("bananas" if request.text == f"B: {DEV['s2'][0]}" else "none"))
    run = start(folder, server, "v2")
    switch.to(say("quality"))
    server.reset()
    resumed = resume(folder, run, retry=OTHER)
    assert [request.text for request in server.requests] == [f"B: {DEV['s2'][0]}"]
    (prediction,) = (each for each in resumed.predictions if each.sample == "s2")
    assert (prediction.labels, prediction.failed) == (frozenset({"quality"}), False)


def test_a_later_pass_that_failed_beside_an_answer_is_not_drawn_again(
    folder: Folder, switch: Switch, server: ScriptedServer
) -> None:
    """Where every cell is answered nothing failed: there is nothing to draw again."""
    folder.prompt("v2", TWO_PASSES)
    switch.to(lambda request: say("bananas" if request.text.startswith("Second") else "quality"))
    run = start(folder, server, "v2")
    server.reset()
    assert resume(folder, run, retry=OTHER).manifest.redrawn == ()
    assert server.count == 0


BY_LABEL = HEAD + "template: '{{ label }}? {{ text }}'\nper: label\n"
VOTES = HEAD + "template: '{{ text }}'\nvotes: {k: 3}\n"


def test_only_the_unit_that_failed_is_drawn_again(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Of the calls of a sample only that of the label whose answer failed is asked anew."""
    folder.prompt("v2", BY_LABEL)
    asked = f"quality? {DEV['s2'][0]}"
    switch.to(lambda request: say("bananas" if request.text == asked else "none"))
    run = start(folder, server, "v2")
    assert [(each.sample, set(each.unanswered)) for each in run.predictions if each.failed] == [("s2", {"quality"})]
    switch.to(say("quality"))
    server.reset()
    resumed = resume(folder, run, retry=OTHER)
    assert [request.text for request in server.requests] == [asked]
    (prediction,) = (each for each in resumed.predictions if each.sample == "s2")
    assert (prediction.labels, prediction.failed) == (frozenset({"quality"}), False)
    assert resumed.manifest.redrawn == ("unparseable",)


def test_an_answer_that_names_another_unit_is_read_with_its_own(
    folder: Folder, switch: Switch, server: ScriptedServer
) -> None:
    """What failed is judged with the label that was asked about: another label's name is no answer to it."""
    folder.prompt("v2", BY_LABEL)
    switch.to(lambda request: say("price" if request.text == f"quality? {DEV['s2'][0]}" else "none"))
    run = start(folder, server, "v2")
    server.reset()
    resume(folder, run, retry=OTHER)
    assert server.count == 1


def test_all_draws_that_failed_are_drawn_again(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Where no draw of a vote was answered, every one is asked anew, each in its own slot."""
    folder.prompt("v2", VOTES)
    switch.to(lambda request: say("bananas" if request.text == DEV["s2"][0] else "none"))
    run = start(folder, server, "v2")
    assert server.count == 3 * len(DEV)
    switch.to(say("quality"))
    server.reset()
    resumed = resume(folder, run, retry=OTHER)
    assert [request.text for request in server.requests] == [DEV["s2"][0]] * 3
    (prediction,) = (each for each in resumed.predictions if each.sample == "s2")
    assert prediction.labels == {"quality"}
    assert len(resumed.log.latest) == 3 * len(DEV)


def test_a_draw_that_failed_beside_others_is_not_drawn_again(
    folder: Folder, switch: Switch, server: ScriptedServer
) -> None:
    """A sample whose other draws answered has its answer: nothing failed."""
    folder.prompt("v2", VOTES)
    switch.to(lambda request: say("bananas" if request.attempt == 1 else "none"))
    run = start(folder, server, "v2")
    server.reset()
    assert resume(folder, run, retry=OTHER).manifest.redrawn == ()
    assert server.count == 0


def test_draws_of_another_repeat_are_left_alone(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """With votes and repeats only the draws of the repeat that failed are asked anew."""
    folder.prompt("v2", VOTES)
    text = DEV["s2"][0]
    switch.to(lambda request: say("bananas" if request.text == text and request.attempt >= 3 else "none"))
    run = start(folder, server, "v2", repeats=2, concurrency=1)
    assert [(each.sample, each.repeat) for each in run.predictions if each.failed] == [("s2", 1)]
    switch.to(say("quality"))
    server.reset()
    resumed = resume(folder, run, retry=OTHER)
    assert server.count == 3
    assert [(each.repeat, set(each.labels)) for each in resumed.predictions if each.sample == "s2"] == [
        (0, set()),
        (1, {"quality"}),
    ]
