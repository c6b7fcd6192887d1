"""The baselines: right by hand, out of fold, the same every time, and told where a prompt loses to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import Folder, right_but

import harness
from harness import api
from harness.baselines import INNER_FOLDS, LEAST, _folds, _majority, _probabilities, _tfidf, _threshold
from harness.errors import DataError, UsageError
from harness.labelspace import Label, LabelSpace
from harness.outside import Stronger, stronger_baseline
from harness.parsing.formats import DEFAULT_THRESHOLD
from harness.records import Sample
from harness.report.listing import baseline_line

SPACE = LabelSpace((Label("shipping"), Label("quality"), Label("price")))
WORDS: Mapping[str, str] = {"shipping": "parcel late", "quality": "broken handle", "price": "expensive dear"}


def sample(number: int, labels: Sequence[str]) -> Sample:
    """Return a sample whose text says its labels."""
    text = " ".join([*(WORDS[name] for name in labels), "lamp", str(number)])
    return Sample(f"n{number:02d}", {"text": text}, frozenset(labels))


SAMPLES = [
    sample(number, labels)
    for number, labels in enumerate([["shipping"], ["quality"], ["shipping", "price"], [], ["shipping"]] * 6)
]


def filled(folder: Folder, samples: Sequence[Sample] = SAMPLES) -> Path:
    """Write samples as the split `dev`, and return the dataset's file."""
    rows = [{"id": each.id, **each.inputs, "labels": sorted(each.labels or ())} for each in samples]
    folder.write("datasets/reviews.dev.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return folder.root / "datasets/reviews.yaml"


def make(folder: Folder, **options: Any) -> tuple[api.Run, api.Run]:
    """Make both baselines."""
    return harness.baseline(folder.root / "datasets/reviews.yaml", project=folder.project, **options)


# --- majority ---------------------------------------------------------------------------------------------------------


def test_majority_says_the_most_frequent_set_of_the_others() -> None:
    """By hand: what is most frequent without the fold; of equally frequent sets the first in label-space order."""
    first, second = [sample(0, ["price"]), sample(1, ["price"])], [sample(2, ["quality"]), sample(3, ["shipping"])]
    made = _majority(SPACE, [(second, first), (first, second)])
    assert [sorted(each.labels) for each in made.predictions] == [["shipping"], ["shipping"], ["price"], ["price"]]


@given(st.lists(st.sets(st.sampled_from(SPACE.names)), min_size=4, max_size=12), st.integers(0, 5))
def test_folds_are_a_partition(sets: list[set[str]], seed: int) -> None:
    """Every sample is predicted once, and never learned from where it is predicted."""
    samples = [sample(number, sorted(labels)) for number, labels in enumerate(sets)]
    folds = list(_folds(samples, 2, seed))
    assert sorted(each.id for _, held_out in folds for each in held_out) == [each.id for each in samples]
    assert all({each.id for each in learned}.isdisjoint(each.id for each in held_out) for learned, held_out in folds)


# --- TF-IDF -----------------------------------------------------------------------------------------------------------


def test_tfidf_learns_words() -> None:
    """Where words say the label, the baseline is right; P is kept, and decides from a threshold that is learned."""
    folds = list(_folds(SAMPLES, 5, 0))
    made = _tfidf(SPACE, folds)
    gold = {each.id: each.labels for each in SAMPLES}
    assert all(each.labels == gold[each.sample] for each in made.predictions)
    for each in made.predictions:
        assert tuple(each.probabilities) == SPACE.names
        fold = next(at for at, (_, part) in enumerate(folds) if each.sample in {sample.id for sample in part})
        threshold = made.settings["thresholds"][fold]
        assert each.labels == {name for name, value in each.probabilities.items() if value >= threshold}


def test_labels_with_nothing_to_tell_apart() -> None:
    """A label that no learned sample has gets P = 0, one that all have P = 1."""
    gold = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 1]], dtype=np.bool_)
    values = _probabilities(["late", "torn box", "late again"], gold, ["late", "torn"])
    assert values[:, 0].tolist() == [1.0, 1.0]
    assert values[:, 1].tolist() == [0.0, 0.0]
    assert values[0, 2] > values[1, 2]


