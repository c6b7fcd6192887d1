"""Cases of runs whose errors follow a known rule, or none: for tests of the search for triggers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.cases import Case
from harness.labelspace import Label, LabelSpace
from harness.records import FailureKind, Prediction, Sample
from harness.rendering import answer_context, base_context
from harness.template import words

LABELS = ("shipping", "quality", "price", "service", "refund", "usability", "packaging", "mismatch")
SPACE = LabelSpace(tuple(Label(name) for name in LABELS))
WORDS = tuple(f"word{number}" for number in range(120))

Rule = Callable[[frozenset[str], str], bool]
"""Whether an answer with these labels to this text is wrong for sure."""


def shipping_that_is_not_late(predicted: frozenset[str], text: str) -> bool:
    """Return whether shipping was said of a text without the word late."""
    return "shipping" in predicted and "late" not in words(text)


def no_rule(predicted: frozenset[str], text: str) -> bool:
    """Return that nothing is wrong for sure."""
    return False


def case_of(sample: Sample, prediction: Prediction, space: LabelSpace = SPACE) -> Case:
    """Return the case of a prediction, with the context that a next pass would see."""
    context = {**base_context(sample, space, {}), **answer_context(prediction, {}, space)}
    return Case(sample.id, sample.inputs, sample.labels, prediction, context)


def made_cases(
    n: int,
    seed: int,
    rule: Rule = no_rule,
    noise: float = 0.05,
    space: LabelSpace = SPACE,
    repeats: int = 1,
    weighed: bool = False,
    text_length: int = 18,
    prefix: str = "s",
) -> list[Case]:
    """Return cases whose answers are wrong where the rule says so, and elsewhere at random.

    Labels, words, language and stars have nothing to do with one another. A wrong answer has one false label of those
    that it says, or one too few when it says nothing.

    Args:
        n: Number of samples.
        seed: Of everything.
        rule: What is wrong for sure.
        noise: Share of the other answers that are wrong.
        space: The labels.
        repeats: Answers to each sample.
        weighed: Whether labels have probabilities.
        text_length: Words of a text, about.
        prefix: Of the ids.
    """
    rng = np.random.default_rng(seed)
    names = np.array(space.names)
    chances = 1 / np.arange(1, len(WORDS) + 1)
    chances /= chances.sum()
    cases = []
    for number in range(n):
        length = int(rng.integers(text_length // 2, 2 * text_length))
        said = [*rng.choice(WORDS, length, p=chances).tolist(), *(["late"] if rng.random() < 0.4 else [])]
        inputs: dict[str, Any] = {
            "text": " ".join(said),
            "language": str(rng.choice(["en", "de", "fr"])),
            "stars": int(rng.integers(1, 6)),
        }
        predicted = frozenset(names[rng.random(len(names)) < 2 / len(names)].tolist())
        for repeat in range(repeats):
            gold = predicted
            if rule(predicted, inputs["text"]) or rng.random() < noise:
                first = space.names[0] if rule(predicted, inputs["text"]) else None
                gone = first or (sorted(predicted)[0] if predicted else None)
                gold = predicted - {gone} if gone else frozenset({str(rng.choice(names))})
            if repeat == 0:
                true = gold
            chances_of = {}
            if weighed:
                chances_of = {
                    name: float(np.round(0.5 + rng.random() / 2 if name in predicted else rng.random() / 2, 3))
                    for name in space.names
                }
            answer = Prediction(f"{prefix}{number}", predicted, repeat=repeat, probabilities=chances_of)
            cases.append(case_of(Sample(f"{prefix}{number}", inputs, true), answer, space))
    return cases


def cases_of_a_word(n: int, seed: int, rate: float = 0.85, noise: float = 0.08, share: float = 0.13) -> list[Case]:
    """Return cases that are wrong about packaging with one probability where the word crate stands, elsewhere with another.

    Texts are of 5 to 40 words, and where there is a crate it takes the place of one: neither a text's length nor what else
    stands in it tells anything.

    Args:
        n: Number of samples.
        seed: Of everything.
        rate: Share of the answers to texts with the word that are wrong.
        noise: The same of the other texts, about any label.
        share: Of the texts that have the word.
    """
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(n):
        said = rng.choice(WORDS[:60], int(rng.integers(5, 41))).tolist()
        if crate := bool(rng.random() < share):
            said[int(rng.integers(len(said)))] = "crate"
        gold = frozenset(name for name in LABELS if rng.random() < 0.25)
        wrong = rng.random() < (rate if crate else noise)
        predicted = gold ^ {"packaging" if crate else str(rng.choice(LABELS))} if wrong else gold
        sample = Sample(f"s{number}", {"text": " ".join(said)}, gold)
        cases.append(case_of(sample, Prediction(sample.id, predicted)))
    return cases


def failed_case(case: Case, kind: FailureKind = FailureKind.UNPARSEABLE, space: LabelSpace = SPACE) -> Case:
    """Return the case with an answer that nothing can be read in."""
    sample = Sample(case.sample, case.inputs, case.gold)
    failure = Prediction(case.sample, frozenset(), frozenset(space.names), kind, repeat=case.prediction.repeat)
    return case_of(sample, failure, space)
