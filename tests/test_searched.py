"""What a prompt was drafted from: which samples a search saw, what a prompt file says of it, and what is not evaluated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import DEV, PROMPT, Folder, jsonl, right_but

from harness.errors import DataError
from harness.planning import plan_labels, plan_run
from harness.prompt import Prompt
from harness.promptfile import load_task
from harness.searched import Searched, hashed_fraction, in_search_half
from harness.selection import Selection

SEARCHED = Searched("v3-20261122-063005", "dev", 1, 0.5)
SAID = "searched: {run: v3-20261122-063005, split: dev, seed: 1, share: 0.5"
IDS = st.text(max_size=12)


# --- who was seen -----------------------------------------------------------------------------------------------------


def test_the_half_is_by_the_hash_of_seed_and_id() -> None:
    """The first eight bytes of SHA-256 of seed and id, as a fraction: the same on every machine and in every version."""
    assert hashed_fraction("1\nr001") == 0x7F6313B99BCD69FF / 2**64
    assert [name for name in DEV if in_search_half(name, 1, 0.5)] == []
    assert [name for name in DEV if in_search_half(name, 2, 0.5)] == ["s4", "s6"]


@given(IDS, st.integers(0, 5), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_share_holds_a_smaller_one(identity: str, seed: int, one: float, other: float) -> None:
    """Halves are nested: what a search of a small share saw, one of a large share of the same seed saw too."""
    small, large = sorted((one, other))
    assert in_search_half(identity, seed, small) <= in_search_half(identity, seed, large)


def test_a_share_is_about_so_many() -> None:
    """Of many samples a search sees its share, whatever their ids look like."""
    seen = sum(in_search_half(f"r{at:04}", 7, 0.3) for at in range(4_000))
    assert 0.27 < seen / 4_000 < 0.33


def test_what_is_set_aside_was_seen() -> None:
    """A sample that became a shot was looked at, in whichever half it is."""
    unseen = next(name for name in DEV if not SEARCHED.saw(name))
    assert replace(SEARCHED, set_aside=(unseen,)).saw(unseen)


def test_one_search_is_that_of_a_run_split_seed_and_share() -> None:
    """What two drafts of one search set aside makes it no other search; another run, seed or share does."""
    assert SEARCHED.is_same_as(replace(SEARCHED, set_aside=("s1",)))
    assert not SEARCHED.is_same_as(None)
    for changed in ({"run": "v2-x"}, {"split": "test"}, {"seed": 2}, {"share": 0.4}):
        assert not SEARCHED.is_same_as(replace(SEARCHED, **changed))


def test_it_is_told_in_words() -> None:
    """People are told run, share, split and seed, and how many samples are set aside."""
    told = "drafted from the errors of v3-20261122-063005, searched on a share of 0.5 of dev (seed 1)"
    assert SEARCHED.words == told
    assert replace(SEARCHED, set_aside=("s1",)).words == f"{told}; 1 sample of it set aside as shots"
    assert replace(SEARCHED, set_aside=("s1", "s2")).words == f"{told}; 2 samples of it set aside as shots"


@given(st.builds(Searched, IDS, IDS, st.integers(0, 9), st.floats(0.01, 0.99), st.lists(IDS, max_size=3).map(tuple)))
def test_json_is_the_way_back(searched: Searched) -> None:
    """`from_json` returns what `to_json` wrote; without samples set aside there is no such key."""
    plain = searched.to_json()
    assert Searched.from_json(plain) == searched
    assert ("set_aside" in plain) == bool(searched.set_aside)


# --- the prompt file --------------------------------------------------------------------------------------------------


def prompt_of(folder: Folder, searched: str) -> Prompt:
    """Return a prompt whose file says this of its search."""
    folder.prompt("v4", PROMPT + searched)
    return folder.task("v4").prompt


def problems(folder: Folder, searched: str) -> list[str]:
    """Return what is wrong with a prompt file, one message each: ``LINE: message``."""
    path = folder.prompt("v4", PROMPT + searched)
    with pytest.raises(DataError) as caught:
        load_task(path, folder.project)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_a_prompt_says_what_it_was_drafted_from(folder: Folder) -> None:
    """`searched` is read, kept in a run's JSON, and not in the hash: it is nothing that is asked."""
    prompt = prompt_of(folder, f"{SAID}, set_aside: [s1, s4, s1]}}\n")
    assert prompt.searched == replace(SEARCHED, set_aside=("s1", "s4"))
    assert Prompt.from_json(prompt.to_json()) == prompt
    plain = prompt_of(folder, "")
    assert "searched" not in plain.to_json()
    assert (plain.searched, plain.hash) == (None, prompt.hash)
    assert Prompt.from_json(plain.to_json()).searched is None


