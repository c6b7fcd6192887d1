"""Reach: gate recall, candidate recall, the errors inside and their upper bounds; tokens against the flat prompt."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import DEV, Folder, jsonl
from scripted_server import Reply, Request, ScriptedServer, always
from strategies_labels import unhurried

from harness import api
from harness.flatprompt import Asked, Saving
from harness.labelspace import Label, LabelSpace
from harness.parsing import Output
from harness.predict import Step, predict
from harness.pricing import estimated_tokens
from harness.prompt import Candidates, MessageTemplate, Model, Pass, Prompt, Votes
from harness.reach import Reach, chooses
from harness.reachcounting import reach
from harness.records import Answer, Call, Completion, FailureKind, ParseFailure, Prediction, Sample
from harness.rescoring import rescore
from harness.store import load_run

SPACE = LabelSpace(
    (
        Label("late", "It came late", group="way"),
        Label("lost", "It never came", group="way"),
        Label("torn", "The box is torn", group="box"),
        Label("thin", "The box is thin", group="box"),
        Label("dear", "It costs too much", group="price"),
    )
)
GROUPS = tuple(SPACE.groups)


def a_pass(name: str, text: str = "{{ text }}", **options: object) -> Pass:
    """Return a pass that asks for a list."""
    return Pass(name, (MessageTemplate("user", text),), Model("scripted"), Output(), **options)  # type: ignore[arg-type]


GATE = a_pass("gate", "Groups {{ candidates | join(' ') }}: {{ text }}", chooses_groups=True)
FINE = a_pass("fine", "{{ group }} {{ group.labels | join(' ') }}: {{ text }}", per="group")
COARSE = Prompt("v1", (GATE, FINE))


def asked(prompt: Prompt, sample: Sample, answer: Callable[[Call], str | Completion], repeat: int = 0) -> Asked:
    """Return what the passes of a prompt do to a sample when the calls are answered so."""
    steps: list[Step] = []
    asking = predict(prompt, SPACE, sample, repeat, None, steps.append)
    try:
        calls = next(asking)
        while True:
            said = [answer(call) for call in calls]
            calls = asking.send([Completion("ok", raw=each) if isinstance(each, str) else each for each in said])
    except StopIteration as end:
        return Asked(sample, end.value, {step.name: step for step in steps})


def sample(identity: str, *labels: str, text: str = "A text.") -> Sample:
    """Return a sample with gold labels."""
    return Sample(identity, {"text": text}, frozenset(labels))


def by_unit(**answers: str) -> Callable[[Call], str]:
    """Return answers by the name of a pass, or of the group that is asked about; none of the others."""
    return lambda call: answers.get(call.unit or call.pass_name, "none")


def found(prompt: Prompt, *rows: Asked, n_repeats: int = 1, **ranks: Mapping[str, Mapping[str, int]]) -> Reach:
    """Return what the choices of a prompt left open."""
    return reach(prompt, SPACE, rows, n_repeats, ranks)


# --- gates ----------------------------------------------------------------------------------------------------------------


def test_what_a_gate_closes_is_lost_apart_from_what_is_missed_inside() -> None:
    """One label in a chosen group is found, one missed, one lies in a closed group, and one is wrong."""
    row = asked(COARSE, sample("s1", "late", "lost", "dear"), by_unit(gate="way, box", way="late", box="torn"))
    (gate,) = found(COARSE, row).gates
    assert (gate.gold, gate.open, gate.not_chosen, gate.failed, gate.lost) == (3, 2, 1, 0, 1)
    assert gate.recall == pytest.approx(2 / 3)
    assert (gate.inside.found, gate.inside.missed, gate.inside.wrong, gate.inside.recall) == (1, 1, 1, 0.5)
    assert gate.inside.precision == 0.5
    assert [(each.group, each.gold, each.open, each.chosen, each.right) for each in gate.groups] == [
        ("way", 2, 2, 1, 1),
        ("box", 0, 0, 1, 0),
        ("price", 1, 0, 0, 0),
    ]
    assert gate.groups_chosen == 2
    assert gate.bound.micro_recall == pytest.approx(2 / 3)
    assert gate.bound.subset_accuracy == 0.0


def test_a_group_without_gold_or_choice_has_no_recall_or_precision() -> None:
    """0/0 is NaN: of a group without gold cells, of one that was never chosen, and of samples without any gold."""
    row = asked(COARSE, sample("s1"), by_unit(gate="box"))
    (gate,) = found(COARSE, row).gates
    way, box, _ = gate.groups
    assert math.isnan(way.recall)
    assert math.isnan(way.precision)
    assert box.precision == 0.0
    assert math.isnan(gate.recall)
    assert math.isnan(gate.inside.recall)


def test_a_failed_gate_is_told_apart_from_a_choice() -> None:
    """Gold in groups for which the gate gave no answer is failed, not unchosen; a gate by group can fail for one of them."""
    whole = asked(COARSE, sample("s1", "late", "dear"), by_unit(gate="who knows"))
    (gate,) = found(COARSE, whole).gates
    assert (gate.gold, gate.failed, gate.not_chosen, gate.open) == (2, 2, 0, 0)
    assert gate.bound.micro_recall == 0.0
    each = replace(GATE, per="group")
    prompt = Prompt("v1", (each, FINE))

    def answer(call: Call) -> str:
        if call.pass_name == "gate":
            return {"way": "way", "box": "???", "price": "none"}[call.unit]
        return "late"

    (gate,) = found(prompt, asked(prompt, sample("s1", "late", "torn", "dear"), answer)).gates
    assert (gate.open, gate.failed, gate.not_chosen) == (1, 1, 1)
    assert [row.failed for row in gate.groups] == [0, 1, 0]


def test_a_refused_group_is_a_failure() -> None:
    """A group whose question was refused is failed even where it is named."""
    (unit,) = GATE.units(SPACE)
    result = Answer(frozenset({"way", "box"}), refused=frozenset({"box"}))
    said = Prediction("s1", frozenset(), frozenset(SPACE.names), FailureKind.REFUSAL, "refused")
    step = Step("gate", {}, (unit,), (), (), (result,), said, said, frozenset({"torn", "thin", "dear"}))
    (gate,) = found(COARSE, Asked(sample("s1", "late", "torn"), said, {"gate": step})).gates
    assert (gate.open, gate.failed, gate.not_chosen) == (1, 1, 0)
    assert (gate.inside.unanswered, gate.inside.missed) == (1, 0)


def test_a_pass_about_the_sample_can_repair_a_gate() -> None:
    """What a later pass names in closed groups is counted: right as repaired, the rest as wrong outside."""
    prompt = Prompt("v1", (GATE, FINE, a_pass("again")))
    row = asked(prompt, sample("s1", "late", "dear"), by_unit(gate="way", way="late", again="late, dear, thin"))
    (gate,) = found(prompt, row).gates
    assert (gate.open, gate.not_chosen, gate.repaired, gate.wrong_outside) == (1, 1, 1, 1)
    assert gate.bound.micro_recall == 1.0
    assert (gate.inside.found, gate.inside.wrong) == (1, 0)


def test_a_gate_counts_where_it_was_asked() -> None:
    """A gate with a `when` counts over the samples that it was asked about; the others stand in the scores as they are."""
    prompt = Prompt("v1", (replace(GATE, when="text == 'A'"), FINE))
    rows = (
        asked(prompt, sample("s1", "late", text="A"), by_unit(gate="box")),
        asked(prompt, sample("s2", "late", text="B"), by_unit(way="late")),
    )
    (gate,) = found(prompt, *rows).gates
    assert (gate.samples, gate.gold, gate.open) == (1, 1, 0)
    assert gate.bound.micro_recall == 0.5


def test_gates_of_several_scopes_are_told_one_by_one() -> None:
    """Every gate has its own numbers, over the labels of its scope."""
    first = replace(GATE, name="first", scope=("late", "lost", "torn", "thin"))
    second = replace(GATE, name="second", scope=("dear",))
    prompt = Prompt("v1", (first, second, FINE))
    row = asked(prompt, sample("s1", "late", "dear"), by_unit(first="way", second="none", way="late"))
    one, two = found(prompt, row).gates
    assert (one.name, one.n_labels, one.gold, one.recall) == ("first", 4, 1, 1.0)
    assert (two.name, two.n_labels, two.gold, two.recall) == ("second", 1, 1, 0.0)
    assert [row.group for row in two.groups] == ["price"]


def test_what_an_earlier_gate_chose_stands_where_a_second_one_fails() -> None:
    """The labels that the first gate left open are open still, and are no loss of the second one's."""
    prompt = Prompt("v1", (GATE, replace(GATE, name="second"), FINE))
    row = asked(prompt, sample("s1", "late", "dear"), by_unit(gate="way", second="???", way="late"))
    one, two = found(prompt, row).gates
    assert (one.open, one.not_chosen, one.failed) == (1, 1, 0)
    assert (two.open, two.not_chosen, two.failed) == (1, 0, 1)
    assert two.inside.found == 1


