"""Prompt files: what they may say, and everything that is wrong with one told at once, by line, before any call."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import DEV, HEAD, PROMPT, SHOTS, TEMPLATE, Folder, jsonl

from harness.errors import DataError
from harness.parsing import Output
from harness.prompt import MessageTemplate, Model
from harness.promptfile import load_task

ROLES = "system, developer, user, assistant"
PASS = '  - template: "{{ text }}"\n'
PASSES = HEAD + "passes:\n"


def problems(folder: Folder, text: str, **options: object) -> list[str]:
    """Return what is wrong with a prompt, one message each, the file's name left out: ``LINE: message``."""
    path = folder.prompt("bad", text)
    with pytest.raises(DataError) as caught:
        load_task(path, folder.project, **options)  # type: ignore[arg-type]
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


# --- what a prompt is -------------------------------------------------------------------------------------------------


def test_a_small_prompt_is_one_pass(folder: Folder) -> None:
    """A file with a template is a prompt of one pass with one user message; paths are told from the project's root."""
    folder.prompt("v2", "parent: v1\nnotes: |\n  Why.\n" + PROMPT)
    prompt = folder.task("v2").prompt
    (only,) = prompt.passes
    assert (prompt.version, prompt.parent, prompt.notes) == ("v2", "v1", "Why.")
    assert (prompt.path, prompt.dataset) == (Path("prompts/v2.yaml"), Path("datasets/reviews.yaml"))
    assert only.messages == (MessageTemplate("user", 'Labels: {{ labels | join(", ") }}.\n\n{{ text }}\n'),)
    assert only.messages[0].line == 7
    assert (only.name, only.output, only.when, only.scope, only.shots) == ("main", Output(), None, (), None)
    assert only.model == Model("scripted", params={"temperature": 0, "max_tokens": 16})


def test_the_task_holds_dataset_and_samples_of_the_split(folder: Folder) -> None:
    """Samples are those of the named split, else of the default one."""
    assert [sample.id for sample in folder.task().samples] == list(DEV)
    assert [sample.id for sample in folder.task(split="test").samples] == ["t1", "t2"]


def test_messages_keep_role_order_and_lines(folder: Folder) -> None:
    """`messages` are pairs of role and text; a block scalar's text begins on the line after its key."""
    folder.prompt("v2", HEAD + "messages:\n  - system: |\n      One.\n  - user: '{{ text }}'\n")
    (only,) = folder.task("v2").prompt.passes
    assert [(each.role, each.source, each.line) for each in only.messages] == [
        ("system", "One.\n", 5),
        ("user", "{{ text }}", 6),
    ]


def test_output_has_options_and_fields(folder: Folder) -> None:
    """`output` is a format's name, or a mapping with its options and the fields that it carries."""
    folder.prompt("v2", PROMPT + "output: {format: json, labels_key: found, fields: [mood]}\n")
    assert folder.task("v2").prompt.passes[0].output == Output("json", {"labels_key": "found"}, ("mood",))
    folder.prompt("v3", PROMPT + "output: {none: nothing}\n")
    assert folder.task("v3").prompt.passes[0].output == Output("list", {"none": "nothing"})


def test_shots_are_the_first_k_in_order(folder: Folder) -> None:
    """`shots` reads labelled samples beside the prompt: the first k, or all."""
    folder.prompt("v2", PROMPT + "shots: {from: ../datasets/shots.jsonl, k: 2}\n")
    shots = folder.task("v2").prompt.passes[0].shots
    assert shots is not None
    assert [shot.id for shot in shots.samples] == ["w1", "w2"]
    folder.prompt("v2", PROMPT + "shots: {from: ../datasets/shots.jsonl, select: fixed}\n")
    shots = folder.task("v2").prompt.passes[0].shots
    assert shots is not None
    assert len(shots.samples) == len(SHOTS)


