"""Plans: which samples a run asks about, and what it may not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from projects import DEV, HEAD, PROMPT, TEST, Folder, jsonl

from harness import planning
from harness.errors import DataError
from harness.labelspace import LabelSpace
from harness.planning import Plan, plan_labels, plan_run, with_shots, with_stand_ins
from harness.prompt import Prompt
from harness.records import Sample
from harness.selection import Selection

SHOTS = PROMPT + "shots: {from: ../datasets/shots.jsonl}\n"


def refusal(folder: Folder, version: str, selection: Selection | None = None) -> str:
    """Return the message with which a plan is refused."""
    with pytest.raises(DataError) as caught:
        plan_run(folder.task(version), None, selection or Selection(), 1, None)
    return str(caught.value)


def test_a_plan_holds_the_labelled_samples_of_the_split(folder: Folder) -> None:
    """The plan is on the labelled samples, in their order, and knows whether the split is the default one."""
    rows = jsonl(DEV) + '{"id": "u", "text": "Unlabelled."}\n'
    folder.write("datasets/reviews.dev.jsonl", rows)
    plan = plan_run(folder.task(), None, Selection(), 2, "night")
    assert [sample.id for sample in plan.samples] == list(DEV)
    assert (plan.dataset, plan.split, plan.default_split, plan.repeats, plan.tag) == (
        "reviews",
        "dev",
        True,
        2,
        "night",
    )
    other = plan_run(folder.task(split="test"), "test", Selection(), 1, None)
    assert (other.split, other.default_split) == ("test", False)
    assert plan_run(folder.task(split="dev"), "dev", Selection(), 1, None).default_split


def test_a_selection_chooses_among_them(folder: Folder) -> None:
    """Filter, ids and limit choose the samples of the plan, and the plan keeps what was chosen by."""
    plan = plan_run(folder.task(), None, Selection(ids=("s2", "s4")), 1, None)
    assert [sample.id for sample in plan.samples] == ["s2", "s4"]
    assert plan.selection == Selection(ids=("s2", "s4"))


def test_without_labelled_samples_there_is_nothing_to_score(folder: Folder) -> None:
    """Samples without labels cannot be scored; the message says what can be done with them."""
    path = folder.write("datasets/reviews.dev.jsonl", '{"id": "u", "text": "Unlabelled."}\n')
    assert refusal(folder, "v1") == (
        f"{folder.project.show(path)}: must have labelled samples to score, got 1 without "
        "labels. To label them, type: harness label PROMPT FILE -o OUT"
    )


def test_a_shot_among_the_evaluated_samples_is_refused(folder: Folder) -> None:
    """A shot whose text is evaluated, whatever its id, case and spaces, would put the answer into the prompt."""
    folder.prompt("v2", SHOTS)
    leak = {"w1": ("  the PARCEL came\ntwo weeks late. ", ["shipping"]), "w2": ("New.", [])}
    folder.write("datasets/shots.jsonl", jsonl(leak))
    assert refusal(folder, "v2") == (
        "prompts/v2.yaml: shots must not be among the evaluated samples, or the prompt holds their answers, but "
        "w1 (sample s1) is. Take them out of the shots or of the split."
    )
    folder.write("datasets/shots.jsonl", jsonl({**leak, "w2": (DEV["s2"][0], ["quality"])}))
    assert "w1 (sample s1), w2 (sample s2) are." in refusal(folder, "v2")


def test_a_shot_that_is_not_evaluated_is_fine(folder: Folder) -> None:
    """What counts are the samples of this run: a shot that the selection leaves out is none of them."""
    folder.prompt("v2", SHOTS)
    folder.write("datasets/shots.jsonl", jsonl({"w1": DEV["s1"]}))
    plan = plan_run(folder.task("v2"), None, Selection(ids=("s2",)), 1, None)
    assert [sample.id for sample in plan.samples] == ["s2"]


def test_samples_without_a_text_are_compared_by_all_columns(folder: Folder) -> None:
    """Where samples have other input columns than a text, a shot leaks when all of them are the same."""
    folder.prompt("v2", HEAD + "template: '{{ title }} {{ body }}'\nshots: {from: ../datasets/shots.jsonl}\n")
    folder.write("datasets/reviews.dev.jsonl", '{"id": "a", "title": "T", "body": "B", "labels": []}\n')
    folder.write("datasets/shots.jsonl", '{"id": "w", "title": "T", "body": "C", "labels": []}\n')
    assert len(plan_run(folder.task("v2"), None, Selection(), 1, None).samples) == 1
    folder.write("datasets/shots.jsonl", '{"id": "w", "body": "B", "title": "T", "labels": []}\n')
    assert "w (sample a) is." in refusal(folder, "v2")


def test_a_template_that_fails_on_a_sample_fails_in_the_plan(folder: Folder) -> None:
    """Every sample's first call is rendered before any is paid for."""
    folder.prompt("v2", PROMPT.replace("{{ text }}", "{{ 1 / (text | length - 10) }}"))
    folder.write("datasets/reviews.dev.jsonl", jsonl({"a": ("fine", []), "b": ("ten letter", [])}))
    assert refusal(folder, "v2") == ("prompts/v2.yaml:6: sample b, pass main: ZeroDivisionError: division by zero.")


