"""``harness suggest``: a model asked over real HTTP, its answer written as the next version, run and compared."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import TEXTS, Cli, call_error, stored_run, write
from projects import Switch
from scripted_server import (
    RESPONSES_PATH,
    Reply,
    Request,
    Script,
    ScriptedServer,
    cut,
    error,
    failing_first,
    refuse,
    say,
)
from syrupy.assertion import SnapshotAssertion

from harness import api
from harness.errors import DataError
from harness.project import find_project
from harness.promptfile import load_task
from harness.records import Call
from harness.suggesting import UnusableSuggestion

project, cli = cli_project.project, cli_project.cli

TEMPLATE = """\
[v4] Labels: {{ labels | join(", ") }}. Name every label that the review complains about.

{{ text }}
"""
ANSWER = f"It overlooks second complaints.\n\n```user\n{TEMPLATE}```\n"
COPYING = ANSWER.replace("Name every", 'As in "Box was crushed and the cup inside was chipped". Name every')
GOLD = {text: ", ".join(labels) or "none" for text, labels in TEXTS.values()}


def asked(request: Request) -> bool:
    """Return whether a request asks for a suggestion."""
    return request.all_text.startswith(("You improve prompts", "You write instructions"))


def labelling(text: str) -> str:
    """Return the right answer to a prompt."""
    return next(gold for review, gold in GOLD.items() if review in text)


def answering(suggestion: str | Reply) -> Script:
    """Return a script that suggests this, and labels every review right."""
    reply = say(suggestion) if isinstance(suggestion, str) else suggestion
    return lambda request: reply if asked(request) else say(labelling(request.text))


class Shop:
    """A project with runs of v1 to v3, and a server."""

    def __init__(self, root: Path, cli: Cli, server: ScriptedServer, switch: Switch) -> None:
        self.root, self.cli, self.server, self.switch = root, cli, server, switch
        self.run = stored_run(root, "v3")

    def suggest(self, answer: str | Reply | Script, *options: str, run: str = "v3") -> Any:
        """Run the command against a server that answers so, and return what it left behind."""
        self.switch.to(answer if callable(answer) else answering(answer))
        self.server.reset()
        done = self.cli("suggest", run, *options)
        self.requests = self.server.requests
        self.sent = [each for each in self.requests if asked(each)]
        return done

    def text(self, version: str) -> str:
        """Return a prompt file."""
        return (self.root / f"prompts/{version}.yaml").read_text(encoding="utf-8")

    def versions(self) -> list[str]:
        """Return the versions that there are."""
        return sorted(path.stem for path in (self.root / "prompts").iterdir())


@pytest.fixture
def shop(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The project, with a run of v3."""
    switch = Switch("none")
    with ScriptedServer(switch) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield Shop(project, cli, server, switch)


# --- what it does -----------------------------------------------------------------------------------------------------


def test_it_is_told(shop: Shop, snapshot: SnapshotAssertion) -> None:
    """What was sent and paid, what the model says, the diff, the growth, and what to type next."""
    done = shop.suggest(ANSWER, "--model", "scripted")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 100
    assert re.sub(r"\d\.\d s", "0.0 s", done.out) == snapshot


def test_the_new_version_is_the_old_one_in_other_words(shop: Shop) -> None:
    """Only parent, notes and the template differ; it passes the check."""
    shop.suggest(ANSWER)
    indented = TEMPLATE.replace("\n", "\n  ").replace("\n  \n", "\n\n").rstrip()
    assert shop.text("v4") == (
        f"parent: v3\ndataset: ../datasets/reviews.yaml\nmodel: scripted\ntemplate: |\n  {indented}\noutput: list\n"
    ).replace("dataset:", "dataset:", 1).replace(
        "parent: v3\n",
        f'notes: "wording suggested by scripted from run {shop.run.manifest.id} (reviews dev)"\nparent: v3\n',
    )
    assert shop.cli("check", "prompts/v4.yaml").code == 0


