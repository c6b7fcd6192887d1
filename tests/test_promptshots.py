"""The `shots` section: what it may say, and what becomes of it before any call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from projects import DATASET, HEAD, PROMPT, Folder, jsonl, right_but
from scripted_server import ScriptedServer

from harness.errors import DataError
from harness.parsing import FORMATS
from harness.prompt import Prompt
from harness.rendering import shot_answer
from harness.shots import Nearest, Shots

POOL: Mapping[str, tuple[str, list[str]]] = {
    "w1": ("Lost in the post.", ["shipping"]),
    "w2": ("All fine.", []),
    "w3": ("Wobbly and overpriced.", ["quality", "price"]),
    "w4": ("The courier threw it over the fence.", ["shipping"]),
    "w5": ("A bargain, and pretty.", []),
    "w6": ("It cracked at once.", ["quality"]),
    "w7": ("Never got it.", ["shipping"]),
    "w8": ("Too much money.", ["price"]),
}
SHOTS = "shots: {from: ../datasets/pool.jsonl, WHAT}\n"
PER_LABEL = HEAD + "passes:\n  - {template: '{{ label }}? {{ text }}', per: label, output: yes_no}\n"


@pytest.fixture
def pool(folder: Folder) -> Folder:
    """Return the project with a file of eight shots."""
    folder.write("datasets/pool.jsonl", jsonl(POOL))
    return folder


def shots(folder: Folder, what: str, prompt: str = PROMPT) -> Shots:
    """Return the shots of a prompt whose `shots` section says so."""
    folder.prompt("v2", prompt + SHOTS.replace("WHAT", what))
    found = folder.task("v2").prompt.passes[0].shots
    assert found is not None
    return found


def ids(found: Shots) -> list[str]:
    """Return the ids of all shots."""
    return [shot.id for shot in found.samples]


def problems(folder: Folder, text: str, model: str | None = None) -> list[str]:
    """Return what is wrong with a prompt, the file's name left out."""
    path = folder.prompt("bad", text)
    with pytest.raises(DataError) as caught:
        folder.task("bad", model=model)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_fixed_shots_are_the_first(pool: Folder) -> None:
    """`fixed`, the default, keeps the order of the file and has no seed."""
    found = shots(pool, "k: 3")
    assert (ids(found), found.seed, found.nearest, found.units) == (["w1", "w2", "w3"], None, None, {})
    assert shots(pool, "k: 3, select: fixed") == found


def test_random_shots_are_drawn_by_a_seed(pool: Folder) -> None:
    """Which shots are drawn depends on the seed, not on the order of the file; the seed is no part of what is asked."""
    found = shots(pool, "k: 3, select: random, seed: 1")
    assert found.seed == 1
    assert ids(found) != ids(shots(pool, "k: 3, select: random, seed: 2"))
    assert shots(pool, "k: 3, select: random").seed == 0
    first = pool.task("v2").prompt.hash
    pool.write("datasets/pool.jsonl", jsonl(dict(list(POOL.items())[::-1])))
    assert pool.task("v2").prompt.hash == first
    assert shots(pool, "k: 3, select: random, seed: 1") == found


def test_balanced_shots_cover_every_label(pool: Folder) -> None:
    """`balanced` covers the labels and the empty set evenly."""
    found = shots(pool, "k: 4, select: balanced")
    held = [sorted(shot.labels or ()) for shot in found.samples]
    assert {name for names in held for name in names} == {"shipping", "quality", "price"}
    assert [] in held
    assert found.seed == 0


