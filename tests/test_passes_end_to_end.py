"""Several passes from the prompt file to stored scores over real HTTP: `when`, merge rules, gates and candidates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from projects import DEV, HEAD, Folder, Switch
from scripted_server import Reply, Request, ScriptedServer, error, say

from harness import execution
from harness.calibrating import calibrate_run
from harness.errors import DataError
from harness.outlook import foresee
from harness.planning import plan_labels
from harness.prompt import Prompt
from harness.records import FailureKind, Prediction
from harness.rescoring import Rescored, next_contexts, rescore, steps_of
from harness.selection import Selection
from harness.store import StoredRun, load_run

GROUPED = """\
name: reviews
labels:
  shipping: Late, lost or damaged parcel on the way
  quality: {description: It broke or fell apart, aliases: [build quality]}
  price: Too dear and expensive
groups:
  delivery: {labels: [shipping], description: The journey of the parcel}
  product: [quality, price]
fields:
  mood: {type: choice, values: [happy, mad]}
splits: {dev: reviews.dev.jsonl, test: reviews.test.jsonl}
"""
GROUP_OF = {"shipping": "delivery", "quality": "product", "price": "product"}

COARSE = (
    HEAD
    + """\
passes:
  - name: gate
    choose: groups
    template: "Which of {% for each in candidates %}{{ each }}, {% endfor %}? {{ text }}"
  - name: fine
    per: group
    template: "Of {{ group }}, which of {{ group.labels | join(', ') }}? {{ text }}"
"""
)
FEW = HEAD + "template: 'Which of {{ candidates | join(\", \") }}? {{ text }}'\ncandidates: {k: 2}\n"
CONFIRMED = (
    HEAD
    + """\
passes:
  - name: first
    template: "First: {{ text }}"
  - name: sure
    per: label
    merge: {how: confirm}
    template: "Sure of {{ label }}? {{ text }}"
    output: yes_no