def test_what_is_sent(shop: Shop) -> None:
    """One request, without the run's parameters; no sample of the test split is in it, and no id."""
    shop.suggest(ANSWER, "--param", "temperature=0.5", "--param", "effort=low")
    (request,) = shop.sent
    assert (request.body["temperature"], request.body["effort"], request.body["model"]) == (0.5, "low", "scripted")
    assert "Never came." in request.all_text
    assert "Too late." not in request.all_text
    assert not re.search(r"\br\d\d\b|\bt1\b", request.all_text)


def test_show_makes_no_call(shop: Shop, snapshot: SnapshotAssertion) -> None:
    """What would be sent is shown as it is; nothing is sent or written."""
    done = shop.suggest(ANSWER, "--show", "--examples", "2", "--seed", "1")
    assert (done.code, shop.requests, shop.versions()) == (0, [], ["v1", "v2", "v3"])
    assert done.out == snapshot
    found = shop.suggest(ANSWER, "--show", "--json", "--examples", "2", "--seed", "1").json
    assert found["request"]["messages"][1]["content"].split()[0] in done.out
    assert (found["run"], found["pass"], len(found["request"]["samples"])) == (shop.run.manifest.id, "main", 2)


def test_the_same_suggestion_is_not_paid_twice(shop: Shop) -> None:
    """The same command shows the answer again and names the file that is there; another file is written as asked."""
    shop.suggest(ANSWER)
    done = shop.suggest("something else")
    assert (shop.requests, shop.versions()) == ([], ["v1", "v2", "v3", "v4"])
    assert "from the cache, nothing is paid again; --again asks anew" in done.out
    assert "it is there already: prompts/v4.yaml" in done.out
    shop.suggest("something else", "--write", "prompts/v9.yaml")
    assert (shop.requests, shop.text("v9")) == ([], shop.text("v4"))


def test_again_asks_anew(shop: Shop) -> None:
    """Each answer is kept; the last one is shown again. It goes beside the version that is there."""
    shop.suggest(ANSWER)
    other = ANSWER.replace("Name every", "Find every")
    assert shop.suggest(other, "--again").code == 0
    assert len(shop.sent) == 1
    assert "Find every label" in shop.text("v3-a")
    done = shop.suggest("no", "--json")
    assert (shop.requests, done.json["draw"], done.json["written"]) == ([], 1, "prompts/v3-a.yaml")
    assert shop.suggest(other, "--again", "--param", "seed=1").err == (
        "error: --again: scripted must be able to answer otherwise, but its settings give the same answer. "
        "Add: --param temperature=0.7\n"
    )


def test_json_has_all_of_it(shop: Shop) -> None:
    """Request, answer, messages, diff, growth and file."""
    found = shop.suggest(ANSWER, "--json").json
    assert found["messages"] == [{"role": "user", "content": TEMPLATE}]
    assert (found["raw"], found["reasons"]) == (ANSWER, "It overlooks second complaints.")
    assert (found["cached"], found["is_new"], found["written"]) == (False, True, "prompts/v4.yaml")
    assert found["growth"]["characters"][0] < found["growth"]["characters"][1]
    assert found["diff"]["n_changed"] == 1
    assert (found["copied"], found["notes"]) == ([], [])


def test_the_python_api(shop: Shop) -> None:
    """The same as a function, also where an event loop runs."""
    shop.switch.to(ANSWER)

    async def inside() -> Any:
        return api.suggest("v3", write="prompts/mine.yaml")

    assert asyncio.run(inside()).written == Path("prompts/mine.yaml")
    assert (api.suggest("v3").asked.completion.cached, shop.server.count) == (True, 1)
    shop.switch.to("No idea.")
    with pytest.raises(UnusableSuggestion) as refused:
        api.suggest("v3", format_only=True)
    assert refused.value.asked.completion.raw == "No idea."
    assert isinstance(refused.value, DataError)


# --- the form alone ---------------------------------------------------------------------------------------------------