@pytest.mark.parametrize("texts", [["!", "?", "!"], ["", "", ""]])
def test_texts_without_words(texts: list[str]) -> None:
    """Texts that have no word, or nothing at all, are predicted too."""
    values = _probabilities(texts, np.array([[1], [0], [1]], dtype=np.bool_), ["?", ""])
    assert values.shape == (2, 1)
    assert ((values >= 0) & (values <= 1)).all()


@settings(max_examples=5)
@given(st.permutations(range(len(SAMPLES))))
def test_the_order_of_samples_is_no_matter(order: list[int]) -> None:
    """The same samples in another order have the same folds."""
    shuffled = [SAMPLES[at] for at in order]
    parts = [{each.id for each in held_out} for _, held_out in _folds(SAMPLES, 5, 1)]
    assert [{each.id for each in held_out} for _, held_out in _folds(shuffled, 5, 1)] == parts


# --- runs -------------------------------------------------------------------------------------------------------------


def test_both_are_runs_that_say_how_they_were_made(folder: Folder) -> None:
    """They are complete, on the split, with seed, folds and settings in the manifest, and found by their names."""
    filled(folder)
    majority, tfidf = make(folder, seed=3, folds=4)
    assert [run.stored.manifest.version for run in (majority, tfidf)] == ["majority", "tfidf"]
    for run in (majority, tfidf):
        manifest = run.stored.manifest
        assert api.load(run.version, folder.project).id == run.id
        assert (manifest.state, manifest.split, manifest.default_split, manifest.n_samples) == (
            "complete",
            "dev",
            True,
            30,
        )
        assert (manifest.seeds, manifest.cost_usd, manifest.prompt.passes) == ({"folds": 3}, 0.0, ())
        assert manifest.origin is not None
        assert manifest.origin.kind == "baseline"
        assert {"folds": 4, "seed": 3}.items() <= dict(manifest.origin.settings).items()
    assert "scikit-learn" in tfidf.stored.manifest.versions
    assert tfidf.headline["macro_f1"] == 1
    assert tfidf.result.probabilities is not None
    assert majority.result.probabilities is None
    assert [each.sample for each in tfidf.stored.predictions] == [each.id for each in SAMPLES]


def test_the_same_inputs_give_the_same_bytes(folder: Folder) -> None:
    """Made twice, predictions and scores are the same files; another seed gives other folds."""
    filled(folder, [sample(number, labels) for number, labels in enumerate([["shipping"], ["price"], []] * 5)])
    first, second, other = make(folder), make(folder), make(folder, seed=1)
    for name in ("predictions.jsonl", "scores.json"):
        for before, after in zip(first, second, strict=True):
            assert (before.path / name).read_bytes() == (after.path / name).read_bytes()
    assert (first[1].path / "predictions.jsonl").read_bytes() != (other[1].path / "predictions.jsonl").read_bytes()


def test_unlabelled_samples_are_left_out(folder: Folder) -> None:
    """Nothing is learned from a sample without gold, and none is predicted; what the reader warns of is told."""
    dataset = filled(folder)
    text = (folder.root / "datasets/reviews.dev.jsonl").read_text(encoding="utf-8")
    folder.write("datasets/reviews.dev.jsonl", text + '{"id": "x", "text": "no labels", "labels": ""}\n')
    warned: list[str] = []
    runs = harness.baseline(dataset, project=folder.project, warn=warned.append)
    assert {run.stored.manifest.n_samples for run in runs} == {30}
    assert "samples with an empty label cell: 1." in warned[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"folds": 1}, "--folds: must be at least 2, got 1."),
        ({"seed": -1}, "--seed: must be at least 0, got -1."),
    ],
)
def test_options_that_cannot_be(folder: Folder, options: dict[str, int], told: str) -> None:
    """They are refused with what they must be."""
    with pytest.raises(UsageError) as raised:
        make(folder, **options)
    assert str(raised.value) == told


def test_few_samples_are_refused(folder: Folder) -> None:
    """Fewer than two samples a fold teach nothing."""
    with pytest.raises(DataError) as raised:
        make(folder)
    assert str(raised.value) == (
        f"{folder.root}/datasets/reviews.dev.jsonl: must have 10 labelled samples or more for 5 folds, got 6. "
        "Label more, or give fewer --folds."
    )
    assert len(make(folder, folds=3)) == 2


