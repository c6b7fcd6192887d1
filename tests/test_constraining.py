"""Constrained answers: the strictest form that a server takes, found out once, told once, and kept to."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gbnf import accepts
from projects import DEV, HEAD, RIGHT, TEMPLATE, Folder, Switch, right_but
from scripted_server import Reply, Request, ScriptedServer, error, say
from strategies_labels import space_of

from harness import execution
from harness.api import Run
from harness.cache import Cache
from harness.clients import chat
from harness.clients.embedded import EmbeddedClient
from harness.completionlog import StoredCompletion
from harness.constraining import MOST_KEPT, OFF, REFUSALS, Constraining, form_of, ignored, ladder
from harness.errors import DataError
from harness.labelspace import Field, Label, LabelSpace
from harness.outlook import foresee
from harness.parsing import FORMATS, Output, read
from harness.parsing.constraints import constraint_problems, forms
from harness.pricing import Spent
from harness.prompt import Candidates, Engine, MessageTemplate, Model, Pass, Prompt
from harness.records import Answer, Call, Completion, Constraint, FailureKind, Sample
from harness.report.terminal import rendered, run_report
from harness.retry import AttemptFailed
from harness.store import StoredRun, load_run

SPACE = space_of("shipping", "quality", "price")

JSON = {text: json.dumps({"labels": [] if answer == "none" else answer.split(", ")}) for text, answer in RIGHT.items()}


def right(request: Request) -> str:
    """The right answer in the form that a request asks for; a list where it asks for none."""
    answers = JSON if "json" in str(request.body.get("response_format")) or "JSON" in request.text else RIGHT
    return next(answer for text, answer in answers.items() if request.text.strip().endswith(text))


def form_in(body: Mapping[str, Any]) -> str:
    """The form that a request asks for."""
    if "response_format" in body:
        return str(body["response_format"]["type"])
    return "grammar" if "grammar" in body else "off"


def taking(*forms: str, refusal: Reply | None = None) -> Callable[[Request], Reply]:
    """A server that takes only these forms."""

    def script(request: Request) -> Reply:
        form = form_in(request.body)
        if form in forms:
            return say(right(request))
        return refusal or error(400, f"This response_format type is unavailable now: {form}")

    return script


def a_prompt(output: str, **model: Any) -> str:
    """A prompt file with this output."""
    words = "Answer as JSON." if "json" in output else "Answer with a list."
    return HEAD + TEMPLATE.replace("Labels:", f"{words} Labels:") + f"output: {output}\n"


AUTO_JSON = a_prompt("{format: json, constrain: auto}")
AUTO_LIST = a_prompt("{format: list, constrain: auto}")


class Bench:
    """A project, a server whose answers can be exchanged, and what was warned of."""

    def __init__(self, folder: Folder, server: ScriptedServer, switch: Switch) -> None:
        self.folder, self.server, self.switch = folder, server, switch
        self.warnings: list[str] = []

    def run(self, prompt: str, script: Any, **options: Any) -> StoredRun:
        """Run a prompt against a server that answers so."""
        self.warnings.clear()
        self.server.reset()
        self.switch.to(script)
        self.folder.prompt("v1", prompt)
        how = {key: options.pop(key) for key in ("use_cache", "concurrency") if key in options}
        plan = self.folder.plan("v1", base_url=self.server.base_url, **options)
        return execution.start(plan, self.folder.project, warn=self.warnings.append, **how)

    def resume(self, run: StoredRun, **options: Any) -> StoredRun:
        """Go on with a run."""
        self.warnings.clear()
        self.server.reset()
        return execution.resume(load_run(run.path), self.folder.project, warn=self.warnings.append, **options)

    @property
    def asked(self) -> list[str]:
        """The forms that the requests asked for, in order."""
        return [form_in(body) for body in self.server.bodies()]


@pytest.fixture
def bench(folder: Folder) -> Iterator[Bench]:
    """A project and its server."""
    switch = Switch("none")
    with ScriptedServer(switch) as server:
        yield Bench(folder, server, switch)


# --- which forms there are --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known"), [("json", ["json_schema", "json_object", "grammar"]), ("list", ["grammar"]), ("decisions", [])]
)
def test_a_format_has_its_forms(name: str, known: list[str]) -> None:
    """Strictest first; a grammar last, because servers that know none rather pass over it than say so."""
    assert [each.form for each in forms(FORMATS[name], Output(name), SPACE)] == known


def test_every_form_carries_what_it_is_made_of() -> None:
    """The schema and the grammar are those of the label space."""
    strict, loose, grammar = forms(FORMATS["json"], Output("json"), SPACE)
    assert strict.schema is not None
    assert strict.schema["properties"]["labels"]["items"]["enum"] == ["shipping", "quality", "price"]
    assert (loose.schema, loose.grammar) == (None, None)
    assert grammar.grammar is not None
    assert grammar.grammar.startswith("root ::= ")


@pytest.mark.parametrize("constrain", ["auto", "off"])
@pytest.mark.parametrize("name", FORMATS)
def test_auto_and_off_are_always_possible(name: str, constrain: Any) -> None:
    """`auto` in a format without forms is "off"."""
    assert constraint_problems(FORMATS[name], Output(name, constrain=constrain), SPACE) == []


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            Output("list", constrain="json_schema"),
            "constrain must be one of auto, off, grammar for format list, got json_schema.",
        ),
        (
            Output("vector", constrain="json_object"),
            "constrain must be one of auto, off, grammar for format vector, got json_object.",
        ),
    ],
)
def test_a_form_that_the_format_cannot_have_is_told(output: Output, message: str) -> None:
    """An explicit form that is impossible is an error of `harness check`."""
    assert FORMATS[output.format].check(output, SPACE) == [message]


def test_it_is_told_with_file_and_line(bench: Bench) -> None:
    """The message stands at the output's line of the prompt file."""
    with pytest.raises(DataError) as caught:
        bench.run(a_prompt("{format: list, constrain: json_schema}"), "none")
    assert str(caught.value) == (
        f"{bench.folder.path('v1')}:7: output: constrain must be one of auto, off, grammar for format list, got json_schema."
    )