def test_it_is_about_one_split(folder: Folder) -> None:
    """What was searched elsewhere flatters nothing here."""
    prompt = prompt_of(folder, f"{SAID}}}\n")
    assert prompt.searched_on("dev") == SEARCHED
    assert prompt.searched_on("test") is None


def test_everything_wrong_with_it_is_told_at_once(folder: Folder) -> None:
    """Missing and unknown keys and a share that is none are told together, each with its line."""
    missing = "is missing. Write it as harness exceptions did, or take 'searched' out."
    text = "searched:\n  split: dev\n  seed: -1\n  share: 1\n  shots: 3\n"
    assert problems(folder, text) == [
        f"7: 'searched.run' {missing}",
        "9: 'searched.seed' must be at least 0, got -1.",
        "10: 'searched.share' must be above 0 and below 1, got 1.",
        "11: unknown key 'searched.shots'. Known here: run, seed, set_aside, share, split.",
    ]
    assert problems(folder, "searched: {}\n") == [
        f"7: 'searched.{key}' {missing}" for key in ("run", "split", "seed", "share")
    ]
    assert problems(folder, "searched: true\n") == ["7: 'searched' must be a mapping, got true/false."]


def test_the_split_and_the_samples_must_be_there(folder: Folder) -> None:
    """A split or a sample that is none is told with what is near, and the line on which it stands."""
    dataset = folder.project.show(folder.root / "datasets/reviews.yaml")
    assert problems(folder, SAID.replace("dev", "dve") + "}\n") == [
        f"7: 'searched.split' is 'dve', which is no split of {dataset}. Did you mean 'dev'?"
    ]
    text = "searched:\n  run: r\n  split: dev\n  seed: 1\n  share: 0.5\n  set_aside:\n    - s1\n    - s11\n    - t9\n"
    assert problems(folder, text) == [
        "14: 'searched.set_aside' has 's11', which is no sample of dev. Did you mean 's1'?",
        "15: 'searched.set_aside' has 't9', which is no sample of dev.",
    ]
    assert problems(folder, f"{SAID}, set_aside: t1}}\n")[0].startswith("7: 'searched.set_aside' has 't1'")


def test_samples_of_the_split_are_known_whichever_split_is_run(folder: Folder) -> None:
    """On another split, what is set aside of the searched one is checked against that one's file."""
    folder.prompt("v4", PROMPT + f"{SAID}, set_aside: [s1]}}\n")
    assert folder.task("v4", split="test").prompt.searched == replace(SEARCHED, set_aside=("s1",))


def test_another_dataset_was_never_searched(folder: Folder) -> None:
    """With another dataset in the place of the prompt's own, nothing of it was searched, whatever its ids are."""
    folder.write("datasets/others.yaml", "labels: [shipping, quality, price]\nsplits: {dev: others.jsonl}\n")
    folder.write("datasets/others.jsonl", jsonl({"s1": DEV["s1"]}))
    path = folder.prompt("v4", PROMPT + f"{SAID}, set_aside: [s2]}}\n")
    others, own = (folder.root / f"datasets/{name}.yaml" for name in ("others", "reviews"))
    assert load_task(path, folder.project, dataset=others).prompt.searched is None
    assert load_task(path, folder.project, dataset=own).prompt.searched is not None