INSTRUCTION = "Answer with label names and no other word. Example: EXAMPLE. If nothing applies, write NONE."


def test_the_form_alone(shop: Shop, snapshot: SnapshotAssertion) -> None:
    """A paragraph between marks, with the format's own examples; no text of a sample is sent."""
    done = shop.suggest(INSTRUCTION, "--format-only")
    assert re.sub(r"\d\.\d s", "0.0 s", done.out) == snapshot
    assert "Never came." not in shop.sent[0].all_text
    assert "- It never came, which is sad." in shop.sent[0].text
    assert "If nothing applies, write none.{#- end of output instructions #}" in shop.text("v4")
    stored_run(shop.root, "v4", dict.fromkeys(TEXTS, "no idea"))
    shop.suggest(INSTRUCTION.replace("no other", "not one other"), "--format-only", run="v4")
    assert shop.text("v5").count("output instructions #}") == 2


# --- guards -----------------------------------------------------------------------------------------------------------


def test_copied_text_is_flagged(shop: Shop) -> None:
    """On the screen, in the file and as JSON, with the sample; the version is written."""
    done = shop.suggest(COPYING)
    assert done.code == 0
    assert "Copied from evaluated samples: 1 piece. Its score on them would flatter the new prompt." in done.out
    assert "from r05  Box was crushed and the cup inside was chipped" in done.out
    assert shop.text("v4").startswith(
        "# copied from evaluated sample r05: Box was crushed and the cup inside was chipped\n"
    )
    (found,) = shop.suggest(COPYING, "--json").json["copied"]
    text = "Box was crushed and the cup inside was chipped"
    assert found == {"sample": "r05", "text": text, "whole": False, "split": None}


def test_text_of_a_locked_split_is_flagged_without_it(shop: Shop) -> None:
    """The prompt will be tested on all splits: samples of the others are named, by id and split, and not told."""
    text = "Two screws were missing, and nobody at the shop picks up."
    write(shop.root / "datasets/reviews.test.jsonl", json.dumps({"id": "t1", "text": text, "labels": ["shipping"]}))
    done = shop.suggest(COPYING.replace("Name every", f'Or in "{text}". Name every', 1), "--run")
    assert done.code == 1
    assert done.err.startswith(
        "error: prompts/v4.yaml: is not run, because it holds text of evaluated samples (r05, t1 of test)"
    )
    assert re.search("^  from t1 of test$", done.out, re.MULTILINE)
    assert shop.text("v4").startswith(
        "# copied from evaluated sample r05: Box was crushed and the cup inside was chipped\n"
        "# copied from evaluated sample t1 of test\n"
    )
    assert shop.suggest(COPYING.replace("Name every", f'Or in "{text}". Name every', 1), "--json").json["copied"][1] == {
        "sample": "t1", "text": "", "whole": False, "split": "test",
    }  # fmt: skip


