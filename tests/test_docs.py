"""What the pages say holds: their examples are read by the program itself, and their links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.dataset import load_dataset
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.project import Project, find_project
from harness.promptfile import load_task
from harness.records import Completion, ParseFailure

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_PROMPT_KEYS = re.compile(r"^(?:template|messages|passes):", re.MULTILINE)
_SPAN = re.compile(r"`([^`]*)`( cut)?|\b(empty)\b")
_FIELD = re.compile(r"`(\w+)` ([^,;]+)")

BESIDE = {
    "macros.j2": "{% macro item(label) %}- {{ label.name }}{% endmacro %}",
    "parts/rules.j2": "The rules.",
}
"""Files that an example includes, by their path in `prompts/`."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        line: Where its content begins.
        end: Where it ends in the page, in characters.
    """

    page: Path
    line: int
    language: str
    text: str
    end: int

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page that have a language."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start(3)) + 1
        yield Block(page, line, found[2], found[3], found.end())


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks_in(language: str) -> list[Block]:
    """Return all blocks of a language."""
    return [block for block in BLOCKS if block.language == language]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the reviews set, and the files that the examples name."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "datasets", root / "datasets")
    for name, text in BESIDE.items():
        path = root / "prompts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "harness.toml").touch()
    return find_project(root / "prompts" / "v1.yaml")


@pytest.fixture(scope="module")
def space(project: Project) -> LabelSpace:
    """The labels of the reviews set."""
    return load_dataset(project.root / "datasets" / "reviews.yaml", project).space


# --- YAML -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks_in("yaml"), ids=str)
def test_yaml_examples_are_valid(block: Block, project: Project) -> None:
    """Every example of a prompt or dataset file, whole or a part of one, is read without a problem."""
    if re.search(r"^(?:labels|splits):", block.text, re.MULTILINE):
        check_dataset(block.text, project)
    else:
        path = project.root / "prompts" / "example.yaml"
        path.write_text(as_prompt(block.text), encoding="utf-8")
        load_task(path, project)


def check_dataset(text: str, project: Project) -> None:
    """Read a dataset file whose sample files hold one sample each."""
    path = project.root / "datasets" / "example.yaml"
    path.write_text(text, encoding="utf-8")
    for name in re.findall(r"\b[\w.]+\.jsonl\b", text):
        (project.root / "datasets" / name).write_text('{"text": "Fine.", "labels": []}\n', encoding="utf-8")
    load_dataset(path, project).read()


def as_prompt(text: str) -> str:
    """Return an example as a whole prompt: what it does not say is added.

    Where a line is left out (``…``) it is taken to ask in a way that gives probabilities.
    """
    lines = text.splitlines()
    whole = "…" not in lines
    said = "\n".join(line for line in lines if line != "…") + "\n"
    beside = [
        "dataset: ../datasets/reviews.yaml",
        "model: gpt-4.1-mini" if whole else "model: {name: gpt-4.1-mini, params: {logprobs: true, top_logprobs: 20}}",
        *([] if whole else ["per: label"]),
        *([] if _PROMPT_KEYS.search(said) else ['template: "{{ text }}"']),
    ]
    missing = [line for line in beside if not re.search(rf"^{line.partition(':')[0]}:", said, re.MULTILINE)]
    return said + "".join(f"{line}\n" for line in missing)


# --- JSON, Python -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks_in("json"), ids=str)
def test_json_examples_parse(block: Block) -> None:
    """Every JSON example is one value, or one a line."""
    try:
        json.loads(block.text)
    except ValueError:
        for line in block.text.splitlines():
            json.loads(line)


@pytest.mark.parametrize("block", blocks_in("python"), ids=str)
def test_python_examples_parse(block: Block) -> None:
    """Every Python example is sound Python."""
    ast.parse(block.text)


# --- what answers are read as -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table of answers, with the example of an output above it."""

    line: int
    answer: str
    becomes: str
    example: str

    def __str__(self) -> str:
        return f"formats.md:{self.line}"