"""
)
VOTED = COARSE.replace("choose: groups\n", "choose: groups\n    votes: {k: 3, how: any}\n").replace(
    "temperature: 0", "temperature: 0.7"
)


@pytest.fixture
def grouped(folder: Folder) -> Folder:
    """Return the project with groups in its dataset."""
    folder.write("datasets/reviews.yaml", GROUPED)
    return folder


@pytest.fixture
def switch() -> Switch:
    """Return a script that answers exactly right until it is told otherwise."""
    return Switch(right)


@pytest.fixture
def server(switch: Switch) -> Iterator[ScriptedServer]:
    """Return a server that answers as the switch stands."""
    with ScriptedServer(switch) as running:
        yield running


def gold_of(request: Request) -> tuple[str, list[str]]:
    """Return the text of the sample that a request is about, and its gold labels."""
    return next((text, labels) for text, labels in DEV.values() if request.text.endswith(text))


def right(request: Request) -> Reply:
    """Answer a request of any of the prompts here as a perfect model would."""
    _, labels = gold_of(request)
    text = request.text
    if text.startswith("Sure of"):
        return say("yes" if text.split()[2].rstrip("?") in labels else "no")
    if text.startswith("Which of delivery, product"):
        return say(", ".join(dict.fromkeys(GROUP_OF[label] for label in labels)) or "none")
    offered = text.partition("hich of ")[2].partition("?")[0].split(", ")
    within = labels if text.startswith("First") else [label for label in labels if label in offered]
    return say(", ".join(within) or "none")


def first_words(server: ScriptedServer) -> Counter[str]:
    """Return how many requests began with each word."""
    return Counter(request.text.split()[0] for request in server.requests)


def predicted(run: StoredRun) -> dict[str, Any]:
    """Return the predicted labels by sample, the kind of its failure where there is one."""
    return {each.sample: str(each.failure) if each.failure else sorted(each.labels) for each in run.predictions}


def again(folder: Folder, run: StoredRun, server: ScriptedServer) -> Rescored:
    """Score a run again as it is on disk now; no call may be made for it."""
    server.reset()
    rescored = rescore(load_run(run.path), folder.project)
    assert server.count == 0
    return rescored


def start(folder: Folder, server: ScriptedServer, text: str, version: str = "v2", **options: Any) -> StoredRun:
    """Run a prompt against a server."""
    folder.prompt(version, text)
    return folder.run_on(server, version, **options).stored


def told(folder: Folder, text: str) -> list[str]:
    """Return what is wrong with a prompt file, without its name."""
    path = folder.prompt("v2", text)
    with pytest.raises(DataError) as caught:
        folder.task("v2")
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


GOLD = {identity: sorted(labels) for identity, (_, labels) in DEV.items()}


# --- gates and candidates ---------------------------------------------------------------------------------------------


def test_coarse_to_fine(grouped: Folder, server: ScriptedServer) -> None:
    """A gate chooses groups, each chosen group is a call, and the rest is absent."""
    run = start(grouped, server, COARSE)
    assert predicted(run) == GOLD
    assert first_words(server) == {"Which": 6, "Of": 6}  # s6 has two groups, s4 none
    assert run.manifest.state == "complete"
    assert run.scores["averages"]["subset_accuracy"] == 1.0


def test_labels_of_groups_that_were_missed_are_absent(grouped: Folder, switch: Switch, server: ScriptedServer) -> None:
    """What a gate leaves out nobody can repair later: an answer, and wrong."""
    switch.to(lambda request: say("delivery") if request.text.startswith("Which") else right(request))
    run = start(grouped, server, COARSE)
    assert predicted(run) == {each: [name for name in gold if name == "shipping"] for each, gold in GOLD.items()}
    assert run.scores["coverage"] == 1.0


def test_a_gate_that_fails_costs_its_sample(grouped: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A failed gate leaves all labels open, the run can be resumed, and then it is asked about the groups."""
    text = DEV["s3"][0]
    switch.to(lambda request: error(500) if request.text.endswith(text) else right(request))
    run = start(grouped, server, COARSE)
    assert predicted(run) == {**GOLD, "s3": "call_error"}
    assert run.manifest.state == "incomplete"
    server.reset()
    switch.to(right)
    resumed = execution.resume(load_run(run.path), grouped.project)
    assert (predicted(resumed), first_words(server)) == (GOLD, {"Which": 1, "Of": 1})