@pytest.mark.parametrize("form", ["json_schema", "json_object", "grammar"])
def test_an_explicit_form_that_there_is_passes(form: Any) -> None:
    """All forms of a format can be chosen."""
    assert constraint_problems(FORMATS["json"], Output("json", constrain=form), SPACE) == []


# --- ladders ----------------------------------------------------------------------------------------------------------


class StubClient:
    """A client that is never asked."""

    endpoint: Mapping[str, Any] = {"base_url": "stub"}
    concurrency = None
    wait_s = 0.0
    holds = 0

    def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
        """The request."""
        return chat.body(call, Model("m"), "m", constraint)

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Never."""
        raise AssertionError(body)

    async def close(self) -> None:
        """Nothing to let go of."""


def a_pass(output: Output, **more: Any) -> Pass:
    """A pass with one message."""
    return Pass("main", (MessageTemplate("user", "{{ text }}"),), more.pop("model", Model("m")), output, **more)


def steps(each: Pass, space: LabelSpace = SPACE) -> list[str]:
    """The names of the steps of a pass's ladder."""
    return [form_of(step) for step in ladder(each, space, StubClient()).steps]


@pytest.mark.parametrize(
    ("output", "forms"),
    [
        (Output("json", constrain="auto"), ["json_schema", "json_object", "grammar", "off"]),
        (Output("json", constrain="json_object"), ["json_object"]),
        (Output("json"), ["off"]),
        (Output("decisions", constrain="auto"), ["off"]),
    ],
)
def test_a_ladder_leads_from_the_strictest_form_to_none(output: Output, forms: list[str]) -> None:
    """`auto` tries all forms and then none; an explicit form never falls back."""
    assert steps(a_pass(output)) == forms


