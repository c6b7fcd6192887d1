"""Stored runs of several passes: what each pass did, what would be without it or merged otherwise, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import call_error, ok, stored_run, write
from hypothesis import given
from hypothesis import strategies as st

from harness import passmeasuring, passreplay
from harness.errors import DataError, UsageError
from harness.jsonfiles import write_json
from harness.labelspace import Label, LabelSpace
from harness.parsing import Output
from harness.passmeasuring import MeasuredPass, MeasuredPasses, measure_passes, takes_long
from harness.passreplay import merged_otherwise, to_replay
from harness.predict import Reading, Step, predict
from harness.project import find_project
from harness.prompt import MergeHow, MessageTemplate, Model, Pass, Prompt
from harness.records import Call, Completion, Sample
from harness.rescoring import replay, rescore
from harness.scoring import align
from harness.searched import Searched
from harness.store import StoredRun
from harness.withoutpasses import without_passes

project = cli_project.project

HEAD = "dataset: ../datasets/reviews.yaml\nmodel: scripted\npasses:\n"
FIRST = '  - name: first\n    template: "FIRST {{ text }}"\n'
CHECK = """\
  - name: check
    when: "'shipping' in predicted or n_predicted == 0"
    template: "CHECK {{ predicted | join(', ') }} {{ text }}"
"""
LAST = """\
  - name: last
    when: "'price' in predicted"
    template: "LAST {{ predicted | join(', ') }} {{ text }}"
    merge: {scope: [price]}
