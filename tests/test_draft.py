"""The text of a drafted version: whatever its parent is, it loads, asks what the parent asks, and then about exceptions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import DATASET, Folder
from syrupy.assertion import SnapshotAssertion

from harness.draft import drafted, read_parent
from harness.errors import DataError
from harness.exceptionpass import Contrast, DraftShots, Errors, ExceptionPass, Style, default_style
from harness.prompt import Model, Pass, Prompt
from harness.template import render

DESCRIPTIONS = {
    "shipping": "Late, lost or damaged on the way",
    "quality": "The product itself is bad",
    "price": "Too dear",
}
HEAD = "dataset: ../datasets/reviews.yaml\n"
CHAT = HEAD + "model: {name: gpt-x, params: {temperature: 0, max_tokens: 16}}\n"
LOCAL = HEAD + "model: {name: local/smollm2-135m, params: {max_tokens: 24}, engine: {context: 2048}}\n"
ASK = "template: |\n  Which of {{ labels | join(', ') }}?\n\n  {{ text }}\n"
TOP = {"searched": {"run": "v1-x", "split": "dev", "seed": 0, "share": 0.5}, "remark": "Drafted by a test."}


def exception_pass(model: Model, **changes: Any) -> ExceptionPass:
    """Return what the exception pass is to be."""
    plain = ExceptionPass(
        name="exception",
        when="'shipping' in predicted and \"late\" not in text | words",
        scope=("shipping", "price"),
        descriptions=DESCRIPTIONS,
        style=default_style(model),
        model=model,
        columns=("text",),
        errors=Errors(12, 5, 0),
        contrasts=(Contrast("shipping", "quality", 14), Contrast("price", "shipping", 3)),
        shots=None,
        why="Of the searched half 12 of 60 samples are sent.",
        about_shots="No worked examples.",
    )
    return replace(plain, **changes)


def draft(folder: Folder, text: str, version: str = "v1", **changes: Any) -> tuple[str, Prompt, Prompt]:
    """Write a parent and its draft; return the draft's text, and both prompts as they load."""
    path = folder.root / f"prompts/{version}.yaml"
    path.write_bytes(text.encode())
    parent = folder.task(version).prompt
    new = exception_pass(parent.passes[-1].model, **changes)
    made = drafted(read_parent(path, path.name), new, version=version, notes="what was: found", **TOP)  # type: ignore[arg-type]
    (folder.root / "prompts/next.yaml").write_bytes(made.encode())
    return made, parent, folder.task("next").prompt


def asked(each: Pass) -> Pass:
    """Return a pass as it is asked: the line end behind a template's last line is none of a message's."""
    messages = tuple(replace(one, source=one.source.removesuffix("\n")) for one in each.messages)
    return replace(each, messages=messages)


def check(parent: Prompt, new: Prompt) -> Pass:
    """See to it that a draft asks first what its parent asks, and return the exception pass."""
    assert [asked(each) for each in new.passes[:-1]] == [asked(each) for each in parent.passes]
    assert (new.variables, new.files, new.dataset) == (parent.variables, parent.files, parent.dataset)
    assert (new.parent, new.notes) == (parent.version, "what was: found")
    assert new.searched is not None
    assert new.searched.run == "v1-x"
    last = new.passes[-1]
    assert (last.name, last.scope) == ("exception", ("shipping", "price"))
    assert last.when == "'shipping' in predicted and \"late\" not in text | words"
    return last


