"""A new project as files: settings, a commented first prompt, and a small example that runs at once.

Files are planned as text by relative path and written all together or not at all; nothing is ever overwritten.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from harness.errors import DataError, listing
from harness.parsing import Output
from harness.prompt import LOCAL

DEFAULT_MODEL = "local/smollm2-135m"

Files = Mapping[str, str]
"""What is to be written: text by path, relative to the project's folder."""

SETTINGS = """\
# Settings of this project; this file also marks its root. Each value below is the default: take the # away to change
# it. A command's options go before the environment, and the environment before this file.
# Keys are never written here. They go into a file .env beside this one: OPENAI_API_KEY=…

# model = "local/smollm2-135m"  # the model of prompts that name none
# concurrency = 64              # calls under way at once at most; fewer where the server does not keep up
# timeout_s = 120.0             # seconds that one attempt of a call may take
# max_attempts = 10             # how often a call is sent before it counts as failed; a 429 does not count
# max_retry_s = 300.0           # seconds that the attempts of one call may take together, waits included

# Limits of your account, in requests and tokens a minute for each model. By default there are none: calls slow down
# where the server says so.
# rpm = 500
# tpm = 200000

# What a model costs where the price list does not know it, in USD per million tokens:
# [prices."my-model"]
# input = 0.40
# output = 1.60
"""

GITIGNORE = """\
# Keys
.env
# The cache of completions
.harness/
# Runs hold the texts that were labelled and what the model wrote
runs/*
!runs/README.md
!runs/holdout.jsonl
"""

RUNS_README = """\
Every run has a folder here: what was asked (`run.json`, `samples.jsonl`), every completion (`completions.jsonl`) and
what was derived from them (`predictions.jsonl`, `scores.json`; `harness score` makes these two again without a call).
A folder can be deleted at any time; completions also stay in the cache.
"""

SETUP: Files = {"harness.toml": SETTINGS, ".gitignore": GITIGNORE, "runs/README.md": RUNS_README}
"""What every project has."""

_EXAMPLE = """\
# What is labelled: the label space, and the samples by split.
name: feedback

# The order of the labels here is their order everywhere. A prompt can show the descriptions, so write down what
# belongs to a label and where its border is. Any number of labels can apply to a text, also none.
labels:
  bug: Something is broken - it crashes, loses data, shows an error or does not react
  usability: It works, but is hard to find, to read or to understand, or takes too many steps
  price: It costs too much, the plans are unfair, or a charge came unexpectedly
  support:
    description: How the people who help behave - slow, rude, useless or wonderful
    aliases: [customer service]     # other words for it that count as this label in an answer

# One sample a line: {"id": …, "text": …, "labels": […]}. CSV, TSV and Parquet are read too. Write prompts against dev;
# look at test rarely, or you tune your prompt to it.
splits:
  dev: feedback.dev.jsonl
  test: feedback.test.jsonl
"""

_SAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "dev": (
        ("The app crashes every time I open the calendar.", "bug"),
        ("Since the last update my notes are simply gone.", "bug"),
        ("I press save and nothing happens. Tried it on two phones.", "bug"),
        ("Error 502 three mornings in a row, just when I need my list.", "bug"),
        ("Took me a week to find out where the export is hidden.", "usability"),
        ("Grey letters on light grey. I can't read a word of it outdoors.", "usability"),
        ("Five taps to add one item! Why not one?", "usability"),
        ("I still don't get what the difference between a board and a space is.", "usability"),
        ("Twelve euros a month for a to-do list, no thanks.", "price"),
        ("You doubled the fee and called it a new plan.", "price"),
        ("Was charged for a second year although I had cancelled.", "price"),
        ("The student discount ends after one term, which is a bit stingy.", "price"),
        ("I wrote to support on Monday. It is Friday. Silence.", "support"),
        ("Maya from the help desk stayed on the phone until it worked. Thank you!", "support"),
        ("Their answer was a link to the page that I had asked about.", "support"),
        ("It froze, I lost an hour of work, and the chat told me to restart.", "bug, support"),
        ("Sync has been broken for a month and nobody answers my tickets.", "bug, support"),
        ("For this price I expect that it starts without an error.", "bug, price"),
        ("The bill is a riddle: I cannot find out what I pay for.", "usability, price"),
        ("Nowhere does it say how to get a refund, and support does not tell either.", "usability, support"),
        ("Best planner I have had. My whole family uses it now.", ""),
        ("Does what it says, every day.", ""),
        ("I use it on the train, mostly for shopping lists.", ""),
        ("Moved here from paper and never looked back.", ""),
    ),
    "test": (
        ("Reminders go off an hour late, every single day.", "bug"),
        ("It logs me out whenever I switch to another app.", "bug"),
        ("The settings are a maze, I gave up looking for dark mode.", "usability"),
        ("Tiny buttons. My thumbs hit the wrong one half the time.", "usability"),
        ("Nice, but not four coffees a month nice.", "price"),
        ("The free version got so small that it is useless, so pay or leave.", "price"),
        ("Got lost between three kinds of lists, and the help chat sent me a smiley.", "usability, support"),
        ("Got a helpful answer within ten minutes, on a Sunday!", "support"),
        ("Paid for premium, premium does not unlock, support sends me in circles.", "bug, price, support"),
        ("I pay for search that finds nothing, not even the exact title.", "bug, price"),
        ("Three years, zero complaints.", ""),
        ("My sister told me about it, and I told my brother.", ""),
    ),
}


