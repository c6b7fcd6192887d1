"""230 labels in 20 groups asked coarse to fine, and by candidates, over real HTTP: every number is counted by hand too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import many_labels as many
import pytest
from click.testing import CliRunner
from many_labels import GROUP_OF, GROUPS, Row, listing, tokens
from projects import Folder
from scripted_server import ScriptedServer

from harness import api
from harness.cli import group as cli
from harness.neighbours import label_text, nearest
from harness.outlook import foresee
from harness.reach import CandidateReach, GateReach, Reach
from harness.store import load_run

N = 300


GATE_TEXT = listing(many.GATE_SYSTEM, {group: about for group, (about, _) in many.AREAS.items()})
FLAT_TEXT = listing(many.FINE_SYSTEM, many.ABOUT)
FINE_TEXTS = {
    group: listing(many.FINE_SYSTEM, {name: many.ABOUT[name] for name in names}) for group, names in GROUPS.items()
}


class Ran:
    """A run of one of the prompts, and what the server was asked."""

    def __init__(self, root: Path, version: str) -> None:
        self.folder = Folder(many.write_project(root, N))
        with ScriptedServer(many.answer) as server:
            self.run: api.Run = self.folder.run_on(server, version)
            self.asked = [
                (str(request.messages[0]["content"]), str(request.messages[-1]["content"]))
                for request in server.requests
            ]

    @property
    def reach(self) -> Reach:
        """What the report of the run says."""
        found = self.run.reach
        assert found is not None
        return found


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Run the prompt with a gate."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", "none")
        yield Ran(tmp_path_factory.mktemp("coarse"), "coarse")


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Run the prompt with candidates."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", "none")
        yield Ran(tmp_path_factory.mktemp("offered"), "candidates")


def answered() -> list[Row]:
    """Return the samples in which the gate did not fail."""
    return [each for each in many.rows(N) if many.chosen(each) is not None]


def chosen(each: Row) -> tuple[str, ...]:
    """Return the groups that the gate chose for a sample in which it did not fail, in label-space order."""
    groups = many.chosen(each)
    assert groups is not None
    return tuple(group for group in GROUPS if group in groups)


def fine_answers(each: Row) -> Iterator[tuple[str, set[str] | None]]:
    """Yield what a sample's groups are answered: the labels, or None where the call failed."""
    for group in chosen(each):
        said = many.said(each, GROUPS[group])
        yield group, None if said is None else set(said)


# --- coarse to fine -------------------------------------------------------------------------------------------------------


def the_gate(ran: Ran) -> GateReach:
    """Return what the report says of the gate."""
    (gate,) = ran.reach.gates
    return gate


def test_gate_recall_is_right_to_the_digit(coarse: Ran) -> None:
    """Gold cells are split into chosen groups, groups not chosen, and failed gates, as counted from the server's rule."""
    everything = many.rows(N)
    gold = sum(len(each.labels) for each in everything)
    left = sum(GROUP_OF[name] in chosen(each) for each in answered() for name in each.labels)
    failed = sum(len(each.labels) for each in everything if many.chosen(each) is None)
    gate = the_gate(coarse)
    assert (gate.gold, gate.open, gate.failed, gate.not_chosen) == (gold, left, failed, gold - left - failed)
    assert gate.recall == left / gold
    assert 0 < failed < gold - left < left
    assert (gate.samples, gate.n_labels, len(gate.groups)) == (N, 230, 20)
    assert gate.groups_chosen == sum(len(chosen(each)) for each in answered()) / N


def test_every_group_has_its_own_recall_and_precision(coarse: Ran) -> None:
    """A group's gold cells, how often it was chosen and how often rightly, are those of the rule."""
    for row in the_gate(coarse).groups:
        names = GROUPS[row.group]
        gold = sum(name in names for each in many.rows(N) for name in each.labels)
        picked = [each for each in answered() if row.group in chosen(each)]
        left = sum(name in names for each in picked for name in each.labels)
        right = sum(row.group in each.groups for each in picked)
        assert (row.n_labels, row.gold, row.open) == (len(names), gold, left)
        assert (row.chosen, row.right) == (len(picked), right)
        assert (row.recall, row.precision) == (left / gold, right / len(picked))