def rows_of_answers() -> Iterator[Row]:
    """Yield the rows of the tables "answer, is read as" in the page of formats."""
    page = ROOT / "docs" / "formats.md"
    text = page.read_text(encoding="utf-8")
    examples = [(block.end, block.text) for block in blocks_of(page) if block.language == "yaml"]
    for table in re.finditer(r"^\| answer \| is read as \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE):
        first = text.count("\n", 0, table.start(1)) + 1
        example = [said for end, said in examples if end <= table.start()][-1]
        for number, row in enumerate(table[1].splitlines()):
            answer, becomes = row.strip("| ").split(" | ")
            yield Row(first + number, answer, becomes, example)


@pytest.mark.parametrize("row", list(rows_of_answers()), ids=str)
def test_answers_are_read_as_the_page_says(row: Row, project: Project, space: LabelSpace) -> None:
    """Every answer in the page of formats becomes what stands beside it."""
    path = project.root / "prompts" / "example.yaml"
    path.write_text(as_prompt(row.example), encoding="utf-8")
    output = load_task(path, project).prompt.passes[0].output
    asked = space.only(["shipping"]) if FORMATS[output.format].one_label else space
    spans = list(_SPAN.finditer(row.answer))
    assert spans, row.answer
    for raw, cut, _ in (span.groups(default="") for span in spans):
        finish_reason = "length" if cut else "stop"
        completion = Completion("ok", raw.replace("⏎", "\n"), finish_reason=finish_reason)
        assert told(completion, asked, output, row.becomes), f"{raw!r}: {read(completion, asked, output)}"


def told(completion: Completion, space: LabelSpace, output: Output, becomes: str) -> bool:
    """Return whether a completion is read as a cell says: a kind of failure, or labels, and what follows them."""
    result = read(completion, space, output)
    head, _, rest = becomes.partition(";")
    if isinstance(result, ParseFailure):
        return becomes.startswith(f"`{result.kind}`")
    if head.startswith("`"):
        return False
    named = head.partition(":")[0].replace(", mended", "")  # behind a colon stands why
    labels = set() if named == "the empty set" else {each.strip() for each in named.split(",")}
    off_list = re.findall(r"off-list: (.+)", rest)
    fields = {name: None if value == "nothing there" else value for name, value in _FIELD.findall(rest)}
    answered = {name: value for name, value in fields.items() if value != "unanswered"}
    return (
        result.labels == labels
        and list(result.off_list) == off_list
        and result.repaired == ("mended" in head)
        and (not fields or result.fields == answered)
    )


# --- links ------------------------------------------------------------------------------------------------------------


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    slugs: list[str] = []
    for heading in _HEADING.findall(text):
        words = re.sub(r"[^\w\- ]", "", heading.casefold()).replace(" ", "-")
        slugs.append(words if words not in slugs else f"{words}-{slugs.count(words)}")
    return set(slugs)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and every anchor a heading of that file."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target} is not there"
        assert not anchor or anchor in anchors_of(path), f"{page.name}: {target} is no heading"


def test_every_page_can_be_found() -> None:
    """The README links every page."""
    linked = set(_LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_design_lists_every_module() -> None:
    """The layout names every module of the package, and none that is not there."""
    layout = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").split("## Layout")[1].split("\n## ")[0]
    listed = {
        name for row in re.findall(r"^\| (`.+?`) \|", layout, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)
    }
    package = ROOT / "harness"
    modules = {
        path.relative_to(package).with_suffix("").as_posix()
        for path in package.rglob("*.py")
        if not path.stem.startswith("__")
    }
    assert listed == modules


def test_the_page_of_formats_has_every_format_and_option() -> None:
    """Every output format has a section, in the program's order, and every option of it a row there."""
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL))
    assert [name for name in sections if name in FORMATS] == list(FORMATS)
    for name, each in FORMATS.items():
        missing = [option for option in each.options if f"`{option}`" not in sections[name]]
        assert not missing, f"{name}: {missing}"
