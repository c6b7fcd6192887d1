"""The exception pass from the search to its verdict, on the shipped reviews over real HTTP, with a stronger second model.

The first pass is v3 as the embedded model answered it (`tests/data/reviews.dev.v3.outputs.jsonl`). What answers the second
one is no language model: the cross-validated baseline of `harness baseline` stands in for a stronger model behind an API
(`tests/data/reviews.dev.tfidf.jsonl`). docs/exception-pass.md tells this story; what it shows is held to be printed here.
"""

from __future__ import annotations

import difflib
import io
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cli_project import write
from scripted_server import Reply, Request, ScriptedServer, answering

import harness
from harness import baselines
from harness.cli import main
from harness.dataset import load_dataset
from harness.project import find_project
from harness.searched import in_search_half

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/exception-pass.md"
HEADING = "When it pays"

SMALL, STAND_IN, YES = "smollm2-135m", "tfidf-stand-in", "yes-to-all"
"""The model of the first pass, and those of the second ones: the baseline, and one that says yes whatever it is asked."""

SEARCH = "harness exceptions v3 --label quality --budget 50%"
DRAFT = f"{SEARCH} --style list --write prompts/v5.yaml"
DRAFT_YES_NO = f"{SEARCH} --style yes_no --write prompts/v7.yaml"

LABELS = ("shipping", "packaging", "quality", "mismatch", "usability", "price", "service", "refund")
PRODUCT = ("quality", "mismatch", "usability")
"""The labels that v5 asks about again: the group of `quality`. v6 asks about all, v7 about `quality` alone."""

BY_HAND = (
    ("    model: {params: {max_tokens: 64}}\n", f"    model: {{name: {STAND_IN}, params: {{max_tokens: 64}}}}\n"),
    ("['quality']", "['quality', 'mismatch', 'usability']"),
    (
        "{# WRITE HERE: what is hard about these labels, in your words. #}",
        "What works but is hard to use is usability; what is not what was shown or ordered is mismatch.",
    ),
    (
        "    # Of these labels 36 added wrongly: nearly all were wrongly said, so a label stays only when this pass says it "
        "too.\n",
        "",
    ),
    ("{scope: [quality], how: confirm}", "{scope: [quality, mismatch, usability], how: replace}"),
)
"""What a person changes in the draft: another model, a sentence, and the labels that a wrong `quality` stands for."""

TO_ALL_LABELS = (
    (" if label.name in ['quality', 'mismatch', 'usability']", ""),
    ("{scope: [quality, mismatch, usability], how: replace}", "{how: replace}"),
)
BY_ANOTHER_MODEL = (("    per: label\n", f"    model: {YES}\n    per: label\n"),)


@dataclass(frozen=True, slots=True)
class Story:
    """What was done and seen.

    Attributes:
        root: The project.
        told: What each command line printed.
        asked: The requests that each command line made.
        drafts: The prompts as they were drafted, by version.
    """

    root: Path
    told: dict[str, str] = field(default_factory=dict)
    asked: dict[str, list[Request]] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)

    def models(self, line: str) -> dict[str, int]:
        """Return how many requests of each model a command line made."""
        return dict(Counter(request.body["model"] for request in self.asked[line]))

    def prompt(self, version: str) -> Path:
        """Return the path of a prompt."""
        return self.root / f"prompts/{version}.yaml"

    def change(self, version: str, changes: Sequence[tuple[str, str]], source: str | None = None) -> None:
        """Write a prompt as a person does: that of another version, or the draft that is there, with texts replaced."""
        text = self.prompt(source or version).read_text(encoding="utf-8")
        if source is None:
            self.drafts[version] = text
        for before, after in changes:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        write(self.prompt(version), text)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The whole story, told once."""
    told = Story(write_project(tmp_path_factory.mktemp("story")))
    with pytest.MonkeyPatch.context() as patch, ScriptedServer(script()) as server:
        patch.chdir(told.root)
        for name in ("NO_COLOR", "FORCE_COLOR", "_HARNESS_COMPLETE", "OPENAI_API_KEY"):
            patch.delenv(name, raising=False)
        patch.setenv("COLUMNS", "100")
        patch.setenv("OPENAI_BASE_URL", server.base_url)

        def tell(*lines: str) -> None:
            for line in lines:
                server.reset()
                told.told[line] = printed(line, patch)
                told.asked[line] = list(server.requests)

        tell("harness run prompts/v3.yaml", DRAFT)
        told.change("v5", BY_HAND)
        tell("harness run prompts/v5.yaml --dry-run", "harness run prompts/v5.yaml", "harness show v5")
        tell("harness compare v3 v5", "harness show v5 --without-pass exception")
        told.change("v6", TO_ALL_LABELS, source="v5")
        tell("harness run prompts/v6.yaml", DRAFT_YES_NO)
        told.change("v7", BY_ANOTHER_MODEL)
        tell("harness run prompts/v7.yaml")
    return told


def write_project(root: Path) -> Path:
    """Write the shipped dataset and v3 into a folder; its model is a server's, which answers as the embedded one did."""
    (root / "datasets").mkdir()
    for name in ("reviews.yaml", "reviews.dev.jsonl", "reviews.test.jsonl", "reviews.shots.jsonl"):
        shutil.copy(ROOT / "datasets" / name, root / "datasets" / name)
    text = (ROOT / "prompts/v3.yaml").read_text(encoding="utf-8")
    write(root / "prompts/v3.yaml", text.replace(f"local/{SMALL}", SMALL))
    write(root / "harness.toml", "")
    return root