def test_a_plan_of_labelling_takes_every_sample(folder: Folder) -> None:
    """To label is to ask about all samples, labelled or not, on no split of the dataset."""
    rows = '{"id": "u", "text": "Unlabelled."}\n' + jsonl(DEV)
    folder.write("datasets/reviews.dev.jsonl", rows)
    plan = plan_labels(folder.task(), Selection())
    assert [sample.id for sample in plan.samples] == ["u", *DEV]
    assert (plan.split, plan.default_split) == ("file:reviews.dev.jsonl", False)
    folder.prompt("v2", PROMPT.replace("{{ text }}", "{{ 1 / 0 }}"))
    with pytest.raises(DataError, match="sample u, pass main: ZeroDivisionError"):
        plan_labels(folder.task("v2"), Selection())


# --- shots ------------------------------------------------------------------------------------------------------------


def shots_plan(folder: Folder, section: str, shots: dict[str, tuple[str, list[str]]]) -> Plan:
    """Return the plan of a prompt with a file of shots."""
    folder.write("datasets/shots.jsonl", jsonl(shots))
    folder.prompt("v2", PROMPT + f"shots: {{from: ../datasets/shots.jsonl, {section}}}\n")
    return plan_run(folder.task("v2"), None, Selection(), 1, None)


def test_shots_that_nearly_are_evaluated_are_a_warning(folder: Folder) -> None:
    """Near-duplicates of evaluated samples do not stop a run; the warning names up to three pairs, the nearest first."""
    near = {
        "w1": ("The parcel came two weeks late!!", ["shipping"]),
        "w2": ("It broke on the very first day.", ["quality"]),
        "w3": ("Expensive; and it fell apart", ["quality"]),
        "w4": ("Lovely -- thank you", []),
        "w5": ("Nothing like any of them.", []),
    }
    assert shots_plan(folder, "k: 5", near).warnings == (
        "prompts/v2.yaml: shots are nearly the same texts as evaluated samples, so the prompt may hold their answers: "
        "w1 and sample s1 (1.00), w3 and sample s3 (1.00), w4 and sample s4 (1.00) and 1 more. "
        "Take them out of the shots or of the split.",
    )
    assert shots_plan(folder, "k: 1, select: similar", near).warnings[0].startswith("prompts/v2.yaml: shots are nearly")
    assert shots_plan(folder, "k: 1", {"w5": near["w5"]}).warnings == ()
    assert plan_run(folder.task("v1"), None, Selection(), 1, None).warnings == ()