"""
ALONE = LAST.replace("{{ predicted | join(', ') }} ", "")
"""A last pass whose prompt says nothing of the answer before it."""

OTHERWISE = "    output: {format: list, none: nothing}\n"

SAID = {
    "r01": "shipping, price",
    "r02": "quality",
    "r03": "shipping",
    "r04": "none",
    "r05": "shipping",
    "r06": "quality",
    "r07": "hm",  # unparseable: nobody answers; nothing predicted, so it is sent
    "r08": "quality",
    "r09": "none",
    "r10": "price",
}
CHECKED = {
    "r01": "shipping",
    "r03": "shipping, price",
    "r04": "none",
    "r05": "quality",
    "r07": "shipping",
    "r09": "price",
}
PRICES = {"scripted": {"input": 400.0, "output": 1600.0}}


def answers(call: Call) -> str | Completion:
    """Answer as `SAID`, then as `CHECKED`; the last pass says what is right."""
    if call.pass_name == "first":
        return SAID[call.sample]
    if call.pass_name == "check":
        return CHECKED.get(call.sample, "none")
    return ", ".join(cli_project.TEXTS[call.sample][1]) or "none"


Answer = Callable[[Call], str | Completion]


def run_of(project: Path, passes: str, answer: Answer = answers, repeats: int = 1, **manifest: Any) -> StoredRun:
    """Return a stored run of a prompt with these passes."""
    write(project / "prompts/v9.yaml", HEAD + passes)
    return stored_run(project, "v9", answer, repeats=repeats, **manifest)


def measured(run: StoredRun) -> MeasuredPasses:
    """Return the passes of a run, measured."""
    found = measure_passes(run, PRICES)
    assert found is not None
    return found


def only(run: StoredRun) -> MeasuredPass:
    """Return the only measured pass of a run."""
    (each,) = measured(run).passes
    return each


def test_what_a_pass_did(project: Path) -> None:
    """Cells corrected, broken and filled, samples made right and wrong, whom the trigger sent."""
    each = only(run_of(project, FIRST + CHECK))
    effect = each.effect
    # Corrected: price of r01 and r03, quality of r05, four cells of r07. Broken: shipping of r05, price of r09.
    assert (effect.corrected, effect.broken, effect.net, effect.filled) == (7, 2, 5, 4)
    assert (effect.made_right, effect.made_wrong) == (3, 1)
    trigger = effect.trigger
    assert (trigger.sent, trigger.caught, trigger.wrong) == (6, 4, 5)
    assert [(part.source, part.sent, part.alone) for part in trigger.parts] == [
        ("'shipping' in predicted", 3, 3),
        ("n_predicted == 0", 3, 3),
    ]
    assert (each.name, each.how, each.of_final, each.gain.net) == ("check", "replace", True, 5)


def test_without_the_last_pass_is_the_run_of_the_others(project: Path) -> None:
    """What is said to be without a pass are the scores of a run that never had it."""
    run, alone = run_of(project, FIRST + CHECK), run_of(project, FIRST, day=3)
    found = measured(run)
    (without, *_) = found.passes[0].what_ifs
    assert found.headline == pytest.approx({name: run.scores["averages"].get(name, 1.0) for name in found.headline})
    scores = alone.scores["averages"] | {"coverage": alone.scores["coverage"]}
    assert (without.name, without.missing) == ("without", 0)
    assert without.headline == pytest.approx({name: scores[name] for name in without.headline})
    assert without.change == pytest.approx({name: scores[name] - found.headline[name] for name in without.headline})
    assert without_passes(run, ["check"]).scores.averages == without_passes(run, ["check", "check"]).scores.averages
    assert [each.labels for each in without_passes(run, ["check"]).predictions] == [
        each.labels for each in alone.predictions
    ]


def test_the_verdict_is_that_of_comparing_two_runs(project: Path) -> None:
    """The changes of the headline are those that `harness.compare` tells of two runs, and their verdicts too."""
    from harness.versions import compare_runs

    alone, run = run_of(project, FIRST, day=3), run_of(project, FIRST + CHECK)
    judged = compare_runs([alone, run], find_project(project)).judgement.diffs[0].averages
    assert only(run).judged == {name: judged[name] for name in ("macro_f1", "micro_f1", "subset_accuracy")}


@pytest.mark.parametrize("passes", [FIRST + CHECK, FIRST + CHECK + ALONE.replace("'price' in predicted", "true")])
def test_other_merge_rules_are_what_scoring_again_gives(project: Path, passes: str) -> None:
    """Under another merge rule the final answers are those that `harness score` would give with that rule."""
    run = run_of(project, passes)
    check = run.manifest.prompt.passes[1]
    rules = {what.name: what for what in measured(run).passes[0].what_ifs if what.name != "without"}
    assert list(rules) == ["add", "union", "intersection", "confirm"]
    for how, what in rules.items():
        reading = Reading(run.manifest.space, {"check": replace(check, how=how)})  # type: ignore[arg-type]
        predictions, missing = replay(run.manifest.prompt, run.manifest.space, run.samples, 1, run.log.latest, reading)
        assert missing == what.missing == 0
        scores = passmeasuring._headline(align(run.manifest.space, run.samples, predictions))
        assert what.headline == pytest.approx(scores)


def test_an_answer_that_names_what_must_go_has_no_other_rule(project: Path) -> None:
    """Under another rule the answers of `remove` would say the opposite: only leaving the pass out is tried."""
    removing = CHECK + "    merge: {how: remove}\n"
    assert [what.name for what in only(run_of(project, FIRST + removing)).what_ifs] == ["without"]


def test_a_rule_that_would_have_asked_more_has_no_numbers(project: Path) -> None:
    """Confirming label by label asks about predicted labels alone; replacing would need the other calls."""
    per_label = '  - name: check\n    per: label\n    output: yes_no\n    template: "{{ label }}? {{ text }}"\n'
    said = {"r04": "none", "r07": "none", "r09": "none"}

    def answer(call: Call) -> str:
        gold = cli_project.TEXTS[call.sample][1]
        if call.pass_name == "first":
            return {**SAID, **said}[call.sample]
        return "yes" if call.unit in gold else "no"

    run = run_of(project, FIRST + per_label + "    merge: {how: confirm}\n", answer)
    each = only(run)
    n_asked = sum(slot[1] == "check" for slot in run.log.latest)
    missing = {what.name: what.missing for what in each.what_ifs}
    every = 4 * len(run.samples)
    assert missing == {"without": 0, "replace": every - n_asked, "add": every - n_asked, "union": every - n_asked,
                       "intersection": 0}  # fmt: skip
    replaced = next(what for what in each.what_ifs if what.name == "replace")
    assert all(math.isnan(value) for value in (*replaced.headline.values(), *replaced.change.values()))
    assert each.effect.broken == 0


# --- three passes -----------------------------------------------------------------------------------------------------


def test_a_later_pass_that_reads_the_answer_would_need_other_calls(project: Path) -> None:
    """Without a pass the later ones may be asked something else: the calls are counted, and no number is made up."""
    check, last = measured(run_of(project, FIRST + CHECK + LAST)).passes
    # Where the check does not take price from r01, the last pass asks about it; r03 and r09 are not asked without price.
    assert [(what.name, what.missing) for what in check.what_ifs if what.missing] == [
        ("without", 1),
        ("add", 1),
        ("union", 1),
    ]
    assert (check.of_final, check.judged, check.gain.net) == (False, {}, check.effect.net)
    assert last.of_final
    assert last.gain.net == last.effect.net


def test_a_later_pass_that_does_not_read_the_answer_needs_no_other_calls(project: Path) -> None:
    """A later call is the same where its messages are; where it was not asked because of the pass, it is missing."""
    check, _ = measured(run_of(project, FIRST + CHECK + ALONE.replace("'price' in predicted", "true"))).passes
    assert [what.missing for what in check.what_ifs] == [0] * 5
    assert check.of_final
    check, _ = measured(run_of(project, FIRST + CHECK + ALONE, day=3)).passes
    assert next(what.missing for what in check.what_ifs if what.name == "without") == 1


def test_what_a_later_pass_takes_back_is_no_gain(project: Path) -> None:
    """The gain is that of the final answers: what a later pass would have done anyway does not count."""
    always = '  - name: last\n    template: "LAST {{ text }}"\n'
    check, last = measured(run_of(project, FIRST + CHECK + always)).passes
    assert check.effect.net == 5
    assert (check.of_final, check.gain.net, check.judged, check.worth) == (True, 0, {}, "does not pay")
    assert last.effect.net > 0


# --- what is measured -------------------------------------------------------------------------------------------------


def names_of(project: Path, passes: str) -> list[str]:
    """Return the names of the passes that are measured."""
    run = run_of(project, passes)
    found = measured(run)
    assert {each.name for each in found.passes} | set(found.left_out) | {"first"} == {
        each.name for each in run.manifest.prompt.passes
    }
    return [each.name for each in found.passes]


def test_only_passes_that_answer_again_are_measured(project: Path) -> None:
    """A pass that answers cells of its own has nothing to be compared with; one that answers them again has."""
    split = (
        FIRST
        + "    merge: {scope: [shipping, quality]}\n"
        + CHECK.replace("when:", "merge: {scope: [price, gift wrap]}\n    #")
    )
    assert names_of(project, split) == []
    assert names_of(project, FIRST + CHECK) == ["check"]
    assert names_of(project, split + LAST) == ["last"]


def test_gates_are_not_measured(project: Path) -> None:
    """A gate answers no label, and the pass behind it answers first; a check behind that is measured."""
    labels = "  shipping: ''\n  quality: ''\n  price: ''\n  gift wrap: ''\n"
    groups = "groups: {way: [shipping, gift wrap], thing: [quality, price]}\n"
    write(
        project / "datasets/reviews.yaml",
        f"name: reviews\nlabels:\n{labels}{groups}splits: {{dev: reviews.dev.jsonl}}\n",
    )
    gate = "  - name: first\n    choose: groups\n    template: \"GATE {{ candidates | join(', ') }} {{ text }}\"\n"
    fine = '  - name: fine\n    per: group\n    template: "{{ group }} {{ text }}"\n'

    def answer(call: Call) -> str | Completion:
        if call.pass_name == "first":
            return "way, thing"
        if call.pass_name == "fine":
            inside = {"way": ("shipping", "gift wrap"), "thing": ("quality", "price")}[call.unit]
            return ", ".join(name for name in SAID[call.sample].split(", ") if name in inside) or "none"
        return answers(call) if call.sample in CHECKED else "none"

    found = measured(run_of(project, gate + fine + CHECK, answer))
    assert (found.left_out, [each.name for each in found.passes]) == (("fine",), ["check"])
    assert found.passes[0].of_final


def test_runs_of_which_there_is_nothing_to_say(project: Path) -> None:
    """A run of one pass has no later ones; neither has one that no prompt made, or that has no gold."""
    assert measure_passes(stored_run(project, "v1"), PRICES) is None
    run = run_of(project, FIRST + CHECK)
    run.__dict__["gold"] = dict.fromkeys(run.gold)
    assert measure_passes(run, PRICES) is None


def test_a_pass_that_was_never_asked(project: Path) -> None:
    """A trigger that holds for no sample is said so, and nothing is judged."""
    each = only(run_of(project, FIRST + CHECK.replace("or n_predicted == 0", "and n_predicted > 3")))
    assert (each.worth, each.effect.trigger.sent, each.price.calls) == ("never asked", 0, 0)
    assert all(set(what.change.values()) == {0.0} for what in each.what_ifs)


def test_failed_answers_leave_what_stood_before(project: Path) -> None:
    """Answers that failed are counted by kind, change nothing, and do not pay."""

    def answer(call: Call) -> str | Completion:
        if call.pass_name == "first":
            return SAID[call.sample]
        return call_error() if call.sample < "r04" else "hm"

    each = only(run_of(project, FIRST + CHECK, answer))
    assert (each.failures.n_answers, each.failures.kinds) == (6, {"call_error": 2, "unparseable": 4})
    assert (each.effect.changed, each.worth, each.judged) == (0, "does not pay", {})
    assert math.isnan(each.per_corrected.tokens)
    assert (each.price.calls, each.price.prompt_tokens) == (6, 200)


def test_what_a_pass_costs(project: Path) -> None:
    """All calls count for the price on new samples, those of the cache not for what was paid."""

    def answer(call: Call) -> str | Completion:
        if call.pass_name == "first":
            return SAID[call.sample]
        return replace(
            ok(CHECKED[call.sample]), cached=call.sample < "r04", latency_s=1.0 if call.sample == "r01" else 0.5
        )

    each = only(run_of(project, FIRST + CHECK, answer))
    price, usd = each.price, (50 * 400 + 4 * 1600) / 1e6
    assert (price.calls, price.cached, price.prompt_tokens, price.completion_tokens, price.tokens) == (
        6,
        2,
        300,
        24,
        324,
    )
    assert [price.usd, price.paid_usd] == pytest.approx([6 * usd, 4 * usd])
    assert (price.latency_s, price.seconds) == (0.5, 3.5)
    assert each.per_corrected.tokens == 324 / 7
    assert each.per_net.usd == pytest.approx(6 * usd / 5)
    assert (each.per_thousand.calls, each.per_thousand.tokens) == (600, 32_400)
    assert each.per_thousand.usd == pytest.approx(600 * usd)


def test_an_unknown_price_is_unknown(project: Path) -> None:
    """Without a price there is none for a cell, and tokens are told all the same."""
    found = measure_passes(run_of(project, FIRST + CHECK), {})
    assert found is not None
    each = found.passes[0]
    assert (each.price.usd, each.per_corrected.usd, each.per_thousand.usd) == (None, None, None)
    assert each.per_corrected.tokens == 324 / 7


def test_repeats_are_means(project: Path) -> None:
    """Of several repeats all counts are means: cells, samples, calls."""

    def answer(call: Call) -> str | Completion:
        if call.pass_name == "first":
            return SAID[call.sample]
        return CHECKED[call.sample] if call.repeat == 0 else SAID[call.sample]

    each = only(run_of(project, FIRST + CHECK, answer, repeats=2))
    assert (each.effect.corrected, each.effect.broken, each.effect.n_repeats) == (3.5, 1, 2)
    assert (each.effect.trigger.sent, each.price.calls) == (6, 6)
    assert each.gain.net == 2.5


def test_votes_are_one_answer_of_several_calls(project: Path) -> None:
    """Draws that vote are calls, and one answer."""
    each = only(run_of(project, FIRST + CHECK + "    votes: {k: 3}\n"))
    assert (each.price.calls, each.failures.n_answers, each.effect.corrected) == (18, 6, 7)


def test_samples_that_a_search_saw_are_left_out(project: Path) -> None:
    """A prompt that was drafted from errors is measured on the samples that were not looked at."""
    run = run_of(project, FIRST + CHECK)
    half = Searched("v1-1", "dev", seed=1, share=0.5)
    seen = [sample.id for sample in run.samples if half.saw(sample.id)]
    assert 0 < len(seen) < 10

    def drafted(searched: Searched) -> MeasuredPasses:
        prompt = replace(run.manifest.prompt, searched=searched)
        return measured(StoredRun(run.path, replace(run.manifest, prompt=prompt)))

    found = drafted(half)
    assert (found.n_samples, found.searched) == (10 - len(seen), len(seen))
    assert (measured(run).n_samples, measured(run).searched) == (10, None)
    assert (drafted(replace(half, split="other")).n_samples, drafted(replace(half, split="other")).searched) == (
        10,
        None,
    )
    every = drafted(replace(half, set_aside=tuple(sample.id for sample in run.samples)))
    assert (every.n_samples, every.searched) == (10, 0)


# --- replaying --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passes", [FIRST + CHECK, FIRST + CHECK + LAST])
def test_samples_that_were_not_sent_need_no_replay(project: Path, monkeypatch: pytest.MonkeyPatch, passes: str) -> None:
    """What is stored of a sample that no measured pass was asked about gives the same numbers as replaying it."""
    run = run_of(project, passes)
    short = measured(run)
    walked: list[str] = []
    walk = passreplay._walked

    def watched(run: StoredRun, bare: Prompt, sample: Sample, repeat: int) -> Any:
        walked.append(sample.id)
        return walk(run, bare, sample, repeat)

    monkeypatch.setattr(passreplay, "_walked", watched)
    assert str(measured(run)) == str(short)
    assert len(walked) < 10
    whole = StoredRun(run.path, replace(run.manifest, state="incomplete"))
    assert str(measured(whole)) == str(short)
    assert set(walked) == {sample.id for sample in run.samples}


def test_answers_that_were_read_otherwise_since(project: Path) -> None:
    """After `harness score` with another format the passes are measured as the run's prompt says, and that is told."""

    def answer(call: Call) -> str | Completion:
        return "nothing" if (call.sample, call.pass_name) == ("r05", "check") else answers(call)

    run = run_of(project, FIRST + CHECK, answer)
    before = measured(run)
    write(project / "prompts/v9.yaml", HEAD + FIRST + OTHERWISE + CHECK + OTHERWISE)
    again = rescore(run, find_project(project)).run
    assert again.predictions != run.predictions
    found = measured(again)
    assert found.reread
    assert str(replace(found, reread=False)) == str(before)