def test_errors_inside_the_groups_stand_apart(coarse: Ran) -> None:
    """Inside the chosen groups cells are found, missed, unanswered or wrong; nothing is named outside of them."""
    found = missed = unanswered = wrong = 0
    for each in answered():
        for group, said in fine_answers(each):
            gold = set(each.labels) & set(GROUPS[group])
            if said is None:
                unanswered += len(gold)
            else:
                found, missed, wrong = found + len(gold & said), missed + len(gold - said), wrong + len(said - gold)
    inside = the_gate(coarse).inside
    assert (inside.found, inside.missed, inside.unanswered, inside.wrong) == (found, missed, unanswered, wrong)
    assert inside.gold == found + missed + unanswered == the_gate(coarse).open
    assert (inside.recall, inside.precision) == (found / inside.gold, found / (found + wrong))
    assert min(found, missed, unanswered, wrong) > 0
    assert (the_gate(coarse).repaired, the_gate(coarse).wrong_outside) == (0, 0)


def test_the_upper_bound_is_what_the_gate_left_open(coarse: Ran) -> None:
    """With everything inside the chosen groups right, recall is gate recall and exact are the samples that lost nothing."""
    bound, now = the_gate(coarse).bound, coarse.reach.now
    assert bound.micro_recall == the_gate(coarse).recall
    exact = sum(set(each.groups) <= set(chosen(each)) for each in answered())
    assert bound.subset_accuracy == exact / N
    averages = coarse.run.result.averages
    assert (now.macro_f1, now.micro_f1, now.subset_accuracy) == (
        averages.macro_f1,
        averages.micro_f1,
        averages.subset_accuracy,
    )
    assert bound.macro_f1 > now.macro_f1


def test_saved_tokens_are_right_to_the_digit(coarse: Ran) -> None:
    """Both sides are counted from the texts alone, without those samples whose gate failed."""
    sent = {text for text, _ in coarse.asked}
    assert sent == {GATE_TEXT, *FINE_TEXTS.values()}
    gate = sum(tokens(GATE_TEXT, each.text) for each in answered())
    fine = sum(tokens(FINE_TEXTS[group], each.text) for each in answered() for group in chosen(each))
    flat = sum(tokens(FLAT_TEXT, each.text) for each in answered())
    saving = coarse.reach.saving
    assert saving is not None
    assert [(each.name, each.tokens, each.flat_tokens) for each in saving.passes] == [
        ("gate", gate, 0),
        ("fine", fine, flat),
    ]
    assert [(each.calls, each.flat_calls) for each in saving.passes] == [
        (len(answered()), 0),
        (sum(len(chosen(each)) for each in answered()), len(answered())),
    ]
    assert (saving.n, saving.left_out) == (len(answered()), N - len(answered()))
    assert saving.totals["saved"] == 1 - (gate + fine) / flat
    assert 0.5 < saving.totals["saved"] < 1