LOGPROBS = "params: {max_tokens: 1, logprobs: true, top_logprobs: 20}"
PARENTS = {
    "list": CHAT + ASK + "output: list\n",
    "no output": CHAT + ASK,
    "vector": CHAT + ASK + "output: {format: vector, constrain: auto}\n",
    "json": CHAT + ASK + "output: {format: json, fields: [mood]}\n",
    "containers": CHAT + ASK + "output: {format: containers, containers: {labels: {prefix: <l>, suffix: </l>}}}\n",
    "scores": CHAT + ASK + "output: {format: scores, threshold: 0.3, thresholds: {price: 0.2}}\n",
    "codes": HEAD
    + f"model: {{name: gpt-x, {LOGPROBS}}}\n"
    + ASK
    + "output: {format: codes, codes: {s: shipping, q: quality, p: price}, none: '0'}\n",
    "yes_no": HEAD
    + f"model: {{name: gpt-x, {LOGPROBS}}}\nper: label\n"
    + "template: '{{ text }} {{ label }}?'\noutput: {format: yes_no, threshold: 0.4}\n",
    "local": LOCAL + ASK,
    "local completions": LOCAL.replace("name: local", "api: completions, name: local") + ASK,
    "local yes_no": LOCAL + "per: label\ntemplate: '{{ text }} {{ label }}?'\noutput: yes_no\n",
    "completions": HEAD
    + "model: {name: m, api: completions, suffix: ' ->', params: {max_tokens: 8, logprobs: 5}}\n"
    + ASK,
    "responses": HEAD
    + "model: {name: m, api: responses, params: {max_output_tokens: 20, text: {format: {type: text}}}}\n"
    + ASK,
    "responses with log-probabilities": HEAD
    + "model:\n  name: m\n  api: responses\n  params:\n    include: [message.output_text.logprobs]\n    top_logprobs: 20\n"
    + "    max_output_tokens: 50\n"
    + ASK,
    "decisions": HEAD
    + "model: {name: m, api: decisions}\nmessages:\n  - user: '{{ text }}'\nquestion: '{{ label.name }}?'\n",
    "systemone": HEAD
    + "model: {name: m, api: systemone}\ntemplate: '{{ text }}'\noutput: {format: decisions, threshold: 0.3}\n",
    "constrained by itself": CHAT.replace("max_tokens: 16", "max_tokens: 16, response_format: {type: json_object}")
    + ASK
    + "output: json\n",
    "votes": CHAT.replace("temperature: 0", "temperature: 1") + ASK + "votes: {k: 3, how: any}\n",
    "messages and shots": CHAT
    + "messages:\n  - system: Label it.\n  - user: |\n      {{ text }}\n\n      Labels:\n"
    + "shots: {from: ../datasets/shots.jsonl, k: 2, select: random, seed: 4}\n",
    "candidates": CHAT + "template: '{{ candidates }} {{ text }}'\ncandidates: {k: 2}\n",
    "several": CHAT
    + "passes:\n- name: first\n  template: '{{ text }}'\n- name: second\n  when: failed\n"
    + "  model: {name: other}\n  template: 'Again: {{ text }}'\n  merge: {how: union}\n",
    "several, further in": "passes:\n    # the first\n    - name: first\n      template: |\n        {{ text }}\n\n"
    + "# who\nmodel: gpt-x\n"
    + HEAD
    + "output: json\nshots: {from: ../datasets/shots.jsonl}\n# end\n",
    "several, the last one local": CHAT
    + "passes:\n  -\n    template: '{{ text }}'\n  - name: b\n    when: failed\n    model:\n      name: local/smollm2-135m\n"
    + "      params: {max_tokens: 9}\n    template: '{{ text }}'",
}
"""Prompts of every format, API and shape."""


@pytest.mark.parametrize("name", PARENTS)
def test_every_parent(folder: Folder, name: str) -> None:
    """The draft is sound, whatever the parent's format, API and layout; its first passes are the parent's."""
    _, parent, new = draft(folder, PARENTS[name])
    check(parent, new)


@pytest.mark.parametrize("style", ["list", "yes_no"])
@pytest.mark.parametrize("name", [name for name in PARENTS if name not in ("decisions", "systemone")])
def test_every_style(folder: Folder, name: str, style: Style) -> None:
    """Both styles can be asked for, with worked examples too."""
    shots = DraftShots("../datasets/shots.jsonl", 3, 1)
    _, parent, new = draft(folder, PARENTS[name], style=style, shots=shots)
    last = check(parent, new)
    assert last.output.format == style
    assert last.per == ("label" if style == "yes_no" else "sample")
    assert last.shots is not None


