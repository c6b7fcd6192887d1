"""Included files: read beside the prompt, inside the project alone, and frozen into the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from projects import HEAD, PROMPT, Folder, right_but

from harness.errors import DataError
from harness.prompt import Prompt

INCLUDING = HEAD + "template: |\n  {% include 'guideline.j2' %}\n\n  {{ text }}\n"


def problems(folder: Folder, text: str) -> list[str]:
    """Return what is wrong with a prompt, the file's name left out."""
    path = folder.prompt("bad", text)
    with pytest.raises(DataError) as caught:
        folder.task("bad")
    return [line.removeprefix(f"{path}:").replace(str(folder.root), "ROOT") for line in str(caught.value).splitlines()]


def sent(folder: Folder, version: str) -> list[str]:
    """Run a prompt and return the last message of each request."""
    from scripted_server import ScriptedServer

    with ScriptedServer(right_but()) as server:
        folder.run_on(server, version, limit=1)
        return [request.text for request in server.requests]


def test_included_files_are_part_of_the_prompt(folder: Folder) -> None:
    """Every file is read with the prompt, those that files include too, by the names that are used for them."""
    folder.prompt("v2", INCLUDING)
    folder.write("prompts/guideline.j2", "Be {% include '../shared/tone.j2' %}.")
    folder.write("shared/tone.j2", "calm")
    prompt = folder.task("v2").prompt
    assert prompt.files == {"guideline.j2": "Be {% include '../shared/tone.j2' %}.", "../shared/tone.j2": "calm"}
    assert sent(folder, "v2")[0].startswith("Be calm.\n")


def test_files_are_frozen_and_hashed(folder: Folder) -> None:
    """A run keeps the texts, and another text is another prompt; a prompt without files has the hash that it had."""
    folder.prompt("v2", INCLUDING)
    file = folder.write("prompts/guideline.j2", "Be calm.")
    first = folder.task("v2").prompt
    assert Prompt.from_json(json.loads(json.dumps(first.to_json()))).files == {"guideline.j2": "Be calm."}
    file.write_text("Be stern.")
    assert folder.task("v2").prompt.hash != first.hash
    plain = folder.task("v1").prompt
    assert "files" not in plain.to_json()
    assert Prompt.from_json(plain.to_json()).files == {}


def test_questions_and_later_passes_include_too(folder: Folder) -> None:
    """Every template of every pass may include; a file that two of them include is read once."""
    folder.write("prompts/guideline.j2", "Be calm.")
    text = "{% include 'guideline.j2' %} {{ text }}"
    folder.prompt("v2", HEAD + f'passes:\n  - template: "{text}"\n  - messages: [{{system: "{text}"}}, {{user: x}}]\n')
    assert folder.task("v2").prompt.files == {"guideline.j2": "Be calm."}


def test_what_cannot_be_included_is_told(folder: Folder) -> None:
    """A missing file, an absolute path, a path or a link out of the project, a folder: each is told at its line."""
    folder.write("prompts/guideline.j2", "\n{% include 'no.j2' %}")
    assert problems(folder, INCLUDING) == [
        "4: guideline.j2:2: 'no.j2' cannot be included: ROOT/prompts/no.j2: no such file."
    ]
    (folder.root / "prompts/guideline.j2").unlink()
    (folder.root / "prompts/out.j2").symlink_to("/etc/passwd")
    inside = (folder.root / "prompts/v1.yaml").as_posix()
    text = HEAD + (
        "template: |\n  {% include 'guidelin.j2' %}\n  {% include '/etc/passwd' %}\n  {% include 'INSIDE' %}\n"
        "  {% include '../../x' %}\n  {% import 'out.j2' as out %}\n  {% include '' %}{% include 'out.j2' %}\n  {{ text }}\n"
    ).replace("INSIDE", inside)
    assert problems(folder, text) == [
        "4: 'guidelin.j2' cannot be included: ROOT/prompts/guidelin.j2: no such file.",
        "5: '/etc/passwd' cannot be included: must be a path from the prompt's folder, got an absolute one.",
        "6: 'ROOT/prompts/v1.yaml' cannot be included: must be a path from the prompt's folder, got an absolute one.",
        "7: '../../x' cannot be included: must lie in the project ROOT.",
        "8: 'out.j2' cannot be included: must lie in the project ROOT.",
        "9: '' cannot be included: ROOT/prompts: must be a file, got a folder. Name a file in it.",
    ]