def test_the_servers_own_count_stands_beside_the_estimate(coarse: Ran) -> None:
    """The server's prompt tokens are summed over the calls that it answered, which are fewer than were made."""
    saving = coarse.reach.saving
    assert saving is not None
    gate, fine = saving.passes
    assert gate.served == sum(1 + len(f"{GATE_TEXT}\n{each.text}") // 4 for each in answered())
    whole = [(each, group) for each in answered() for group, said in fine_answers(each) if said is not None]
    assert fine.served == sum(1 + len(f"{FINE_TEXTS[group]}\n{each.text}") // 4 for each, group in whole)
    assert (gate.counted, fine.counted) == (gate.calls, len(whole))
    assert fine.counted < fine.calls


def test_the_flat_prompt_costs_what_the_flat_prompt_of_a_file_costs(coarse: Ran) -> None:
    """The flat side is what a prompt file with all labels would send, sample for sample."""
    saving = coarse.reach.saving
    assert saving is not None
    outlook = foresee(coarse.folder.plan("flat", base_url="http://localhost:1/v1"), coarse.folder.project)
    failed = [each for each in many.rows(N) if many.chosen(each) is None]
    extra = sum(tokens(FLAT_TEXT, each.text) for each in failed)
    assert saving.totals["flat_tokens"] == outlook.prompt_tokens - extra


def test_a_dry_run_tells_the_most_calls(coarse: Ran) -> None:
    """A gate may choose every group: so many calls can follow at most."""
    outlook = foresee(coarse.folder.plan("coarse", base_url="http://localhost:1/v1"), coarse.folder.project)
    assert (outlook.calls, outlook.later_calls) == (N, N * len(GROUPS))


# --- candidates -----------------------------------------------------------------------------------------------------------


def the_candidates(ran: Ran) -> CandidateReach:
    """Return what the report says of the candidates."""
    (found,) = ran.reach.candidates
    return found


def orders(ran: Ran) -> list[list[str]]:
    """Return for each sample all labels, the nearest first."""
    space = ran.run.stored.manifest.space
    rows = nearest([label_text(label) for label in space], [each.text for each in many.rows(N)], len(space))
    return [[space.names[at] for at in reversed(row)] for row in rows]


def test_candidate_recall_is_right_to_the_digit(offered: Ran) -> None:
    """Gold cells among the candidates, and recall for every other number of them, follow from the ranking alone."""
    found, ranking = the_candidates(offered), orders(offered)
    gold = sum(len(each.labels) for each in many.rows(N))
    places = [order.index(name) for each, order in zip(many.rows(N), ranking, strict=True) for name in each.labels]
    assert (found.k, found.by, found.n_labels, found.samples, found.gold) == (30, "tfidf", 230, N, gold)
    assert found.open == sum(place < 30 for place in places)
    assert found.recall_at == tuple(sum(place < k for place in places) / gold for k in range(1, 231))
    assert found.recall == found.recall_at[29]
    assert found.enough == 1 + sorted(places)[-(-gold * 95 // 100) - 1]
    lost = {row.label: (row.gold, row.left_out) for row in found.left_out}
    assert sum(n for _, n in lost.values()) == found.lost == gold - found.open
    assert list(lost.values()) == sorted(lost.values(), key=lambda pair: -pair[1])


def test_errors_among_the_candidates_stand_apart(offered: Ran) -> None:
    """What was offered is found, missed, unanswered or wrong as the server answers it."""
    found = missed = unanswered = wrong = 0
    for each, order in zip(many.rows(N), orders(offered), strict=True):
        names = [name for name in many.LABELS if name in order[:30]]
        gold, said = set(each.labels) & set(names), many.said(each, names)
        if said is None:
            unanswered += len(gold)
        else:
            found, missed = found + len(gold & set(said)), missed + len(gold - set(said))
            wrong += len(set(said) - gold)
    inside = the_candidates(offered).inside
    assert (inside.found, inside.missed, inside.unanswered, inside.wrong) == (found, missed, unanswered, wrong)


def test_candidates_save_tokens(offered: Ran) -> None:
    """A prompt with candidates is counted against the same prompt with all labels as candidates."""
    saving = offered.reach.saving
    assert saving is not None
    texts = {each.text: each for each in many.rows(N)}
    assert len(offered.asked) == N
    (only,) = saving.passes
    assert only.tokens == sum(tokens(system, user) for system, user in offered.asked)
    assert only.flat_tokens == sum(tokens(FLAT_TEXT, text) for text in texts)
    assert (only.calls, only.flat_calls, saving.left_out) == (N, N, 0)


# --- where it is shown ----------------------------------------------------------------------------------------------------


def shown(ran: Ran, *words: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a command prints in the folder of a run."""
    monkeypatch.chdir(ran.folder.root)
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_show_tells_it(coarse: Ran, offered: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """`harness show` has the block for prompts that choose, and the same numbers as JSON."""
    text = shown(coarse, "show", coarse.run.id, monkeypatch=monkeypatch)
    assert "Coarse to fine: groups by pass gate" in text
    assert "Candidates:" not in text
    plain: dict[str, Any] = json.loads(shown(coarse, "show", coarse.run.id, "--json", monkeypatch=monkeypatch))
    assert plain["reach"]["gates"][0]["recall"] == the_gate(coarse).recall
    assert plain["reach"]["saving"]["saved"] == pytest.approx(0.84, abs=0.05)
    text = shown(offered, "show", offered.run.id, monkeypatch=monkeypatch)
    assert "Candidates: pass main, the 30 of 230 labels nearest by tfidf" in text


def test_run_tells_it_as_json_and_as_markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`harness run` has the block in what it prints, in JSON and in a Markdown file."""
    monkeypatch.chdir(many.write_project(tmp_path, 12))
    with ScriptedServer(many.answer) as server:
        asking = ["run", "prompts/coarse.yaml", "--base-url", server.base_url]
        done = CliRunner().invoke(cli, [*asking, "-o", "run.md"])
        plain = json.loads(CliRunner().invoke(cli, [*asking, "--json"]).stdout)
    assert "Coarse to fine: groups by pass gate" in done.stdout
    text = (tmp_path / "run.md").read_text(encoding="utf-8")
    assert "## Coarse to fine: gate" in text
    assert "## Prompt tokens" in text
    gold = sum(len(each.labels) for each in many.rows(12))
    assert plain["reach"]["gates"][0]["gold"] == gold


def test_a_stored_run_says_the_same_again(coarse: Ran) -> None:
    """The numbers come from what is stored alone: no call, and the same from a fresh reading."""
    again = api.Run(load_run(coarse.run.path), coarse.folder.project).reach
    assert again == coarse.reach
    assert again.reread == 0