def test_a_split_that_cannot_be_read_is_told(shop: Shop) -> None:
    """The version is written; that it was not compared with those samples is said."""
    write(shop.root / "datasets/reviews.test.jsonl", "{")
    done = shop.suggest(ANSWER)
    assert (done.code, "v4" in shop.versions()) == (0, True)
    assert done.err.startswith(
        "warning: datasets/reviews.yaml: the new messages are not compared with split 'test', which cannot be read: "
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_copied_text_is_not_run(shop: Shop, as_json: bool) -> None:
    """Unless it is allowed: its score would be flattered."""
    done = shop.suggest(COPYING, "--run", *["--json"] * as_json)
    assert done.code == 1
    assert done.err == (
        "error: prompts/v4.yaml: is not run, because it holds text of evaluated samples (r05): its score on them would "
        "flatter it. Take it out and run the file, or add --allow-copied.\n"
    )
    assert len(shop.requests) == 1
    assert not as_json or json.loads(done.out)["written"] == "prompts/v4.yaml"
    assert shop.suggest(COPYING, "--run", "--allow-copied").code == 0
    assert len(shop.requests) == 10


def test_many_copies_are_counted(shop: Shop) -> None:
    """Some are shown, the rest is in the file."""
    texts = [f"- {text} is a case" for text, _ in TEXTS.values() if len(text.split()) > 4]
    done = shop.suggest(ANSWER.replace("Name every", "\n".join(["", *texts, ""])))
    assert re.search(r"and \d more: see the first lines of the file", done.out)
    assert shop.text("v4").count("# copied from evaluated sample") == len(texts)


def test_a_locked_split_is_refused(shop: Shop) -> None:
    """What a prompt is tested on, no model that writes it may see."""
    run = stored_run(shop.root, "v2", split="test", default_split=False)
    done = shop.suggest(ANSWER, run=run.manifest.id)
    assert (done.code, shop.requests) == (1, [])
    assert done.err.startswith(f"error: run {run.manifest.id}: must not be on a locked split to suggest a prompt")


# --- running it -------------------------------------------------------------------------------------------------------


def test_run_runs_and_compares(shop: Shop) -> None:
    """The new version runs on the run's samples, against that run."""
    done = shop.suggest(ANSWER, "--run")
    assert done.code == 0
    assert len(shop.requests) == 11
    assert "v4 on reviews dev" in done.out
    assert "harness compare v3 v4" in done.out
    assert "fixed" in done.out


def test_run_as_json(shop: Shop) -> None:
    """The suggestion with the run, its scores and the comparison, as one document."""
    limited = stored_run(shop.root, "v2", selection={"limit": 4})
    done = shop.suggest(ANSWER, "--run", "--json", run="v2")
    ran = done.json["ran"]
    assert (done.code, ran["run"]["n_samples"]) == (0, 4)
    assert ran["scores"]["averages"]["subset_accuracy"] == 1.0
    assert ran["comparison"]["runs"][0]["name"] == limited.manifest.version
    assert ran["judgement"]["diffs"]
    again = shop.cli("run", "prompts/v3.yaml", "--baseline", "v2", "--limit", "4", "--json").json
    assert list(ran) == list(again)


def test_run_on_the_runs_own_samples(shop: Shop) -> None:
    """The ids that a run was made on are those of the new version's run, too."""
    stored_run(shop.root, "v2", selection={"ids": ["r01", "r05"]})
    assert shop.suggest(ANSWER, "--run", "--json", run="v2").json["ran"]["run"]["selection"] == {"ids": ["r01", "r05"]}


def test_run_with_failed_calls_is_incomplete(shop: Shop) -> None:
    """The exit code says so, as JSON too."""

    def script(request: Request) -> Reply:
        return say(ANSWER) if asked(request) else error(400, "no")

    assert shop.suggest(script, "--run", "--json").code == 3
    assert shop.suggest(script, "--run").code == 3


# --- several passes ---------------------------------------------------------------------------------------------------

TWO = """\
dataset: ../datasets/reviews.yaml
model: scripted
passes:
  - name: first
    template: "First: {{ text }}"
  - name: second   # looks again
    when: "'price' in predicted"
    messages:
      - system: After {{ predicted | join(' and ') }}.
      - user: "Second: {{ text }}"
    merge: {scope: [price, quality]}
"""


def two_passes(call: Call) -> str:
    """Return answers of which some are wrong in either pass."""
    if call.pass_name == "second":
        return "no idea" if call.sample == "r06" else "none"
    return "price" if call.sample in ("r01", "r06", "r10") else "shipping"


def test_a_later_pass_is_reworded(shop: Shop) -> None:
    """Only its messages change; only samples that it was asked about are sent, with its own answers."""
    write(shop.root / "prompts/v7.yaml", TWO)
    stored_run(shop.root, "v7", two_passes)
    answer = "```system\nYou saw {{ predicted | join(', ') }}.\n```"
    done = shop.suggest(answer, "--pass", "second", run="v7")
    assert done.code == 0
    assert "v7 on reviews dev, pass second" in done.out
    assert "note: the user message stays as it was: the answer has none" in done.out
    assert "tokens a sample" not in done.out
    sent = shop.sent[0].all_text
    assert TEXTS["r10"][0] in sent
    assert TEXTS["r02"][0] not in sent
    assert '"no idea"' in sent
    assert "shipping:" not in sent
    made = shop.text("v8")
    assert made.endswith(
        TWO[TWO.index("passes") :].replace(
            "After {{ predicted | join(' and ') }}.", "\"You saw {{ predicted | join(', ') }}.\""
        )
    )
    assert "wording of pass second suggested by scripted" in made
    assert shop.suggest(answer, "--pass", "secnd", run="v7").err == (
        "error: --pass 'secnd': must be one of first, second. Did you mean 'second'?\n"
    )


def test_a_message_must_keep_the_answer_so_far(shop: Shop) -> None:
    """What an earlier pass said is an input of this one."""
    write(shop.root / "prompts/v7.yaml", TWO)
    stored_run(shop.root, "v7", two_passes)
    done = shop.suggest("```system\nLook again.\n```", "--pass", "second", run="v7")
    assert done.code == 1
    assert "the system message must use {{ predicted }}, as before, but does not." in done.err


GATED = cli_project.DATASET.replace(
    "splits:",
    "groups:\n  way: {labels: [shipping, gift wrap], description: What happened on the way}\n"
    "  goods: [quality, price]\nsplits:",
)
GATE = """\
dataset: ../datasets/reviews.yaml
model: scripted
passes:
  - name: gate
    choose: groups
    template: "{{ candidates | join(', ') }}: {{ text }}"
  - name: fine
    per: group
    template: "{{ group }}: {{ text }}"
"""


def test_a_long_answer_is_shown_in_part(shop: Shop) -> None:
    """A model that does not stop does not fill the terminal; JSON has all that it wrote."""
    done = shop.suggest("on and " * 2_000)
    assert (done.code, len(done.out) < 6_000) == (1, True)
    assert done.out.endswith("and 10,000 characters more: --json has all of it\n")
    assert len(shop.suggest("on and " * 2_000, "--json").json["raw"]) == 14_000


def test_a_gate_is_told_of_groups(shop: Shop) -> None:
    """What it answers, what was right and what went wrong are groups; its labels are told beside them."""

    def answer(call: Call) -> str:
        if call.pass_name == "gate":
            return {"r01": "goods", "r03": "way", "r05": "shipping"}.get(call.sample, "way, goods")
        return "shipping" if call.unit == "way" else "price"

    write(shop.root / "datasets/reviews.yaml", GATED)
    write(shop.root / "prompts/v7.yaml", GATE)
    stored_run(shop.root, "v7", answer)
    sent = shop.cli("suggest", "v7", "--show", "--json").json["request"]["messages"][1]["content"]
    assert "- way: What happened on the way [labels: shipping, gift wrap]\n- goods [labels: quality, price]" in sent
    assert "the names of the groups that apply" in sent
    assert "```\nway, goods\n```\n```\nway\n```\n```\nnone\n```" in sent
    assert "By group, the worst first" in sent
    assert "right groups: way\n   given groups: goods (missed way, added goods)" in sent
    assert 'right groups: way, goods\n   given groups: none (unparseable)\n   the answer: "shipping"' in sent
    assert "right labels" not in sent
    form = shop.cli("suggest", "v7", "--show", "--format-only", "--json").json["request"]["messages"][-1]["content"]
    assert "The answer must be: the names of the groups that apply, separated by commas." in form


def test_a_pass_is_judged_by_what_stood_after_it(shop: Shop) -> None:
    """What a later pass made of it is not its fault, and what stood before a later pass is told."""
    write(shop.root / "prompts/v7.yaml", TWO)
    stored_run(shop.root, "v7", lambda call: "price" if call.pass_name == "first" else "quality")
    first = shop.cli("suggest", "v7", "--show", "--json").json["request"]["messages"][1]["content"]
    assert "1 of 10 texts are labelled exactly right" in first
    assert "- quality: of 4 texts that have it 4 did not get it, and 0 got it" in first
    assert "before this pass" not in first
    second = shop.cli("suggest", "v7", "--pass", "second", "--show", "--json").json["request"]["messages"][1]["content"]
    assert "3 of 10 texts that it was sent for are labelled exactly right" in second
    assert "Its answer takes the place of what was said of these labels before." in second
    assert "labels before this pass: price\n   given labels: quality" in second


@pytest.mark.parametrize(
    ("how", "merged", "form"),
    [
        ("remove", "are taken away from what was said before", "the names of the labels to take away"),
        ("add", "are added to what was said before", "the names of the labels to add"),
        ("confirm", "stays only when its answer names it", "the names of the labels that apply"),
    ],
)
def test_the_merge_rule_is_told(shop: Shop, how: str, merged: str, form: str) -> None:
    """A model that does not know what becomes of an answer would ask for another one."""
    write(shop.root / "prompts/v7.yaml", TWO.replace("merge: {", f"merge: {{how: {how}, "))
    stored_run(shop.root, "v7", two_passes)
    sent = shop.cli("suggest", "v7", "--pass", "second", "--show", "--json").json["request"]["messages"][1]["content"]
    assert merged in sent
    assert form in sent


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_answer_that_cannot_be_used(shop: Shop) -> None:
    """It is shown as it came, nothing is written, and it is kept."""
    done = shop.suggest("Say it [bold]better[/bold].\x1b[31m")
    assert (done.code, shop.versions()) == (1, ["v1", "v2", "v3"])
    assert "  Say it [bold]better[/bold].\\x1b[31m" in done.out
    assert done.err == (
        "error: scripted: the model's answer cannot be used: it has no fenced block with a message. Nothing is written; the "
        "same command shows the answer again without a call. For a small model, or for the form alone, type --format-only. "
        "For another answer, type --again.\n"
    )
    again = shop.suggest(ANSWER, "--json")
    assert (again.code, shop.requests, again.json["written"]) == (1, [], None)
    assert again.json["why"] == "it has no fenced block with a message."


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (refuse("I cannot\nhelp."), "it is a refusal: I cannot help."),
        (say(" "), "it is empty."),
        (Reply(None, finish_reason="length", reasoning="hm"), "the tokens ran out before it began."),
        (cut("So\n```user\n{{ text"), "it was cut off before the end. Allow it more: --param max_tokens=4000"),
        (say("```user\n{{ text.missing }}\n```"), "prompts/v3.yaml: sample r01, pass main: "),
        (
            say("```user\n{% for shot in shots %}{% endfor %}{{ text }}\n```"),
            "the user message, line 1: 'shots' is not",
        ),
    ],
)
def test_other_answers_that_cannot_be_used(shop: Shop, answer: Reply, why: str) -> None:
    """Refusals, silence, half answers, and templates that fail on a sample."""
    done = shop.suggest(answer)
    assert (done.code, shop.versions()) == (1, ["v1", "v2", "v3"])
    assert done.err.startswith(f"error: scripted: the model's answer cannot be used: {why}")


