"""Verdicts of versions that were drafted from errors: they come from samples that the search never saw, and say so."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cli_project
import pytest
from cli_project import TEXTS, Cli, answer_of, stored_run, write, write_samples
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import ScriptedServer, answering
from strategies_labels import space_of
from syrupy.assertion import SnapshotAssertion
from test_report_changes import flat, shown

from harness import stats
from harness.comparison import Comparison, RunPredictions, compare
from harness.errors import DataError
from harness.history import history
from harness.plainvalues import to_plain
from harness.project import find_project
from harness.records import Prediction, Sample
from harness.report import changes
from harness.report.changesmarkdown import comparison_markdown
from harness.report.html import to_html
from harness.report.judged import verdict_line, verdict_text
from harness.report.reports import to_markdown
from harness.reportdata import report_of
from harness.runnames import list_runs
from harness.searched import Searched, in_search_half
from harness.significance import Settings, judge, judge_apart
from harness.store import StoredRun
from harness.unseen import grounds_of, with_sure_best
from harness.versions import ComparedRuns, compare_runs

project, cli = cli_project.project, cli_project.cli

SEARCHED = Searched("v1-20260103-030405", "dev", 1, 0.5)
OTHER = replace(SEARCHED, seed=2)
QUICK = Settings(resamples=40, permutations=40, least_support=5)
SPACE = space_of("a", "b")
N = 120
GOLD = [Sample(f"s{at:03}", {}, frozenset(("a", "b")[at % 2 : at % 2 + 1])) for at in range(N)]
SEEN = [at for at in range(N) if SEARCHED.saw(GOLD[at].id)]
UNSEEN = [at for at in range(N) if at not in SEEN]


def compared(*wrong: Sequence[int], repeats: int = 1) -> Comparison:
    """Return the comparison of runs v1, v2, … each of which answers these samples with nothing and the others right."""
    runs = []
    for number, places in enumerate(wrong, 1):
        said = [
            Prediction(each.id, frozenset() if at in places else each.labels or frozenset(), repeat=repeat)
            for at, each in enumerate(GOLD)
            for repeat in range(repeats)
        ]
        runs.append(RunPredictions(f"v{number}", said))
    return compare(SPACE, GOLD, runs)


def judged_by(comparison: Comparison, *searches: Searched | None) -> list[tuple[int, tuple[str, ...], str]]:
    """Return of each later run on how many samples it is judged, who is flattered, and the verdict of macro F1."""
    found = grounds_of(comparison, judge(comparison, QUICK), searches)
    return [
        (len(each.samples), each.flattered, "" if each.judged is None else each.judged.averages["macro_f1"].verdict)
        for each in found
    ]


# --- which samples a verdict rests on ---------------------------------------------------------------------------------


def test_without_a_search_the_verdict_is_that_of_all_samples() -> None:
    """Where no version was drafted from errors nothing changes: the very judgement of all samples."""
    comparison = compared(range(40), range(10))
    judgement = judge(comparison, QUICK)
    (found,) = grounds_of(comparison, judgement, (None, None))
    assert (found.samples, found.flattered, found.cautions) == (comparison.samples, (), ())
    assert found.diff is comparison.diffs[0]
    assert found.judged is judgement.diffs[0]
    assert with_sure_best(judgement, comparison, (None, None)) is judgement


def test_what_was_mended_where_the_search_looked_is_no_verdict() -> None:
    """A version that is right just where its errors were searched is better on all samples and not on the others."""
    comparison = compared(range(N), UNSEEN)
    assert judge(comparison, QUICK).diffs[0].averages["macro_f1"].verdict == "better"
    ((n, flattered, word),) = judged_by(comparison, None, SEARCHED)
    assert (n, flattered) == (len(UNSEEN), ("v2",))
    assert word != "better"


def test_what_is_better_elsewhere_too_is_better() -> None:
    """A version that holds on the samples that nobody looked at is better."""
    assert judged_by(compared(range(N), ()), None, SEARCHED) == [(len(UNSEEN), ("v2",), "better")]


def test_it_is_the_same_the_other_way_round() -> None:
    """A baseline that was drafted from errors is flattered as a later run is."""
    assert judged_by(compared((), range(N)), SEARCHED, None) == [(len(UNSEEN), ("v1",), "worse")]


def test_versions_of_one_search_are_judged_on_all_samples() -> None:
    """Who descends from the same search has no advantage over the other."""
    assert judged_by(compared(range(N), ()), SEARCHED, replace(SEARCHED, set_aside=("x",))) == [(N, (), "better")]


def test_of_two_searches_neither_may_have_seen_a_sample() -> None:
    """Two versions that were drafted from different halves are judged on what is in neither."""
    ((n, flattered, _),) = judged_by(compared(range(N), ()), SEARCHED, OTHER)
    assert n == sum(not SEARCHED.saw(each.id) and not OTHER.saw(each.id) for each in GOLD) < len(UNSEEN)
    assert flattered == ("v1", "v2")


def test_where_the_search_saw_all_there_is_no_verdict() -> None:
    """Without a sample that was not seen nothing is judged."""
    every = replace(SEARCHED, set_aside=tuple(each.id for each in GOLD))
    comparison = compared(range(N), ())
    (found,) = grounds_of(comparison, judge(comparison, QUICK), (None, every))
    assert (found.samples, found.diff, found.judged, found.cautions) == ((), None, None, ())
    assert found.to_json()["judgement"] is None


def test_each_pair_has_its_own_rule_and_all_are_corrected_together() -> None:
    """Of several versions each is judged on its own samples; Holm's correction is over all of these tests."""
    comparison = compared(range(60), range(30), range(52))
    found = grounds_of(comparison, judge(comparison, QUICK), (None, None, SEARCHED))
    assert [(len(each.samples), each.flattered) for each in found] == [(N, ()), (len(UNSEEN), ("v3",))]
    macros = [each.judged.averages["macro_f1"] for each in found if each.judged is not None]
    assert [each.p_corrected for each in macros] == pytest.approx(stats.holm([each.p for each in macros]).tolist())
    alone = grounds_of(compared(range(60), range(52)), judge(compared(range(60), range(52)), QUICK), (None, SEARCHED))
    assert alone[0].judged is not None
    assert macros[1].p == alone[0].judged.averages["macro_f1"].p


