"""Whether a model server can be used: the key, the connection, its list of models, its clock, and what it can do."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from harness.clients.modellist import Listing, list_models
from harness.clients.remote import OPENAI_URL, RemoteClient
from harness.clients.wires import WIRES
from harness.errors import HarnessError, ModelError, did_you_mean, listing
from harness.health import Check
from harness.project import Settings
from harness.prompt import ANSWER_LIMITS, DECISION_APIS, Model, Prompt
from harness.records import Call, Completion, Constraint, Question
from harness.report import numbers
from harness.retry import AttemptFailed

KEY = "OPENAI_API_KEY"
TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 60.0
CLOCK_S = 60.0
"""Seconds that two clocks may differ by."""

MOST_MODELS = 8

_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
_FORMS = {
    "json_schema": Constraint("json_schema", schema=_SCHEMA),
    "grammar": Constraint("grammar", grammar='root ::= "yes" | "no"'),
}
_LOGPROBS: Mapping[str, Mapping[str, Any]] = {
    "chat": {"logprobs": True, "top_logprobs": 2},
    "completions": {"logprobs": 2},
    "responses": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
}
_LIMITS: Mapping[str, tuple[str, ...]] = {
    "chat": ("max_tokens", "max_completion_tokens"),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
}
_LIMIT = 16
"""Tokens of a tiny call's answer; no API takes fewer from everyone."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model of a server that is to be checked.

    Attributes:
        model: Its name is "" where only the server is to be looked at.
        needs: What the prompts rely on: "json_schema", "grammar", "logprobs", "seed".
    """

    model: Model
    needs: frozenset[str] = frozenset()


def targets_of(prompt: Prompt) -> list[Target]:
    """Return the remote models of a prompt, with what its passes need of each."""
    found: dict[tuple[str, str | None, str], Target] = {}
    for each in prompt.passes:
        if each.model.is_local:
            continue
        wanted = {
            each.output.constrain: each.output.constrain in _FORMS,
            "logprobs": each.model.asks_logprobs,
            "seed": "seed" in each.model.params,
        }
        needs = {name for name, is_wanted in wanted.items() if is_wanted}
        known = found.get(_who(each.model), Target(each.model))
        found[_who(each.model)] = replace(known, needs=known.needs | needs)
    return list(found.values())


def _who(model: Model) -> tuple[str, str | None, str]:
    return model.name, model.base_url, model.api


def key_check(key: str | None, source: str, *, needed: bool) -> Check:
    """Return whether there is a key that can be sent. Nothing of it is told.

    Args:
        key: The value; None or "" where there is none.
        source: Where it comes from.
        needed: Whether something that is checked cannot do without.
    """
    group = "keys"
    if not key or not key.strip():
        if needed:
            return Check(group, KEY, "problem", "not set", f"Set {KEY}, or write {KEY}=… into .env.")
        return Check(group, KEY, "ok", "not set; embedded models and most servers of one's own need none")
    wrong = _wrong_with(key.strip())
    if wrong is not None:
        return Check(
            group, KEY, "problem", f"set in {source}, but {wrong}", "Copy the key anew, without anything around it."
        )
    if key != key.strip():
        told = f"set in {source}, with white space around it, which is left out"
        return Check(group, KEY, "warning", told, "Take the white space away; other programs send it.")
    return Check(group, KEY, "ok", f"set in {source}")


def _wrong_with(key: str) -> str | None:
    if not key.isascii():
        return "has characters that are not ASCII"
    if any(character.isspace() for character in key):
        begins = "begins with 'Bearer', which is added by itself" if key.casefold().startswith("bearer") else None
        return begins or "has a space or a line break in it"
    if not key.isprintable():
        return "has control characters in it"
    if key[0] in "\"'" or key[-1] in "\"'":
        return "has quotes around it"
    return None


def server_checks(target: Target, settings: Settings, *, calls: bool) -> Iterator[Check]:
    """Yield what there is to say of a server, as far as one can get.

    Args:
        target: The model, with its base URL.
        settings: The project's.
        calls: Also make a few tiny calls, which cost: about six, of some tokens each.
    """
    model = target.model
    try:
        url = RemoteClient(model, settings).base_url
    except ModelError as error:
        yield Check("server", model.name or "base URL", "problem", str(error))
        return
    group = f"server {url}"
    key = (os.environ.get(KEY) or "").strip()
    if not key and url == OPENAI_URL:
        yield Check(group, "reachable", "problem", "not asked, because there is no key", f"Set {KEY}.")
        return
    if key and _wrong_with(key) is not None:
        yield Check(group, "reachable", "problem", "not asked, because the key cannot be sent", "See: keys")
        return
    found = list_models(url, key, TIMEOUT_S)
    yield reachable_check(found, group, has_key=bool(key))
    if found.status is None or found.status in (401, 403):
        return
    if (clock := clock_check(found, group)) is not None:
        yield clock
    if found.models is not None and (model.name or found.models):
        yield model_check(model.name, found.models, group, asked=calls)
    if calls and model.name:
        yield from call_checks(target, replace(settings, timeout_s=CALL_TIMEOUT_S), group)


def reachable_check(found: Listing, group: str, *, has_key: bool) -> Check:
    """Return what the answer to `GET /models` says of a server."""
    name = "reachable"
    if found.status is None:
        what, step = {
            "dns": ("no such host", "Check the base URL, and that this machine is online."),
            "refused": ("nothing listens there", "Start the server, or check the port in the base URL."),
            "tls": ("no secure connection", "Check https:// and http://, certificates, and this machine's clock."),
            "timeout": (f"no answer within {TIMEOUT_S:g} s", "Check the base URL, proxies and firewalls."),
            "connection": ("the connection broke", "Check the base URL, https:// and http://, and proxies."),
        }[found.cause or "connection"]
        said = "" if found.cause == "timeout" or not found.words else f" ({found.words})"
        return Check(group, name, "problem", f"{what}{said}", step)
    took = numbers.seconds(found.seconds)
    if found.status == 401:
        return Check(group, name, "problem", "answers, but refuses the key (401)", f"Check {KEY}, or copy it anew.")
    if found.status == 403:
        step = "Check what the key may do, and from where."
        return Check(group, name, "problem", "answers, but refuses access (403)", step)
    if found.status in (404, 405, 501):
        step = "Check that the base URL ends as the server wants it, often in /v1; --calls asks the model itself."
        return Check(group, name, "warning", f"answers after {took}, but lists no models ({found.status})", step)
    if found.status >= 400:
        return Check(group, name, "problem", f"answers with an error ({found.status})", "Try again later.")
    if found.models is None:
        step = "Check that the base URL ends as the server wants it, often in /v1."
        return Check(group, name, "warning", f"answers after {took}, but with something else than models", step)
    return Check(group, name, "ok", f"answers after {took}; {'takes the key' if has_key else 'asks for no key'}")


def clock_check(found: Listing, group: str) -> Check | None:
    """Return how far this machine's clock is from the server's; None where that says no time."""
    try:
        theirs = parsedate_to_datetime(found.date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    ahead = found.asked_at - theirs
    if abs(ahead) <= CLOCK_S:
        return Check(group, "clock", "ok", "agrees with this machine's")
    which = "ahead of" if ahead > 0 else "behind"
    step = "Set this machine's clock: dates of runs are wrong, and certificates may be refused."
    return Check(
        group, "clock", "warning", f"this machine's is {numbers.seconds(abs(ahead))} {which} the server's", step
    )


def model_check(name: str, models: tuple[str, ...], group: str, *, asked: bool) -> Check:
    """Return whether a server lists a model.

    Args:
        name: The model, "" for none.
        models: What the server lists.
        group: Of the check.
        asked: Whether the model itself is asked too: then that says whether it is there.
    """
    if not name:
        return Check(group, "models", "ok", f"{numbers.plural(len(models), 'model')}: {listing(models, MOST_MODELS)}")
    if name in models:
        return Check(group, "model", "ok", f"{name} is listed")
    near = did_you_mean(name, models)
    told = f"{name} is not listed; there is {listing(models, MOST_MODELS)}" if models else "the server lists no model"
    if asked or not models:
        return Check(group, "model", "warning", told, near.strip() or "Some servers take names that they do not list.")
    step = near.strip() or "Check the name. Some servers take any: --calls asks it."
    return Check(group, "model", "problem", told, step)


def call_checks(target: Target, settings: Settings, group: str) -> Iterator[Check]:
    """Yield what tiny calls find: whether the model answers, how soon, and which ways to ask it takes."""
    model = target.model
    if model.api in DECISION_APIS:
        yield _plain(_tried(model, settings), group)
        return
    model, first = _limited(model, settings)
    yield _plain(first, group)
    if isinstance(first, str):
        return
    for form, constraint in _FORMS.items():
        if form in WIRES[model.api].forms:
            said = _tried(model, settings, constraint)
            told = said if isinstance(said, str) else _kept(form, said)
            yield _capability(form, told, target.needs, group)
    said = _tried(_with(model, _LOGPROBS[model.api]), settings)
    told = said if isinstance(said, str) else None if said.logprobs else "taken, but none came back"
    yield _capability("logprobs", told, target.needs, group)
    if model.api != "responses":  # which has none
        said = _tried(_with(model, {"seed": 1}), settings)
        yield _capability("seed", said if isinstance(said, str) else None, target.needs, group)


def _plain(said: Completion | str, group: str) -> Check:
    if isinstance(said, str):
        return Check(group, "call", "problem", f"no answer: {said}", "Check the model's name, its API and its params.")
    served = f" by {said.served_model}" if said.served_model else ""
    return Check(group, "call", "ok", f"answered{served} after {numbers.seconds(said.latency_s)}")


def _capability(name: str, wrong: str | None, needs: frozenset[str], group: str) -> Check:
    """Return whether a server can do something; where it cannot that is a problem only if a prompt relies on it."""
    if wrong is None:
        return Check(group, name, "ok", "works")
    if name in needs:
        return Check(
            group,
            name,
            "problem",
            f"does not work, and the prompt needs it: {wrong}",
            "Change the prompt, or the server.",
        )
    return Check(group, name, "ok", f"does not work here, and nothing that was checked needs it: {wrong}")


def _kept(form: str, said: Completion) -> str | None:
    """Return what is wrong with a constrained answer, None where it keeps to its form."""
    text = (said.raw or "").strip()
    if form == "grammar":
        return None if text in ("yes", "no") else "taken, but the answer does not keep to it"
    try:
        kept = json.loads(text).get("answer") in ("yes", "no")
    except (ValueError, AttributeError, RecursionError):
        kept = False
    return None if kept else "taken, but the answer does not keep to it"


def _limited(model: Model, settings: Settings) -> tuple[Model, Completion | str]:
    """Return the model with a limit of tokens that it takes, and what it answered so; without one where it takes none."""
    own = {key: value for key, value in model.params.items() if key not in ANSWER_LIMITS}
    said: Completion | str = ""
    for limit in _LIMITS[model.api]:
        limited = replace(model, params={**own, limit: _LIMIT})
        said = _tried(limited, settings)
        if not isinstance(said, str):
            return limited, said
        if limit not in said:  # the limit is not to blame
            break
    return limited, said


def _with(model: Model, params: Mapping[str, Any]) -> Model:
    return replace(model, params={**model.params, **params})


def _tried(model: Model, settings: Settings, constraint: Constraint | None = None) -> Completion | str:
    """Return the answer to a tiny call, made once; or why there is none."""
    asked = () if model.api not in DECISION_APIS else (_QUESTION,)
    call = Call("", "doctor", "", 0, ({"role": "user", "content": _TEXT},), questions=asked)

    async def send() -> Completion:
        client = RemoteClient(model, settings)
        try:
            return await client.send(client.body(call, constraint))
        finally:
            await client.close()

    try:
        return asyncio.run(send())
    except AttemptFailed as failure:
        return str(failure)
    except HarnessError as error:
        # The server's own words about a key repeat parts of it.
        return "the key is refused (401)" if "(401)" in str(error) else str(error)


_TEXT = 'Is water wet? Answer yes or no; where JSON is asked for: {"answer": "yes"}.'
_QUESTION = Question(name="wet", kind="predicate", instructions="The text is about water.")
