"""A constructed set of 230 labels in 20 groups, prompts that ask for them in three ways, and a server that answers by rule.

A sample's text names its labels in other words than their descriptions do, and ends in its number, by which the server knows
what is gold. What it gets wrong follows from the number and the label alone, so that every count can be had without a run.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from scripted_server import Reply, Request, error

AREAS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "delivery": ("Parcels, couriers and postmen on their way to the door", ("the parcel", "your courier", "the van")),
    "packaging": ("Boxes, padding and wrapping around the goods", ("the padding", "the box", "all that foil")),
    "billing": ("Invoices and what is charged to a card or account", ("my invoice", "the amount charged", "the bill")),
    "refunds": ("Money that is paid back to the customer", ("the money back", "my refund", "what you owe me")),
    "returns": (
        "Goods that are sent back, and their return labels",
        ("the return label", "sending it back", "the slip"),
    ),
    "website": ("The online shop as a browser shows it", ("the online shop", "your browser page", "the search field")),
    "app": ("The program for telephones and tablets", ("the phone app", "the tablet version", "the update")),
    "account": ("Profiles, log-ins and passwords", ("my password", "the log-in", "my user name")),
    "support": ("People who answer calls, mails and chats", ("the chat", "my call", "the lady on the hotline")),
    "shops": ("Branches in town, their staff and opening hours", ("the branch", "the staff in town", "the cashier")),
    "furniture": ("Tables, chairs, beds and cupboards", ("the table", "my new bed", "the wardrobe")),
    "lighting": ("Lamps, bulbs and switches", ("the lamp", "a bulb", "the dimmer")),
    "kitchen": ("Pots, pans and small machines for cooking", ("the pan", "this cooking pot", "the mixer")),
    "clothing": ("Clothes, shoes and what is worn with them", ("the shoes", "my clothes", "the jacket")),
    "garden": ("Tools, plants and what stays outside", ("the plants", "a garden tool", "the lawn mower")),
    "toys": ("Games and things for children to play with", ("the game", "the children's set", "the puzzle")),
    "books": ("Printed books, calendars and cards", ("the book", "the calendar", "the novel")),
    "electronics": ("Computers, screens, cables and batteries", ("the screen", "a battery", "the laptop")),
    "membership": ("The paid club with its points and benefits", ("the club", "my points", "the gold tier")),
    "vouchers": ("Gift cards, coupons and discount codes", ("the coupon", "my discount code", "the twenty per cent")),
}
"""By group its description and what customers call it: twice in its words, once in others."""

ASPECTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "delay": ("Something takes longer than was promised", ("{} takes so much longer", "I have been waiting for {}")),
    "damage": ("Something is broken, torn or scratched", ("{} is broken", "{} has a crack in the middle")),
    "price": ("The customer finds that it costs too much", ("{} costs too much", "{} is far too dear")),
    "missing": ("A part or the whole was not there", ("a part of {} was not there", "half of {} never turned up")),
    "wrong": ("Another one came than was ordered", ("I ordered another one, not {}", "{} is not what I had picked")),
    "unclear": ("Explanations cannot be understood", ("I have not understood {}", "nobody can make sense of {}")),
    "unsafe": ("Somebody could be hurt or cheated by it", ("my son was hurt by {}", "{} nearly caught fire")),
    "praise": ("The customer is pleased and says so", ("I am so pleased with {}", "{} is wonderful")),
    "rude": ("Somebody was impolite or would not help", ("nobody would help with {}", "they laughed about {}")),
    "cancel": ("The customer wants to stop or undo something", ("I want to undo {}", "please forget all about {}")),
    "question": ("The customer wants to know something", ("I would like to know about {}", "what is it with {}?")),
    "language": ("It is not to be had in the customer's language", ("{} is not in my language", "{} is all in Dutch")),
}
"""By what is said of a group: its description, and how customers say it: once in its words, once in others."""

WITHOUT = ("rude", "language")
"""What nobody says of five groups each, so that there are 230 labels."""

_LEFT_OUT = {(group, WITHOUT[at % 2]) for at, group in enumerate(AREAS) if at < 10}
GROUPS: Mapping[str, tuple[str, ...]] = {
    group: tuple(f"{group} {aspect}" for aspect in ASPECTS if (group, aspect) not in _LEFT_OUT) for group in AREAS
}
LABELS = tuple(name for names in GROUPS.values() for name in names)
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
ABOUT = {name: f"{ASPECTS[name.rpartition(' ')[2]][0]}. {AREAS[GROUP_OF[name]][0]}" for name in LABELS}
"""By label its description."""

GATE_SYSTEM = "Which areas is the message about? Answer with their names, comma separated, or none."
FINE_SYSTEM = "Which of these labels apply? Answer with their names, comma separated, or none."

COARSE = f"""\
dataset: ../data.yaml
model: {{name: scripted, params: {{temperature: 0}}}}
passes:
  - name: gate
    choose: groups
    messages:
      - system: |
          {GATE_SYSTEM}
          {{% for group in candidates %}}
          - {{{{ group }}}}: {{{{ group.description }}}}
          {{% endfor %}}
      - user: "{{{{ text }}}}"
    output: list
  - name: fine
    per: group
    messages:
      - system: |
          {FINE_SYSTEM}
          {{% for label in group.labels %}}
          - {{{{ label }}}}: {{{{ label.description }}}}
          {{% endfor %}}
      - user: "{{{{ text }}}}"
    output: list