@settings(max_examples=25)
@given(st.sets(st.integers(0, N - 1)), st.sets(st.sampled_from(SEEN)), st.sets(st.sampled_from(SEEN)))
def test_no_answer_to_a_seen_sample_changes_the_verdict(wrong: set[int], before: set[int], after: set[int]) -> None:
    """Whatever two versions say where the search looked: the verdict stays as it is."""
    quick = replace(QUICK, resamples=5, permutations=5)

    def verdict(*runs: set[int]) -> object:
        comparison = compared(*map(tuple, runs))
        return to_plain(grounds_of(comparison, judge(comparison, quick), (None, SEARCHED))[0].judged)

    assert verdict(set(), wrong) == verdict(before, wrong ^ after)


def test_cautions_are_of_what_the_verdict_rests_on() -> None:
    """Few unseen samples are told even where all samples are enough; what is said of all is not said twice."""
    comparison = compared(range(40), range(20))
    judgement = judge(comparison, QUICK)
    (found,) = grounds_of(comparison, judgement, (None, SEARCHED))
    assert judgement.cautions == ()
    assert found.cautions == (
        f"{len(UNSEEN)} samples are few: intervals are narrower than they should be, and only large differences can be "
        "seen",
    )


def test_a_pair_by_itself_is_judged_as_a_comparison_is() -> None:
    """One pair alone gets the verdicts of `judge`, with repeats too; no pair gets none."""
    for repeats in (1, 2):
        comparison = compared(range(40), range(20), repeats=repeats)
        assert repr(judge_apart([comparison], QUICK)) == repr(judge(comparison, QUICK).diffs)
    assert judge_apart([], QUICK) == ()