def test_text_that_was_pasted_into_the_prompt_is_a_warning(folder: Folder) -> None:
    """Six words in a row of an evaluated sample, in messages or in what they are filled with, are told by its id alone."""
    told = (
        "prompts/v2.yaml: its messages hold text of {}, so its score on them would flatter it: {}. "
        "Take the text out of the prompt."
    )
    texts = [text for text, _ in DEV.values() if len(text.split()) >= 6]
    first = PROMPT.replace("{{ text }}", f"As in '{DEV['s1'][0].upper()}'. {{{{ text }}}}")
    folder.prompt("v2", first)
    assert plan_run(folder.task("v2"), None, Selection(), 1, None).warnings == (
        told.format("an evaluated sample", "s1"),
    )
    assert plan_run(folder.task("v2"), None, Selection(ids=("s2",)), 1, None).warnings == ()
    folder.prompt(
        "v2", PROMPT.replace("{{ text }}", "{{ hint }} {{ text }}") + f"vars: {{hint: '{' / '.join(texts)}'}}\n"
    )
    ids = [name for name, (text, _) in DEV.items() if text in texts]
    plan = plan_run(folder.task("v2"), None, Selection(), 1, None)
    assert plan.warnings == (told.format("evaluated samples", ", ".join(ids)),)


@pytest.mark.parametrize(
    ("section", "what"),
    [("shots: {from: FILE, k: 1}", "shots"), ("candidates: {k: 2, from: FILE}", "examples of 'candidates'")],
)
def test_shots_out_of_a_locked_split_are_a_warning_on_dev_already(folder: Folder, section: str, what: str) -> None:
    """What is taken from the file of a locked split is told in every run, not only in that which it spoils."""
    prompt = PROMPT.replace("labels |", "candidates |") if "candidates" in section else PROMPT
    folder.prompt("v2", prompt + section.replace("FILE", "../datasets/reviews.test.jsonl") + "\n")
    assert folder.task("v2").samples.warnings == (
        f"{folder.path('v2')}: {what} come from 'test', which is locked: what the prompt holds of it cannot be "
        "tested on it. Take them from another file.",
    )
    folder.write("datasets/shots.jsonl", jsonl(TEST))
    folder.prompt("v2", prompt + section.replace("FILE", "../datasets/shots.jsonl") + "\n")
    assert folder.task("v2").samples.warnings == ()


def test_a_pool_among_the_evaluated_samples_is_refused(folder: Folder) -> None:
    """A pool that holds an evaluated sample would give it its own answer."""
    with pytest.raises(DataError, match=r"w1 \(sample s1\) is\."):
        shots_plan(folder, "k: 1, select: similar", {"w1": DEV["s1"], "w2": ("New.", [])})


def test_similar_shots_are_chosen_in_the_plan(folder: Folder) -> None:
    """The samples of a plan carry the ids of their nearest shots, by pass; plain shots are nobody's own."""
    pool = {"w1": ("Late parcel.", ["shipping"]), "w2": ("Dear lamp.", ["price"])}
    plan = shots_plan(folder, "k: 1, select: similar", pool)
    chosen = {sample.id: dict(sample.shots) for sample in plan.samples}
    assert chosen["s1"] == {"main": ("w1",)}
    assert chosen["s5"] == {"main": ("w2",)}
    assert plan.seeds == {}
    assert not shots_plan(folder, "k: 1", pool).samples[0].shots
    labelling = plan_labels(folder.task("v2"), Selection())
    assert not labelling.samples[0].shots
    shots_plan(folder, "k: 2, select: similar", pool)
    assert plan_labels(folder.task("v2"), Selection()).samples[0].shots == {"main": ("w2", "w1")}


