"""Candidates by worked examples: from the prompt file to what is asked, what is refused, and what the report tells."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from projects import DEV, HEAD, Folder, jsonl, right_but
from scripted_server import EMBEDDINGS_PATH, Reply, Request, ScriptedServer

from harness import api, execution
from harness.embeddings import with_embedded, with_expected
from harness.errors import DataError
from harness.planning import plan_labels, plan_run
from harness.prompt import Candidates
from harness.selection import Selection
from harness.store import load_run

FEW = HEAD + "template: 'Which of {{ candidates | join(\", \") }}? {{ text }}'\ncandidates: {k: 1, MORE}\n"
FROM = "from: ../datasets/examples.jsonl"
EXAMPLES: Mapping[str, tuple[str, list[str]]] = {
    "w1": ("The courier was two days late, the parcel never arrived, the box came torn.", ["shipping"]),
    "w2": ("It broke, it cracked, it fell apart.", ["quality"]),
    "w3": ("Expensive, and dear.", ["price"]),
    "w4": ("Thank you, all lovely.", []),
    "w5": ("It is not worth that much, and it wobbles.", ["quality", "price"]),
}


@pytest.fixture
def examples(folder: Folder) -> Folder:
    """Return the project with a file of examples."""
    folder.write("datasets/examples.jsonl", jsonl(EXAMPLES, mood="mad"))
    return folder


def offer(folder: Folder, more: str = FROM, text: str = FEW) -> Candidates:
    """Return the candidates of a prompt as they are read."""
    folder.prompt("v2", text.replace("MORE", more))
    found = folder.task("v2").prompt.passes[0].candidates
    assert found is not None
    return found


def problems(folder: Folder, text: str) -> list[str]:
    """Return what is wrong with a prompt file, without its name."""
    path = folder.prompt("v2", text)
    with pytest.raises(DataError) as caught:
        folder.task("v2")
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def chosen(folder: Folder, more: str) -> dict[str, tuple[str, ...]]:
    """Return by sample the candidates that a plan chooses."""
    folder.prompt("v2", FEW.replace("MORE", more))
    return {sample.id: sample.candidates["main"] for sample in folder.plan("v2").samples}


# --- the file ---------------------------------------------------------------------------------------------------------


def test_examples_are_read_and_kept(examples: Folder) -> None:
    """The prompt keeps the samples that have a label that is asked about, as far as they say something of it."""
    kept = offer(examples).examples
    assert [(each.id, sorted(each.labels or ()), dict(each.fields)) for each in kept] == [
        ("w1", ["shipping"], {}),
        ("w2", ["quality"], {}),
        ("w3", ["price"], {}),
        ("w5", ["price", "quality"], {}),
    ]
    assert offer(examples, "by: similar").examples == ()


def test_a_pass_keeps_the_examples_of_its_scope(examples: Folder) -> None:
    """Each pass has the examples of the labels that it answers."""
    scoped = (
        HEAD
        + "passes:\n"
        + "  - {name: all, template: '{{ text }}'}\n"
        + "  - name: two\n    template: '{{ candidates }} {{ text }}'\n"
        + f"    candidates: {{k: 1, {FROM}}}\n    merge: {{scope: [shipping, price]}}\n"
    )
    examples.prompt("v2", scoped)
    found = examples.task("v2").prompt.passes[1].candidates
    assert found is not None
    assert [(each.id, sorted(each.labels or ())) for each in found.examples] == [
        ("w1", ["shipping"]),
        ("w3", ["price"]),
        ("w5", ["price"]),
    ]


def test_only_what_is_kept_is_in_the_hash(examples: Folder) -> None:
    """Another example is another prompt; a sample without a label, or another gold field, is not."""
    first = offer(examples)
    was = examples.task("v2").prompt.hash
    examples.write("datasets/examples.jsonl", jsonl({**EXAMPLES, "w6": ("Fine.", [])}, mood="happy"))
    assert offer(examples) == first
    assert examples.task("v2").prompt.hash == was
    examples.write("datasets/examples.jsonl", jsonl({**EXAMPLES, "w6": ("Torn.", ["shipping"])}))
    offer(examples)
    assert examples.task("v2").prompt.hash != was


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            '{"id": "w1", "text": "Late."}\n{"id": "w2", "text": "Torn.", "labels": ["shipping"]}\n',
            ["4: 'candidates.from' must be labelled, but these are not: w1."],
        ),
        (
            '{"id": "w1", "text": "Fine.", "labels": []}\n',
            [
                "4: 'candidates.from' must have examples of labels that the pass asks about, but examples.jsonl has none. "
                "Add some, or take 'from' out."
            ],
        ),
        (
            '{"id": "w1", "text": "Late.", "labels": ["shiping"]}\n',
            [
                "4: 'candidates.from' cannot be used:",
                "ROOT/prompts/../datasets/examples.jsonl:1: label 'shiping' is not in the label space. "
                "Did you mean 'shipping'?",
            ],
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told(examples: Folder, rows: str, told: list[str]) -> None:
    """Its rows must be labelled, with labels that exist, some of them of the pass; what is wrong comes with its line."""
    examples.write("datasets/examples.jsonl", rows)
    found = problems(examples, FEW.replace("MORE", FROM))
    assert found == [line.replace("ROOT", str(examples.root)) for line in told]


def test_a_missing_file_is_told_with_the_other_problems(examples: Folder) -> None:
    """All that is wrong with the prompt comes at once."""
    found = problems(examples, FEW.replace("k: 1, MORE", "k: 3, from: ../datasets/none.jsonl"))
    assert found[0] == "4: 'candidates.from' cannot be used:"
    assert "none.jsonl" in found[1]
    assert "'candidates' must choose fewer labels than the 3 that the pass asks about, got k 3." in found[-1]


def test_a_scope_of_unknown_labels_is_told_alone(examples: Folder) -> None:
    """Where the scope is wrong no examples are looked for."""
    scoped = (
        HEAD
        + "passes:\n  - {name: all, template: '{{ text }}'}\n  - name: two\n    template: '{{ candidates }} {{ text }}'\n"
        + "    candidates: {k: 1, from: ../datasets/none.jsonl}\n    merge: {scope: [shiping, price]}\n"
    )
    (found,) = problems(examples, scoped)
    assert "'merge.scope' names 'shiping', which is no label." in found


# --- what is chosen ---------------------------------------------------------------------------------------------------


def test_examples_choose_what_names_do_not_find(examples: Folder) -> None:
    """A text that shares no word with a label's name finds it by its examples."""
    before, after = chosen(examples, "by: similar"), chosen(examples, FROM)
    right = [{name for name in DEV if by[name][0] in DEV[name][1]} for by in (before, after)]
    assert right == [{"s1", "s5", "s6"}, {"s1", "s2", "s3", "s5", "s6"}]