def test_a_part_of_a_trigger_that_fails_alone_does_not_hold(project: Path) -> None:
    """An alternative that another one guards is no error when it is looked at by itself."""
    guarded = CHECK.replace(
        "'shipping' in predicted or n_predicted == 0", "n_predicted == 0 or predicted[0] == 'shipping'"
    )
    first, second = only(run_of(project, FIRST + guarded)).effect.trigger.parts
    assert (first.sent, second.sent, second.alone) == (3, 3, 3)


def test_how_much_is_to_be_read_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts are the completions of samples that are replayed; of a run of one pass none is."""
    run = run_of(project, FIRST + CHECK)
    assert (to_replay(run), to_replay(stored_run(project, "v1"))) == (12, 0)
    assert to_replay(StoredRun(run.path, replace(run.manifest, state="incomplete"))) == 16
    assert not takes_long(run)
    monkeypatch.setattr(passmeasuring, "MOST_UNASKED", 11)
    assert takes_long(run)


SPACE = LabelSpace(tuple(Label(name) for name in "abc"))
HOWS: tuple[MergeHow, ...] = ("replace", "add", "union", "intersection", "confirm")
texts = st.one_of(st.just("hm"), st.just("none"), st.sets(st.sampled_from("abc"), min_size=1).map(", ".join))
units = st.fixed_dictionaries({name: st.sampled_from(["yes", "no", "hm"]) for name in "abc"})


@given(
    before=texts,
    said=texts,
    by_label=units,
    scope=st.sampled_from([(), ("a",), ("a", "b")]),
    per=st.sampled_from(["sample", "label"]),
    how=st.sampled_from(HOWS),
    other=st.sampled_from(HOWS),
)
def test_merging_otherwise_is_what_the_prompt_would_have_said(
    before: str,
    said: str,
    by_label: Mapping[str, str],
    scope: tuple[str, ...],
    per: Any,
    how: MergeHow,
    other: MergeHow,
) -> None:
    """What was read, merged by another rule, is what the prompt with that rule gives, where it asks nothing more."""
    message = (MessageTemplate("user", "x"),)
    first = Pass("first", message, Model("m"), Output())
    check = Pass(
        "check", message, Model("m"), Output("yes_no" if per == "label" else "list"), scope=scope, per=per, how=how
    )

    def answered(each: Pass) -> tuple[Any, list[Step], list[str]]:
        steps: list[Step] = []
        asked: list[str] = []
        asking = predict(Prompt("v", (first, each)), SPACE, Sample("s", {}), watch=steps.append)
        try:
            calls = next(asking)
            while True:
                asked += [call.unit for call in calls if call.pass_name == "check"]
                texts = [before if call.pass_name == "first" else by_label.get(call.unit, said) for call in calls]
                calls = asking.send([ok(text) for text in texts])
        except StopIteration as end:
            return end.value, [step for step in steps if step.name == "check"], asked

    _, steps, asked = answered(check)
    wanted, _, needed = answered(replace(check, how=other))
    for step in steps:
        found, missing = merged_otherwise(step, replace(check, how=other), Sample("s", {}), SPACE)
        assert missing == len(set(needed) - set(asked))
        if not missing:
            assert (found.labels, found.unanswered, found.failed) == (wanted.labels, wanted.unanswered, wanted.failed)


# --- without passes ---------------------------------------------------------------------------------------------------


def test_calls_that_would_be_missing_are_counted(project: Path) -> None:
    """Without a pass, calls of later ones that were never made count as call errors, and are counted."""
    found = without_passes(run_of(project, FIRST + CHECK + LAST), ["check"])
    assert (found.names, found.missing) == (("check",), 1)


def test_passes_that_cannot_be_left_out(project: Path) -> None:
    """An unknown name, and a pass without which a label has no answer, are refused with what can be typed instead."""
    run = run_of(project, FIRST + CHECK)
    with pytest.raises(UsageError) as caught:
        without_passes(run, ["chek"])
    assert str(caught.value) == (
        f"--without-pass 'chek': must be a pass of run {run.manifest.id}: first, check. Did you mean 'check'?"
    )
    with pytest.raises(UsageError) as caught:
        without_passes(run, ["check", "first"])
    assert str(caught.value) == (
        "--without-pass first check: must leave a pass that answers every label, but none would answer shipping, "
        "quality, price, gift wrap. Leave out a later pass."
    )


def test_runs_without_passes_or_gold_are_refused(project: Path) -> None:
    """Predictions that no prompt made have no passes, and unlabelled samples no scores."""
    from harness.store import Origin

    run = run_of(project, FIRST + CHECK)
    outside = StoredRun(run.path, replace(run.manifest, origin=Origin("import", "x")))
    assert measure_passes(outside, PRICES) is None
    assert to_replay(outside) == 0
    with pytest.raises(DataError, match="has no passes, because no prompt made it"):
        without_passes(outside, ["check"])
    run.__dict__["gold"] = dict.fromkeys(run.gold)
    run.__dict__["samples"] = tuple(replace(sample, labels=None) for sample in run.samples)
    with pytest.raises(DataError, match="has no scores, because its samples are unlabelled"):
        without_passes(run, ["check"])


def test_a_run_as_plain_values_has_no_nan(project: Path) -> None:
    """What is not defined is None in JSON."""
    plain = measured(run_of(project, FIRST + CHECK + LAST)).to_json()
    write_json(project / "passes.json", plain)
    assert plain["passes"][0]["what_ifs"][0]["headline"]["macro_f1"] is None
    assert [each["worth"] for each in plain["passes"]] == ["not shown to pay", "not shown to pay"]