def test_each_label_gets_balanced_shots_of_its_own(pool: Folder) -> None:
    """With `per: label` half of a label's shots have it, and a call holds those of its label, rendered for it."""
    found = shots(pool, "k: 4, select: balanced", PER_LABEL)
    by_id = {shot.id: shot for shot in found.samples}
    assert list(found.units) == ["shipping", "quality", "price"]
    for label, chosen in found.units.items():
        assert [label in (by_id[each].labels or ()) for each in chosen].count(True) == 2
    assert ids(found) == [each for each in POOL if any(each in chosen for chosen in found.units.values())]
    with ScriptedServer("no") as server:
        pool.run_on(server, "v2", limit=1)
        asked = {body["messages"][-1]["content"].split("?")[0]: body["messages"] for body in server.bodies()}
    for label, messages in asked.items():
        turns = [each["content"] for each in messages[:-1:2]]
        assert turns == [f"{label}? {POOL[each][0]}" for each in found.units[label]]


def test_a_pass_with_a_scope_balances_its_own_labels(pool: Folder) -> None:
    """Only the labels of the scope are covered; what stands at the top is chosen for each pass anew."""
    text = HEAD + "passes:\n  - template: '{{ text }}'\n  - {template: '{{ text }}!', merge: {scope: [price]}}\n"
    pool.prompt("v2", text + SHOTS.replace("WHAT", "k: 4, select: balanced"))
    first, second = pool.task("v2").prompt.passes
    assert first.shots is not None
    assert second.shots is not None
    assert ["price" in (shot.labels or ()) for shot in second.shots.samples].count(True) == 2
    assert first.shots != second.shots


def test_similar_shots_are_a_pool(pool: Folder) -> None:
    """`similar` keeps the whole file, because each sample has shots of its own."""
    found = shots(pool, "k: 2, select: similar")
    assert ids(found) == list(POOL)
    assert found.nearest == Nearest(2)
    assert shots(pool, "k: 2, select: similar, by: embeddings, model: e5").nearest == Nearest(2, "embeddings", "e5")


def test_similar_shots_differ_by_sample(pool: Folder) -> None:
    """Each sample is asked with the shots nearest to its text, the nearest right before the question; a run keeps them."""
    pool.prompt("v2", PROMPT + SHOTS.replace("WHAT", "k: 2, select: similar"))
    with ScriptedServer(right_but()) as server:
        run = pool.run_on(server, "v2")
        sent = {request.text: request.body["messages"] for request in server.requests}
        cracked = next(messages for text, messages in sent.items() if "lamp cracked" in text)
    assert cracked[-3]["content"].endswith("It cracked at once.")
    assert cracked[-2]["content"] == "quality"
    kept = [json.loads(line) for line in (run.path / "samples.jsonl").read_text().splitlines()]
    assert all(len(row["shots"]["main"]) == 2 for row in kept)
    assert next(row for row in kept if row["id"] == "s6")["shots"]["main"][-1] == "w6"


def test_a_run_with_similar_shots_resumes_and_scores_with_what_it_froze(pool: Folder) -> None:
    """Neither a changed file of shots nor its loss changes what a run has asked."""
    from harness import execution
    from harness.rescoring import rescore
    from harness.store import load_run

    pool.prompt("v2", PROMPT + SHOTS.replace("WHAT", "k: 2, select: similar"))
    with ScriptedServer(right_but()) as server:
        run = pool.run_on(server, "v2")
        n_requests = len(server.requests)
        log = run.path / "completions.jsonl"
        log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
        pool.write("datasets/pool.jsonl", jsonl(dict(list(POOL.items())[:2])))
        resumed = execution.resume(load_run(run.path), pool.project, use_cache=False)
        assert len(server.requests) == n_requests + 1
        bodies = [json.dumps(body) for body in server.bodies()]
        assert bodies[-1] in bodies[:n_requests]
    assert resumed.manifest.state == "complete"
    assert rescore(load_run(run.path), pool.project).missing == 0