def rows_of(name: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a JSONL file by their ids."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


SAMPLES = rows_of("datasets/reviews.dev.jsonl")
OUTPUTS = rows_of("tests/data/reviews.dev.v3.outputs.jsonl")
BETTER = rows_of("tests/data/reviews.dev.tfidf.jsonl")


def script() -> Callable[[Request], Reply]:
    """Return the server's script: each model has its own answers, found by the review at the end of what is asked."""
    texts = {identity: row["text"] for identity, row in SAMPLES.items()}
    by_model = {
        SMALL: answering({texts[each]: row["output"] for each, row in OUTPUTS.items()}),
        STAND_IN: answering({texts[each]: ", ".join(row["labels"]) or "none" for each, row in BETTER.items()}),
        YES: answering(lambda _: "yes"),
    }
    return lambda request: by_model[request.body["model"]](request)


def printed(line: str, patch: pytest.MonkeyPatch) -> str:
    """Return what a command line prints; it must end well."""
    patch.setattr(sys, "argv", line.split())
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code or 0, err.getvalue()) == (0, "")
    assert max(map(len, out.getvalue().splitlines())) <= 100
    return out.getvalue()


# --- what was recorded ------------------------------------------------------------------------------------------------


def test_the_first_answers_are_those_that_were_recorded(story: Story) -> None:
    """The outputs of v3 are read as the labels and failures that its comparison with v1 and v2 is tested on."""
    recorded = rows_of("tests/data/reviews.dev.v3.jsonl")
    read = harness.load("v3", project=find_project(story.root)).stored.predictions
    assert {each.sample: sorted(each.labels) if each.failure is None else None for each in read} == {
        identity: row["labels"] and sorted(row["labels"]) for identity, row in recorded.items()
    }


def test_the_stand_in_is_the_baseline(story: Story) -> None:
    """What the stand-in says of a sample is learned from other samples alone: one of the five folds, worked out again."""
    dataset = load_dataset(story.root / "datasets/reviews.yaml", find_project(story.root))
    folds = list(baselines._folds(dataset.read("dev").samples, 5, 0))
    learned, held_out = folds[0]
    assert {sample.id for sample in learned} | {sample.id for sample in held_out} == set(BETTER)
    made = baselines._tfidf(dataset.space, folds[:1]).predictions
    assert {each.sample: set(each.labels) for each in made} == {
        sample.id: set(BETTER[sample.id]["labels"]) for sample in held_out
    }


# --- what is asked ----------------------------------------------------------------------------------------------------


def said(identity: str) -> set[str]:
    """Return the labels that the first pass predicts: nothing where its output names none."""
    names = {name.strip() for name in OUTPUTS[identity]["output"].split(",")}
    return names & set(LABELS)


SENT = [identity for identity in SAMPLES if "quality" in said(identity)]
UNSEEN = [identity for identity in SAMPLES if not in_search_half(identity, 0, 0.5)]