def example(model: str = DEFAULT_MODEL) -> Files:
    """Return a project with 24 + 12 samples of feedback to an app, four labels, and a prompt for them."""
    samples = {f"datasets/feedback.{split}.jsonl": _jsonl(split, rows) for split, rows in _SAMPLES.items()}
    prompt = prompt_file("feedback", model, "feedback", "Feedback")
    return {"datasets/feedback.yaml": _EXAMPLE, **samples, "prompts/v1.yaml": prompt, **SETUP}


def _jsonl(split: str, rows: Iterable[tuple[str, str]]) -> str:
    samples = (
        {"id": f"{split}{number:02}", "text": text, "labels": labels.split(", ") if labels else []}
        for number, (text, labels) in enumerate(rows, 1)
    )
    return "".join(f"{json.dumps(sample, ensure_ascii=False)}\n" for sample in samples)


_PROMPT = """\
# One version of the prompt. To try another wording, copy this file to v2.yaml, write `parent: {version}` at its top,
# change something, and run it: harness run prompts/v2.yaml tells what got better and what got worse.
notes: The first try - name the labels, say what they mean, ask.

dataset: ../datasets/{dataset}

# {model_comment}
{model}

# What is asked, once for every sample. {{{{ … }}}} is filled in and {{% … %}} is a command (Jinja): `labels` are the labels
# of the dataset with their descriptions, `text` and every other column of the samples go by their own names. The
# labels of the sample are not there: nothing that is sent can hold the answer.
template: |
  Which of these labels apply to the {what} below? Any number of them can apply, also none.
  {{% for label in labels %}}
  - {{{{ label.name }}}}{{{{ ": " ~ label.description if label.description else "" }}}}
  {{% endfor %}}

  {ask}

  {title}: {{{{ text }}}}

# How the answer is read. {output_comment}
{output}
"""

_MODEL_COMMENTS = (
    "Who answers: a small model inside this program. For a real task name any model of an OpenAI-compatible server.",
    "Who answers. Needs OPENAI_API_KEY in .env, or a server of your own: add `base_url: http://localhost:8000/v1`.",
)
_ASK_LIST = 'Answer with the labels that apply, separated by commas, or with "none". Write nothing else.'
_ASK_JSON = 'Answer with a JSON object and nothing else: {{"{key}": ["…"]}}, the list empty when no label applies.'


def prompt_file(dataset: str, model: str, what: str, title: str, output: Output | None = None, name: str = "v1") -> str:
    """Return the text of a first prompt.

    Args:
        dataset: Name of the dataset, without its ending: letters, digits, `.`, `_` and `-`.
        model: Who answers; what is not embedded is asked at temperature 0.
        what: What a sample is, in the middle of a sentence.
        title: What stands before the text of the sample.
        output: How the answer is written: `list` or `json`.
        name: The version.
    """
    output = output or Output()
    key = output.options.get("labels_key", "labels")
    written = output.format
    if output.options:
        options = "".join(f", {option}: {quoted(value)}" for option, value in output.options.items())
        written = f"{{format: {output.format}{options}}}"
    in_lists = output.format == "list"
    local = model.startswith(LOCAL)
    return _PROMPT.format(
        version=name,
        dataset=f"{dataset}.yaml",
        model_comment=_MODEL_COMMENTS[0 if local else 1],
        model=f"model: {quoted(model)}" if local else f"model:\n  name: {quoted(model)}\n  params: {{temperature: 0}}",
        what=what,
        ask=_ASK_LIST if in_lists else _ASK_JSON.format(key=key),
        title=title,
        output_comment="list: names between commas." if in_lists else "json: for names that a list would tear apart.",
        output=f"output: {written}",
    )


_PLAIN = re.compile(r"[^\W\d][\w/.+-]*(?: [\w/.+-]+)*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "nan", "inf", "y", "n"})
"""Words that one YAML reader or another takes for something else than text."""


def quoted(text: str) -> str:
    """Return a text as YAML reads it back, as a key and as a value; in quotes where it could mean anything else."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS and text.isprintable():
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def write_new(folder: Path, files: Files) -> list[Path]:
    """Write the files of a project, all of them or none, and return their paths.

    Raises:
        DataError: One of them is there already (all that are there are told), or the disk refuses.
    """
    paths = {folder / name: text for name, text in files.items()}
    there = [str(path) for path in paths if os.path.lexists(path)]
    if there:
        one = len(there) == 1
        raise DataError(
            f"{folder}: must hold no file that is to be made, but {listing(there, 20)} {'is' if one else 'are'} there "
            f"already; nothing was written. Move {'it' if one else 'them'} away, or name another folder."
        )
    made: list[Path] = []
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                made.append(path)
                file.write(text)
    except OSError as error:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise DataError(
            f"{error.filename or folder}: cannot be written ({error.strerror}). Name a folder that can be written to."
        ) from None
    return made