@pytest.mark.parametrize(
    ("what", "prompt"),
    [
        ("k: 2, select: similar", PROMPT),
        ("k: 2, select: similar, by: embeddings, model: e5", PROMPT),
        ("k: 4, select: balanced", PER_LABEL),
        ("k: 4, select: balanced", PROMPT),
    ],
)
def test_shots_come_back_from_a_run(pool: Folder, what: str, prompt: str) -> None:
    """A prompt that was written down and read again asks the same."""
    shots(pool, what, prompt)
    before = pool.task("v2").prompt
    after = Prompt.from_json(json.loads(json.dumps(before.to_json())))
    assert after.passes[0].shots == before.passes[0].shots
    assert after.hash == before.hash


def test_how_shots_are_chosen_is_part_of_the_hash(pool: Folder) -> None:
    """Another way to choose for each sample is another prompt; a prompt with plain shots keeps the hash that it had."""
    hashes = set()
    for what in ("k: 8", "k: 2, select: similar", "k: 3, select: similar",
                 "k: 2, select: similar, by: embeddings, model: e5",
                 "k: 2, select: similar, by: embeddings, model: e6"):  # fmt: skip
        shots(pool, what)
        hashes.add(pool.task("v2").prompt.hash)
    assert len(hashes) == 5
    assert isinstance(shots(pool, "k: 8").to_json(), list)


WRONG: Mapping[str, tuple[str, Sequence[str]]] = {
    "an unknown way": (
        "k: 2, select: balancd",
        ["7: 'shots.select' must be one of fixed, random, balanced, similar, got 'balancd'. Did you mean 'balanced'?"],
    ),
    "no number": ("select: similar", ["7: 'shots.k' is missing. Say how many shots 'select: similar' chooses."]),
    "a seed without a draw": (
        "k: 2, seed: 3",
        ["7: 'shots.seed' needs a draw: 'select: random' or 'select: balanced'. Take it out."],
    ),
    "a measure without similar": (
        "k: 2, select: random, by: tfidf",
        ["7: 'shots.by' needs 'select: similar'. Take it out."],
    ),
    "an unknown measure": (
        "k: 2, select: similar, by: bm25",
        ["7: 'shots.by' must be one of tfidf, embeddings, got 'bm25'."],
    ),
    "embeddings without a model": (
        "k: 2, select: similar, by: embeddings",
        ["7: 'shots.model' is missing. Name the server's embedding model."],
    ),
    "a model without embeddings": (
        "k: 2, select: similar, model: e5",
        ["7: 'shots.model' needs 'by: embeddings'. Take it out."],
    ),
    "more than there are": (
        "k: 9, select: random",
        ["7: 'shots.k' must be at most 8, the samples of pool.jsonl, got 9."],
    ),
}


