"""The `model` section of a prompt file: who answers a pass, and with which parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args

from harness.answerlength import AUTO
from harness.clients.wires import LOCAL_APIS, WIRES
from harness.errors import UsageError, listing
from harness.prompt import ANSWER_LIMITS, DECISION_APIS, Api, Engine, Model
from harness.yamlfile import Section

LOCAL_PARAMS: Mapping[str, object] = {"temperature": 0, "max_tokens": 64}
"""Parameters of the embedded model where the prompt says nothing else: greedy, and no endless rambling."""

UNREADABLE = "?"
"""Stands for a name that could not be read, and was told, so that it does not count as missing too."""

_OWN = ("model", "messages")
_OWN_OF: Mapping[Api, str] = {"responses": "input", "completions": "prompt"}
_RESPONSES_LOGPROBS = "message.output_text.logprobs"
_SECRET = ("api_key", "authorization", "extra_body", "extra_headers", "extra_query", "headers")


def read_model(section: Section) -> dict[str, Any]:
    """Return what a section's `model` says, by attribute of `Model`; what it leaves out is not there."""
    node = section.take("model")
    if node is None:
        return {}
    if isinstance(node.value, str):
        return {"name": node.value}
    details = section.section("model")
    if details is None:
        return {"name": UNREADABLE}
    said = {
        "name": details.text("name") or (UNREADABLE if details.has("name") else None),
        "api": details.choice("api", get_args(Api)),
        "base_url": details.text("base_url"),
        "params": _params(details),
        "engine": _engine(details),
        "suffix": details.text("suffix"),
    }
    details.finish()
    return {key: value for key, value in said.items() if value is not None}


def with_local_params(model: Model, replacement: str | None) -> Model:
    """Return the model with `LOCAL_PARAMS` as defaults, where it is an embedded one or is going to be replaced by one."""
    if not replace(model, name=replacement or model.name).is_local:
        return model
    return replace(model, params={**LOCAL_PARAMS, **model.params})


def check_base_url(base_url: str | None, models: Iterable[Model]) -> None:
    """Refuse a ``--base-url`` that nobody would use: it would be passed over without a word.

    Raises:
        UsageError: It is given, and every model runs inside this process.
    """
    every = list(models)
    if base_url and every and all(each.is_local for each in every):
        names = listing(dict.fromkeys(f"'{each.name}'" for each in every))
        runs = "runs in this program and uses" if "," not in names else "run in this program and use"
        raise UsageError(f"--base-url: {names} {runs} no server. Add: --model NAME")


def model_problems(model: Model, replacement: str | None = None) -> Iterator[str]:
    """Yield what cannot be about the model of a pass, once it is known from the pass and from what stands at the top.

    Args:
        model: The model as the prompt has it.
        replacement: The name of the model that will answer in its place.
    """
    name = replacement or model.name
    if replace(model, name=name).is_local and model.api not in LOCAL_APIS:
        yield f"'model.api' must be one of {listing(LOCAL_APIS)} for {name}, got '{model.api}'. Name another API or model."
    if model.suffix and model.api != "completions":
        yield (
            f"'model.suffix' must stand with 'api: completions', got 'api: {model.api}', which has messages. "
            "Take it out, or write suffix: ''."
        )
    if (own := _OWN_OF.get(model.api)) in model.params:
        yield f"'model.params' must not set {own}: the prompt does."
    for param, other in WIRES[model.api].renamed.items():
        if param in model.params:
            yield f"'model.params' must not set '{param}': with 'api: {model.api}' it is called '{other}'. Rename it."
    yield from _limit_problems(model)
    yield from _logprobs_problems(model)


def _limit_problems(model: Model) -> Iterator[str]:
    """Yield limits that no output format can tell, and stop sequences where there are none."""
    auto = [name for name in ANSWER_LIMITS if model.params.get(name) == AUTO and name not in WIRES[model.api].renamed]
    if model.api in DECISION_APIS:
        auto += ["stop"] if model.params.get("stop") == AUTO else []
        yield from (
            f"'{name}: auto' needs a text to bound, and 'api: {model.api}' writes none. Take it out." for name in auto
        )
        return
    for name in auto:
        if name != "max_tokens":
            yield (
                f"'{name}' must be a number, got 'auto': what a model thinks before it answers counts too, and no format "
                f"bounds that. Write {name}: 2000, or leave it out."
            )
    if model.api == "responses" and model.params.get("stop") == AUTO:
        yield "'stop: auto' needs an API that takes stop sequences, and 'api: responses' takes none. Take it out."


def _logprobs_problems(model: Model) -> Iterator[str]:
    """Yield where an API asks for log-probabilities in another way: some servers leave the wrong way unread."""
    params = model.params
    if model.api == "completions" and (params.get("logprobs") is True or "top_logprobs" in params):
        yield (
            "'model.params' must ask for log-probabilities by a number with 'api: completions', that of the tokens that "
            "are listed. Write logprobs: 5."
        )
    if model.api == "chat" and type(params.get("logprobs")) is int:
        yield (
            "'model.params' must ask for log-probabilities in another way with 'api: chat'. "
            f"Write logprobs: true and top_logprobs: {params['logprobs']}."
        )
    listed = params.get("include")
    included = _RESPONSES_LOGPROBS in listed if isinstance(listed, list) else False
    if model.api == "responses" and ("logprobs" in params or ("top_logprobs" in params and not included)):
        yield (
            "'model.params' must ask for log-probabilities in another way with 'api: responses'. "
            f"Write include: [{_RESPONSES_LOGPROBS}] and top_logprobs: 20."
        )


def _params(details: Section) -> Mapping[str, Any] | None:
    if not details.has("params"):
        details.take("params")
        return None
    params = details.mapping("params")
    if taken := [key for key in params if key in _OWN]:
        details.problem("params", f"must not set {listing(taken)}: the prompt does.")
    if params.get("stream") or params.get("n", 1) != 1:
        details.problem("params", "must not set 'stream' or 'n': one call has one answer. For more, use --repeat.")
    if secret := [key for key in params if key.casefold() in _SECRET]:
        details.problem(
            "params",
            f"must not set {listing(secret)}: it is saved with every run. A key goes into OPENAI_API_KEY; "
            "what is to be sent in the request stands here by its own name.",
        )
    return params


def _engine(details: Section) -> Engine | None:
    section = details.section("engine")
    if section is None:
        return None
    default = Engine()
    threads = section.take("threads")
    reuse = section.boolean("prefix_reuse")
    engine = Engine(
        slots=section.integer("slots", least=1) or default.slots,
        threads=None if threads is None or threads.value == "auto" else section.integer("threads", least=1),
        prefix_reuse=default.prefix_reuse if reuse is None else reuse,
        context=section.integer("context", least=128) or default.context,
    )
    section.finish()
    return engine