def test_passes_have_names_conditions_and_scopes(folder: Folder) -> None:
    """A pass of a list may say name, when and merge; without a name it is called by its number."""
    folder.prompt("v2", PASSES + PASS + PASS + "    when: failed\n    merge: {scope: [price], how: replace}\n")
    first, second = folder.task("v2").prompt.passes
    assert (first.name, first.when, first.scope) == ("pass1", None, ())
    assert (second.name, second.when, second.scope) == ("pass2", "failed", ("price",))


def test_what_stands_at_the_top_is_the_default_of_every_pass(folder: Folder) -> None:
    """Model, output and shots at the top hold for passes that say nothing; of the model, key by key."""
    folder.prompt(
        "v2",
        """\
dataset: ../datasets/reviews.yaml
model: {name: small, base_url: http://localhost:1/v1, params: {temperature: 0}}
output: json
shots: {from: ../datasets/shots.jsonl, k: 1}
passes:
  - template: "{{ text }}"
  - template: "{{ text }}"
    model: big
    output: list
    shots: {from: ../datasets/shots.jsonl, k: 2}
  - template: "{{ text }}"
    model: {params: {temperature: 1}}
""",
    )
    one, two, three = folder.task("v2").prompt.passes
    assert one.model == Model("small", base_url="http://localhost:1/v1", params={"temperature": 0})
    assert two.model == Model("big", base_url="http://localhost:1/v1", params={"temperature": 0})
    assert three.model == Model("small", base_url="http://localhost:1/v1", params={"temperature": 1})
    assert [each.output.format for each in (one, two, three)] == ["json", "list", "json"]
    assert [len(each.shots.samples) for each in (one, two, three) if each.shots] == [1, 2, 1]


# --- what goes before what --------------------------------------------------------------------------------------------


def test_a_model_of_the_command_line_goes_before_the_prompts(folder: Folder) -> None:
    """--model and --base-url replace those of every pass; the prompt's stand before the settings'."""
    folder.prompt("v2", PASSES + PASS + PASS + "    model: other\n")
    settled = Folder(folder.root, model="from-settings")
    assert [each.model.name for each in settled.task("v2").prompt.passes] == ["scripted", "other"]
    prompt = settled.task("v2", model="given", base_url="http://localhost:2/v1").prompt
    assert [each.model.name for each in prompt.passes] == ["given", "given"]
    assert {each.model.base_url for each in prompt.passes} == {"http://localhost:2/v1"}


def test_a_prompt_without_a_model_takes_the_settings(folder: Folder) -> None:
    """The settings' model is that of prompts that name none; --model serves too."""
    folder.prompt("v2", "dataset: ../datasets/reviews.yaml\n" + TEMPLATE)
    assert Folder(folder.root, model="from-settings").task("v2").prompt.passes[0].model.name == "from-settings"
    assert folder.task("v2", model="given").prompt.passes[0].model.name == "given"


def test_given_variables_go_before_the_prompts_own(folder: Folder) -> None:
    """--var replaces a variable of `vars` and may add one; a number counts as it is written."""
    folder.prompt("v2", PROMPT + "vars: {tone: calm, code: 007}\n")
    task = folder.task("v2", variables={"tone": "stern", "extra": "1"})
    assert task.prompt.variables == {"tone": "stern", "code": "007", "extra": "1"}


def test_another_dataset_goes_before_the_prompts(folder: Folder) -> None:
    """The dataset that is given is read in place of the prompt's, also when the prompt names none."""
    folder.prompt("v2", "model: scripted\n" + TEMPLATE)
    other = folder.root / "datasets/reviews.yaml"
    assert folder.task("v2", dataset=other).prompt.dataset == Path("datasets/reviews.yaml")


# --- what is wrong ----------------------------------------------------------------------------------------------------