def test_counts_are_means_over_the_repeats() -> None:
    """Of two repeats that choose otherwise counts are means, and recall is that of the means."""
    one = sample("s1", "late", "dear")
    rows = (
        asked(COARSE, one, by_unit(gate="way, price", way="late", price="dear")),
        asked(COARSE, one, by_unit(gate="way", way="lost"), repeat=1),
    )
    both = found(COARSE, *rows, n_repeats=2)
    (gate,) = both.gates
    assert (gate.samples, gate.gold, gate.open, gate.not_chosen, gate.recall) == (1, 2, 1.5, 0.5, 0.75)
    assert (gate.inside.found, gate.inside.missed, gate.inside.wrong) == (1, 0.5, 0.5)
    assert gate.groups_chosen == 1.5
    assert gate.bound.micro_recall == 0.75
    assert both.saving is not None
    assert (both.saving.n, both.saving.totals["calls"], both.saving.totals["flat_calls"]) == (2, 5, 2)


names = st.frozensets(st.sampled_from(SPACE.names))


@unhurried
@given(st.lists(st.tuples(names, st.none() | st.frozensets(st.sampled_from(GROUPS)), names, st.booleans()), min_size=1))
def test_the_parts_of_the_gold_add_up(
    drawn: list[tuple[frozenset[str], frozenset[str] | None, frozenset[str], bool]],
) -> None:
    """Whatever is gold, chosen and answered: the parts are all of the gold, and no score passes its upper bound."""
    rows = []
    for at, (gold, chosen, said, fails) in enumerate(drawn):

        def answer(
            call: Call,
            chosen: frozenset[str] | None = chosen,
            said: frozenset[str] = said,
            fails: bool = fails,
        ) -> str:
            if call.pass_name == "gate":
                return "???" if chosen is None else ", ".join(chosen) or "none"
            return "???" if fails else ", ".join(said & frozenset(SPACE.groups[call.unit])) or "none"

        rows.append(asked(COARSE, sample(f"s{at}", *gold), answer))
    reached = found(COARSE, *rows)
    (gate,) = reached.gates
    inside, bound, now = gate.inside, gate.bound, reached.now
    assert gate.open + gate.not_chosen + gate.failed == gate.gold == sum(len(each[0]) for each in drawn)
    assert inside.found + inside.missed + inside.unanswered == inside.gold == gate.open
    assert sum(each.gold for each in gate.groups) == gate.gold
    assert sum(each.open for each in gate.groups) == gate.open
    assert gate.repaired == gate.wrong_outside == 0
    if gate.gold:
        assert bound.micro_recall == pytest.approx(gate.recall)
        assert now.micro_recall == pytest.approx(inside.found / gate.gold)
        assert bound.macro_recall >= now.macro_recall - 1e-9
        assert bound.micro_f1 >= now.micro_f1 - 1e-9
    assert bound.subset_accuracy >= now.subset_accuracy