def test_characters_that_no_file_holds(shop: Shop) -> None:
    """They are question marks, and control characters are escaped in the file."""
    body = {"choices": [{"message": {"content": ANSWER.replace("[v4]", "\ud800\x07")}, "finish_reason": "stop"}]}
    assert shop.suggest(Reply(raw_body=json.dumps(body).encode())).code == 0
    task = load_task(shop.root / "prompts/v4.yaml", find_project(shop.root))
    assert task.prompt.passes[0].messages[0].source.startswith("?\x07 Labels:")


def test_a_server_that_fails(shop: Shop) -> None:
    """A failed call is told as one, and is not kept; the next one is made."""
    script = failing_first(1, error(400, "bad luck"), then=ANSWER)
    done = shop.suggest(script)
    assert (done.code, done.err) == (1, "error: model scripted: gives no answer: bad luck\n")
    assert shop.suggest(ANSWER).code == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--allow-copied",), "--allow-copied goes with --run. See: harness suggest --help"),
        (("--param", "x"), "--param: must be NAME=VALUE, got 'x'. See: harness suggest --help"),
        (
            ("--param", "messages=1"),
            "--param messages: must be a parameter that the request does not set itself. Take it out.",
        ),
        (("--write", "prompts/v1.yaml"), "--write prompts/v1.yaml: must be a new file, but is there already."),
        (
            ("--model", "local/smollm2-135m", "--param", "max_tokens=9", "--show", "--budget", "5"),
            "run v3-20260105-030405: what must be sent has about ",
        ),
        (
            ("--model", "local/smollm2-135m", "--base-url", "http://127.0.0.1:9/v1"),
            "--base-url: 'local/smollm2-135m' runs in this program and uses no server. Add: --model NAME",
        ),
    ],
)
def test_options_that_do_not_fit(shop: Shop, options: tuple[str, ...], told: str) -> None:
    """They are told before any call."""
    done = shop.suggest(ANSWER, *options)
    assert done.code in (1, 2)
    assert done.err.startswith(f"error: {told}")
    assert shop.requests == []