# --- the best ---------------------------------------------------------------------------------------------------------


def test_the_best_is_so_on_unseen_samples_too() -> None:
    """A run is marked as the best only where it is that with and without the samples that a search saw."""
    for right, best in ((UNSEEN, None), ((), "v2")):
        comparison = compared(range(N), right)
        judgement = judge(comparison, QUICK)
        assert judgement.best["macro_f1"] == "v2"
        sure = with_sure_best(judgement, comparison, (None, SEARCHED))
        assert sure.best["macro_f1"] == best
        assert sure.best_labels == (best, best)
        assert sure.diffs is judgement.diffs


def test_without_unseen_samples_none_is_best() -> None:
    """Where every sample was seen no run is marked."""
    every = replace(SEARCHED, set_aside=tuple(each.id for each in GOLD))
    comparison = compared(range(N), ())
    sure = with_sure_best(judge(comparison, QUICK), comparison, (None, every))
    assert set(sure.best.values()) | set(sure.best_labels) == {None}


# --- stored runs ------------------------------------------------------------------------------------------------------

LABELS = ("shipping", "price")
ALL = 240
IDS = [f"s{at:03}" for at in range(ALL)]
SAID = "searched: {run: v1-20260103-030405, split: dev, seed: 1, share: 0.5"


def larger(project: Path) -> None:
    """Write so many samples, of which every other one is about shipping and the others about the price."""
    write_samples(project, {name: {"text": f"Text {at}.", "labels": [LABELS[at % 2]]} for at, name in enumerate(IDS)})


def answers(mended: float, seen: float | None = None, without: Sequence[str] = ()) -> dict[str, str]:
    """Return answers of which one in two is wrong, but for a share of those that is mended.

    Args:
        mended: Of the wrong ones that a search would not see.
        seen: Of those that it would; default: as many.
        without: Samples that are not asked.
    """
    dice = random.Random(5)
    found = {}
    for at, name in enumerate(IDS):
        wrong, draw = dice.random() < 0.5, dice.random()
        share = mended if seen is None or not in_search_half(name, 1, 0.5) else seen
        found[name] = "none" if wrong and draw >= share else LABELS[at % 2]
    return {name: said for name, said in found.items() if name not in without}


def searched_run(
    project: Path, version: str, said: dict[str, str], aside: Sequence[str] = (), keys: str = SAID
) -> StoredRun:
    """Store a run of a version whose file says what it was drafted from."""
    path = project / f"prompts/{version}.yaml"
    write(path, path.read_text() + f"{keys}, set_aside: [{', '.join(aside)}]}}\n")
    return stored_run(project, version, said)


def of(*runs: StoredRun, common: bool = True) -> ComparedRuns:
    """Return the comparison of stored runs."""
    return compare_runs(runs, find_project(runs[0].path), common=common)


@pytest.fixture
def flattered(project: Path) -> Path:
    """Return a project with v1, and v2 that was drafted from errors of v1 and is better where those were searched."""
    larger(project)
    stored_run(project, "v1", answers(0))
    searched_run(project, "v2", answers(0.05, seen=1.0))
    return project


def runs_of(project: Path) -> list[StoredRun]:
    """Return the runs of a project, the oldest first."""
    return list_runs(project / "runs")[::-1]


def test_the_verdict_says_on_what_it_rests(flattered: Path) -> None:
    """The line names the unseen samples and what they could have shown; what all say stands below as flattering."""
    found = of(*runs_of(flattered))
    told = verdict_text(found, 0)
    assert told.startswith("v2 against v1 on the 129 samples that the search never saw: inconclusive: macro F1 +0.")
    assert ": 129 samples could show a change of 0.0" in told
    assert verdict_line(found, 0).style == "bold yellow"
    text = flat(shown([changes.comparison_report(found, 0)]))
    assert "seen samples included, which flatters v2: macro F1 +0." in text
    assert " on all 240 samples" in text
    assert (
        "caution: verdicts and marks in the tables are of all samples, those that a search saw included, which flatters v2"
    ) in text
    assert "on all samples: detectable with 80 % power: " in text


