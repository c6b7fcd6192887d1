"""What a prompt will send: requests, their tokens, and what will not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from projects import DEV, PROMPT, Folder, jsonl
from scripted_server import ScriptedServer

from harness import preview as module
from harness.clients.embedded import EmbeddedClient
from harness.errors import DataError
from harness.preview import Preview, preview
from harness.pricing import estimated_tokens
from harness.records import Call

LOCAL = PROMPT.replace("name: scripted", "name: local/smollm2-135m")


def look(folder: Folder, text: str, n_shown: int = 1, **options: Any) -> Preview:
    """Return the preview of a prompt."""
    folder.prompt("v2", text)
    task = folder.task("v2", **options)
    return preview(task.prompt, task.dataset.space, task.samples.samples, folder.project, n_shown)


def test_the_requests_are_those_of_the_run(folder: Folder) -> None:
    """What is shown is, byte for byte, what a run sends."""
    shown = look(folder, PROMPT, 6)
    with ScriptedServer("none") as server:
        folder.run_on(server, "v2")
        assert sorted(map(str, server.bodies())) == sorted(str(dict(each.body)) for each in shown.requests)


def test_tokens_are_estimated_by_bytes() -> None:
    """Four bytes of UTF-8 are a token, and a message adds four; questions count too."""
    call = Call("s", "p", "", 0, ({"role": "user", "content": "x" * 40}, {"role": "user", "content": "日本語"}))
    assert estimated_tokens(call) == 10 + 4 + 2 + 4
    asked = Call("s", "p", "", 0, (), questions=({"name": "a", "kind": "predicate", "instructions": "b"},))
    assert estimated_tokens(asked) == 17


def test_without_shown_requests_nothing_is_started(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sample is rendered and estimated, but no model is touched."""
    monkeypatch.setattr(module, "connect", None)
    found = look(folder, LOCAL, 0)
    assert (found.requests, found.longest, found.longest_tokens, found.exact) == ((), "s6", 22, False)
    assert found.tokens_json() == {
        "mean_estimate": 19.3,
        "longest_request": {"sample": "s6", "tokens": 22, "exact": False},
    }


def test_nothing_to_ask_is_an_empty_preview(folder: Folder) -> None:
    """Without samples there is nothing to show."""
    task = folder.task()
    assert preview(task.prompt, task.dataset.space, (), folder.project, 3) == Preview()


def test_a_template_that_fails_is_told(folder: Folder) -> None:
    """Every sample is rendered, also those that are not shown."""
    with pytest.raises(DataError, match="sample s4, pass main: ZeroDivisionError"):
        look(folder, PROMPT.replace("{{ text }}", "{{ 1 / (text | length - 18) }}"), 1)


def test_what_will_not_fit_is_a_warning(folder: Folder) -> None:
    """Where prompt and answer are longer than the engine's context, the longest sample is named."""
    text = LOCAL.replace("max_tokens: 16}", "max_tokens: 16}, engine: {context: 256}")
    folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "long": ("word " * 300, [])}))
    assert look(folder, text, 0).warnings == (
        "sample long: its prompt has about 387 tokens, and with max_tokens 16 that is more than the engine's context of "
        "256. Shorten the prompt, or raise model.engine.context.",
    )
    assert look(folder, LOCAL, 0).warnings == ()
    assert look(folder, PROMPT, 0).warnings == ()


class Counting(EmbeddedClient):
    """An embedded model whose template adds ``<s>`` and whose tokens are words."""

    def __init__(self, model: Any, closed: list[bool]) -> None:
        self.model = model
        self.closed = closed

    async def ask(self, path: str, body: Any) -> Any:
        """Answer like llama.cpp."""
        if path == "//apply-template":
            return {"prompt": " ".join(["<s>", *(each["content"] for each in body["messages"])])}
        assert (path, body["add_special"], body["parse_special"]) == ("//tokenize", True, True)
        return {"tokens": body["content"].split()}

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed.append(True)


def test_the_embedded_model_counts_itself(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chat template and tokenizer count what is shown, and the longest request of all samples."""
    closed: list[bool] = []
    monkeypatch.setattr(module, "connect", lambda model, _: Counting(model, closed))
    found = look(folder, LOCAL, 2)
    assert [(each.sample, each.tokens, each.exact) for each in found.requests] == [("s1", 11, True), ("s2", 11, True)]
    assert (found.longest, found.longest_tokens, found.exact) == ("s6", 13, True)
    assert closed == [True]
    words = look(folder, LOCAL.replace("params:", "api: completions, params:"), 1)
    assert words.requests[0].tokens == 10


@pytest.mark.model
def test_the_count_is_that_of_the_answer(folder: Folder) -> None:
    """The embedded model's own count is what it says afterwards that it has read."""
    found = look(folder, LOCAL, 1)
    folder.prompt("v2", LOCAL)
    plan = folder.plan("v2", limit=6)
    from harness import execution

    run = execution.start(plan, folder.project)
    read = {slot[0]: each.completion.usage["prompt_tokens"] for slot, each in run.log.latest.items()}
    assert read["s1"] == found.requests[0].tokens
    assert read[found.longest] == found.longest_tokens
    assert Path(run.path).is_dir()