def test_a_parameter_of_another_api(shop: Shop) -> None:
    """The run's API is kept where it writes freely, and its names of parameters are checked."""
    text = shop.text("v3").replace("model: scripted", "model: {name: scripted, api: responses}")
    write(shop.root / "prompts/v5.yaml", text)
    stored_run(shop.root, "v5", cli_project.ANSWERS["v3"])
    done = shop.suggest(ANSWER, "--param", "max_tokens=9", run="v5")
    assert done.err.startswith(
        "error: --param: 'model.params' must not set 'max_tokens': with 'api: responses' it is called"
    )
    assert shop.suggest(ANSWER, run="v5").code == 0
    assert shop.sent[0].path == RESPONSES_PATH


def test_runs_without_a_prompt_or_gold(shop: Shop) -> None:
    """Outside predictions have no prompt; unlabelled samples have no errors."""
    write(shop.root / "mine.csv", "id,labels\n" + "".join(f"{name},shipping\n" for name in TEXTS))
    shop.cli("import", "mine.csv", "--dataset", "datasets/reviews.yaml", "--name", "mine")
    assert (
        "no prompt made it, so there is none to reword. Name a run of a prompt." in shop.suggest(ANSWER, run="mine").err
    )
    (shop.run.path / "scores.json").write_text("{}", encoding="utf-8")
    done = shop.suggest(ANSWER)
    assert done.err == (
        f"error: run {shop.run.manifest.id}: must have gold labels to tell what is wrong, but its samples are unlabelled. "
        "Name a run on a split.\n"
    )


