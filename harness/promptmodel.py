"""The `model` section of a prompt file: who answers a pass, and with which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from harness.errors import listing
from harness.prompt import Api, Engine, Model
from harness.yamlfile import Section

LOCAL_PARAMS: Mapping[str, object] = {"temperature": 0, "max_tokens": 64}
"""Parameters of the embedded model where the prompt says nothing else: greedy, and no endless rambling."""

UNREADABLE = "?"
"""Stands for a name that could not be read, and was told, so that it does not count as missing too."""

_OWN = ("model", "messages")
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
    }
    details.finish()
    return {key: value for key, value in said.items() if value is not None}


def with_local_params(model: Model, replacement: str | None) -> Model:
    """Return the model with `LOCAL_PARAMS` as defaults, where it is an embedded one or is going to be replaced by one."""
    if not replace(model, name=replacement or model.name).is_local:
        return model
    return replace(model, params={**LOCAL_PARAMS, **model.params})


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