# --- candidates -----------------------------------------------------------------------------------------------------------

MAIN = a_pass("main", "{{ candidates | join(' ') }}: {{ text }}", candidates=Candidates(2))
OFFERED = Prompt("v1", (MAIN,))


def with_candidates(one: Sample, *names: str) -> Sample:
    """Return a sample with its candidates."""
    return replace(one, candidates={"main": names})


def test_what_is_no_candidate_is_lost_before_the_model_is_asked() -> None:
    """Recall is over the gold of the scope; labels that are left out are told, those of most cells first."""
    rows = [
        asked(OFFERED, with_candidates(sample("s1", "late", "dear"), "late", "lost"), by_unit(main="late")),
        asked(OFFERED, with_candidates(sample("s2", "torn", "dear"), "torn", "thin"), by_unit(main="thin")),
        asked(OFFERED, with_candidates(sample("s3", "torn"), "late", "lost"), by_unit(main="???")),
    ]
    (each,) = found(OFFERED, *rows).candidates
    assert (each.name, each.k, each.by, each.samples, each.n_labels) == ("main", 2, "tfidf", 3, 5)
    assert (each.gold, each.open, each.lost, each.recall) == (5, 2, 3, 0.4)
    told = [(row.label, row.gold, row.left_out, row.share) for row in each.left_out]
    assert told == [("dear", 2, 2, 1.0), ("torn", 2, 1, 0.5)]
    assert (each.inside.found, each.inside.missed, each.inside.wrong) == (1, 1, 1)
    assert each.bound.micro_recall == 0.4
    assert (each.recall_at, each.enough) == ((), None)