def test_a_prompt_that_has_changed_since(shop: Shop) -> None:
    """The run tells nothing of it."""
    write(shop.root / "prompts/v3.yaml", shop.text("v3").replace("Labels:", "The labels:"))
    done = shop.suggest(ANSWER)
    assert done.err.splitlines()[-1] == (
        f"error: prompts/v3.yaml: must ask what run {shop.run.manifest.id} asked, but has changed since. "
        "Run it again, and suggest from that run."
    )


def test_a_file_that_cannot_be_edited(shop: Shop) -> None:
    """The message says where and why; the answer is paid for and kept."""
    text = shop.text("v3").replace("template: |", "template: &words |")
    write(shop.root / "prompts/v3.yaml", text)
    done = shop.suggest(ANSWER)
    assert done.err == (
        "error: prompts/v3.yaml:4: cannot be edited, because 'template' has an anchor or a tag. Take it out.\n"
    )
    shop.root.joinpath("prompts/v3.yaml").write_text(text.replace("&words ", ""))
    assert shop.suggest("no").code == 0
    assert shop.requests == []


def test_failed_calls_are_no_fault_of_the_prompt(shop: Shop) -> None:
    """A sample without an answer is not sent as a wrong one."""
    stored_run(shop.root, "v2", {**cli_project.ANSWERS["v2"], "r05": call_error()}, state="complete")
    shop.suggest(ANSWER, run="v2")
    assert TEXTS["r05"][0] not in shop.sent[0].all_text
    assert TEXTS["r04"][0] in shop.sent[0].all_text


