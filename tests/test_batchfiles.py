"""Files of requests split to limits, and the lines of a provider's files."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.batchfiles import Drafts, Limits, Result, Target, results
from harness.errors import DataError
from harness.records import CallError

HERE = Target("http://h/v1", "chat", "m")
THERE = Target("http://h/v1", "chat", "n")


def line(**row: Any) -> bytes:
    """Return a line of a provider's file."""
    return json.dumps({"custom_id": "k", **row}).encode() + b"\n"


@given(sizes=st.lists(st.integers(0, 90), max_size=30), requests=st.integers(1, 7), n_bytes=st.integers(200, 500))
def test_files_keep_to_the_limits(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], requests: int, n_bytes: int
) -> None:
    """No file is beyond a limit, none is empty, and together they have every request once, in order."""
    drafts = Drafts(tmp_path_factory.mktemp("run"), Limits(requests, n_bytes))
    for number, size in enumerate(sizes):
        assert drafts.add(HERE, "main", f"k{number}", "/chat/completions", {"text": "x" * size})
    keys = [key for draft in drafts.made for key in draft.keys]
    assert keys == [f"k{number}" for number in range(len(sizes))]
    for draft in drafts.made:
        draft.file.seek(0)
        content = draft.file.read()
        assert 1 <= len(draft.keys) <= requests
        assert len(content) == draft.n_bytes <= n_bytes
        assert draft.sha256 == hashlib.sha256(content).hexdigest()
        assert [json.loads(row)["custom_id"] for row in content.splitlines()] == draft.keys
    drafts.close()


def test_a_file_asks_one_model(tmp_path: Path) -> None:
    """Requests to different models are in different files; who asks is noted once."""
    drafts = Drafts(tmp_path, Limits())
    for number, target in enumerate((HERE, THERE, HERE)):
        drafts.add(target, "main", f"k{number}", "/chat/completions", {"text": "\ud800"})
    assert [(draft.target, draft.keys, list(draft.passes)) for draft in drafts.made] == [
        (HERE, ["k0", "k2"], ["main"]),
        (THERE, ["k1"], ["main"]),
    ]
    drafts.close()
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_no_file_can_hold(tmp_path: Path) -> None:
    """A request that is larger than a file is not taken."""
    drafts = Drafts(tmp_path, Limits(n_bytes=100))
    assert not drafts.add(HERE, "main", "k", "/chat/completions", {"text": "x" * 100})
    assert drafts.made == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A disk that refuses is told."""
    with pytest.raises(DataError, match=r"cannot be written .*\. Make room, then go on with the run\."):
        Drafts(tmp_path / "none", Limits()).add(HERE, "main", "k", "/chat/completions", {})


@pytest.mark.parametrize(
    ("row", "read"),
    [
        (line(response={"status_code": 200, "body": {"a": 1}}), Result("k", {"a": 1})),
        (
            line(response={"status_code": 400, "body": {"error": {"message": "too\nlong"}}}),
            Result("k", error=CallError(kind="http_400", message="too long", status=400)),
        ),
        (
            line(response={"status_code": 503, "body": None}),
            Result("k", error=CallError(kind="http_503", message="HTTP 503", status=503), again=True),
        ),
        (
            line(response={"status_code": 501, "body": "no"}),
            Result("k", error=CallError(kind="http_501", message="no", status=501)),
        ),
        (
            line(response={"status_code": 0, "body": None}),
            Result("k", error=CallError(kind="batch_no_status", message="status 0", status=None), again=True),
        ),
        (
            line(response=None, error={"code": "batch_expired", "message": "Too late."}),
            Result("k", error=CallError(kind="batch_expired", message="Too late.", status=None), again=True, ended=True),
        ),
        (
            line(response=None, error={"code": "server_error"}),
            Result("k", error=CallError(kind="server_error", message="server_error", status=None), again=True),
        ),
        (b"\n", None),
        (b"nonsense\n", None),
        (b"[1]\n", None),
        (b"[" * 100_000, None),
        (line(response=None), None),
        (line(custom_id=7), None),
        (line(response={"status_code": 200, "body": 1})[:-20], None),
        (b'{"custom_id": "k\xff"}', None),
    ],
)  # fmt: skip
def test_what_a_line_says(row: bytes, read: Result | None) -> None:
    """A line is an answer, a failure that can pass or not, or none."""
    assert list(results(io.BytesIO(row))) == [read]


@given(st.binary(max_size=200))
def test_any_line_can_be_read(content: bytes) -> None:
    """Whatever stands in a file, reading it raises nothing."""
    for each in results(io.BytesIO(content)):
        assert each is None or isinstance(each, Result)