def test_what_is_wrong_in_a_file_is_told_beside_the_rest(folder: Folder) -> None:
    """Unknown names, gold, unknown passes and circles in files come at the line of the prompt that leads there."""
    folder.write("prompts/guideline.j2", "{{ txet }}\n{{ gold }}{% include 'b.j2' %}")
    folder.write("prompts/b.j2", "\n{% include 'guideline.j2' %}")
    names = "Here there is: groups, labels, text."
    found = problems(folder, INCLUDING)
    assert found == [
        f"4: guideline.j2:1: 'txet' is not defined. Did you mean 'text'? {names}",
        "4: guideline.j2:2: 'gold' is gold, and nothing that is sent to a model can contain gold. "
        "It exists in --filter alone.",
        "4: b.j2:2: it includes itself: guideline.j2 → b.j2 → guideline.j2.",
    ]
    folder.write("prompts/guideline.j2", "\n{{ passes.frist.raw }}")
    passes = "passes:\n  - {name: first, template: x}\n  - template: \"{% include 'guideline.j2' %}\"\n"
    assert problems(folder, HEAD + passes) == [
        "5: guideline.j2:2: there is no earlier pass 'frist'; there is first. Did you mean 'first'?"
    ]


def test_a_file_may_place_the_shots(folder: Folder) -> None:
    """Where an included file uses `shots`, the shots are placed there and become no turns."""
    folder.write("prompts/guideline.j2", "{% for shot in shots %}{{ shot.text }} = {{ shot.answer }}\n{% endfor %}")
    folder.prompt("v2", INCLUDING + "shots: {from: ../datasets/shots.jsonl, k: 1}\n")
    assert sent(folder, "v2")[0].startswith("Lost in the post. = shipping\n")


def test_a_file_that_fails_on_a_sample_names_both_places(folder: Folder) -> None:
    """What fails when a sample is rendered is told with the prompt's line and the file's."""
    folder.write("prompts/guideline.j2", "\n{{ 1 / (text | length - 18) }}")
    folder.prompt("v2", INCLUDING)
    with pytest.raises(DataError) as caught:
        folder.plan("v2")
    assert str(caught.value) == (
        "prompts/v2.yaml:4: sample s4, pass main: guideline.j2:2: ZeroDivisionError: division by zero."
    )


def test_a_template_that_is_no_jinja_names_no_files(folder: Folder) -> None:
    """Bad Jinja is told once, by the check of the template."""
    assert problems(folder, PROMPT.replace("{{ text }}", "{% include %}{{ text }}"))[0].startswith("6: must be Jinja")
    folder.write("prompts/guideline.j2", "{% include %}")
    (only,) = problems(folder, INCLUDING)
    assert only.startswith("4: guideline.j2:1: must be Jinja")


# --- variables from files -----------------------------------------------------------------------------------------------


def test_a_variable_holds_what_is_in_a_file(folder: Folder) -> None:
    """The content is the value as it is: Jinja's signs in it are text."""
    folder.write("datasets/guide.md", "Use {{ these }} rules.\n")
    folder.prompt("v2", PROMPT.replace("{{ text }}", "{{ guide }}{{ tone }}{{ text }}")
                  + "vars: {guide: {file: ../datasets/guide.md}, tone: calm}\n")  # fmt: skip
    prompt = folder.task("v2").prompt
    assert prompt.variables == {"guide": "Use {{ these }} rules.\n", "tone": "calm"}
    assert "Use {{ these }} rules.\ncalm" in sent(folder, "v2")[0]
    folder.write("datasets/guide.md", "Others.")
    assert folder.task("v2").prompt.hash != prompt.hash


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{file: ../datasets/gide.md}",
         "7: 'vars.guide.file' cannot be read: ROOT/prompts/../datasets/gide.md: no such file. Did you mean 'guide.md'?"),
        ("{file: ../../x.md}", "7: 'vars.guide.file' must lie in the project ROOT, got '../../x.md'."),
        ("{}", "7: 'vars.guide.file' is missing. Name a text file."),
        ("{file: ../datasets/guide.md, x: 1}", "7: unknown key 'vars.guide.x'. Known here: file."),
        ("{file: ../datasets/latin.md}",
         "7: 'vars.guide.file' cannot be read: ROOT/prompts/../datasets/latin.md:1: must be UTF-8 text, got the byte 0xe9. "
         "Save the file as UTF-8."),
    ],
)  # fmt: skip
def test_a_variable_from_a_file_that_cannot_be_read_is_told(folder: Folder, value: str, expected: str) -> None:
    """Each mistake is one message with its line."""
    folder.write("datasets/guide.md", "x")
    Path(folder.root / "datasets/latin.md").write_bytes(b"\xe9")
    assert problems(folder, PROMPT + f"vars: {{guide: {value}}}\n") == [expected]