def test_the_first_pass_is_not_paid_again(story: Story) -> None:
    """v3 costs a call a sample; of the versions with its pass before theirs only the second pass is asked."""
    assert story.models("harness run prompts/v3.yaml") == {SMALL: len(SAMPLES)}
    assert story.models("harness run prompts/v5.yaml") == {STAND_IN: len(SENT)}
    assert story.models("harness run prompts/v6.yaml") == {STAND_IN: len(SENT)}
    assert story.models("harness run prompts/v7.yaml") == {YES: len(SENT)}
    assert not any(requests for line, requests in story.asked.items() if not re.fullmatch(r"harness run \S+", line))
    assert f"{len(SENT)} calls made" in story.told["harness run prompts/v5.yaml"]


def test_what_is_sent(story: Story) -> None:
    """The second pass is asked about the samples that the trigger names, and told what was answered first."""
    asked = {request.text: request.all_text for request in story.asked["harness run prompts/v5.yaml"]}
    assert set(asked) == {SAMPLES[identity]["text"] for identity in SENT}
    for identity in SENT:
        text = asked[SAMPLES[identity]["text"]]
        first = ", ".join(name for name in OUTPUTS[identity]["output"].split(", ") if name in said(identity))
        assert f"\nThe first answer was: {first}. It can be wrong." in text
        assert "What works but is hard to use is usability" in text
        assert "WRITE HERE" not in text
        assert not any(row["text"] in text for each, row in SAMPLES.items() if each != identity)


def test_the_labels_are_chosen_on_the_searched_half() -> None:
    """Where `quality` is wrong there, `mismatch` is what is most often missed; it and `usability` are never found."""
    searched = [identity for identity in SAMPLES if identity not in UNSEEN]
    gold = {identity: set(SAMPLES[identity]["labels"]) for identity in searched}
    instead = Counter(
        label for each in searched if "quality" in said(each) - gold[each] for label in gold[each] - said(each)
    )
    (first, most), (_, next_most) = instead.most_common(2)
    assert (first, most > next_most) == ("mismatch", True)
    assert not any({"mismatch", "usability"} & said(each) & gold[each] for each in searched)


# --- what it is worth -------------------------------------------------------------------------------------------------


class Counts(NamedTuple):
    """What a second pass does to the unseen samples."""

    sent: int
    corrected: int
    broken: int
    made_right: int
    made_wrong: int


def by_hand(scope: Sequence[str]) -> Counts:
    """Return what the stand-in's answers in a scope change, cell by cell."""
    corrected = broken = made_right = made_wrong = 0
    sent = [identity for identity in UNSEEN if identity in SENT]
    for identity in sent:
        gold, before, better = set(SAMPLES[identity]["labels"]), said(identity), set(BETTER[identity]["labels"])
        after = (before - set(scope)) | (better & set(scope))
        for label in before ^ after:
            corrected += (label in after) == (label in gold)
            broken += (label in before) == (label in gold)
        made_right += before != gold == after
        made_wrong += before == gold != after
    return Counts(len(sent), corrected, broken, made_right, made_wrong)