WRONG = {
    "an unknown key at the top": (PROMPT + "parents: v1\n", ["7: unknown key 'parents'. Did you mean 'parent'?"]),
    "a pass's key at the top": (
        PROMPT + "when: failed\n",
        ["7: 'when' is about one pass of several. Move it into a pass of 'passes'."],
    ),
    "a pass's key beside passes": (
        PASSES + PASS + "merge: {scope: [price]}\n",
        ["5: 'merge' stands beside 'passes'. Move it into a pass."],
    ),
    "a contradiction in a pass": (
        PASSES + PASS + "  - template: '{{ text }}!'\n    per: group\n    output: {format: list, threshold: 0.2}\n",
        [
            "6: 'per: group' needs a group for every label, but these have none: shipping, quality, price.",
            "7: 'threshold' needs probabilities. Ask for log-probabilities (model.params: {logprobs: true, "
            "top_logprobs: 20}) with format yes_no or codes, or use format scores, or votes with 'how: mean'.",
        ],
    ),
    "a contradiction with the top": (
        PASSES + PASS + "output: yes_no\n",
        ["5: format yes_no answers for one label, and this pass asks about 3. Add: per: label"],
    ),
    "a scope that is no label": (
        PASSES + PASS.replace("\n", "\n    merge: {scope: [shiping]}\n"),
        ["5: 'merge.scope' names 'shiping', which is no label. Did you mean 'shipping'?"],
    ),
    "an unknown key of a model": (
        PROMPT.replace("name:", "nmae: x, name:"),
        ["2: unknown key 'model.nmae'. Did you mean 'name'?"],
    ),
    "an unknown key of an engine": (
        PROMPT.replace("name: scripted", "name: scripted, engine: {slot: 1}"),
        ["2: unknown key 'model.engine.slot'. Did you mean 'slots'?"],
    ),
    "an unknown key of shots": (
        PROMPT + "shots: {from: ../datasets/shots.jsonl, kk: 2}\n",
        ["7: unknown key 'shots.kk'. Did you mean 'k'?"],
    ),
    "an unknown key of a pass": (
        PASSES + PASS + "    outptu: list\n",
        ["5: unknown key 'passes[1].outptu'. Did you mean 'output'?"],
    ),
    "a merge that is no mapping": (
        PASSES + PASS + "    merge: confirm\n",
        ["5: 'passes[1].merge' must be a mapping, got a text. Write merge: {how: confirm}."],
    ),
    "an unknown key of merge": (
        PASSES + PASS + "    merge: {scopes: [price]}\n",
        ["5: unknown key 'passes[1].merge.scopes'. Did you mean 'scope'?"],
    ),
    "neither template nor messages": (HEAD, ["1: must have either 'template' or 'messages', got neither."]),
    "both template and messages": (
        PROMPT + "messages: [{user: x}]\n",
        ["1: must have either 'template' or 'messages', got both."],
    ),
    "messages that are no list": (
        HEAD + "messages: {user: x}\n",
        ["3: 'messages' must be a list of '- role: text' items."],
    ),
    "messages without items": (HEAD + "messages: []\n", ["3: 'messages' must be a list of '- role: text' items."]),
    "a message of two roles": (
        HEAD + "messages: [{user: x, system: y}]\n",
        ["3: 'messages' must be a list of '- role: text' items."],
    ),
    "no user message": (HEAD + "messages:\n  - system: x\n", ["3: 'messages' must have a user message."]),
    "an unknown role": (
        HEAD + "messages:\n  - user: x\n  - sytem: y\n",
        [f"5: a role must be one of {ROLES}, got 'sytem'. Did you mean 'system'?"],
    ),
    "an empty message": (
        HEAD + "messages:\n  - user: '  '\n",
        ["4: the user message must be a text, got an empty one."],
    ),
    "a message that is nothing": (
        HEAD + "messages:\n  - user: x\n  - system:\n",
        ["5: the system message must be a text, got nothing."],
    ),
    "a template that is a list": (HEAD + "template: [x]\n", ["3: the user message must be a text, got a list."]),
    "an undefined variable in a block scalar": (
        PROMPT.replace("{{ text }}", "{{ txet }}"),
        ["6: 'txet' is not defined. Did you mean 'text'? Here there is: groups, labels, text."],
    ),
    "bad Jinja": (
        PROMPT.replace("{{ text }}", "{{ text"),
        ["6: must be Jinja, but unexpected end of template, expected 'end of print statement'."],
    ),
    "an unknown output format": (
        PROMPT + "output: jsn\n",
        [
            "7: 'output' must be one of list, vector, codes, json, containers, yes_no, scores, decisions, got 'jsn'. "
            "Did you mean 'json'?"
        ],
    ),
    "an unknown output format with options": (
        PROMPT + "output: {format: jsn, labels_key: x}\n",
        [
            "7: 'output.format' must be one of list, vector, codes, json, containers, yes_no, scores, decisions, got 'jsn'. "
            "Did you mean 'json'?"
        ],
    ),
    "an output that is a list": (PROMPT + "output: [list]\n", ["7: 'output' must be a mapping, got a list."]),
    "an unknown output option": (
        PROMPT + "output: {format: list, seperator: ';'}\n",
        ["7: output: format list has no option 'seperator'. It has separator, none, search. Did you mean 'separator'?"],
    ),
    "an unknown field": (
        PROMPT + "output: {format: json, fields: [mod]}\n",
        ["7: output: the label space has no field 'mod'. Did you mean 'mood'?"],
    ),
    "no model": (
        "dataset: ../datasets/reviews.yaml\n" + TEMPLATE,
        ["1: must name a model. Add: model: local/smollm2-135m, or give --model."],
    ),
    "no dataset": ("model: scripted\n" + TEMPLATE, ["1: 'dataset' is missing. Add: dataset: ../datasets/NAME.yaml"]),
    "shots that name no file": (PROMPT + "shots: {k: 2}\n", ["7: 'shots.from' is missing. Name a sample file."]),
    "more shots than there are": (
        PROMPT + "shots:\n  from: ../datasets/shots.jsonl\n  k: 4\n",
        ["9: 'shots.k' must be at most 3, the samples of shots.jsonl, got 4."],
    ),
    "no shots": (
        PROMPT + "shots: {from: ../datasets/shots.jsonl, k: 0}\n",
        ["7: 'shots.k' must be at least 1, got 0."],
    ),
    "an unknown way to choose shots": (
        PROMPT + "shots: {from: ../datasets/shots.jsonl, select: balancd}\n",
        ["7: 'shots.select' must be one of fixed, random, balanced, similar, got 'balancd'. Did you mean 'balanced'?"],
    ),
    "shots without an asked field": (
        PROMPT + "output: {format: json, fields: [mood]}\nshots: {from: ../datasets/shots.jsonl}\n",
        ["8: 'shots.from' must have the field 'mood' of the output, but these have not: w1, w2, w3."],
    ),
    "a scope that names no label": (
        PASSES + PASS + PASS + "    merge: {scope: [prize]}\n",
        ["6: 'merge.scope' names 'prize', which is no label. Did you mean 'price'?"],
    ),
    "another way to merge": (
        PASSES + PASS + PASS + "    merge: {how: vote}\n",
        ["6: 'passes[2].merge.how' must be one of replace, add, remove, union, intersection, confirm, got 'vote'."],
    ),
    "labels that no pass must answer": (
        PASSES + PASS + "    merge: {scope: [price]}\n" + PASS + "    when: failed\n",
        [
            "4: the passes without 'when' must together answer every label, but none answers shipping, quality. "
            "Widen a 'merge.scope'."
        ],
    ),
    "a condition of the first pass": (
        PASSES + PASS + "    when: failed\n" + PASS,
        ["5: the first pass must not have a 'when': there is no answer yet. Take it out."],
    ),
    "passes with one name": (
        PASSES + "  - {name: a, template: x}\n  - {name: a, template: y}\n",
        ["5: 'passes[2].name' must be another name than those of earlier passes, got 'a'."],
    ),
    "passes beside a template": (
        PROMPT + "passes:\n" + PASS,
        ["3: 'template' stands beside 'passes'. Move it into a pass."],
    ),
    "passes that are none": (HEAD + "passes: []\n", ["3: 'passes' must be a list of at least one pass."]),
    "a pass that is no mapping": (PASSES + PASS + "  - second\n", ["5: pass 2 must be a mapping, got a text."]),
    "a dataset outside the project": (
        PROMPT.replace("../datasets", "../../elsewhere"),
        ["1: 'dataset' must lie in the project {root}, got '../../elsewhere/reviews.yaml'."],
    ),
    "shots outside the project": (
        PROMPT + "shots: {from: /etc/passwd}\n",
        ["7: 'shots.from' must lie in the project {root}, got '/etc/passwd'."],
    ),
    "a variable that is a column": (
        PROMPT + "vars:\n  text: x\n",
        ["8: variable 'text' is an input column too. Rename it."],
    ),
    "a variable with a reserved name": (
        PROMPT + "vars:\n  gold: x\n",
        ["8: variable 'gold' has a name that templates use. Rename it."],
    ),
    "a variable that is no name": (
        PROMPT + "vars: {my-tone: x}\n",
        ["7: variable 'my-tone' must be a name of letters, digits and '_'. Rename it."],
    ),
    "a variable that is no text": (
        PROMPT + "vars: {strict: true}\n",
        ["7: 'vars.strict' must be a text, got true/false."],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_told_with_its_line(folder: Folder, text: str, expected: list[str]) -> None:
    """Every mistake in a prompt file is one message with its line, what must hold, and what is there."""
    root = str(folder.project.root)
    assert problems(folder, text) == [each.replace("{root}", root) for each in expected]


def test_all_that_is_wrong_is_told_at_once_in_order(folder: Folder) -> None:
    """Mistakes of every kind in one file come together, in the order of its lines."""
    text = (
        "parnt: v1\n"
        + HEAD
        + "passes:\n"
        + '  - template: "{{ txt }}"\n'
        + "    output: {separator: 5}\n"
        + '  - template: "{{ text }}"\n'
        + "    when: scores.price > 0.5\n"
        + "    merge: {scope: [shiping]}\n"
    )
    assert problems(folder, text) == [
        "1: unknown key 'parnt'. Did you mean 'parent'?",
        "5: 'txt' is not defined. Did you mean 'text'? Here there is: groups, labels, text.",
        "6: output: separator must be a text, got 5. Put it in quotes.",
        "8: 'when' of pass pass2: 'scores' needs a source of probabilities, and no earlier pass has one.",
        "9: 'merge.scope' names 'shiping', which is no label. Did you mean 'shipping'?",
    ]


def test_what_stands_at_the_top_is_told_once(folder: Folder) -> None:
    """A mistake in the top's model, output or shots is one message, however many passes take it over."""
    text = (
        HEAD.replace("temperature: 0", "n: 2")
        + "output: {separator: 5}\nshots: {from: ../datasets/none.jsonl}\npasses:\n"
        + PASS * 3
    )
    found = problems(folder, text)
    assert found[0].startswith("2: 'model.params' must not set 'stream' or 'n'")
    assert found[1] == "3: output: separator must be a text, got 5. Put it in quotes."
    assert found[2] == "4: 'shots' cannot be used:"
    assert found[3].endswith("none.jsonl: no such file.")
    assert found[4:] == []


def test_what_is_wrong_with_a_model_is_told_where_it_is_named(folder: Folder) -> None:
    """What cannot be about a model stands at the line of `model`, of the pass or of the top, once."""
    text = HEAD.replace("{name: scripted", "{name: scripted, suffix: x") + "passes:\n" + PASS * 2
    suffix = "'model.suffix' must stand with 'api: completions', got 'api: chat', which has messages. "
    suffix += "Take it out, or write suffix: ''."
    assert problems(folder, text) == [f"2: {suffix}"]
    own = "  - template: '{{ text }}'\n    model: {name: other, suffix: y}\n"
    assert problems(folder, PASSES + PASS + own) == [f"6: {suffix}"]


def test_a_missing_dataset_comes_after_what_else_is_wrong(folder: Folder) -> None:
    """Without a dataset nothing more can be checked; what was found before is told all the same."""
    assert problems(folder, "parnt: x\nmodel: scripted\n" + TEMPLATE) == [
        "1: unknown key 'parnt'. Did you mean 'parent'?",
        "1: 'dataset' is missing. Add: dataset: ../datasets/NAME.yaml",
    ]


def test_problems_of_the_prompt_come_before_those_of_its_dataset(folder: Folder) -> None:
    """A dataset that cannot be read does not hide what is wrong with the prompt."""
    folder.write("datasets/reviews.yaml", "labels: []\nsplits: {dev: reviews.dev.jsonl}\n")
    found = problems(folder, PROMPT + "parnt: v1\n")
    assert found[0] == "7: unknown key 'parnt'. Did you mean 'parent'?"
    assert "'labels' must name at least one label" in found[1]


def test_problems_of_the_prompt_come_before_those_of_its_samples(folder: Folder) -> None:
    """Samples that cannot be read do not hide what is wrong with the prompt."""
    found = problems(folder, PROMPT + "parnt: v1\n", split="tset")
    assert found[0] == "7: unknown key 'parnt'. Did you mean 'parent'?"
    assert "there is no split 'tset'; it has dev, test. Did you mean 'test'?" in found[1]


def test_unlabelled_shots_are_refused(folder: Folder) -> None:
    """A shot without labels has no answer to show."""
    folder.write("datasets/shots.jsonl", '{"id": "w1", "text": "x"}\n{"id": "w2", "text": "y", "labels": []}\n')
    assert problems(folder, PROMPT + "shots: {from: ../datasets/shots.jsonl}\n") == [
        "7: 'shots.from' must be labelled, but these are not: w1."
    ]


def test_bad_shots_are_told_beside_the_rest(folder: Folder) -> None:
    """A shots file with mistakes is told as a whole, under the prompt's line that names it."""
    folder.write("datasets/shots.jsonl", '{"id": "w1", "text": "x", "labels": ["prise"]}\n')
    found = problems(folder, PROMPT + "shots: {from: ../datasets/shots.jsonl}\n")
    assert found[0] == "7: 'shots' cannot be used:"
    assert found[1].endswith("shots.jsonl:1: label 'prise' is not in the label space. Did you mean 'price'?")


def test_a_given_variable_has_no_line(folder: Folder) -> None:
    """A bad --var is told of the file as a whole: it stands on none of its lines."""
    assert problems(folder, PROMPT, variables={"labels": "x"}) == [
        " variable 'labels' has a name that templates use. Rename it."
    ]


def test_a_prompt_that_is_not_there_is_told_with_near_names(folder: Folder) -> None:
    """A missing prompt file names the nearest one beside it."""
    with pytest.raises(DataError, match=r"v2\.yaml: no such file\. Did you mean 'v1\.yaml'\?"):
        folder.task("v2")


def test_shots_with_the_asked_field_are_taken(folder: Folder) -> None:
    """Shots that have the field that the output asks for are fine."""
    folder.write("datasets/shots.jsonl", jsonl(SHOTS, mood="mad"))
    folder.prompt("v2", PROMPT + "output: {format: json, fields: [mood]}\nshots: {from: ../datasets/shots.jsonl}\n")
    shots = folder.task("v2").prompt.passes[0].shots
    assert shots is not None
    assert {shot.fields["mood"] for shot in shots.samples} == {"mad"}


def test_an_override_serves_where_the_dataset_is_wrong(folder: Folder) -> None:
    """A prompt whose own dataset lies outside the project is still refused when another one is given."""
    found = problems(folder, PROMPT.replace("../datasets", "../../x"), dataset=folder.root / "datasets/reviews.yaml")
    assert found[0].startswith("1: 'dataset' must lie in the project")


# --- gold -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gold", "is gold, and nothing that is sent to a model can contain gold. It exists in --filter alone."),
        (
            "mood",
            "is a field: its column is gold, and nothing that is sent to a model can contain gold. "
            "It exists in --filter alone.",
        ),
    ],
)
def test_gold_in_a_template_is_an_error(folder: Folder, name: str, why: str) -> None:
    """Neither `gold` nor a column named like a field exists for a template, and the message says so."""
    folder.write("datasets/reviews.dev.jsonl", jsonl(DEV, mood="mad"))
    assert problems(folder, PROMPT.replace("{{ text }}", f"{{{{ {name} }}}}")) == [f"6: '{name}' {why}"]