def test_a_gate_that_cannot_be_read_is_drawn_again(grouped: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Answers of a gate fail in their own names: those are drawn again, and what comes after them is asked."""
    text = DEV["s6"][0]
    switch.to(lambda request: say("shipping") if request.text.endswith(text) else right(request))
    run = start(grouped, server, COARSE.replace("temperature: 0", "temperature: 1"))
    assert predicted(run) == {**GOLD, "s6": "unparseable"}
    server.reset()
    switch.to(right)
    retry = frozenset({FailureKind.UNPARSEABLE})
    again = execution.resume(load_run(run.path), grouped.project, retry=retry)
    assert (predicted(again), first_words(server)) == (GOLD, {"Which": 1, "Of": 2})


def test_candidates_are_those_that_are_near(grouped: Folder, server: ScriptedServer) -> None:
    """Each sample is asked about the two labels nearest to its text, in label-space order; they are stored."""
    run = start(grouped, server, FEW)
    by_id = {sample.id: sample.candidates["main"] for sample in run.samples}
    assert by_id["s1"][0] == "shipping"
    assert "quality" in by_id["s3"]
    offered = {
        gold_of(request)[0]: request.text.partition("hich of ")[2].partition("?")[0] for request in server.requests
    }
    assert offered == {DEV[identity][0]: ", ".join(names) for identity, names in by_id.items()}
    assert predicted(run) == {each: [name for name in gold if name in by_id[each]] for each, gold in GOLD.items()}


def test_shots_are_asked_about_candidates_of_their_own(grouped: Folder, server: ScriptedServer) -> None:
    """A shot shows the candidates of the sample and its own labels, so that its answer is not always none."""
    run = start(grouped, server, FEW + "shots: {from: ../datasets/shots.jsonl}\n", limit=1)
    (body,) = server.bodies()
    own = run.samples[0].candidates["main"]
    shots = [message["content"] for message in body["messages"]]
    everything = [name for name in ("shipping", "quality", "price") if name in {*own, "quality", "price"}]
    assert shots[1::2] == ["shipping", "none", "quality, price"]
    assert shots[4] == f"Which of {', '.join(everything)}? Wobbly and overpriced."
    assert shots[6].startswith(f"Which of {', '.join(own)}? ")


def test_placed_shots_have_candidates(grouped: Folder, server: ScriptedServer) -> None:
    """A template that places its shots itself can show what each of them chose from."""
    each = "{% for shot in shots %}{{ shot.candidates | join('/') }} = {{ shot.answer }}; {% endfor %}"
    text = FEW.replace("'Which of", f"'{each}Which of".replace("'/'", '"/"'))
    start(grouped, server, text + "shots: {from: ../datasets/shots.jsonl}\n", limit=1)
    assert "; " in server.requests[0].text
    assert "quality/price = quality, price; " in server.requests[0].text.replace("shipping/", "")


def test_a_file_is_labelled_with_gates_and_candidates(grouped: Folder, server: ScriptedServer) -> None:
    """Texts without gold are asked in the same way."""
    for version, text in (("v2", COARSE), ("v3", FEW)):
        grouped.prompt(version, text)
        plan = plan_labels(grouped.task(version, base_url=server.base_url), Selection())
        run = execution.start(plan, grouped.project)
        assert len(run.predictions) == len(DEV)
        assert not any(each.failed for each in run.predictions)


@pytest.mark.parametrize(
    ("text", "calls", "later"),
    [
        (COARSE, 6, 12),
        (VOTED, 18, 12),
        (FEW, 6, 0),
        (CONFIRMED, 6, 18),
        (CONFIRMED.replace("per: label\n", "per: label\n    candidates: {k: 2}\n"), 6, 12),
    ],
)
def test_a_dry_run_counts_the_most(grouped: Folder, text: str, calls: int, later: int) -> None:
    """Calls of the first pass, and the most that later ones can add: a call for each unit, or candidate, of each sample."""
    grouped.prompt("v2", text)
    outlook = foresee(grouped.plan("v2"), grouped.project)
    assert (outlook.calls, outlook.later_calls) == (calls, later)


# --- law 6 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "first"),
    [
        (COARSE, COARSE.replace("Of {{ group }}, which", "About {{ group }}: which"), "Which"),
        (CONFIRMED, CONFIRMED.replace("Sure of {{ label }}?", "Sure of {{ label }}? Really?"), "First:"),
        (CONFIRMED, CONFIRMED.replace("{how: confirm}", "{how: union, scope: [price]}"), "First:"),
    ],
    ids=["gate", "second look", "merge rule"],
)
def test_the_first_pass_is_never_paid_again(
    grouped: Folder, server: ScriptedServer, before: str, after: str, first: str
) -> None:
    """When only later passes change, no call of the first one is sent again."""
    start(grouped, server, before)
    n_first = first_words(server)[first]
    assert n_first == len(DEV)
    server.reset()
    run = start(grouped, server, after, "v3")
    assert first_words(server)[first] == 0
    assert sum(each.completion.cached for each in run.log.latest.values()) >= n_first
    assert not any(each.failed for each in run.predictions)


def test_confirming_asks_about_what_is_predicted(grouped: Folder, server: ScriptedServer) -> None:
    """A pass that confirms label by label makes a call for each predicted label."""
    run = start(grouped, server, CONFIRMED)
    assert first_words(server) == {"First:": 6, "Sure": sum(len(gold) for gold in GOLD.values())}
    assert predicted(run) == GOLD


# --- scoring again ----------------------------------------------------------------------------------------------------


def unreliable(request: Request) -> Reply:
    """Answer right, but for some requests, which fail in several ways."""
    text, labels = gold_of(request)
    if text == DEV["s2"][0]:
        return say("bananas")
    if text == DEV["s3"][0] and not request.text.startswith("Which of delivery"):
        return error(400)
    if text == DEV["s5"][0] and request.text.startswith("First"):
        return say("price, shipping, none of it")
    return say("price, shipping") if labels == [] and request.text.startswith("First") else right(request)


ADDED = CONFIRMED.replace("confirm", "add")
PROMPTS = {
    "gate": COARSE,
    "gate by group": COARSE.replace("choose: groups\n", "choose: groups\n    per: group\n").replace(
        "Which of {% for each in candidates %}{{ each }}, {% endfor %}?", "Which of {{ group }}?"
    ),
    "gate and labels": COARSE.replace("per: group", "per: label")
    .replace("group.labels | join(', ')", "label")
    .replace("{{ group }}", "{{ label }}"),
    "votes": VOTED,
    "candidates": FEW,
    "candidates by label": FEW.replace("candidates: {k: 2}", "candidates: {k: 2}\nper: label"),
    "confirm": CONFIRMED,
    "add": ADDED,
    "confirm votes": CONFIRMED.replace("per: label\n", "per: label\n    votes: {k: 2, how: all}\n").replace(
        "temperature: 0", "temperature: 1"
    ),
    "remove candidates": CONFIRMED.replace("confirm", "remove")
    .replace("per: label", "candidates: {k: 2}")
    .replace("Sure of {{ label }}?", "Which of {{ candidates | join(', ') }}? ")
    .replace("    output: yes_no\n", ""),
}


@pytest.mark.parametrize("answer", [right, unreliable], ids=["right", "unreliable"])
@pytest.mark.parametrize("name", PROMPTS)
def test_scoring_again_right_after_a_run_changes_nothing(
    grouped: Folder, switch: Switch, server: ScriptedServer, name: str, answer: Any
) -> None:
    """Runner and scoring read, merge, gate and narrow alike: predictions and scores are the same to the byte."""
    switch.to(answer)
    run = start(grouped, server, PROMPTS[name], repeats=2)
    before = {file: (run.path / file).read_bytes() for file in ("predictions.jsonl", "scores.json")}
    rescored = again(grouped, run, server)
    assert (rescored.changed, rescored.missing) == (0, 0)
    assert {file: (run.path / file).read_bytes() for file in before} == before
    stored = load_run(run.path)
    for sample in stored.samples:
        prediction, steps = steps_of(stored, sample, 1)
        (kept,) = (each for each in stored.predictions if (each.sample, each.repeat) == (sample.id, 1))
        assert prediction == kept == steps[-1].after


def test_the_merge_rule_is_todays(grouped: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Another rule counts the stored answers anew; the calls it would need beside them are told and change nothing."""
    text = CONFIRMED.replace("per: label\n    ", "").replace("    output: yes_no\n", "").replace("{{ label }}", "it")
    switch.to(lambda request: say("price" if request.text.startswith("Sure") else "shipping, price"))
    run = start(grouped, server, text)
    assert predicted(run)["s1"] == ["price"]
    for how, labels in (("remove", ["shipping"]), ("add", ["price", "shipping"]), ("union", ["price", "shipping"])):
        grouped.prompt("v2", text.replace("confirm", how))
        rescored = again(grouped, run, server)
        assert (rescored.missing, predicted(rescored.run)["s1"]) == (0, labels)


def test_a_rule_that_needs_more_calls_says_so(grouped: Folder, server: ScriptedServer) -> None:
    """Labels that were not predicted were not asked about: read as a replacement, those calls are missing."""
    run = start(grouped, server, CONFIRMED)
    grouped.prompt("v2", CONFIRMED.replace("confirm", "replace"))
    rescored = again(grouped, run, server)
    asked = sum(len(gold) for gold in GOLD.values())
    assert rescored.missing == 3 * len(DEV) - asked
    assert predicted(rescored.run) == GOLD
    grouped.prompt("v2", CONFIRMED.replace("{how: confirm}", "{how: confirm, scope: [price]}"))
    assert again(grouped, run, server).missing == 0


def test_a_call_that_is_not_needed_any_more_is_not_missed(
    grouped: Folder, switch: Switch, server: ScriptedServer
) -> None:
    """With a narrower scope today, answers about the other labels are neither needed nor missing."""
    switch.to(lambda request: error(400) if request.text.startswith("Sure of quality") else right(request))
    run = start(grouped, server, CONFIRMED)
    grouped.prompt("v2", CONFIRMED.replace("{how: confirm}", "{how: confirm, scope: [shipping]}"))
    rescored = again(grouped, run, server)
    assert (rescored.missing, rescored.changed) == (0, 0)


def test_groups_are_those_that_were_asked_about(grouped: Folder, server: ScriptedServer) -> None:
    """Groups that are called or made up otherwise today do not change what a gate's answer meant."""
    run = start(grouped, server, COARSE)
    renamed = GROUPED.replace("  delivery:", "  parcels:").replace("[quality, price]", "[price, quality]")
    grouped.write("datasets/reviews.yaml", renamed)
    rescored = again(grouped, run, server)
    assert (rescored.missing, rescored.changed) == (0, 0)


def test_a_pass_that_is_no_gate_any_more_cannot_be_read(grouped: Folder, server: ScriptedServer) -> None:
    """Answers in groups are no answers in labels."""
    run = start(grouped, server, COARSE)
    grouped.prompt("v2", COARSE.replace("    choose: groups\n", "").replace("candidates", "labels"))
    with pytest.raises(DataError) as caught:
        again(grouped, run, server)
    assert str(caught.value) == (
        f"run {run.manifest.id}: pass gate cannot be read as today's file says: it chose groups then. Run it again."
    )


def test_thresholds_of_groups_are_of_those_that_were_asked_about(grouped: Folder, server: ScriptedServer) -> None:
    """A threshold for a group that is called otherwise since names nothing in the stored answers."""
    run = start(grouped, server, VOTED.replace("how: any}", "how: mean}"))
    grouped.write("datasets/reviews.yaml", GROUPED.replace("  delivery:", "  parcels:"))
    changed = VOTED.replace("how: any}", "how: mean}\n    output: {thresholds: {parcels: 0.3}}")
    grouped.prompt("v2", changed)
    with pytest.raises(DataError, match=r"'thresholds' names 'parcels', which is no label\. Run it again\."):
        again(grouped, run, server)


def test_thresholds_are_found_for_labels_and_not_for_groups(grouped: Folder, server: ScriptedServer) -> None:
    """The votes of a gate are about groups: the pass that is calibrated is the one about labels."""
    votes = "    votes: {k: 2, how: mean}\n"
    text = VOTED.replace("k: 3, how: any", "k: 2, how: mean").replace("per: group\n", f"per: group\n{votes}")
    found = calibrate_run(start(grouped, server, text), grouped.project, folds=2)
    assert found.pass_name == "fine"


# --- when -------------------------------------------------------------------------------------------------------------

WHEN = (
    HEAD
    + """\
passes:
  - name: gate
    choose: groups
    template: "Which of {% for each in candidates %}{{ each }}, {% endfor %}? {{ text }}"
  - name: by-label
    per: label
    template: "Sure of {{ label }}? {{ text }}"
    output: yes_no
    votes: {k: 3}
  - name: look
    when: EXPRESSION
    template: "First: {{ text }}"
    output: {format: json, fields: [mood]}
  - name: last
    when: LAST
    template: "Sure of price? {{ text }}"
    output: yes_no
    merge: {scope: [price]}
"""
).replace("temperature: 0", "temperature: 1")


def moody(request: Request) -> Reply:
    """Answer right, with a mood; s2 fails, s3 is off the list at first, of s5 the draws disagree."""
    text, labels = gold_of(request)
    if request.text.startswith("First"):
        return say(json.dumps({"labels": labels, "mood": "mad" if labels else "happy"}))
    if request.text.startswith("Sure") and text == DEV["s2"][0]:
        return say("perhaps")
    if request.text.startswith("Which") and text == DEV["s3"][0]:
        return say("product, packaging")
    if request.text.startswith("Sure of price") and text == DEV["s5"][0]:
        return say("no" if request.attempt else "yes")
    return right(request)


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("\"'shipping' in predicted\"", "s1 s6"),
        ("scores.price > 0.3 and scores.price < 0.7", "s5"),
        ("failed", "s2"),
        ("failure == 'unparseable'", "s2"),
        ("off_list", "s3"),
        ("\"'packaging' in off_list\"", "s3"),
        ("confidence < 0.7", "s2 s4 s5"),
        ("n_predicted > 1", "s3 s6"),
        ("\"'lamp' in text\"", "s5 s6"),
        ("stars < 3", "s1 s2 s3"),
        ("\"'delivery' in passes.gate.groups\"", "s1 s6"),
        ("passes.gate.groups | length == 2", "s6"),
        ("passes.gate.raw == 'none'", "s4"),
        ("passes.gate.predicted", ""),
        ("\"'quality' in passes['by-label'].predicted\"", "s3 s6"),
        ("passes['by-label'].fields", ""),
    ],
)
def test_a_when_sees_the_answer_so_far(
    grouped: Folder, switch: Switch, server: ScriptedServer, expression: str, asked: str
) -> None:
    """Every name that a `when` can use, in a run: the pass is asked for the samples of which it is true."""
    rows = [
        {"id": identity, "text": text, "labels": labels, "stars": at}
        for at, (identity, (text, labels)) in enumerate(DEV.items())
    ]
    grouped.write("datasets/reviews.dev.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    switch.to(moody)
    run = start(grouped, server, WHEN.replace("EXPRESSION", expression).replace("LAST", "failed"))
    assert " ".join(sorted(sample for sample, name, _, _ in run.log.latest if name == "look")) == asked
    rescored = again(grouped, run, server)
    assert (rescored.missing, rescored.changed) == (0, 0)


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("fields.mood == 'happy'", "s4"),
        ("fields.mood", "s1 s4 s5"),
        ("passes.look.fields.mood == 'mad'", "s1 s5"),
        ("passes.look.raw", "s1 s4 s5"),
    ],
)
def test_a_when_sees_fields_where_nobody_answered_them_too(
    grouped: Folder, switch: Switch, server: ScriptedServer, expression: str, asked: str
) -> None:
    """A field that was not asked for in a sample, or not answered, is there as None: no run ends at it."""
    switch.to(moody)
    run = start(
        grouped, server, WHEN.replace("EXPRESSION", "n_predicted < 2 and not failed").replace("LAST", expression)
    )
    assert " ".join(sorted(sample for sample, name, _, _ in run.log.latest if name == "last")) == asked