def test_the_report(flattered: Path, snapshot: SnapshotAssertion) -> None:
    """Two versions, of which one was drafted from errors of the other, at 100 columns."""
    assert shown([changes.comparison_report(of(*runs_of(flattered)), 1)]) == snapshot


def test_three_versions_each_by_its_own_rule(project: Path, snapshot: SnapshotAssertion) -> None:
    """Of three versions that which comes from a search is judged on unseen samples, and not marked as best by the others."""
    larger(project)
    runs = [stored_run(project, "v1", answers(0)), stored_run(project, "v2", answers(0.1))]
    text = shown([changes.comparison_report(of(*runs, searched_run(project, "v3", answers(0.05, seen=1.0))), 0)])
    assert "*" not in text.split("F1 by label")[0]
    assert text.partition("\n\nv1 → v2\n")[0] == snapshot


def test_what_holds_on_unseen_samples_is_better(project: Path) -> None:
    """A version that mends everywhere is better, and it says on how many samples."""
    larger(project)
    found = of(stored_run(project, "v1", answers(0)), searched_run(project, "v2", answers(0.8)))
    assert verdict_text(found, 0).startswith("v2 is better than v1 on the 129 samples that the search never saw: macro")


def test_other_words_of_verdicts(project: Path) -> None:
    """The same answers, two searches, no gold label and no sample left are said of the unseen samples too."""
    larger(project)
    one, same = stored_run(project, "v1", answers(0)), searched_run(project, "v2", answers(0, seen=1.0))
    told = "v2 answers exactly as v1 does on the 129 samples that the search never saw: no cell changed"
    assert verdict_text(of(one, same), 0) == told
    assert verdict_line(of(one, same), 0).style == "bold"
    other = searched_run(project, "v3", answers(0.5), keys=SAID.replace("seed: 1", "seed: 2"))
    assert " samples that neither search saw: " in verdict_text(of(same, other), 0)
    assert "which flatters v2 and v3: " in shown([changes.comparison_report(of(same, other), 0)])
    unlabelled = {name: {"text": f"Text {at}.", "labels": []} for at, name in enumerate(IDS)}
    write_samples(project, unlabelled)
    assert verdict_text(of(one, other), 0).endswith(
        "that the search never saw: nothing can be said of macro F1, because no label has gold here"
    )


def test_without_unseen_samples_there_is_no_verdict(project: Path, cli: Cli) -> None:
    """Runs on nothing but what was searched give no verdict, in words and as JSON; nor does the history."""
    larger(project)
    seen = {name: said for name, said in answers(0.5).items() if in_search_half(name, 1, 0.5)}
    found = of(stored_run(project, "v1", seen), searched_run(project, "v2", seen))
    told = "v2 against v1: no verdict, because there is no sample that the search never saw"
    assert verdict_text(found, 0) == told
    assert verdict_line(found, 0).style == "bold yellow"
    value = cli("compare", "v1", "v2", "--json").json
    assert value["verdicts"] == [{"before": "v1", "after": "v2", "verdict": None, "text": told}]
    last = history(find_project(project), "v2").versions[-1]
    assert (last.change, last.why) == (None, "it has no sample in common with v1 that the search never saw")


def test_another_split_was_not_searched(project: Path) -> None:
    """A run on a split that was not searched is judged on all of it."""
    larger(project)
    write(project / "datasets/reviews.test.jsonl", (project / "datasets/reviews.dev.jsonl").read_text())
    runs = [stored_run(project, "v1", answers(0), split="test"), searched_run(project, "v2", answers(0.5))]
    test = StoredRun(runs[1].path, replace(runs[1].manifest, split="test"))
    found = of(runs[0], test)
    assert (found.searches, found.unseen) == ((None, None), (None,))
    assert "never saw" not in verdict_text(found, 0)