def flat(text: str) -> str:
    """Return a text as one line."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("version", "scope", "worth"),
    [("v5", PRODUCT, "pays"), ("v6", LABELS, "pays")],
)
def test_what_the_stand_in_changes(story: Story, version: str, scope: Sequence[str], worth: str) -> None:
    """Cells corrected and broken, counted by hand on the samples that the search did not see, and the word for them."""
    told, hand = flat(story.told[f"harness run prompts/{version}.yaml"]), by_hand(scope)
    assert (
        f"The pass 'exception' {worth}: it corrected {hand.corrected} cells and broke {hand.broken}, for {hand.sent} calls ("
    ) in told
    assert f" Sent: {hand.sent} of {len(UNSEEN)} samples (" in told
    assert (
        f" Changed: {hand.corrected + hand.broken} cells, {hand.corrected} corrected, {hand.broken} broken, net "
        f"+{hand.corrected - hand.broken}; samples: {hand.made_right} made right, {hand.made_wrong} made wrong "
    ) in told


def test_the_new_version_is_better(story: Story) -> None:
    """By more than noise, on the samples that the search did not see; that it saw the others is said beside."""
    told = flat(story.told["harness compare v3 v5"])
    better = re.search(
        r"v5 is better than v3 on the (\d+) samples that the search never saw: macro F1 \+0\.\d+ \(", told
    )
    assert better is not None
    assert int(better[1]) == len(UNSEEN)
    assert "seen samples included, which flatters v5: macro F1 +0." in told


def test_without_the_pass(story: Story) -> None:
    """From stored answers alone: without its second pass v5 has the scores of v3, label by label."""
    lines = ("harness run prompts/v3.yaml", "harness show v5 --without-pass exception")
    alone, without = (
        {
            row[0]: row[1:6]
            for row in map(str.split, story.told[line].splitlines())
            if row[:1] and row[0] in (*LABELS, "all")
        }
        for line in lines
    )
    assert len(alone) == 1 + len(LABELS)
    assert without == alone
    told = " ".join(story.told[lines[1]].split())
    assert (
        "caution: v5 was drafted from the errors on 120 of these 224 samples, which flatters it here; 'harness show v5' "
        "judges its passes on the others v5 without exception is worse than v5"
    ) in told


def test_yes_to_everything_does_not_pay(story: Story) -> None:
    """A second pass that confirms whatever stands there costs its calls and changes nothing, and that is said."""
    told = flat(story.told["harness run prompts/v7.yaml"])
    n_sent = by_hand(()).sent
    assert f"The pass 'exception' does not pay: it changed nothing, for {n_sent} calls (" in told
    assert f"v7 answers exactly as v3 does on the {len(UNSEEN)} samples that the search never saw" in told
    assert "Failed:" not in told


# --- the page ---------------------------------------------------------------------------------------------------------


def section() -> str:
    """Return the part of the page that tells the story, with the parts below it."""
    _, head, rest = PAGE.read_text(encoding="utf-8").partition(f"# {HEADING}\n")
    assert head, f"{PAGE.name}: has no part '{HEADING}'"
    return re.split("^## ", rest, flags=re.MULTILINE)[0]


def steady(text: str) -> str:
    """Return a text as one line, without what differs from one telling to the next: run ids, times, widths of tables."""
    text = re.sub(r"\b(v\d+)-\d{8}-\d{6}\b", r"\1-ID", text)
    return flat(re.sub("─+", "─", re.sub(r"\d[\d.]* s\b", "TIME", text)))


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the story in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(), re.MULTILINE | re.DOTALL)


def test_the_page_shows_what_is_printed(story: Story) -> None:
    """Every transcript in the story is what its command prints, in its order; "…" stands for what is left out."""
    shown = [each for block in blocks("console") for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(shown) >= 6
    for each in shown:
        line, _, output = each.partition("\n")
        rest = steady(story.told[line])
        for piece in filter(None, map(steady, re.split(r"^…$", output, flags=re.MULTILINE))):
            _, found, rest = rest.partition(piece)
            assert found, f"$ {line}\n{story.told[line]}\nhas not, or not there:\n{piece}"


def test_the_page_shows_what_a_person_changed(story: Story) -> None:
    """The difference between the draft and the prompt that was run."""
    now = story.prompt("v5").read_text(encoding="utf-8")
    changed = difflib.unified_diff(story.drafts["v5"].splitlines(), now.splitlines(), lineterm="", n=0)
    hunks = [line for line in changed if not line.startswith(("---", "+++", "@@"))]
    assert [line for block in blocks("diff") for line in block.splitlines()] == hunks


def test_the_numbers_of_the_page(story: Story) -> None:
    """Every number that the story tells in words stands in something that was printed."""
    prose = re.sub(r"^```.*?^```$|`[^`]*`|\]\([^)]*\)", "", section(), flags=re.MULTILINE | re.DOTALL)
    number = r"(?<![\w.])\d[\d.,]*(?<![.,])"
    known = {each for text in story.told.values() for each in re.findall(number, text)}
    assert set(re.findall(number, prose)) - {f"{macro_f1_of_the_stand_in():.3f}"} <= known


def macro_f1_of_the_stand_in() -> float:
    """Return the macro F1 of the stand-in alone, on all of dev."""
    found = []
    for label in LABELS:
        gold = {identity for identity, row in SAMPLES.items() if label in row["labels"]}
        better = {identity for identity, row in BETTER.items() if label in row["labels"]}
        found.append(2 * len(gold & better) / (len(gold) + len(better)))
    return sum(found) / len(found)