def test_what_the_next_pass_would_see(grouped: Folder, switch: Switch, server: ScriptedServer) -> None:
    """The names of a `when` after the last pass come out of a stored run as they were in it."""
    switch.to(moody)
    run = start(grouped, server, COARSE)
    seen: dict[str, tuple[Prediction, Any]] = {each.sample: (each, context) for each, context in next_contexts(run)}
    assert seen["s6"][1]["passes"]["gate"]["groups"] == ["delivery", "product"]
    assert seen["s4"][1]["passes"]["fine"] == {"predicted": [], "raw": "", "fields": {}, "groups": []}


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            HEAD + "choose: groups\ntemplate: '{{ candidates }} {{ text }}'\n",
            [
                "1: the passes without 'when' must together answer every label, but none answers shipping, quality, "
                "price. 'choose: groups' of pass main answers none by itself: add a pass with 'per: group' after it.",
                "3: 'choose: groups' narrows later passes, but none asks about these groups with 'per: group' or "
                "'per: label', or uses 'passes.main.groups'. Add one.",
            ],
        ),
        (
            HEAD
            + "passes:\n- per: group\n  template: '{{ group }} {{ text }}'\n"
            + "- choose: groups\n  template: '{{ candidates }} {{ text }}'\n",
            [
                "6: 'choose: groups' narrows later passes, but none asks about these groups with 'per: group' or "
                "'per: label', or uses 'passes.pass2.groups'. Move this pass before pass1.",
            ],
        ),
        (
            FEW.replace("{{ candidates | join(\", \") }}", "{{ labels }}"),
            [
                "3: pass main: its template shows all 'labels', and it asks about candidates alone. Write 'candidates' "
                "in their place.",
            ],
        ),
        (
            FEW.replace("{{ candidates | join(\", \") }}", "these"),
            [
                "3: pass main: its template must show what there is to choose from. Write: "
                "{% for label in candidates %} … {% endfor %}",
            ],
        ),
        (
            FEW.replace("k: 2", "k: 3"),
            [
                "4: 'candidates' must choose fewer labels than the 3 that the pass asks about, got k 3. Lower k, or take "
                "'candidates' out.",
            ],
        ),
        (FEW.replace("{k: 2}", "5"), ["4: 'candidates' must be a mapping, got a number. Write candidates: {k: 30}."]),
        (
            CONFIRMED.replace("template: \"First: {{ text }}\"", "template: \"First: {{ text }}\"\n    merge: {how: add}"),
            [
                "4: the passes without 'when' must together answer every label, but none answers shipping, quality, "
                "price. 'how: add' of pass first answers none by itself: say replace or union.",
                "6: 'how: add' merges with what earlier passes said of its labels, and no earlier pass asks about them. "
                "Take 'how' out.",
            ],
        ),
        (
            CONFIRMED.replace("template: \"First", "template: \"First {{ candidates }}"),
            ["5: 'candidates' is there with 'candidates' or 'choose: groups' alone."],
        ),
        (
            COARSE.replace("per: group", "per: group\n    when: \"'parcel' in passes.gate.groups\""),
            [
                "4: the passes without 'when' must together answer every label, but none answers shipping, quality, "
                "price. 'choose: groups' of pass gate answers none by itself: add a pass with 'per: group' after it.",
                "9: 'when' of pass fine: 'groups' is asked for 'parcel', which is no group.",
            ],
        ),
        (
            WHEN.replace("EXPRESSION", "fields.mod").replace("LAST", "fields.mod == 1 or candidates"),
            [
                "13: 'when' of pass look: 'fields' is asked for 'mod', which is no field that an earlier pass asks for.",
                "17: 'when' of pass last: 'candidates' is there with 'candidates' or 'choose: groups' alone.",
                "17: 'when' of pass last: 'fields' is asked for 'mod', which is no field that an earlier pass asks for; "
                "there is mood. Did you mean 'mood'?",
            ],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_before_any_call(grouped: Folder, text: str, problems: list[str]) -> None:
    """Each impossible combination has its line and its next step."""
    assert told(grouped, text) == problems


def test_shots_of_candidates_must_show_them(grouped: Folder) -> None:
    """Where shots are asked as the sample is, the question must show what each of them chose from."""
    text = HEAD + (
        "messages:\n- system: '{{ candidates }}'\n- user: '{{ text }}'\ncandidates: {k: 2}\n"
        "shots: {from: ../datasets/shots.jsonl}\n"
    )
    assert told(grouped, text) == [
        "5: pass main: each shot is asked about candidates of its own, so the last user message must show them. "
        "Write there: {% for label in candidates %} … {% endfor %}",
    ]


def test_a_gate_can_narrow_a_text_by_its_groups(grouped: Folder, server: ScriptedServer) -> None:
    """A later pass about the sample may list the labels of the chosen groups itself: then the gate is of use."""
    listed = "{% for group in passes.gate.groups %}{{ groups[group] | join(', ') }}, {% endfor %}"
    text = COARSE.replace("    per: group\n", "").replace(
        "Of {{ group }}, which of {{ group.labels | join(', ') }}?", f"Which of {listed}?"
    )
    grouped.prompt("v2", text)
    prompt: Prompt = grouped.task("v2").prompt
    assert [each.chooses_groups for each in prompt.passes] == [True, False]
    assert predicted(start(grouped, server, text)) == GOLD
