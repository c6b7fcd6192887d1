"""The completion cache: an identical call is paid once, and a cache that cannot be used costs calls, never a run."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cache import TOGETHER, WITHIN_S, Cache
from harness.identity import call_key
from harness.records import CallError, Completion, Usage

ANSWER = Completion(
    "ok",
    raw="shipping",
    finish_reason="stop",
    logprobs={"content": [{"token": "shipping", "logprob": -0.1}]},
    usage=Usage(prompt_tokens=12, completion_tokens=1),
    latency_s=0.25,
    served_model="m-2026",
)
REFUSAL = Completion("refusal", raw="I cannot help with that.")
ERROR = Completion("error", error=CallError(kind="http_500", message="down", status=500))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a cache file will be."""
    return tmp_path / ".harness" / "cache.sqlite"


@pytest.fixture
def warnings() -> list[str]:
    """What the cache warned of."""
    return []


@pytest.fixture
def cache(path: Path, warnings: list[str]) -> Iterator[Cache]:
    """An open cache."""
    with Cache(path, warnings.append) as cache:
        yield cache


def change(path: Path, statement: str, *values: object) -> None:
    """Change the cache file behind the cache's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def as_cached(completion: Completion) -> Completion:
    """The completion as the cache gives it back."""
    return Completion.from_json({**completion.to_json(), "cached": True})


@pytest.mark.parametrize("completion", [ANSWER, REFUSAL])
def test_what_is_kept_is_found_marked_as_cached(cache: Cache, completion: Completion) -> None:
    """Answers and refusals come back whole, with `cached` set."""
    cache.put("k", completion)
    assert cache.get("k") == as_cached(completion)


def test_another_key_is_a_miss(cache: Cache, warnings: list[str]) -> None:
    """A call that was never kept is not found, and that is nothing to warn of."""
    cache.put("k", ANSWER)
    assert cache.get("other") is None
    assert warnings == []


def test_a_later_completion_replaces_an_earlier_one(cache: Cache) -> None:
    """What was kept last under a key counts."""
    cache.put("k", ANSWER)
    cache.put("k", REFUSAL)
    assert cache.get("k") == as_cached(REFUSAL)


def test_failed_calls_are_never_kept(cache: Cache) -> None:
    """An error is not kept, and does not replace an answer."""
    cache.put("new", ERROR)
    cache.put("k", ANSWER)
    cache.put("k", ERROR)
    assert cache.get("new") is None
    assert cache.get("k") == as_cached(ANSWER)


def test_it_survives_closing(path: Path, warnings: list[str]) -> None:
    """The file and its folder are made when missing, and keep completions for the next run."""
    with Cache(path, warnings.append) as cache:
        cache.put("k", ANSWER)
    with Cache(path, warnings.append) as cache:
        assert cache.get("k") == as_cached(ANSWER)
    assert warnings == []


def test_a_closed_cache_finds_and_keeps_nothing(path: Path, warnings: list[str]) -> None:
    """After `close` every call is a miss; closing twice is fine."""
    cache = Cache(path, warnings.append)
    cache.close()
    cache.close()
    cache.put("k", ANSWER)
    assert cache.get("k") is None
    assert warnings == []


def test_without_a_file_it_keeps_nothing(warnings: list[str]) -> None:
    """A path of None is a cache that is switched off."""
    with Cache(None, warnings.append) as cache:
        cache.put("k", ANSWER)
        assert cache.get("k") is None
    assert warnings == []


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_kept(text: str) -> None:
    """Any raw text comes back the same, lone surrogates and NUL among it."""
    with tempfile.TemporaryDirectory() as folder, Cache(Path(folder) / "c.sqlite", pytest.fail) as cache:
        cache.put("k", Completion("ok", raw=text))
        found = cache.get("k")
    assert found is not None
    assert found.raw == text


def test_a_damaged_file_costs_calls_and_one_warning(path: Path, warnings: list[str]) -> None:
    """A file that is no database is warned of, then every call is a miss and nothing is kept."""
    path.parent.mkdir()
    path.write_bytes(b"this is no database, it is a text that is long enough to be read as a header of one." * 20)
    with Cache(path, warnings.append) as cache:
        cache.put("k", ANSWER)
        assert cache.get("k") is None
    assert warnings == [
        f"{path}: the cache cannot be used (file is not a database); every call is made. "
        "To mend it, type: harness cache verify --repair"
    ]


def test_a_folder_in_the_files_place_is_told(path: Path, warnings: list[str]) -> None:
    """What cannot be opened as a file is warned of."""
    path.mkdir(parents=True)
    with Cache(path, warnings.append) as cache:
        assert cache.get("k") is None
    (warning,) = warnings
    assert warning.startswith(f"{path}: the cache cannot be used (unable to open database file); every call is made.")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, warnings: list[str]) -> None:
    """Where the cache's folder cannot be made the run goes on without."""
    (tmp_path / "file").touch()
    with Cache(tmp_path / "file" / "cache.sqlite", warnings.append) as cache:
        assert cache.get("k") is None
    (warning,) = warnings
    assert warning.startswith(f"{tmp_path / 'file' / 'cache.sqlite'}: the cache cannot be used (")