def test_what_the_shots_lack(shop: Shop) -> None:
    """A message that asks for the shots too may use no column that they do not have; what cannot load is not left behind."""
    rows = {name: {"text": text, "labels": gold, "stars": 1} for name, (text, gold) in TEXTS.items()}
    cli_project.write_samples(shop.root, rows)
    write(shop.root / "datasets/shots.jsonl", json.dumps({"id": "w1", "text": "Fine.", "labels": []}) + "\n")
    write(shop.root / "prompts/v5.yaml", shop.text("v3") + "shots: {from: ../datasets/shots.jsonl, k: 1}\n")
    stored_run(shop.root, "v5", cli_project.ANSWERS["v3"])
    done = shop.suggest("```user\n{{ stars }} stars: {{ text }}\n```", run="v5")
    assert done.code == 1
    assert "'stars' is " in done.err
    assert "v6" not in shop.versions()


def test_a_file_that_says_something_else_is_not_left_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is read back; a prompt file that cannot be read meanwhile is nobody's fault."""
    (shop.root / "prompts/gone.yaml").symlink_to("nowhere")
    monkeypatch.setattr("harness.suggesting.with_messages", lambda text, *_, **__: text)
    (shop.root / "prompts/v3.yaml").write_text(shop.text("v3") + "# a comment\n")
    done = shop.suggest(ANSWER, "--param", "seed=1")
    assert done.code == 0  # the parent itself says the very same
    monkeypatch.setattr("harness.suggesting.with_messages", lambda text, *_, **__: text + "# another\n")
    done = shop.suggest(ANSWER, "--param", "seed=1")
    assert done.err.startswith(
        "error: scripted: the model's answer cannot be used: prompts/v3.yaml cannot be edited so that only its messages "
        "change. Write the version by hand."
    )
    assert done.err.endswith("For another answer, add: --param temperature=0.7\n")
    assert "v4" not in shop.versions()


# --- the embedded model -----------------------------------------------------------------------------------------------

LOCAL = "{name: local/smollm2-135m, engine: {context: 1024, threads: 1, prefix_reuse: false}}"


def test_the_embedded_model_words_the_form(shop: Shop) -> None:
    """End to end without a server: what it suggests is a sound version, or is refused in one sentence."""
    write(shop.root / "prompts/v3.yaml", shop.text("v3").replace("model: scripted", f"model: {LOCAL}"))
    stored_run(shop.root, "v3", day=9)
    done = shop.cli("suggest", "v3", "--format-only", "--param", "max_tokens=60")
    if done.code == 0:
        assert shop.cli("check", "prompts/v4.yaml").code == 0
        assert "{# output instructions #}" in shop.text("v4")
    else:
        assert done.err.startswith("error: local/smollm2-135m: the model's answer cannot be used: ")
        assert "v4" not in shop.versions()
        assert done.err.endswith("For another answer, add: --param temperature=0.7\n")
    again = shop.cli("suggest", "v3", "--format-only", "--param", "max_tokens=60")
    assert again.code == done.code
    assert "from the cache" in again.out


def test_the_embedded_model_is_asked_within_its_context(shop: Shop) -> None:
    """A whole prompt: as many samples as there is room for beside the answer."""
    write(shop.root / "prompts/v3.yaml", shop.text("v3").replace("model: scripted", f"model: {LOCAL}"))
    stored_run(shop.root, "v3", day=9)
    shown = shop.cli("suggest", "v3", "--show", "--json", "--param", "max_tokens=16").json["request"]
    assert shown["tokens"] <= shown["budget"] == 1024 * 3 // 4 - 16