@pytest.mark.parametrize("name", ["local", "list", "decisions", "several"])
def test_the_whole_text(folder: Folder, name: str, snapshot: SnapshotAssertion) -> None:
    """The file as a person gets it: what was at the top stands in a pass, comments say why, and where to write."""
    shots = None if name == "decisions" else DraftShots("../datasets/shots.jsonl", 3, 0)
    text, _, _ = draft(folder, f"# top\nparent: v0  # old\nnotes: |\n  old\n\n{PARENTS[name]}", shots=shots)
    assert text == snapshot
    assert draft(folder, f"# top\nparent: v0  # old\nnotes: |\n  old\n\n{PARENTS[name]}", shots=shots)[0] == text


LAYOUTS = {
    "windows": (CHAT + ASK + "output: list\n").replace("\n", "\r\n"),
    "no line end": CHAT + "output: list\n" + ASK.rstrip("\n"),
    "kept line ends": CHAT + "template: |+\n  {{ text }}\n\n\noutput: list\n",
    "an explicit indent": CHAT + "template: |2\n    two spaces\n  {{ text }}\n",
    "folded": CHAT + "template: >-\n  {{ text }}\n  and more\n\n  {{ labels }}\n",
    "quoted over lines": CHAT + 'template: "{{ text }}\n  more \\\n  words\n\n  end"\n',
    "quoted keys": HEAD + "\"model\": gpt-x\n'template': '{{ text }}'\n",
    "braces over lines": CHAT + "template: '{{ text }}'\noutput: {\n  format: json,\n  fields: [mood]\n}\n",
    "comments": CHAT + "# a\n\n# b\ntemplate: '{{ text }}'  # c\n  # d\n# e\n\n# f\noutput: list\n# g\n",
    "an anchor": HEAD + "model: &m {name: gpt-x}\ntemplate: '{{ text }}'\nshots: &s {from: ../datasets/shots.jsonl}\n",
    "a document's start": "# x\n---\n" + CHAT + "template: '{{ text }}'\n",
    "white space in a block": CHAT + "template: |\n  {{ text }}\n   \n  x\n",
    "variables and files": CHAT
    + "vars: {tone: plain, guide: {file: guide.txt}}\ntemplate: '{{ tone }} {{ guide }} {{ text }}'\n",
    "an earlier draft": CHAT + "searched: {run: r, split: dev, seed: 3, share: 0.4}\ntemplate: '{{ text }}'\n",
    "nothing": CHAT + "passes:\ntemplate: '{{ text }}'\nnotes:\n",
}
"""Ways to write a prompt of one pass."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(folder: Folder, name: str) -> None:
    """However the parent is written, the draft says of its pass what it says."""
    folder.write("prompts/guide.txt", "Be plain.")
    text, parent, new = draft(folder, LAYOUTS[name])
    check(parent, new)
    assert ("\r\n" in text) == (name == "windows")
    assert "\n" not in text.replace("\r\n", "") or name != "windows"


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([*ASK.splitlines(), "", "  x", "# no comment", "- y"]), max_size=6), st.sampled_from("|>")
)
def test_any_block_of_text(tmp_path_factory: pytest.TempPathFactory, lines: list[str], style: str) -> None:
    """A template in lines is the same text when it stands further to the right."""
    folder = Folder(tmp_path_factory.mktemp("p"))
    folder.filled()
    body = "".join(f"  {line}\n" if line else "\n" for line in ["{{ text }}", *lines])
    block = f"template: {style}\n{body}output: list\n"
    _, parent, new = draft(folder, CHAT + block.replace("template: |\n  Which", "  Which"))
    check(parent, new)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "{dataset: ../datasets/reviews.yaml, model: x, template: '{{ text }}'}\n",
            "v1.yaml:1: no pass can be put into the file, because 'dataset' does not begin a line. Write the top as "
            "lines of 'key: value', without '<<'.",
        ),
        (
            CHAT + "passes: [{name: a, template: '{{ text }}'}]\n",
            "v1.yaml:3: no pass can be put into the file, because its passes stand in brackets. Write them as lines of "
            "'- name: …'.",
        ),
    ],
)
def test_what_cannot_be_written_on(folder: Folder, text: str, why: str) -> None:
    """A file in braces or brackets is refused, with its line and what to do."""
    with pytest.raises(DataError) as error:
        draft(folder, text)
    assert str(error.value) == why


@pytest.mark.parametrize(
    ("errors", "how"),
    [
        (Errors(9, 1, 0), "add"),
        (Errors(8, 2, 0), "replace"),
        (Errors(0, 3, 0), "confirm"),
        (Errors(1, 9.5, 0), "confirm"),
        (Errors(9, 0, 2), "replace"),
        (Errors(0, 0, 0), "replace"),
    ],
)
def test_the_merge_rule(errors: Errors, how: str) -> None:
    """Errors of one kind leave the other answers alone; of both kinds, or without an answer, the new answer counts."""
    assert errors.how == how


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        (Errors(9, 0, 0), "# Of these labels 9 missed: nearly all are missed, so a label that was said stays"),
        (
            Errors(0, 9, 0),
            "# Of these labels 9 added wrongly: nearly all were wrongly said, so a label stays only when",
        ),
        (Errors(0, 0, 0), "# Of these labels none were wrong: what this pass says of them counts."),
    ],
)
def test_the_merge_rule_is_explained(folder: Folder, errors: Errors, told: str) -> None:
    """A comment says the counts that it was chosen by."""
    text, parent, new = draft(folder, PARENTS["list"], errors=errors)
    assert told in text
    assert check(parent, new).how == errors.how


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("local", {"temperature": 0, "max_tokens": 1, "logprobs": True, "top_logprobs": 20}),
        ("local completions", {"temperature": 0, "max_tokens": 1, "logprobs": 20}),
        ("list", {"temperature": 0, "max_tokens": 64}),
        ("codes", {"max_tokens": 1, "logprobs": True, "top_logprobs": 20}),
        ("completions", {"max_tokens": 1, "logprobs": 5}),
        (
            "responses with log-probabilities",
            {"include": ["message.output_text.logprobs"], "top_logprobs": 20, "max_output_tokens": 16},
        ),
        ("responses", {"max_output_tokens": 64}),
        ("constrained by itself", {"temperature": 0, "max_tokens": 64}),
        ("decisions", {}),
    ],
)
def test_the_params(folder: Folder, name: str, params: dict[str, Any]) -> None:
    """What shapes an answer is that of the new question; all else is the parent's."""
    _, parent, new = draft(folder, PARENTS[name])
    assert check(parent, new).model.params == params