def test_texts_are_labelled_by_examples_too(examples: Folder) -> None:
    """Labelling chooses as a run does, and looks for no leaks: there is no gold."""
    expected = chosen(examples, FROM)
    examples.write("datasets/examples.jsonl", jsonl({**EXAMPLES, "w6": DEV["s1"]}))
    plan = plan_labels(examples.task("v2"), Selection())
    assert {sample.id: sample.candidates["main"] for sample in plan.samples} == expected
    assert plan.warnings == ()


def test_labels_without_an_example_are_told(examples: Folder) -> None:
    """Labels that have none come behind the others, so a run and a labelling say which they are."""
    examples.write("datasets/examples.jsonl", jsonl({"w1": EXAMPLES["w1"]}))
    examples.prompt("v2", FEW.replace("MORE", FROM))
    told = (
        "prompts/v2.yaml: pass main: 2 of 3 labels have no example in 'candidates.from' and come behind those that have: "
        "quality, price. Add examples of them."
    )
    assert examples.plan("v2").warnings == (told,)
    assert plan_labels(examples.task("v2"), Selection()).warnings == (told,)


# --- leaks ------------------------------------------------------------------------------------------------------------


def test_an_example_among_the_evaluated_samples_is_refused(examples: Folder) -> None:
    """An evaluated sample among the examples would find its own labels."""
    examples.write(
        "datasets/examples.jsonl", jsonl({**EXAMPLES, "w6": ("the PARCEL came two weeks late.", ["shipping"])})
    )
    examples.prompt("v2", FEW.replace("MORE", FROM))
    with pytest.raises(DataError) as caught:
        plan_run(examples.task("v2"), None, Selection(), 1, None)
    assert str(caught.value) == (
        "prompts/v2.yaml: examples of 'candidates' must not be among the evaluated samples, or they find their own labels, "
        "but w6 (sample s1) is. Take them out of the examples or of the split."
    )
    assert plan_run(examples.task("v2"), None, Selection(ids=("s2",)), 1, None).samples[0].id == "s2"