def test_a_read_only_folder_is_told() -> None:
    """In a folder that may not be written, the one warning comes and every call is a miss."""
    script = (
        "import os; from pathlib import Path; from harness.cache import Cache\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"  # root may write everywhere
        "cache = Cache(Path('cache.sqlite'), print)\n"
        "print(cache.get('k'))"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
        )
        Path(folder).chmod(0o755)
    assert done.stderr == ""
    assert done.stdout == (
        "cache.sqlite: the cache cannot be used (unable to open database file); every call is made. "
        "Check that it is a file, and the permissions of its folder.\nNone\n"
    )


def count(path: Path) -> int:
    """How many completions are in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM completions").fetchone()[0])


@pytest.mark.parametrize(
    "content",
    ["{", "null", "[]", '"x"', "{}", '{"status": "ok"}', json.dumps({**ANSWER.to_json(), "status": "fine"}), b"\xff"],
)
def test_a_damaged_entry_is_a_miss(cache: Cache, path: Path, warnings: list[str], content: str | bytes) -> None:
    """An entry that holds no completion is a miss with a warning; its call is made again and kept again."""
    cache.put("k", ANSWER)
    cache.flush()
    change(path, "UPDATE completions SET completion = ?", content)
    assert cache.get("k") is None
    (warning,) = warnings
    assert warning.startswith(f"{path}: a damaged entry is not used (")
    assert warning.endswith("); its call is made again.")
    cache.put("k", ANSWER)
    assert cache.get("k") == as_cached(ANSWER)


def test_many_damaged_entries_are_warned_of_once(cache: Cache, path: Path, warnings: list[str]) -> None:
    """The second damaged entry is a miss without a second warning."""
    for key in ("a", "b"):
        cache.put(key, ANSWER)
    cache.flush()
    change(path, "UPDATE completions SET completion = '{'")
    assert cache.get("a") is None
    assert cache.get("b") is None
    assert len(warnings) == 1


def test_what_cannot_be_kept_is_told_once(cache: Cache, path: Path, warnings: list[str]) -> None:
    """When the file refuses an entry the run goes on; it is warned of once."""
    change(
        path,
        "CREATE TRIGGER full BEFORE INSERT ON completions BEGIN SELECT RAISE(FAIL, 'disk is full'); END",
    )
    cache.put("a", ANSWER)
    cache.put("b", ANSWER)
    assert cache.get("a") is None
    assert warnings == [f"{path}: cannot keep completions (disk is full). The run itself is saved as ever."]


def test_two_processes_share_the_file(cache: Cache, path: Path, warnings: list[str]) -> None:
    """What another process keeps while the file is open here is found here, and the other way round."""
    cache.put("mine", ANSWER)
    cache.flush()
    script = (
        "import sys; from pathlib import Path; from harness.cache import Cache; from harness.records import Completion\n"
        "with Cache(Path(sys.argv[1]), sys.exit) as cache:\n"
        "    cache.put('theirs', Completion('ok', raw='theirs'))\n"
        "    print(cache.get('mine').raw)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "shipping\n"
    found = cache.get("theirs")
    assert found is not None
    assert found.raw == "theirs"
    assert warnings == []


def test_completions_are_written_together(cache: Cache, path: Path) -> None:
    """Few completions wait for others; many are written at once, and all when the file is closed or asked for one."""
    for number in range(TOGETHER - 1):
        cache.put(f"k{number}", ANSWER)
    assert count(path) == 0
    cache.put("last", ANSWER)
    assert count(path) == TOGETHER
    cache.put("more", ANSWER)
    assert cache.get("more") == as_cached(ANSWER)
    assert count(path) == TOGETHER + 1
    cache.put("end", ANSWER)
    cache.close()
    assert count(path) == TOGETHER + 2


def test_a_completion_does_not_wait_long(cache: Cache, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When completions come slowly, the next one that comes after a while takes those along that wait."""
    now = 100.0
    monkeypatch.setattr("harness.cache.time.monotonic", lambda: now)
    cache.put("first", ANSWER)
    now += WITHIN_S
    cache.put("second", ANSWER)
    assert count(path) == 2