def test_slots_of_an_embedded_model(folder: Folder) -> None:
    """Asked label by label, an embedded model has a slot for each label; its other settings are the parent's."""
    _, parent, new = draft(folder, PARENTS["local"])
    last = check(parent, new)
    assert (last.model.engine.slots, last.model.engine.context) == (2, 2048)


def test_list_without_log_probabilities(folder: Folder) -> None:
    """A list needs room, and no log-probabilities."""
    _, parent, new = draft(folder, PARENTS["codes"], style="list")
    assert check(parent, new).model.params == {"max_tokens": 64}


def test_what_a_model_sees(folder: Folder) -> None:
    """The comments for the person are not sent, and the first answer is shown where the labels are asked about at once."""
    _, _, new = draft(folder, PARENTS["list"], contrasts=(Contrast("shipping", "quality", 14),))
    space = folder.task().dataset.space
    context = {"labels": space.labels, "predicted": [], "text": "Too late"}
    assert [render(each.source, context) for each in new.passes[-1].messages] == [
        "The text below was labelled before. Decide again which of these labels apply to it, and look closely:\n"
        "- shipping: Late, lost or damaged on the way\n- price: Too dear\n"
        'Tell "shipping" (Late, lost or damaged on the way) from "quality" (The product itself is bad).\n'
        "The first answer was: none. It can be wrong.\n"
        "Answer with those of these labels that apply, separated by commas, or none.",
        "Too late",
    ]