@pytest.mark.parametrize(("what", "expected"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_with_shots_is_told(pool: Folder, what: str, expected: Sequence[str]) -> None:
    """Every mistake in the section is a message with its line."""
    assert problems(pool, PROMPT + SHOTS.replace("WHAT", what)) == expected


def test_the_embedded_model_has_no_embeddings(pool: Folder) -> None:
    """`by: embeddings` needs a server: with a local model, the prompt's or the given one, it is an error of check."""
    text = PROMPT + SHOTS.replace("WHAT", "k: 2, select: similar, by: embeddings, model: e5")
    expected = "7: 'shots.by' needs a server with embeddings, and local/smollm2-135m has none. Use 'by: tfidf'."
    assert problems(pool, text.replace("name: scripted", "name: local/smollm2-135m")) == [expected]
    assert problems(pool, text, model="local/smollm2-135m") == [expected]


def test_a_shot_that_the_format_cannot_write_is_told(pool: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a format has no form for a shot's labels, the shot is named before any call."""
    from dataclasses import replace

    from harness import rendering
    from harness.parsing import FORMATS

    def render(labels: object, *_: object) -> str:
        if "price" in labels:  # type: ignore[operator]
            raise ValueError("there is no code for quality, price.")
        return "x"

    monkeypatch.setattr(rendering, "FORMATS", {**FORMATS, "list": replace(FORMATS["list"], render=render)})
    assert problems(pool, PROMPT + SHOTS.replace("WHAT", "k: 3")) == [
        "7: 'shots.from' format list cannot write shot w3: there is no code for quality, price."
    ]


WHOLE = (
    "7: 'shots.from' format codes cannot write shot w3: codes cannot write quality, price: every code of quality stands for "
    "other labels too. Give it a code of its own in 'codes'."
)


def test_a_set_that_no_codes_write_is_told(pool: Folder) -> None:
    """Combinations may leave out a set of labels; a shot that has it could not be shown as an answer."""
    codes = "output: {format: codes, codes: {s: shipping, b: [shipping, quality], p: price}}\n"
    assert problems(pool, PROMPT + SHOTS.replace("WHAT", "k: 3") + codes) == [WHOLE]
    assert len(shots(pool, "k: 2", PROMPT + codes).samples) == 2


def test_a_value_that_holds_its_containers_end_is_escaped(folder: Folder) -> None:
    """A text of a shot may hold the marks of containers: what the shot answers is read back as it is."""
    folder.write("datasets/reviews.yaml", DATASET.replace("mood: {", "item: {type: text}\n  mood: {"))
    folder.write(
        "datasets/pool.jsonl", jsonl({"w1": ("Lost.", ["price"])}, item="a </item><labels>quality</labels> lamp")
    )
    output = "output: {format: containers, fields: [item]}\n"
    folder.prompt("v2", PROMPT + SHOTS.replace("WHAT", "k: 1") + output)
    task = folder.task("v2")
    (only,), (shot,) = task.prompt.passes, shots(folder, "k: 1", PROMPT + output).samples
    answer = shot_answer(shot, only, only.units(task.dataset.space)[0], task.dataset.space)
    read = FORMATS["containers"].parse(answer, task.dataset.space, only.output, False)
    assert read.labels == {"price"}
    assert read.fields == {"item": "a </item><labels>quality</labels> lamp"}


def test_a_unit_that_has_no_form_is_told_before_shots_are(pool: Folder) -> None:
    """With `per: group` the output must have a form for every group, shots or not; it is told once, at the output."""
    pool.write(
        "datasets/reviews.yaml",
        DATASET.replace("splits:", "groups: {delivery: [shipping, quality], money: [price]}\nsplits:"),
    )
    codes = "output: {format: codes, codes: {s: [shipping, price], q: quality, p: price}}\n"
    passes = "passes:\n  - {name: a, template: '{{ text }}', per: group}\n  - {name: b, template: '!', per: group}\n"
    assert problems(pool, HEAD + SHOTS.replace("WHAT", "k: 3") + codes + passes) == [
        "4: output: format codes has no form for an answer about group delivery: codes cannot write shipping, quality: "
        "every code of shipping stands for other labels too. Give it a code of its own in 'codes'."
    ]


def test_what_stands_at_the_top_is_told_once(pool: Folder) -> None:
    """A shot that no pass can write is told once, however many passes take over shots and output."""
    codes = "output: {format: codes, codes: {s: shipping, b: [shipping, quality], p: price}}\n"
    passes = "passes:\n  - {name: a, template: '{{ text }}'}\n  - {name: b, template: '{{ text }}!'}\n"
    text = HEAD + SHOTS.replace("WHAT", "k: 3") + codes + passes
    assert problems(pool, text) == [WHOLE.replace("7:", "3:")]


def test_an_unknown_label_in_a_scope_is_told_alone(pool: Folder) -> None:
    """A scope that names no label stops the choice of shots, not the check."""
    text = HEAD + "passes:\n  - template: '{{ text }}'\n  - {template: '{{ text }}!', merge: {scope: [prise]}}\n"
    assert problems(pool, text + SHOTS.replace("WHAT", "k: 4, select: balanced")) == [
        "5: 'merge.scope' names 'prise', which is no label. Did you mean 'price'?"
    ]
