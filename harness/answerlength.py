"""How long an answer gets at most, and where it has ended: what `max_tokens: auto` and `stop: auto` stand for.

Both are made numbers and texts when the prompt is read, so that a run, and the key of a call, hold what was really asked.
A limit leaves room for every answer in the pass's format, also as models like to write it: numbered, quoted, JSON over many
lines. It leaves none for thinking aloud before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from harness.labelspace import Field, LabelSpace
from harness.parsing import FORMATS, Output
from harness.parsing.codetable import CodeTable
from harness.parsing.grammars import MOST_CHARACTERS, list_on_one_line
from harness.prompt import DECISION_APIS, Model, Pass
from harness.records import FieldValue

AUTO = "auto"
"""What a prompt writes where the limit, or the stop sequences, are to be those of its format."""

SLACK = 16
"""Tokens beside the answer: "Labels:" before it, emphasis around it, the token that ends it."""

Count = Callable[[Sequence[str]], Sequence[int]]
"""Texts → the tokens of each."""


def most_tokens(texts: Sequence[str]) -> list[int]:
    """Return how many tokens each text can have in any model: as many as it has bytes."""
    return [_n_bytes(text) for text in texts]


def with_limits(each: Pass, space: LabelSpace, count: Callable[[Model], Count] = lambda _: most_tokens) -> Pass:
    """Return a pass with a number for `max_tokens: auto` and texts for `stop: auto`; any other pass as it is.

    A `stop` for which the format has no text that is sure to stand behind an answer is left out.

    Args:
        each: Its output is sound for the label space.
        space: The label space.
        count: What the tokens of its model are counted with; asked for only where there is something to count.

    Raises:
        ModelError: The tokens cannot be counted.
    """
    params: dict[str, Any] = dict(each.model.params)
    spaces = [unit.space for unit in each.units(space)]
    if params.get("max_tokens") == AUTO and each.model.api not in DECISION_APIS:
        texts = [text for inside in dict.fromkeys(spaces) for text in longest_answers(each.output, inside)]
        params["max_tokens"] = max(count(each.model)(texts), default=0) + SLACK
    if params.get("stop") == AUTO:
        sequences = stops_of([stops(each.output, inside) for inside in spaces])
        params = {name: value for name, value in params.items() if name != "stop"}
        params |= {"stop": list(sequences)} if sequences else {}
    return each if params == each.model.params else replace(each, model=replace(each.model, params=params))


def stops_of(found: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the stop sequences that hold for every unit of a pass."""
    return tuple(text for text in found[0] if all(text in others for others in found)) if found else ()


def stops(output: Output, space: LabelSpace) -> tuple[str, ...]:
    """Return texts that stand in no answer that the format writes: what follows them is none of it. Empty where none does.

    A line break ends what is written on one line. A model that begins with a line break, or with reasons, says nothing then.
    JSON and containers end with a text of their own, that a server would cut off.
    """
    options: Mapping[str, Any] = {**FORMATS[output.format].options, **output.options}
    if output.format == "list":
        one_line = list_on_one_line(space, output)
    elif output.format in ("vector", "codes"):
        one_line = "\n" not in options["separator"]
    elif output.format == "yes_no":
        one_line = "\n" not in options["yes"] + options["no"]
    else:
        return ("\n\n",) if output.format == "scores" else ()
    return ("\n",) if one_line else ()


def longest_answers(output: Output, space: LabelSpace) -> tuple[str, ...]:
    """Return texts of which one is at least as long as any answer in a format: none is meant to be read.

    A `text` field has no bound of its own; it counts as `MOST_CHARACTERS` characters, as in a grammar.
    """
    fields = {field.name: _longest(field) for name in output.fields if (field := space.field(name))}
    written = []
    for labels in (space.names, ()):
        with suppress(ValueError):  # codes need not have a form for all labels at once
            written.append(FORMATS[output.format].render(labels, fields, space, output))
    # Of several containers some can be full and the others empty; and each name can stand in quotes. A constrained answer
    # holds no more names than there are labels, but it can name the longest one every time.
    longest = max(space.names, key=_n_bytes)
    padding = f'"{longest}", ' if output.constrain != "off" else '" " '
    return "\n".join([*written, padding * len(space)]), *_usual(output, space, fields)


def _longest(field: Field) -> FieldValue:
    if field.type == "text":
        return "a " * (MOST_CHARACTERS // 2)
    return False if field.type == "bool" else max(field.values, key=_n_bytes)


def _usual(output: Output, space: LabelSpace, fields: Mapping[str, FieldValue]) -> Iterator[str]:
    """Yield the long ways in which models write an answer in a format and which are read all the same."""
    names = [max((label.name, *label.aliases), key=_n_bytes) for label in space]
    listed = names if output.constrain == "off" else [max(names, key=_n_bytes)] * len(names)
    if output.format == "list":
        yield "\n".join(f'{number}. "{name}"' for number, name in enumerate(listed, 1))
    elif output.format == "vector":
        yield "\n".join(f"{name}: 0" for name in names)
    elif output.format == "codes":
        table = CodeTable(space, output)
        yield f"{table.separator} ".join(table.written.values()) + table.none
    elif output.format == "scores":
        yield _pretty(dict.fromkeys(names, 100.25))
    elif output.format == "json":
        key = output.options.get("labels_key", FORMATS["json"].options["labels_key"])
        yield _pretty({key: listed, **fields})
        yield _pretty({key: dict.fromkeys(names, False), **fields})


def _n_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _pretty(value: object) -> str:
    return f"```json\n{json.dumps(value, indent=4, ensure_ascii=False)}\n```"