def test_a_plan_tells_the_seeds_of_its_draws(folder: Folder) -> None:
    """The seed of a draw goes into the manifest: under `shots`, with several passes under the pass's name too."""
    pool = {"w1": ("Late parcel.", ["shipping"]), "w2": ("Dear lamp.", ["price"])}
    assert shots_plan(folder, "k: 1, select: random, seed: 3", pool).seeds == {"shots": 3}
    assert shots_plan(folder, "k: 1, select: balanced", pool).seeds == {"shots": 0}
    section = "shots: {from: ../datasets/shots.jsonl, k: 1, select: random, seed: 5}"
    folder.prompt("v2", HEAD + f"passes:\n  - template: '{{{{ text }}}}'\n  - {{template: x, {section}}}\n")
    assert plan_run(folder.task("v2"), None, Selection(), 1, None).seeds == {"pass2.shots": 5}


def test_templates_are_tried_before_shots_by_embeddings_are_chosen(folder: Folder) -> None:
    """The first shots stand in while a plan tries its templates; in the plan itself they stay open."""
    pool = {"w1": ("Late parcel.", ["shipping"]), "w2": ("Dear lamp.", ["price"])}
    plan = shots_plan(folder, "k: 1, select: similar, by: embeddings, model: e5", pool)
    assert not plan.samples[0].shots
    assert with_stand_ins(plan.prompt, plan.space, plan.samples)[0].shots == {"main": ("w1",)}
    assert with_shots(plan.prompt, plan.samples) == plan.samples


def test_draws_that_are_one_answer_are_a_warning(folder: Folder) -> None:
    """Votes at a temperature of 0 ask several times for one answer; that is told of runs and of labelling."""
    folder.prompt("v2", PROMPT + "votes: {k: 3}\n")
    told = (
        "prompts/v2.yaml: pass main: 3 draws at 'temperature: 0' are one answer asked for 3 times. "
        "Set a temperature, or take 'votes' out."
    )
    assert folder.plan("v2").warnings == (told,)
    assert plan_labels(folder.task("v2"), Selection()).warnings == (told,)
    folder.prompt("v2", PROMPT.replace("temperature: 0", "temperature: 0.7") + "votes: {k: 3}\n")
    assert folder.plan("v2").warnings == ()


# --- templates that cannot fail ---------------------------------------------------------------------------------------


def test_templates_are_tried_on_the_samples_that_they_could_fail_on(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample whose texts are only printed is not rendered to be sure; one whose column is no text is."""
    rows = [*jsonl(DEV).splitlines(), '{"id": "odd", "text": "Late.", "page": 7, "labels": []}']
    with_pages = [row.replace('"text"', '"page": "one", "text"', 1) if "odd" not in row else row for row in rows]
    folder.write("datasets/reviews.dev.jsonl", "\n".join(with_pages))
    folder.prompt("v2", PROMPT.replace("{{ text }}", "{{ text }} {{ page }}"))
    tried: list[str] = []

    def noted(prompt: Prompt, space: LabelSpace, sample: Sample) -> Iterator[None]:
        tried.append(sample.id)
        yield

    monkeypatch.setattr(planning, "predict", noted)
    plan = plan_run(folder.task("v2"), None, Selection(), 1, None)
    assert (len(plan.samples), tried) == (len(DEV) + 1, ["odd"])


def test_templates_that_do_more_are_tried_on_every_sample(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a template does with a text can fail on any: all are tried, and so are those of a first pass with a `when`."""
    tried: list[str] = []

    def noted(prompt: Prompt, space: LabelSpace, sample: Sample) -> Iterator[None]:
        tried.append(sample.id)
        yield

    monkeypatch.setattr(planning, "predict", noted)
    folder.prompt("v2", PROMPT.replace("{{ text }}", "{{ text | upper }}"))
    plan_run(folder.task("v2"), None, Selection(), 1, None)
    assert tried == list(DEV)
    tried.clear()
    task = folder.task()
    sometimes = replace(task.prompt, passes=(replace(task.prompt.passes[0], when="labels"),))
    plan_run(replace(task, prompt=sometimes), None, Selection(), 1, None)
    assert tried == list(DEV)