def test_with_log_probabilities_auto_means_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tokens are weighed, a constrained answer would say nothing of what the model would have written."""
    weighing = replace(FORMATS["list"], weigh=lambda _tokens, _space, _output: ({}, {}))
    monkeypatch.setattr("harness.constraining.FORMATS", {**FORMATS, "list": weighing})
    output = Output("list", constrain="auto")
    assert steps(a_pass(output, model=Model("m", params={"logprobs": True, "top_logprobs": 20}))) == ["off"]
    assert steps(a_pass(output)) == ["grammar", "off"]


def test_ladders_are_known_by_whom_they_ask_and_what_for() -> None:
    """Model, label space and output decide what is remembered; what they have in common is found out together."""
    client = StubClient()

    def key(output: Output, space: LabelSpace = SPACE, model: str = "m") -> str:
        return ladder(a_pass(output, model=Model(model)), space, client).key

    one = key(Output(constrain="auto"))
    assert one == key(Output(constrain="auto", options={"none": "none"}))
    others = [
        key(Output(constrain="auto"), space_of("a")),
        key(Output(constrain="auto"), model="n"),
        key(Output("json")),
    ]
    assert len({one, *others}) == 4


# --- finding out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "taken", "tried"),
    [
        (AUTO_JSON, "json_schema", ["json_schema"]),
        (AUTO_JSON, "json_object", ["json_schema", "json_object"]),
        (AUTO_JSON, "grammar", ["json_schema", "json_object", "grammar"]),
        (AUTO_JSON, "off", ["json_schema", "json_object", "grammar", "off"]),
        (AUTO_LIST, "grammar", ["grammar"]),
        (AUTO_LIST, "off", ["grammar", "off"]),
    ],
)
def test_the_strictest_form_that_the_server_takes_is_found_once(
    bench: Bench, prompt: str, taken: str, tried: list[str]
) -> None:
    """The first call goes down to what the server takes, all others begin there, and the run says what it was."""
    run = bench.run(prompt, taking(taken))
    assert bench.asked == [*tried, *[taken] * (len(DEV) - 1)]
    assert run.manifest.constrained == {"main": taken}
    assert run.manifest.state == "complete"
    assert run.scores["averages"]["subset_accuracy"] == 1.0
    assert len(bench.warnings) == (len(tried) > 1)


def test_what_is_not_taken_is_told_once(bench: Bench) -> None:
    """One notice says what the server refused, what is in force instead, and its own words."""
    bench.run(AUTO_JSON, taking("grammar"))
    assert bench.warnings == [
        "pass main: the server does not take json_schema, json_object; the answers are constrained by grammar instead. "
        "The server: This response_format type is unavailable now: json_schema"
    ]
    bench.run(AUTO_LIST, taking("off", refusal=error(422, "Extra inputs are not permitted")))
    assert bench.warnings == [
        "pass main: the server does not take grammar; the answers are not constrained. "
        "The server: Extra inputs are not permitted"
    ]


@pytest.mark.parametrize("status", [400, 422, 500, 501])
def test_servers_refuse_with_many_statuses(bench: Bench, status: int) -> None:
    """Whatever status a server refuses a form with, the next form is tried."""
    run = bench.run(AUTO_LIST, taking("off", refusal=error(status)))
    assert run.manifest.constrained == {"main": "off"}
    assert run.manifest.state == "complete"


def test_others_wait_for_the_first_call(bench: Bench) -> None:
    """While the first call finds out, no other call of the pass is sent."""
    refused: list[int] = []

    def script(request: Request) -> Reply:
        if form_in(request.body) == "json_schema":
            refused.append(bench.server.in_flight)
            return replace(error(400), latency=0.02)
        return say(right(request))

    bench.run(AUTO_JSON, script, concurrency=6)
    assert refused == [1]
    assert bench.asked.count("json_schema") == 1


def test_the_second_run_knows(bench: Bench) -> None:
    """What a server takes is remembered: the next run finds its completions in the cache, and asks no more than it must."""
    first = bench.run(AUTO_JSON, taking("json_object"))
    again = bench.run(AUTO_JSON, taking("json_object"))
    assert (bench.server.count, bench.warnings) == (0, [])
    assert again.manifest.constrained == first.manifest.constrained
    assert again.predictions == first.predictions
    bench.run(AUTO_JSON, taking("json_object"), split="test")
    assert bench.asked == ["json_object"] * 2


def test_without_the_cache_it_is_found_out_anew(bench: Bench) -> None:
    """`use_cache=False` remembers nothing and asks for the strictest form again."""
    bench.run(AUTO_LIST, taking("off"))
    bench.run(AUTO_LIST, taking("grammar"), use_cache=False)
    assert bench.asked == ["grammar"] * 6


def test_a_server_that_takes_it_no_more_is_met(bench: Bench) -> None:
    """When the remembered form is refused, the way down goes on from there."""
    bench.run(AUTO_JSON, taking("json_object"))
    run = bench.run(AUTO_JSON, taking("off"), split="test")
    assert bench.asked == ["json_object", "grammar", "off", "off"]
    assert run.manifest.constrained == {"main": "off"}
    assert bench.warnings == [
        "pass main: the server does not take json_object, grammar; the answers are not constrained. "
        "The server: This response_format type is unavailable now: json_object"
    ]


def test_a_failure_of_the_call_itself_settles_nothing(bench: Bench) -> None:
    """A call that is refused without any constraint too is to blame itself; the next one finds out."""
    script = right_but(s1=error(400, "maximum context length exceeded"))
    run = bench.run(AUTO_LIST, script, concurrency=1)
    assert bench.asked == ["grammar", "off"] + ["grammar"] * 5
    assert run.manifest.constrained == {"main": "grammar"}
    assert bench.warnings == []
    assert [(each.sample, each.why) for each in run.predictions if each.failed] == [
        ("s1", "maximum context length exceeded")
    ]


def test_once_settled_a_refusal_is_the_calls_own(bench: Bench) -> None:
    """After a call went through, another's refusal says nothing about the form: it is sent once."""
    bench.run(AUTO_LIST, right_but(s3=error(400, "too long")), concurrency=1)
    assert bench.asked == ["grammar"] * 6