"""
"""A gate, and a call for each group that it chose."""

_ASKING = f"""\
dataset: ../data.yaml
model: {{name: scripted, params: {{temperature: 0}}}}
passes:
  - name: main
    CANDIDATES
    messages:
      - system: |
          {FINE_SYSTEM}
          {{% for label in NAMES %}}
          - {{{{ label }}}}: {{{{ label.description }}}}
          {{% endfor %}}
      - user: "{{{{ text }}}}"
    output: list
"""
FLAT = _ASKING.replace("    CANDIDATES\n", "").replace("NAMES", "labels")
"""One call a sample, with all labels."""

CANDIDATES = _ASKING.replace("CANDIDATES", "candidates: {k: 30, by: similar}").replace("NAMES", "candidates")
"""One call a sample, with the 30 labels nearest to it."""

_NUMBER = re.compile(r"\[(\d+)\]")


class Row(NamedTuple):
    """A sample: its number, its text and its labels."""

    number: int
    text: str
    labels: tuple[str, ...]

    @property
    def id(self) -> str:
        """The id in the sample file."""
        return f"m{self.number:05}"

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of its labels, in their order."""
        return tuple(dict.fromkeys(GROUP_OF[name] for name in self.labels))


@lru_cache(maxsize=8192)
def row(number: int) -> Row:
    """Return a sample: none to four labels, two more often than not."""
    rng = random.Random(number)
    chosen = sorted(rng.sample(range(len(LABELS)), rng.choice((0, 1, 1, 2, 2, 2, 3, 4))))
    labels = tuple(LABELS[at] for at in chosen)
    said = [_in_words(name, rng) for name in labels]
    return Row(number, ". ".join([*said, f"Kind regards, [{number}]"]), labels)


def _in_words(label: str, rng: random.Random) -> str:
    group, aspect = label.split(" ")
    return rng.choice(ASPECTS[aspect][1]).format(rng.choice(AREAS[group][1]))


def rows(n: int) -> list[Row]:
    """Return the first samples."""
    return [row(number) for number in range(n)]


def write_project(root: Path, n: int) -> Path:
    """Write a project with so many samples and three prompts; return its folder."""
    groups = {
        group: {"labels": list(names), "description": about}
        for (group, names), (about, _) in zip(GROUPS.items(), AREAS.values(), strict=True)
    }
    data = {"name": "many", "labels": ABOUT, "groups": groups, "splits": {"dev": "data.jsonl"}}
    (root / "prompts").mkdir(parents=True, exist_ok=True)
    (root / "harness.toml").write_text("max_attempts = 1\n", encoding="utf-8")
    (root / "data.yaml").write_text(json.dumps(data), encoding="utf-8")
    lines = (json.dumps({"id": each.id, "text": each.text, "labels": list(each.labels)}) for each in rows(n))
    (root / "data.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    for version, text in (("flat", FLAT), ("coarse", COARSE), ("candidates", CANDIDATES)):
        (root / f"prompts/{version}.yaml").write_text(text, encoding="utf-8")
    return root


# --- what the server gets wrong -------------------------------------------------------------------------------------------


def chosen(each: Row) -> tuple[str, ...] | None:
    """Return the groups that the gate chooses; None where its answer cannot be read.

    Every seventh sample loses its last group, every eleventh has one too many, every 53rd fails.
    """
    if each.number % 53 == 52:
        return None
    groups = list(each.groups)
    if each.number % 7 == 3:
        groups = groups[:-1]
    if each.number % 11 == 5:
        extra = list(GROUPS)[each.number % len(GROUPS)]
        groups += [extra] if extra not in groups else []
    return tuple(groups)


def said(each: Row, offered: Sequence[str]) -> tuple[str, ...] | None:
    """Return the labels that an answer about some of them names; None where the call fails.

    In every fifth sample the first gold label is missed, in every ninth another label is named too, and every 41st fails.
    """
    if each.number % 41 == 40:
        return None
    names = [name for name in each.labels if name in offered]
    if each.number % 5 == 4:
        names = names[1:]
    if each.number % 9 == 7:
        wrong = offered[each.number % len(offered)]
        names += [wrong] if wrong not in each.labels else []
    return tuple(names)


def answer(request: Request) -> Reply:
    """Answer a request by its sample's number and the labels or groups that it lists."""
    found = _NUMBER.search(request.text)
    assert found is not None
    each = row(int(found[1]))
    system = str(request.messages[0]["content"])
    if system.startswith(GATE_SYSTEM):
        groups = chosen(each)
        return Reply("I am not sure." if groups is None else ", ".join(groups) or "none")
    names = said(each, tuple(listed(system)))
    return error(400) if names is None else Reply(", ".join(names) or "none")


def listed(system: str) -> Iterator[str]:
    """Yield the labels that a prompt lists."""
    for line in system.splitlines():
        if line.startswith("- "):
            yield line[2:].partition(":")[0]


# --- counted by hand ------------------------------------------------------------------------------------------------------


def listing(question: str, names: Mapping[str, str]) -> str:
    """Return what the system message of a pass says that offers some names, each with its description."""
    return "\n".join([question, *(f"- {name}: {about}" for name, about in names.items()), ""])


def tokens(*texts: str) -> int:
    """Return the estimate of the tokens of messages."""
    return sum(len(text.encode()) // 4 + 4 for text in texts)