def test_an_example_that_nearly_is_evaluated_is_a_warning(examples: Folder) -> None:
    """Near-duplicates are told, beside those of the shots."""
    near = {"w6": ("It broke on the very first day.", ["quality"])}
    examples.write("datasets/examples.jsonl", jsonl({**EXAMPLES, **near}))
    examples.write("datasets/shots.jsonl", jsonl({"w6": ("The parcel came two weeks late!!", ["shipping"])}))
    examples.prompt("v2", FEW.replace("MORE", FROM) + "shots: {from: ../datasets/shots.jsonl}\n")
    shots, told = examples.plan("v2").warnings
    assert shots.startswith(
        "prompts/v2.yaml: shots are nearly the same texts as evaluated samples, so the prompt may hold "
    )
    assert told.startswith(
        "prompts/v2.yaml: examples of 'candidates' are nearly the same texts as evaluated samples, so they may find their "
        "own labels: w6 and sample s2 ("
    )
    assert told.endswith("). Take them out of the examples or of the split.")


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_keeps_its_examples(examples: Folder) -> None:
    """The run's own examples rank its labels again, whatever the file holds now, so recall for every k is known."""
    examples.prompt("v2", FEW.replace("MORE", FROM))
    run = examples.run("v2", right_but())
    examples.write("datasets/examples.jsonl", "gone\n")
    reach = api.Run(load_run(run.path), examples.project).reach
    assert reach is not None
    (each,) = reach.candidates
    assert each.recall_at[0] == each.recall
    assert each.recall_at[-1] == 1
    stored = json.loads((run.path / "run.json").read_text())
    kept = stored["prompt"]["passes"][0]["candidates"]["examples"]
    assert [row["id"] for row in kept] == ["w1", "w2", "w3", "w5"]


def vectors_of(request: Request) -> Reply:
    """Answer with vectors in which a text about a parcel is one thing and all else another; and with none to a prompt."""
    if request.path != EMBEDDINGS_PATH:
        return right_but()(request)  # type: ignore[operator]
    return Reply(vectors=[[1.0, 0.0] if "parcel" in text else [0.0, 1.0] for text in request.body["input"]])


def test_embeddings_of_examples_decide(examples: Folder) -> None:
    """A label's vector is the direction of its own and its examples' vectors; each text is asked for once."""
    with ScriptedServer(vectors_of) as server:
        examples.prompt("v2", FEW.replace("MORE", f"{FROM}, by: embeddings, model: e5"))
        plan = examples.plan("v2", base_url=server.base_url)
        wanted = len(DEV) + 3 + 4
        assert with_expected(plan.prompt, plan.space, plan.samples, examples.project)[1] == wanted
        samples = with_embedded(plan.prompt, plan.space, plan.samples, examples.project)
        texts = [text for each in server.requests for text in each.body["input"]]
        assert len(texts) == len(set(texts)) == wanted
        found = {sample.id: sample.candidates["main"] for sample in samples}
        assert found["s1"] == ("shipping",)
        assert found["s2"] == ("quality",)
        run = execution.start(plan, examples.project)
        reach = api.Run(load_run(run.path), examples.project).reach
    assert reach is not None
    assert len(reach.candidates[0].recall_at) == 3
    assert {sample.id: sample.candidates["main"] for sample in run.samples} == found