@pytest.mark.parametrize("status", [408, 409, 429, 502, 503, 504])
def test_overload_does_not_cost_the_constraint(bench: Bench, status: int) -> None:
    """A server that is busy has not refused anything."""
    run = bench.run(AUTO_LIST, right_but(s1=error(status)), concurrency=1)
    assert bench.asked == ["grammar"] * 6
    assert run.manifest.constrained == {"main": "grammar"}


def test_a_hiccup_does_not_cost_the_constraint(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 500 is tried a second time before the form is blamed, and not six times."""
    monkeypatch.setattr("harness.retry.random.uniform", lambda _low, _high: 0.0)
    bench.folder.project = replace(
        bench.folder.project, settings=replace(bench.folder.project.settings, max_attempts=6)
    )

    def hiccup(request: Request) -> Reply:
        return error(500) if request.index == 0 else say(right(request))

    run = bench.run(AUTO_LIST, hiccup)
    assert run.manifest.constrained == {"main": "grammar"}
    run = bench.run(AUTO_LIST, taking("off", refusal=error(500)), use_cache=False)
    assert bench.asked == ["grammar"] * 2 + ["off"] * 6
    assert run.manifest.constrained == {"main": "off"}


@pytest.mark.parametrize("form", ["json_schema", "json_object", "grammar"])
def test_an_explicit_form_never_falls_back(bench: Bench, form: str) -> None:
    """The call error says what the server said."""
    run = bench.run(a_prompt(f"{{format: json, constrain: {form}}}"), taking("off"))
    assert set(bench.asked) == {form}
    assert bench.server.count == len(DEV)
    assert {each.why for each in run.predictions} == {f"This response_format type is unavailable now: {form}"}
    assert bench.warnings == []


def test_an_explicit_form_is_in_the_run(bench: Bench) -> None:
    """What was chosen is what is in force."""
    run = bench.run(a_prompt("{format: json, constrain: json_object}"), taking("json_object"))
    assert run.manifest.constrained == {"main": "json_object"}
    assert run.manifest.state == "complete"


def test_a_pass_that_wants_no_constraint_is_not_in_the_run(bench: Bench) -> None:
    """Only passes that wanted one are told of."""
    run = bench.run(a_prompt("list"), taking("off"))
    assert run.manifest.constrained == {}
    assert set(bench.asked) == {"off"}


def test_the_call_key_covers_the_constraint(bench: Bench) -> None:
    """Answers that were written in another form are other answers: nothing of them is taken from the cache."""
    keys = set()
    for constrain in ("off", "json_object", "json_schema", "grammar"):
        run = bench.run(a_prompt(f"{{format: json, constrain: {constrain}}}"), taking(constrain), limit=1)
        assert bench.server.count == 1
        keys |= {stored.key for stored in run.log.latest.values()}
    assert len(keys) == 4


# --- resume -----------------------------------------------------------------------------------------------------------


def test_resume_keeps_to_the_form_of_the_run(bench: Bench) -> None:
    """A run goes on in the form that it froze, whatever the cache or the server say now."""
    script = taking("json_object")
    run = bench.run(AUTO_JSON, lambda request: error(503) if DEV["s4"][0] in request.text else script(request))
    assert run.manifest.state == "incomplete"
    bench.switch.to(taking("json_schema", "json_object"))
    resumed = bench.resume(run, use_cache=False)
    assert bench.asked == ["json_object"]
    assert resumed.manifest.state == "complete"
    assert resumed.manifest.constrained == {"main": "json_object"}
    assert bench.warnings == []


def test_resume_finds_out_what_was_not_found(bench: Bench) -> None:
    """A run in which no call went through has no form yet."""
    run = bench.run(AUTO_LIST, lambda _request: error(503))
    assert run.manifest.constrained == {}
    bench.switch.to(taking("off"))
    assert bench.resume(run).manifest.constrained == {"main": "off"}


def test_draws_of_failures_are_in_the_form_of_the_run(bench: Bench) -> None:
    """What is drawn again is asked as it was."""
    run = bench.run(AUTO_LIST, lambda request: say("bananas" if DEV["s2"][0] in request.text else right(request)))
    bench.switch.to(taking("grammar"))
    resumed = bench.resume(run, retry=frozenset(FailureKind))
    assert bench.asked == ["grammar"]
    assert not any(each.failed for each in resumed.predictions)


# --- dry run ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_foresees_the_remembered_form(bench: Bench) -> None:
    """Before the first run a dry run takes the strictest form, after it the one that is in force."""
    bench.folder.prompt("v1", AUTO_JSON)
    plan = bench.folder.plan("v1", base_url=bench.server.base_url)
    assert foresee(plan, bench.folder.project).cached == 0
    bench.run(AUTO_JSON, taking("json_object"))
    assert foresee(plan, bench.folder.project).cached == len(DEV)
    assert foresee(plan, bench.folder.project, use_cache=False).cached == 0


# --- fan-out ----------------------------------------------------------------------------------------------------------

GROUPED = """\
name: reviews
labels: {shipping: Late, quality: Bad, price: Dear}
groups: {delivery: [shipping], lamp: [quality, price]}
splits: {dev: reviews.dev.jsonl}
"""


def only(names: list[str], answer: str) -> str:
    """An answer with these labels alone."""
    return ", ".join(name for name in answer.split(", ") if name in names) or "none"


def test_units_that_ask_for_different_forms_find_out_each(bench: Bench) -> None:
    """A server that minds one group's labels leaves the other group constrained; there is one notice."""
    bench.folder.write("datasets/reviews.yaml", GROUPED)
    prompt = HEAD + "passes: [{name: groups, per: group, template: '{{ group }}: {{ text }}'}]\n"
    prompt += "output: {format: list, constrain: auto}\n"

    def script(request: Request) -> Reply:
        grammar = request.body.get("grammar", "")
        if '"price"' in grammar:
            return error(400, "too many alternatives")
        names = ["shipping"] if request.text.startswith("delivery") else ["quality", "price"]
        return say(only(names, right(request)))

    run = bench.run(prompt, script)
    assert run.manifest.constrained == {"groups": {"delivery": "grammar", "lamp": "off"}}
    assert bench.asked.count("grammar") == 6 + 1
    assert len(bench.warnings) == 1
    assert run.scores["averages"]["subset_accuracy"] == 1.0
    bench.server.reset()
    assert bench.resume(run, use_cache=False).manifest == replace(
        run.manifest, **{name: getattr(load_run(run.path).manifest, name) for name in ("seconds", "ended", "cost_usd")}
    )
    assert bench.server.count == 0


# --- accepted, but not in force ---------------------------------------------------------------------------------------


def test_a_form_that_is_passed_over_is_told_once(bench: Bench) -> None:
    """A server that takes a grammar and does not keep to it is told of, with how many answers show it."""
    run = bench.run(AUTO_LIST, lambda request: say("It is too dear!" if "dear" in request.text else right(request)))
    assert run.manifest.constrained == {"main": "grammar"}
    assert bench.warnings == [
        "pass main: 'constrain: grammar' was accepted, but 1 of 6 answers do not keep to it: the server passes over it, or "
        "writes more than the model's answer. Say 'constrain: off', or look up how this server is told."
    ]


CALL_ERROR = Completion("error", error={"kind": "http_500", "message": "down", "status": 500})


@pytest.mark.parametrize(
    ("output", "form", "completion", "told"),
    [
        (Output(), "grammar", Completion("ok", raw="price"), False),
        (Output(), "grammar", Completion("ok", raw="price, other"), True),
        (Output(), "grammar", Completion("ok", raw="what?"), True),
        (Output(), "off", Completion("ok", raw="what?"), False),
        (Output(), "grammar", Completion("ok", raw="pri", finish_reason="length"), False),
        (Output(), "grammar", Completion("refusal", raw="I cannot."), False),
        (Output(), "grammar", CALL_ERROR, False),
        (Output("json"), "json_schema", Completion("ok", raw='{"labels": ["other"]}'), True),
        (Output("json"), "json_object", Completion("ok", raw='{"labels": ["other"]}'), False),
        (Output("json"), "json_object", Completion("ok", raw='["price"]'), True),
        (Output("json"), "json_object", Completion("ok", raw='Here: {"labels": []}'), True),
    ],
)
def test_only_whole_answers_can_break_a_form(output: Output, form: str, completion: Completion, told: bool) -> None:
    """Off-list and unreadable answers do; cut ones, refusals and failed calls do not; any object keeps to json_object."""
    prompt = Prompt("v1", (a_pass(output),))
    slot = ("s1", "main", "", 0)
    stored = {slot: StoredCompletion("k", slot, completion)}
    assert bool(list(ignored(prompt, SPACE, [Sample("s1", {})], {"main": form}, stored))) == told
    assert list(ignored(prompt, SPACE, [Sample("s1", {})], {}, stored)) == []


# --- the record of it -------------------------------------------------------------------------------------------------


def test_what_is_in_force_is_told_when_it_is_news(tmp_path: Path) -> None:
    """The run is told once for a pass, not once a call; a pass without a constraint is never told of."""
    told: list[Any] = []
    prompt = Prompt("v1", (a_pass(Output(constrain="auto")), replace(a_pass(Output()), name="plain")))
    clients = {"main": StubClient(), "plain": StubClient()}
    calls = [Call(f"s{number}", "main", "", 0, ()) for number in range(3)]
    with Cache(tmp_path / "cache", pytest.fail) as cache:
        known = Constraining(prompt, SPACE, clients, cache, {}, told.append)
        assert not known.settled(known.ladder(calls[0]))
        for call in calls:
            known.settle(call, 1, {"grammar": "no"})
        known.use(replace(calls[0], pass_name="plain"), 0)
        assert known.ladder(replace(calls[0], pass_name="plain")) is OFF
        assert told == [{"main": "off"}]
        later = Constraining(prompt, SPACE, clients, cache, {})
        assert not later.settled(later.ladder(calls[0]))
        assert later.likely(later.ladder(calls[0])) == 1


def test_a_call_about_fewer_labels_has_forms_of_its_own(tmp_path: Path) -> None:
    """Candidates, and what a gate left of a group, stand in the form; what the server takes is settled for all at once."""
    space = LabelSpace(tuple(Label(name, group="g") for name in ("shipping", "quality", "price")))
    by_group = replace(a_pass(Output("json", constrain="auto"), per="group"), name="fine")
    gate = replace(a_pass(Output("json", constrain="auto"), chooses_groups=True), name="gate")
    prompt = Prompt("v1", (a_pass(Output("json", constrain="auto"), candidates=Candidates(2)), gate, by_group))
    calls = [
        Call("s1", "main", "", 0, (), labels=("shipping", "price")),
        Call("s2", "main", "", 0, (), labels=("quality", "price")),
        Call("s1", "fine", "g", 0, (), labels=("quality",)),
        Call("s1", "gate", "", 0, (), labels=("g",)),
    ]

    def enum(call: Call, known: Constraining) -> Any:
        step = known.ladder(call).steps[0]
        return step and step.schema and step.schema["properties"]["labels"]["items"]["enum"]

    with Cache(tmp_path / "cache", pytest.fail) as cache:
        known = Constraining(prompt, space, dict.fromkeys(["main", "gate", "fine"], StubClient()), cache, {})
        assert [enum(call, known) for call in calls] == [list(call.labels) for call in calls]
        assert known.ladder(calls[0]) is known.ladder(replace(calls[0], sample="s3"))
        known.settle(calls[0], 1, {"json_schema": "no"})
        assert known.settled(known.ladder(calls[1]))
        assert form_of(known.ladder(calls[1]).steps[known.likely(known.ladder(calls[1]))]) == "json_object"
        for number in range(MOST_KEPT + 1):
            own = Call("s", "main", "", 0, (), labels=(f"l{number}",))
            assert len(known.ladder(own).steps) == len(known.ladder(calls[0]).steps)


def test_a_form_that_is_no_longer_there_begins_anew(tmp_path: Path) -> None:
    """What the cache remembers and this version does not know is passed over."""
    prompt = Prompt("v1", (a_pass(Output(constrain="auto")),))
    with Cache(tmp_path / "cache", pytest.fail) as cache:
        known = Constraining(prompt, SPACE, {"main": StubClient()}, cache, {"main": "json_schema"})
        one = known.ladder(Call("s", "main", "", 0, ()))
        cache.remember(one.key, "regex")
        assert (known.settled(one), known.likely(one)) == (False, 0)


def told(bench: Bench, run: StoredRun, constrained: Any) -> str:
    """What the report of a run says of it."""
    result = Run(run, bench.folder.project).result
    manifest = replace(run.manifest, constrained=constrained)
    text = rendered([run_report(manifest, result, Spent(0, 0, 0, None), None, None)], io.StringIO())
    return " ".join(text.split("macro F1")[0].split())


def test_the_report_says_what_was_in_force(bench: Bench) -> None:
    """One form for all passes, or each pass with its own; nothing where no pass wanted one."""
    run = bench.run(AUTO_LIST, taking("grammar"))
    assert " · constrained: grammar · " in told(bench, run, run.manifest.constrained)
    assert " · constrained: a grammar, b off · " in told(bench, run, {"a": "grammar", "b": "off"})
    assert " · constrained: grammar or off · " in told(bench, run, {"a": {"x": "grammar", "y": "off", "z": "grammar"}})
    assert "constrained" not in told(bench, run, {})


# --- the embedded engine ----------------------------------------------------------------------------------------------

LAMPS = LabelSpace(
    (
        Label("price", code="p", group="shop"),
        Label("price match", code="m", group="shop"),
        Label('a "b" [c] \\', code="b", group="lamp"),
        Label("価格 é", code="é", group="lamp"),
    ),
    (Field("mood", "choice", ("happy", "mad")), Field("item", "text"), Field("urgent", "bool")),
)
ALL = ("mood", "item", "urgent")
MARKED = {"labels": {"prefix": "LABELS: <<", "suffix": ">>", "delimiter": ";"}}

ENGINE: Mapping[str, Output] = {
    "list": Output(),
    "lines": Output(options={"separator": "\n"}),
    "json": Output("json", fields=ALL),
    "vector": Output("vector"),
    "codes": Output("codes", {"codes": {"a": ["price"], "b": ["price match"], "0": []}}),
    "joined codes": Output("codes", {"codes": {"a": ["price"], "b": ["price match"]}, "separator": ""}),
    "containers": Output("containers", fields=("mood", "urgent")),
    "marked containers": Output("containers", {"containers": MARKED}, ALL),
    "yes_no": Output("yes_no"),
    "scores": Output("scores"),
}


@pytest.mark.model
async def test_llama_cpp_takes_and_keeps_to_every_form() -> None:
    """Every grammar and schema is accepted by the real engine, and what it writes keeps to it and can be read."""
    model = Model("local/smollm2-135m", params={"temperature": 0, "max_tokens": 120}, engine=Engine(context=512))
    question = "The lamp is too dear, and nobody told me of a price match. What applies?"
    call = Call("s", "main", "", 0, ({"role": "user", "content": question},))
    client = EmbeddedClient(model)
    try:
        for name, output in ENGINE.items():
            space = LAMPS.only(["price"]) if FORMATS[output.format].one_label else LAMPS
            for each in forms(FORMATS[output.format], output, space):
                completion = await client.send(client.body(call, each))
                assert completion.raw is not None
                if completion.finish_reason == "length":
                    continue  # white space between the values of a schema is not bounded
                if each.grammar is not None:
                    assert accepts(each.grammar, completion.raw), (name, completion.raw)
                if each.form != "json_object":
                    result = read(completion, space, output)
                    assert isinstance(result, Answer), (name, each.form, completion.raw, result)
                    assert result.off_list == ()
                    assert result.fields.keys() == set(output.fields)
    finally:
        await client.close()


@pytest.mark.model
async def test_llama_cpp_refuses_what_it_does_not_take() -> None:
    """A grammar that is none is refused with a status by which the way down goes on."""
    client = EmbeddedClient(Model("local/smollm2-135m", params={"max_tokens": 2}, engine=Engine(context=512)))
    call = Call("s", "main", "", 0, ({"role": "user", "content": "Say yes."},))
    try:
        with pytest.raises(AttemptFailed) as caught:
            await client.send(client.body(call, Constraint("grammar", grammar="root ::= nothing")))
        assert caught.value.error["status"] in REFUSALS
    finally:
        await client.close()