def test_a_prompt_keeps_its_name(folder: Folder) -> None:
    """A prompt that is called like a baseline is not mistaken for one."""
    filled(folder)
    folder.prompt("tfidf")
    with pytest.raises(UsageError, match="--name 'tfidf': must not be the name of a prompt version"):
        make(folder)
    assert not folder.project.runs.exists()


def test_a_baseline_has_no_calls_to_make(folder: Folder) -> None:
    """Resuming it says how it is made anew."""
    run, _ = make(folder, folds=2)
    with pytest.raises(DataError) as raised:
        api.resume(run.id, project=folder.project)
    assert str(raised.value) == f"run {run.id}: no prompt made it, so it has no calls to make. Type: harness baseline"


# --- where a prompt loses ---------------------------------------------------------------------------------------------


def found(folder: Folder, run: api.Run) -> Stronger | None:
    """Return the baseline that beats a run."""
    return stronger_baseline(run.stored, run.result, folder.project)


def learnable(folder: Folder) -> None:
    """Write samples that TF-IDF learns, with texts that no scripted answer knows."""
    filled(folder)


def test_a_stronger_baseline_is_found(folder: Folder) -> None:
    """The better of the two counts, on the samples of the run; without baselines, or a weaker one, there is none."""
    from scripted_server import always

    learnable(folder)
    worse = folder.run("v1", always("none"))
    assert found(folder, worse) is None
    _, tfidf = make(folder)
    assert found(folder, worse) == Stronger("tfidf", 1.0)
    assert found(folder, tfidf) is None
    some = folder.run("v1", always("shipping"), limit=5)
    assert found(folder, some) == Stronger("tfidf", 1.0, has_more=True)


def test_a_prompt_that_is_as_good_has_lost_nothing(folder: Folder) -> None:
    """Only a higher macro F1 is told."""
    make(folder, folds=2)
    assert found(folder, folder.run("v1", right_but())) is None


def test_a_baseline_on_other_samples_says_nothing(folder: Folder) -> None:
    """It must be about the same split, and have every sample of the run."""
    from scripted_server import always

    learnable(folder)
    make(folder)
    rows = [{"id": "z1", "text": "another text", "labels": ["price"]}]
    old = (folder.root / "datasets/reviews.dev.jsonl").read_text(encoding="utf-8")
    folder.write("datasets/reviews.dev.jsonl", old + "".join(json.dumps(row) + "\n" for row in rows))
    assert found(folder, folder.run("v1", always("none"))) is None
    assert found(folder, folder.run("v1", always("none"), split="test")) is None


def test_the_line_says_what_to_type() -> None:
    """It names the baseline, what it is, its score, and the command that compares."""
    assert baseline_line(Stronger("tfidf", 0.4119), "v3").plain == (
        "tfidf, trained on these labels (cross-validated), has macro F1 0.412 on these samples: harness compare tfidf v3"
    )
    assert baseline_line(Stronger("majority", 0.5, has_more=True), "v3").plain == (
        "majority, the most frequent labels for every sample, has macro F1 0.500 on these samples: "
        "harness compare majority v3 --common"
    )


# --- the threshold ----------------------------------------------------------------------------------------------------


def test_few_or_unlabelled_samples_have_the_usual_threshold() -> None:
    """Where nothing can be learned of it, a label is present from 0.5 on."""
    assert _threshold(SPACE, SAMPLES[: LEAST * INNER_FOLDS - 1]) == DEFAULT_THRESHOLD
    assert _threshold(SPACE, [sample(number, []) for number in range(20)]) == DEFAULT_THRESHOLD


def test_rare_labels_are_said_at_a_lower_threshold() -> None:
    """Of a label that the words only hint at, the threshold that is learned finds some where 0.5 finds none."""
    rows = [sample(number, ["price"] if number % 6 == 0 else []) for number in range(60)]
    hinted = [
        replace(each, inputs={"text": ("dear me " if each.labels or at % 4 == 1 else "fine ") + f"n{at % 7}"})
        for at, each in enumerate(rows)
    ]
    assert 0 < _threshold(SPACE, hinted) < 0.6
    found = [each for each in _tfidf(SPACE, list(_folds(hinted, 5, 0))).predictions if each.labels]
    gold = {each.id for each in hinted if each.labels}
    assert len(gold & {each.sample for each in found}) >= 8