def test_recall_for_other_numbers_of_candidates_comes_from_the_ranking() -> None:
    """With the ranking known, recall is told for every number, and the fewest that hold 95 % of the gold."""
    rows = [
        asked(OFFERED, with_candidates(sample("s1", "late", "dear"), "late", "lost"), by_unit()),
        asked(OFFERED, with_candidates(sample("s2"), "torn", "thin"), by_unit()),
    ]
    (each,) = found(OFFERED, *rows, main={"s1": {"late": 1, "dear": 3}}).candidates
    assert each.recall_at == (0.0, 0.5, 0.5, 1.0, 1.0)
    assert each.enough == 4
    (without,) = found(OFFERED, rows[1], main={"s2": {}}).candidates
    assert (without.recall_at, without.enough) == ((), None)
    assert math.isnan(without.recall)


def test_candidates_count_where_their_pass_was_asked() -> None:
    """A second pass with candidates and a `when` counts where it was asked, and what stood before it stays."""
    second = replace(MAIN, when="'late' in predicted", how="add")
    prompt = Prompt("v1", (a_pass("first"), second))
    rows = [
        asked(
            prompt, with_candidates(sample("s1", "late", "torn"), "torn", "thin"), by_unit(first="late", main="torn")
        ),
        asked(prompt, with_candidates(sample("s2", "dear"), "torn", "thin"), by_unit(first="dear")),
    ]
    (each,) = found(prompt, *rows).candidates
    assert (each.samples, each.gold, each.open) == (1, 2, 1)
    assert (each.repaired, each.wrong_outside) == (1, 0)
    assert each.bound.subset_accuracy == 1.0


# --- tokens ---------------------------------------------------------------------------------------------------------------