# --- what is not evaluated --------------------------------------------------------------------------------------------


def plan_ids(folder: Folder, split: str | None = None, **selection: object) -> tuple[list[str], tuple[str, ...]]:
    """Return the ids that a run of v4 is on, and its warnings."""
    plan = plan_run(folder.task("v4", split=split), split, Selection(**selection), 1, None)  # type: ignore[arg-type]
    return [sample.id for sample in plan.samples], plan.warnings


def test_what_is_set_aside_is_not_evaluated(folder: Folder) -> None:
    """Shots out of the evaluated split are left out of a run of that version, and a warning names them."""
    folder.prompt("v4", PROMPT + f"{SAID}, set_aside: [s4, s2]}}\n")
    ids, warnings = plan_ids(folder)
    assert ids == ["s1", "s3", "s5", "s6"]
    assert warnings == (
        "prompts/v4.yaml: not evaluated, because set aside as shots: 2 samples of dev, "
        "'searched.set_aside' of the prompt: s2, s4.",
    )
    assert plan_ids(folder, split="test") == (["t1", "t2"], ())


def test_a_limit_draws_the_same_samples_for_every_version(folder: Folder) -> None:
    """What is set aside goes after the selection: no other sample takes its place."""
    folder.prompt("v4", PROMPT)
    drawn, _ = plan_ids(folder, limit=4)
    folder.prompt("v4", PROMPT + f"{SAID}, set_aside: [{drawn[0]}]}}\n")
    assert plan_ids(folder, limit=4)[0] == drawn[1:]


def test_where_all_are_set_aside_nothing_is_run(folder: Folder) -> None:
    """A selection of samples that are all set aside is refused with the reason."""
    folder.prompt("v4", PROMPT + f"{SAID}, set_aside: [s4]}}\n")
    with pytest.raises(DataError) as caught:
        plan_ids(folder, ids=("s4",))
    assert str(caught.value) == (
        "prompts/v4.yaml: must have samples to evaluate, but all that were chosen are set aside as shots, "
        "'searched.set_aside' of the prompt: s4. Choose others."
    )


def test_a_shot_that_is_set_aside_is_no_leak(folder: Folder) -> None:
    """A sample of the evaluated split may be a shot exactly where it is set aside."""
    folder.write("datasets/shots.jsonl", jsonl({"w1": DEV["s1"]}))
    shots = PROMPT + "shots: {from: ../datasets/shots.jsonl}\n"
    folder.prompt("v4", shots)
    with pytest.raises(DataError, match="shots must not be among the evaluated samples"):
        plan_ids(folder)
    folder.prompt("v4", shots + f"{SAID}, set_aside: [s1]}}\n")
    assert plan_ids(folder)[0] == ["s2", "s3", "s4", "s5", "s6"]


def test_labelling_leaves_nothing_out(folder: Folder) -> None:
    """A file to label is no split: all of it is labelled, and its ids mean nothing for what is set aside."""
    path = folder.prompt("v4", PROMPT + f"{SAID}, set_aside: [s99]}}\n")
    task = load_task(path, folder.project, read=lambda _: folder.task().samples)
    assert len(plan_labels(task, Selection()).samples) == len(DEV)


def test_a_run_keeps_what_its_prompt_was_drafted_from(folder: Folder) -> None:
    """A run's manifest has the search, and its samples are those that were not set aside."""
    folder.prompt("v4", PROMPT + f"{SAID}, set_aside: [s4]}}\n")
    run = folder.run("v4", right_but()).stored
    assert run.manifest.prompt.searched == replace(SEARCHED, set_aside=("s4",))
    assert (run.manifest.n_samples, Path(run.path / "samples.jsonl").read_text().count("\n")) == (5, 5)