# --- samples that are set aside ---------------------------------------------------------------------------------------


def test_what_is_set_aside_makes_no_other_samples(project: Path) -> None:
    """Runs that differ in nothing but the samples that one has set aside are compared, and a note says so."""
    larger(project)
    aside = ("s003", "s101")
    one, two = stored_run(project, "v1", answers(0)), searched_run(project, "v2", answers(0.5, without=aside), aside)
    found = of(one, two, common=False)
    assert found.same_samples
    assert found.comparison.n_common == ALL - 2
    assert found.notes == ("left out, because v2 has set them aside as its shots: s003, s101",)


def test_what_is_left_out_for_another_reason_is_refused(project: Path) -> None:
    """A sample that is missing and not set aside still makes other samples, and is counted apart."""
    larger(project)
    one = stored_run(project, "v1", answers(0))
    two = searched_run(project, "v2", answers(0.5, without=("s003", "s101")), ("s003",))
    with pytest.raises(DataError, match=r"v1, v2: must have the same samples .* \(v1 240, v2 238; 238 in common\)"):
        of(one, two, common=False)
    assert of(one, two).notes == (
        "left out, because not every run or today's gold has them: 1 of v1",
        "left out, because v2 has set them aside as its shots: s003",
    )


# --- the commands -----------------------------------------------------------------------------------------------------


def test_a_run_says_it(project: Path, cli: Cli) -> None:
    """`harness run` leaves out what is set aside, says so, and gives the verdict of the unseen samples."""
    stored_run(project, "v1")
    path = project / "prompts/v2.yaml"
    write(path, path.read_text() + SAID + ", set_aside: [r04]}\n")
    unseen = sum(not in_search_half(name, 1, 0.5) for name in TEXTS if name != "r04")
    with ScriptedServer(answering(answer_of)) as server:
        told = cli("run", "prompts/v2.yaml", "--base-url", server.base_url)
        value = cli("run", "prompts/v2.yaml", "--base-url", server.base_url, "--json").json
    assert [line for line in told.err.splitlines() if "cache.sqlite: is new." not in line] == [
        "warning: prompts/v2.yaml: not evaluated, because set aside as shots: 1 sample of dev, "
        "'searched.set_aside' of the prompt: r04."
    ]
    text = flat(told.out)
    assert "left out, because v2 has set them aside as its shots: r04" in text
    assert f"v2 against v1 on the {unseen} samples that the search never saw: inconclusive: " in text
    assert "seen samples included, which flatters v2: macro F1 " in text
    assert "v2 is drafted from the errors of v1-20260103-030405" in text
    assert "harness compare v1 v2\n" in told.out
    assert (value["unseen"]["n_samples"], value["comparison"]["n_common"]) == (unseen, 9)


def test_json_has_both(flattered: Path, cli: Cli) -> None:
    """As JSON there is the judgement of all samples and that of the unseen ones; without a search only the first."""
    value = cli("compare", "v1", "v2", "--json").json
    assert value["verdicts"][0]["verdict"] == "inconclusive"
    assert value["judgement"]["diffs"][0]["averages"]["macro_f1"]["verdict"] == "better"
    (unseen,) = value["unseen"]
    assert (unseen["n_samples"], unseen["flattered"]) == (129, ["v2"])
    assert unseen["judgement"]["averages"]["macro_f1"]["verdict"] == "inconclusive"
    assert not any(in_search_half(name, 1, 0.5) for name in unseen["samples"])
    stored_run(flattered, "v3", answers(0.5))
    assert "unseen" not in cli("compare", "v1", "v3", "--json").json