def tokens(*texts: str) -> int:
    """Return the estimate for calls of one message each."""
    return sum(len(text.encode()) // 4 + 4 for text in texts)


def the_saving(reached: Reach) -> Saving:
    """Return what is said of tokens."""
    assert reached.saving is not None
    return reached.saving


def test_the_flat_prompt_is_the_fine_template_with_all_labels_as_one_group() -> None:
    """It is counted once a sample, with no gate, also where no group was chosen and nothing was asked."""
    rows = [
        asked(COARSE, sample("s1", "late"), by_unit(gate="way, box", way="late")),
        asked(COARSE, sample("s2", text="Another text."), by_unit(gate="none")),
    ]
    saving = the_saving(found(COARSE, *rows))
    gate, fine = saving.passes
    assert gate.tokens == tokens("Groups way box price: A text.", "Groups way box price: Another text.")
    assert fine.tokens == tokens("way late lost: A text.", "box torn thin: A text.")
    everything = " late lost torn thin dear: "
    assert fine.flat_tokens == tokens(f"{everything}A text.", f"{everything}Another text.")
    assert (gate.flat_calls, fine.flat_calls, fine.calls) == (0, 2, 2)
    totals = saving.totals
    assert totals["saved"] == 1 - (gate.tokens + fine.tokens) / fine.flat_tokens
    assert totals["tokens_each"] == (gate.tokens + fine.tokens) / 2


def test_a_failed_gate_saves_nothing() -> None:
    """A sample in which a gate failed, wholly or for a group, is on neither side."""
    rows = [
        asked(COARSE, sample("s1", "late"), by_unit(gate="way", way="late")),
        asked(COARSE, sample("s2", "late"), by_unit(gate="???")),
    ]
    alone, both = the_saving(found(COARSE, rows[0])), the_saving(found(COARSE, *rows))
    assert both.passes == alone.passes
    assert (both.n, both.left_out) == (1, 1)
    nothing = the_saving(found(COARSE, rows[1]))
    assert (nothing.n, nothing.left_out) == (0, 1)
    assert all(math.isnan(nothing.totals[name]) for name in ("saved", "tokens_each", "flat_tokens_each"))


def test_the_servers_count_is_of_the_calls_that_have_one() -> None:
    """Usage is summed where a server told it."""
    told = Completion("ok", raw="late", usage={"prompt_tokens": 70})
    row = asked(COARSE, sample("s1", "late"), lambda call: "way" if call.pass_name == "gate" else told)
    gate, fine = the_saving(found(COARSE, row)).passes
    assert (gate.counted, gate.served, fine.counted, fine.served) == (0, 0, 1, 70)


def test_a_pass_by_label_is_flat_about_every_label() -> None:
    """Behind a gate it asks about the open labels; flat, about each label of its scope in a call of its own."""
    fine = a_pass("fine", "Is it {{ label }}? {{ text }}", per="label", scope=("late", "lost", "torn"))
    fine = replace(fine, output=Output("yes_no"))
    prompt = Prompt("v1", (GATE, fine, a_pass("rest", scope=("dear",))))
    row = asked(prompt, sample("s1", "late"), lambda call: "way" if call.pass_name == "gate" else "yes")
    _, each = the_saving(found(prompt, row)).passes
    assert each.tokens == tokens("Is it late? A text.", "Is it lost? A text.")
    assert each.flat_tokens == tokens(*(f"Is it {name}? A text." for name in ("late", "lost", "torn")))


def test_a_pass_with_candidates_is_flat_about_its_scope() -> None:
    """All labels of the scope are the flat prompt's candidates, in one call or label by label."""
    scoped = replace(MAIN, scope=("late", "lost", "torn"))
    prompt = Prompt("v1", (scoped, a_pass("rest", scope=("thin", "dear"))))
    row = asked(prompt, with_candidates(sample("s1"), "late", "torn"), by_unit())
    (each,) = the_saving(found(prompt, row)).passes
    assert each.tokens == tokens("late torn: A text.")
    assert each.flat_tokens == tokens("late lost torn: A text.")
    one_by_one = replace(
        MAIN, per="label", messages=(MessageTemplate("user", "{{ label }}?"),), output=Output("yes_no")
    )
    prompt = Prompt("v1", (one_by_one,))
    row = asked(prompt, with_candidates(sample("s1"), "late", "torn"), lambda _: "no")
    (each,) = the_saving(found(prompt, row)).passes
    assert (each.calls, each.flat_calls) == (2, 5)


def test_votes_are_paid_on_both_sides() -> None:
    """Every draw counts, in the calls that were made and in the flat prompt's."""
    prompt = Prompt("v1", (GATE, replace(FINE, votes=Votes(3))))
    row = asked(prompt, sample("s1", "late"), by_unit(gate="way", way="late"))
    _, fine = the_saving(found(prompt, row)).passes
    assert (fine.calls, fine.flat_calls) == (3, 3)
    assert fine.flat_tokens == 3 * tokens(" late lost torn thin dear: A text.")


def test_the_flat_prompt_sees_the_answer_so_far() -> None:
    """A template that names what the gate chose is rendered with it, also where nothing more was asked."""
    fine = replace(FINE, messages=(MessageTemplate("user", "{{ passes.gate.groups | join }}|{{ n_predicted }}"),))
    prompt = Prompt("v1", (GATE, fine))
    chosen = asked(prompt, sample("s1"), by_unit(gate="way"))
    nothing = asked(prompt, sample("s2"), by_unit(gate="none"))
    _, each = the_saving(found(prompt, chosen, nothing)).passes
    assert each.flat_tokens == tokens("way|0", "|0")


def test_a_pass_with_a_trigger_is_flat_where_it_was_asked() -> None:
    """What a trigger kept from being asked is not asked by the flat prompt either."""
    prompt = Prompt("v1", (a_pass("first"), GATE, replace(FINE, when="text == 'A'")))
    rows = [asked(prompt, sample(text, text=text), by_unit(gate="way")) for text in ("A", "B")]
    gate, fine = the_saving(found(prompt, *rows)).passes
    assert (gate.calls, fine.calls, fine.flat_calls) == (2, 1, 1)


def test_a_template_for_its_groups_alone_has_no_flat_prompt() -> None:
    """Where all labels cannot be asked about at once there is no comparison, and the recall is told all the same."""
    text = "{{ {'way': 'W', 'box': 'B', 'price': 'P'}[group.name] }}: {{ text }}"
    prompt = Prompt("v1", (GATE, replace(FINE, messages=(MessageTemplate("user", text),))))
    reached = found(prompt, asked(prompt, sample("s1", "late"), by_unit(gate="way", way="late")))
    assert reached.saving is None
    assert reached.gates[0].recall == 1.0


def test_a_gate_that_narrows_nothing_saves_nothing() -> None:
    """Behind a gate that no later pass heeds there is no flat prompt to compare with."""
    prompt = Prompt("v1", (GATE, a_pass("all")))
    reached = found(prompt, asked(prompt, sample("s1"), by_unit(gate="way")))
    assert reached.saving is None
    assert reached.to_json()["saving"] is None


def test_only_prompts_with_a_choice_have_a_reach() -> None:
    """A gate or candidates make it."""
    assert chooses(COARSE)
    assert chooses(OFFERED)
    assert not chooses(Prompt("v1", (a_pass("all"),)))


def test_plain_values_have_no_nan() -> None:
    """As JSON has it, what is not defined is null, and what a person would compute is there."""
    row = asked(COARSE, sample("s1"), by_unit(gate="???"))
    plain = found(COARSE, row).to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["gates"][0]["recall"] is None
    assert plain["saving"]["saved"] is None
    offered = found(OFFERED, asked(OFFERED, with_candidates(sample("s1", "late"), "late", "lost"), by_unit()))
    assert offered.to_json()["candidates"][0]["enough"] is None


# --- of stored runs -------------------------------------------------------------------------------------------------------

DATASET = """\
name: reviews
labels: {late: It came late, lost: It never came, broken: It broke on the first day, dear: Too dear for a lamp}
groups: {way: [late, lost], thing: [broken, dear]}
splits: {dev: reviews.dev.jsonl}
"""
GOLD = {"s1": ["late"], "s2": ["broken"], "s3": ["dear", "broken"], "s4": [], "s5": ["dear"], "s6": ["late", "broken"]}
HEAD = "dataset: ../datasets/reviews.yaml\nmodel: {name: scripted, params: {temperature: 0}}\n"
FEW = (
    HEAD
    + """\
template: "{{ candidates | join(' ') }}: {{ text }}"
candidates: {k: 2, by: BY}
"""
)
BY_SHOTS = (
    HEAD
    + """\
passes:
  - name: gate
    choose: groups
    template: "{{ candidates | join(' ') }} - {{ text }}"
  - name: fine
    per: group
    template: "{{ group.labels | join(' ') }}: {{ text }}"
    shots: {from: ../datasets/shots.jsonl, k: 1, select: balanced, seed: 3}
"""
)


@pytest.fixture
def grouped(folder: Folder) -> Folder:
    """Return a project whose labels have groups."""
    folder.write("datasets/reviews.yaml", DATASET)
    folder.write("datasets/reviews.dev.jsonl", jsonl({key: (DEV[key][0], labels) for key, labels in GOLD.items()}))
    shots = {"w1": ("Lost in the post.", ["lost"]), "w2": ("Fine.", []), "w3": ("Wobbly, overpriced.", ["dear"])}
    folder.write("datasets/shots.jsonl", jsonl(shots))
    return folder


def groups_then_none(request: Request) -> str:
    """Answer a gate with both groups, everything else with none."""
    return "none" if ":" in request.text else "way, thing"


def test_shots_of_groups_are_as_many_in_the_flat_prompt(grouped: Folder) -> None:
    """Where each group has its own shots, the flat prompt has as many as one group, not all of them together."""
    grouped.prompt("v2", BY_SHOTS)
    run = grouped.run("v2", lambda request: Reply(groups_then_none(request)))
    assert run.reach is not None
    _, fine = the_saving(run.reach).passes
    prompt = run.stored.manifest.prompt
    pool = prompt.passes[1].shots
    assert pool is not None
    assert {len(ids) for ids in pool.units.values()} == {1}
    names = "late lost broken dear"
    shot = pool.samples[0]
    answer = ", ".join(sorted(shot.labels or (), key=names.index)) or "none"
    each = [tokens(f"{names}: {shot.inputs['text']}", answer, f"{names}: {DEV[key][0]}") for key in GOLD]
    assert fine.flat_tokens == sum(each)


def test_a_run_without_a_choice_has_no_reach(grouped: Folder) -> None:
    """A plain prompt has none."""
    grouped.prompt("v2", HEAD + 'template: "{{ text }}"\n')
    assert grouped.run("v2", "none").reach is None


def test_candidates_that_another_ranking_chose_have_no_curve(grouped: Folder) -> None:
    """Where today's ranking does not give the candidates of the run, recall at other numbers is not guessed."""
    grouped.prompt("v2", FEW.replace("BY", "similar"))
    run = grouped.run("v2", "none")
    assert run.reach is not None
    (each,) = run.reach.candidates
    assert len(each.recall_at) == 4
    assert each.recall_at[1] == each.recall
    path = run.path / "samples.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["candidates"]["main"] = ["lost", "dear"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = api.Run(load_run(run.path), grouped.project).reach
    assert again is not None
    assert again.candidates[0].recall_at == ()
    assert again.candidates[0].open == sum("dear" in labels for labels in GOLD.values())


def test_rankings_by_embeddings_come_from_the_cache_alone(grouped: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the vectors of the run the ranking is known, wherever the environment points now; without the cache it is not."""
    grouped.prompt("v2", FEW.replace("BY", "embeddings, model: e5"))
    with ScriptedServer(always("none")) as server:
        run = grouped.run_on(server, "v2")
        asked_then = server.count
        monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
        known = run.reach
        assert known is not None
        assert len(known.candidates[0].recall_at) == 4
        assert known.candidates[0].recall_at[1] == known.candidates[0].recall
        grouped.project.cache.unlink()
        fresh = api.Run(load_run(run.path), grouped.project).reach
        assert fresh is not None
        assert fresh.candidates[0].recall_at == ()
        assert server.count == asked_then
    assert known.candidates[0].by == "embeddings"


def test_answers_that_are_read_otherwise_since_are_told(grouped: Folder) -> None:
    """After `harness score` with another output the report reads as the run did, and says for how many that matters."""
    grouped.prompt("v2", FEW.replace("BY", "similar"))
    run = grouped.run("v2", "nothing at all")
    rescored = rescore(load_run(run.path), grouped.project).run
    before = api.Run(rescored, grouped.project).reach
    assert before is not None
    assert before.reread == 0
    grouped.prompt("v2", FEW.replace("BY", "similar") + "output: {format: list, none: nothing at all}\n")
    after = api.Run(rescore(load_run(run.path), grouped.project).run, grouped.project).reach
    assert after is not None
    assert after.reread == len(GOLD)
    assert after.now == before.now


def test_an_estimate_is_of_every_message() -> None:
    """The estimate that both sides use counts messages of a call one by one."""
    messages = ({"role": "system", "content": "12345678"}, {"role": "user", "content": "é" * 4})
    assert estimated_tokens(Call("s1", "main", "", 0, messages, 0)) == 2 + 4 + 2 + 4  # type: ignore[arg-type]


def test_failures_are_values() -> None:
    """A parse failure in a step's results closes all groups of its unit."""
    (unit,) = GATE.units(SPACE)
    said = Prediction("s1", frozenset(), frozenset(SPACE.names), FailureKind.TRUNCATED, "cut")
    failure = ParseFailure(FailureKind.TRUNCATED, "cut")
    step = Step("gate", {}, (unit,), (), (), (failure,), said, said, frozenset(SPACE.names))
    (gate,) = found(COARSE, Asked(sample("s1", "late"), said, {"gate": step})).gates
    assert (gate.failed, gate.open, gate.groups_chosen) == (1, 0, 0)