def test_a_question_about_one_label(folder: Folder) -> None:
    """A question about one label tells it from those that it is taken for, and from no other."""
    _, _, new = draft(folder, PARENTS["local"])
    space = folder.task().dataset.space
    said = [
        render(new.passes[-1].messages[0].source, {"labels": space.labels, "label": label, "text": "Too late"})
        for label in space
        if label.name != "quality"
    ]
    assert said == [
        "Say yes if the label applies to the text, else no. The label:\nshipping: Late, lost or damaged on the way\n"
        'Not to be taken for "quality" (The product itself is bad), which is another label.\n'
        'Not to be taken for "price" (Too dear), which is another label.\n',
        "Say yes if the label applies to the text, else no. The label:\nprice: Too dear\n"
        'Not to be taken for "shipping" (Late, lost or damaged on the way), which is another label.\n',
    ]


STRANGE = 'it\'s "50%" {{ off }} #} \\ and\nmore'


@pytest.mark.parametrize("style", ["list", "yes_no"])
def test_outside_text_is_no_template(folder: Folder, style: Style) -> None:
    """Names and descriptions that look like Jinja or YAML are printed as they are, and end no comment."""
    name = "a: '{% b %}' #} \"c\""
    labels = f"labels:\n  {name!r}: x\n" if "'" not in name else 'labels:\n  "a: \'{% b %}\' #} \\"c\\"": x\n'
    folder.write("datasets/reviews.yaml", DATASET.replace("labels:\n", labels, 1))
    changes: dict[str, Any] = {
        "scope": (name, "price"),
        "descriptions": {name: STRANGE, "price": ""},
        "contrasts": (Contrast(name, "price", 2),),
        "style": style,
    }
    text, _, new = draft(folder, PARENTS["list"], **changes)
    assert new.passes[-1].scope == (name, "price")
    space = folder.task().dataset.space
    context = {"labels": space.labels, "predicted": ["x"], "text": "t"}
    said = [render(new.passes[-1].messages[0].source, {**context, "label": label}) for label in space]
    assert any('it\'s "50%" {{ off }} #} \\ and more' in each for each in said)
    assert all("WRITE HERE" not in each for each in said)
    assert "WRITE HERE" in text


@pytest.mark.parametrize("name", ["list", "local", "decisions"])
def test_without_contrasts(folder: Folder, name: str) -> None:
    """Where no labels are taken for each other the person is asked what is hard about them."""
    text, parent, new = draft(folder, PARENTS[name], contrasts=())
    check(parent, new)
    assert text.count("{# WRITE HERE: what is hard about these labels, in your words. #}") == 1


@pytest.mark.parametrize("descriptions", [{}, {"price": "Too dear"}])
def test_labels_without_descriptions(folder: Folder, descriptions: dict[str, str]) -> None:
    """A label without a description is its name alone, each on a line of its own."""
    folder.write("datasets/reviews.yaml", DATASET.replace("shipping: Late, lost or damaged on the way", "shipping: ''"))
    _, _, new = draft(folder, PARENTS["list"], descriptions=descriptions, contrasts=())
    context = {"labels": folder.task().dataset.space.labels, "predicted": [], "text": "t"}
    said = render(new.passes[-1].messages[0].source, context)
    assert ("- shipping\n- price: Too dear\n" if descriptions else "- shipping\n- price\n") in said


def test_several_columns(folder: Folder) -> None:
    """Several input columns are shown by their names."""
    folder.write("datasets/reviews.dev.jsonl", '{"id": "1", "text": "a", "title": "b", "labels": ["price"]}\n')
    text, _, new = draft(folder, PARENTS["list"], columns=("title", "text"))
    assert render(new.passes[-1].messages[1].source, {"title": "b", "text": "a"}) == "title: b\ntext: a"
    assert "title: {{ title }}" in text


def test_shots_files_are_known(folder: Folder) -> None:
    """The files that a parent's shots come from are told, each once, those of its passes too."""
    text = (
        CHAT
        + "shots: {from: a.jsonl}\npasses:\n  - template: x\n    shots: {from: b.jsonl}\n  - shots: {from: a.jsonl}\n"
    )
    path = folder.prompt("v2", text)
    assert read_parent(path, "v2").shots == ("a.jsonl", "b.jsonl")


def test_a_file_with_problems(tmp_path: Path) -> None:
    """What is no YAML is told as everywhere."""
    path = tmp_path / "v1.yaml"
    path.write_text("a: [\n")
    with pytest.raises(DataError, match="must be YAML"):
        read_parent(path, "v1.yaml")