def test_markdown_and_pages_have_both(flattered: Path) -> None:
    """In Markdown and on the page the verdict is that of the unseen samples, and what all say stands below it."""
    one, two = runs_of(flattered)
    told, seen = (
        "v2 against v1 on the 129 samples that the search never saw",
        "seen samples included, which flatters v2",
    )
    report = report_of(two, find_project(flattered), one)
    for text in (comparison_markdown(of(one, two)), to_markdown(report)):
        assert f"**{told}: inconclusive: " in text
        assert f"\n{seen}: macro F1 " in text
    page = to_html(report)
    assert f'id="verdict">{told}: inconclusive: ' in page
    assert f'<p class="quiet">{seen}: macro F1 ' in page
    assert "v2 is drafted from the errors of v1-20260103-030405" in page
    assert report.to_json()["unseen"]["flattered"] == ["v2"]
    assert "unseen" not in report_of(one, find_project(flattered)).to_json()


def test_runs_and_show_say_it(flattered: Path, cli: Cli) -> None:
    """A run of a version that was drafted from errors says so in one line, of several runs once."""
    line = "v2 is drafted from the errors of v1-20260103-030405, searched on a share of 0.5 of dev (seed 1)"
    stored_run(flattered, "v2", answers(0.5), day=9)
    assert cli("runs").out.splitlines()[-1] == line
    assert cli("show", "v2").out.splitlines()[-1] == line
    assert "drafted" not in cli("show", "v1").out
    assert [row["searched"] and row["searched"]["seed"] for row in cli("runs", "--json").json] == [1, 1, None]


def test_history_says_it(flattered: Path, cli: Cli) -> None:
    """In the history, difference and verdict are those of the unseen samples, and a line says so."""
    last = history(find_project(flattered), "v2").versions[-1]
    assert last.change is not None
    assert (last.change.n_common, last.change.unseen, last.change.macro_f1.verdict) == (129, True, "inconclusive")
    assert flat(
        "drafted from the errors of v1-20260103-030405, searched on a share of 0.5 of dev (seed 1): "
        "Δ and verdict on the 129 samples that the search never saw"
    ) in flat(cli("history", "v2").out)
    path = flattered / "prompts/v3.yaml"
    write(path, path.read_text() + SAID + "}\n")
    stored_run(flattered, "v3", answers(0.9))
    versions = cli("history", "--json").json["versions"]
    assert versions[1]["searched"] == {**SEARCHED.to_json(), "set_aside": []}
    assert [each["change"] and each["change"]["unseen"] for each in versions] == [None, True, False]


def test_a_gate_is_on_all_samples_and_says_so(flattered: Path, cli: Cli) -> None:
    """A gate looks at all samples, for a drop there is none that flatters; it says that they were searched."""
    cli("bless", "v1")
    told = flat(cli("gate", "v2").out)
    note = (
        "v2 is drafted from the errors of v1-20260103-030405, searched on a share of 0.5 of dev (seed 1): changes are on "
        "all samples, those that the search saw included, which flatters it; harness compare leaves them out"
    )
    assert note in told
    cli("bless", "v2")
    assert "flatters" not in cli("gate", "v2").out


def test_a_gate_wants_what_is_set_aside(project: Path, cli: Cli) -> None:
    """To set a sample aside is no way around a gate: such a run is partial until its version is blessed."""
    larger(project)
    stored_run(project, "v1", answers(0))
    cli("bless", "v1")
    searched_run(project, "v2", answers(0.5, without=("s003",)), ("s003",))
    told = cli("gate", "v2")
    assert told.code == 4
    assert "samples of the baseline that the run does not have: 1 of 240 (s003)" in flat(told.out)


def test_json_is_json(flattered: Path, cli: Cli) -> None:
    """A file of a comparison holds what standard output does."""
    cli("compare", "v1", "v2", "-o", "out.json")
    assert json.loads(Path("out.json").read_text()) == cli("compare", "v1", "v2", "--json").json