def test_a_run_that_began_and_did_not_end_is_known(path: Path, warnings: list[str]) -> None:
    """What began stays noted until it ends, in other processes too; what could not be written is not noted as ended."""
    with Cache(path, warnings.append) as cache:
        cache.begin(Path("runs/a"))
        cache.begin(Path("runs/b"))
        cache.end(Path("runs/a"))
    with Cache(path, warnings.append) as cache:
        assert cache.unfinished() == [Path("runs/b")]
        change(path, "CREATE TRIGGER full BEFORE INSERT ON completions BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
        cache.put("k", ANSWER)
        cache.end(Path("runs/b"))
        assert cache.unfinished() == [Path("runs/b")]


def test_without_a_file_no_run_is_noted(warnings: list[str]) -> None:
    """A cache that keeps nothing knows of no runs."""
    cache = Cache(None, warnings.append)
    cache.begin(Path("runs/a"))
    assert cache.unfinished() == []
    cache.end(Path("runs/a"))


def test_processes_that_start_together_all_use_the_file(path: Path) -> None:
    """Runs that begin at the same moment on a cache that does not exist yet all open it, and no entry is lost."""
    script = (
        "import sys; from pathlib import Path; from harness.cache import Cache; from harness.records import Completion\n"
        "sys.stdin.readline()\n"
        "with Cache(Path(sys.argv[1]), sys.exit) as cache:\n"
        "    for number in range(20):\n"
        "        cache.put(f'{sys.argv[2]}-{number}', Completion('ok', raw='x'))"
    )
    command = [sys.executable, "-c", script, str(path)]
    running = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in "abcd"
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in running] == [""] * 4
    with Cache(path, pytest.fail) as cache:
        assert all(cache.get(f"{name}-{number}") for name in "abcd" for number in range(20))


ENDPOINT = {"base_url": "http://localhost/v1", "api": "chat"}
BODY = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "late"}]}


@pytest.mark.parametrize(
    ("endpoint", "body", "repeat"),
    [
        ({**ENDPOINT, "base_url": "http://other/v1"}, BODY, 0),
        ({**ENDPOINT, "api": "responses"}, BODY, 0),
        (ENDPOINT, {**BODY, "model": "n"}, 0),
        (ENDPOINT, {**BODY, "temperature": 1}, 0),
        (ENDPOINT, {**BODY, "max_tokens": 1}, 0),
        (ENDPOINT, {**BODY, "response_format": {"type": "json_object"}}, 0),
        (ENDPOINT, {**BODY, "messages": [{"role": "user", "content": "late "}]}, 0),
        (ENDPOINT, {**BODY, "messages": [{"role": "system", "content": "late"}]}, 0),
        (ENDPOINT, {**BODY, "messages": BODY["messages"] * 2}, 0),  # type: ignore[operator]
        (ENDPOINT, BODY, 1),
    ],
)
def test_whatever_can_change_the_answer_is_in_the_key(
    cache: Cache, endpoint: dict[str, object], body: dict[str, object], repeat: int
) -> None:
    """URL, API, model, params, schema, messages and repeat each make another key; the order of params does not."""
    cache.put(call_key(ENDPOINT, BODY, 0), ANSWER)
    assert cache.get(call_key(endpoint, body, repeat)) is None
    assert cache.get(call_key(ENDPOINT, dict(reversed(BODY.items())), 0)) is not None


# The forms that servers take


def test_a_form_is_remembered(path: Path, warnings: list[str]) -> None:
    """What a server takes is found again in the next run; what was found out last counts."""
    with Cache(path, warnings.append) as cache:
        assert cache.form("k") is None
        cache.remember("k", "json_schema")
        cache.remember("k", "off")
    with Cache(path, warnings.append) as cache:
        assert cache.form("k") == "off"
        assert cache.form("other") is None
        assert cache.get("k") is None
    assert warnings == []


def test_without_a_file_no_form_is_remembered(warnings: list[str]) -> None:
    """A cache that is switched off, or closed, remembers nothing."""
    with Cache(None, warnings.append) as cache:
        cache.remember("k", "off")
        assert cache.form("k") is None
    assert warnings == []


def test_a_cache_of_an_older_version_gets_its_table(path: Path, warnings: list[str]) -> None:
    """A file that knows no forms yet learns them, and keeps its completions."""
    with Cache(path, warnings.append) as cache:
        cache.put("k", ANSWER)
    change(path, "DROP TABLE forms")
    with Cache(path, warnings.append) as cache:
        cache.remember("k", "off")
        assert (cache.form("k"), cache.get("k")) == ("off", as_cached(ANSWER))
    assert warnings == []


def test_forms_that_cannot_be_kept_cost_no_run(cache: Cache, path: Path, warnings: list[str]) -> None:
    """A table that is gone is told once; nothing is found and nothing kept."""
    change(path, "DROP TABLE forms")
    assert cache.form("k") is None
    cache.remember("k", "off")
    assert warnings == [f"{path}: a damaged entry is not used (no such table: forms); the server is asked again."]


def test_a_form_that_cannot_be_kept_is_told(cache: Cache, path: Path, warnings: list[str]) -> None:
    """What cannot be remembered is found out again in the next run."""
    change(path, "DROP TABLE forms")
    cache.remember("k", "off")
    assert warnings == [
        f"{path}: cannot keep what a server takes (no such table: forms). It is asked again in the next run."
    ]
