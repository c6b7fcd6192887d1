"""YAML files: what may stand in one, where each value stands, and every way in which one is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.errors import DataError, Problems
from harness.yamlfile import Node, Section, read_text, read_yaml


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the YAML file under test is written."""
    return tmp_path / "file.yaml"


def section_of(file: Path, text: str) -> Section:
    """Return the top section of a file with this text."""
    file.write_text(text, encoding="utf-8")
    return read_yaml(file, Problems(file))


def plain(file: Path, text: str) -> Any:
    """Return the plain value of a file with this text."""
    return section_of(file, text).node.plain()


def problems_of(file: Path, text: str, take: Callable[[Section], object] = lambda top: None) -> list[str]:
    """Return what is wrong with a file, line by line, without its path: in reading it, then in taking it apart."""
    file.write_text(text, encoding="utf-8")
    problems = Problems(file)
    try:
        take(read_yaml(file, problems))
        problems.raise_if_any()
    except DataError as error:
        return [line.removeprefix(str(file)).removeprefix(":").strip() for line in str(error).split("\n")]
    return []


# --- words and numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["no", "yes", "on", "off", "y", "N", "2024-05-01", "1_000", "0x1F", "12:30", "1e", "="]
)
def test_words_that_older_yaml_reads_as_something_else_stay_words(file: Path, word: str) -> None:
    """Only true and false are booleans, and dates, times and odd numbers stay text: as value, key and list item."""
    assert plain(file, f"a: {word}\n{word}: b\nlist: [{word}]\n") == {"a": word, word: "b", "list": [word]}


def test_numbers_booleans_and_null_are_values(file: Path) -> None:
    """Whole and decimal numbers, true, false and null are read as what they are; a leading zero is decimal."""
    text = "a: 1\nb: -2.5\nc: 1e3\nd: true\ne: False\nf: null\ng: ~\nh:\ni: 089\nj: .5\nk: 'no'\nl: '1'\n"
    values = plain(file, text)
    assert list(values.values()) == [1, -2.5, 1000.0, True, False, None, None, None, 89, 0.5, "no", "1"]


def test_a_number_that_counts_as_a_text_is_as_it_was_written(file: Path) -> None:
    """`text` and `texts` give 007 and 1.10 back as written, not as the number would print."""
    top = section_of(file, "code: 007\nversion: 1.10\nlist: [08, 1e3, x]\none: 2020\n")
    assert (top.text("code"), top.text("version")) == ("007", "1.10")
    assert (top.texts("list"), top.texts("one")) == (("08", "1e3", "x"), ("2020",))


def test_an_empty_file_is_an_empty_mapping(file: Path) -> None:
    """A file without content, or of comments alone, has no keys."""
    assert plain(file, "") == plain(file, "# nothing\n") == {}


def test_a_byte_order_mark_is_no_part_of_the_text(file: Path) -> None:
    """Editors on Windows begin a file with a byte order mark; it is skipped."""
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(file, Problems(file)).node.plain() == {"a": 1, "b": 2}


@unhurried
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcno-", min_size=1), inner, max_size=4),
        max_leaves=12,
    )
)
def test_what_a_yaml_writer_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    """Any plain value that PyYAML dumps, texts quoted, is read back the same."""
    file = tmp_path_factory.mktemp("yaml") / "file.yaml"
    assert plain(file, yaml.safe_dump({"value": value}, allow_unicode=True, default_style='"')) == {"value": value}


@unhurried
@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("[]{}:,-&*<>!|#'\"? \nab1", max_size=40))
def test_any_text_is_read_or_refused_with_a_message(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """No text makes the reader fail in any way but with a `DataError` that names the file."""
    file = tmp_path_factory.mktemp("yaml") / "file.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    told = ""
    try:
        assert isinstance(read_yaml(file, Problems(file)).node.value, dict)
    except DataError as error:
        told = str(error)
    assert not told or told.startswith(f"{file}:")


# --- lines ------------------------------------------------------------------------------------------------------------


def test_every_value_knows_its_line_and_that_of_its_key(file: Path) -> None:
    """A value stands on its own line, and a message about it names the line of its key; a list item has no key."""
    top = section_of(file, "a: 1\n\nb:\n  # why\n  c: 2\nd: |\n  text\ne:\n  - x\n")
    nodes: dict[str, Node] = top.node.value
    assert [(each.line, each.told_line, each.text_line) for each in nodes.values()] == [
        (1, 1, 1),
        (5, 3, 5),
        (6, 6, 7),
        (9, 8, 9),
    ]
    assert nodes["b"].value["c"].told_line == 5
    assert nodes["e"].value[0].told_line == 9
    assert top.line == 1


def test_a_value_is_called_what_a_person_calls_it(file: Path) -> None:
    """Messages name the kind of a value in words."""
    top = section_of(file, "a: {}\nb: []\nc: x\nd: true\ne: 1\nf: 1.5\ng:\n")
    kinds = [node.kind for node in top.node.value.values()]
    assert kinds == ["a mapping", "a list", "a text", "true/false", "a number", "a number", "nothing"]


# --- refused files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", "2: must be YAML, but expected ',' or ']', but got ':'."),
        ("a: 'x\n", "2: must be YAML, but found unexpected end of stream."),
        ("a: b: c\n", "1: must be YAML, but mapping values are not allowed here."),
        ("a: 1\n\tb: 2\n", "2: must be YAML, but found character '\\t' that cannot start any token."),
        ("a: 1\n---\nb: 2\n", "2: must be YAML, but found another document."),
        ("a: *b\n", "1: must be YAML, but found undefined alias 'b'."),
        ("x: 1\na: \x00\n", r"2: must be YAML, but the character '\x00' is not allowed in it."),
        ("a: \x1b[31m\n", r"1: must be YAML, but the character '\x1b' is not allowed in it."),
        ("- a\n- b\n", "1: must be a mapping (key: value), got a list."),
        ("\njust words\n", "2: must be a mapping (key: value), got a text."),
        ("[a, b]: c\n", "1: a key must be a word."),
        ("a: 1\n<<: 5\n", "2: '<<' must bring in a mapping or a list of mappings."),
        ("a: !!int x\n", "1: must be readable as int, got 'x'. Quote it without a tag."),
        ("a: !!bool maybe\n", "1: must be readable as bool, got 'maybe'. Quote it without a tag."),
        ("a: 1e999\n", "1: must be readable as float, got '1e999'. Quote it without a tag."),
        (
            "a: !!python/name:os.system x\n",
            "1: must be readable as python/name:os.system, got 'x'. Quote it without a tag.",
        ),
        (f"a: {'9' * 5000}\n", f"1: must be readable as int, got '{'9' * 60}…'. Quote it without a tag."),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(file: Path, text: str, message: str) -> None:
    """Every way of not being a YAML mapping has one message, with the line."""
    assert problems_of(file, text) == [message]


def test_doubled_keys_are_told_all_together(file: Path) -> None:
    """Each key that stands twice in one mapping is told with the line of its repetition."""
    assert problems_of(file, "a: 1\nb: {c: 1, c: 2}\na:\n  x: 1\n") == [
        "2: 'c' stands here twice. Remove one.",
        "3: 'a' stands here twice. Remove one.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\n"
        + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "a: &a {k: v}\n"
        + "".join(
            f"{b}: &{b} {{<<: [{', '.join(['*' + a] * 9)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a {<<: *a}\n",
    ],
    ids=["billion laughs", "billion merges", "list in itself", "mapping in itself", "mapping merged into itself"],
)
def test_an_alias_bomb_is_refused_quickly(file: Path, text: str) -> None:
    """Aliases that multiply, or that hold themselves, meet a limit in seconds and not in the memory."""
    begun = time.perf_counter()
    (problem,) = problems_of(file, text)
    assert problem.endswith("must nest less deeply and repeat fewer aliases than this.")
    assert time.perf_counter() - begun < 30


@pytest.mark.parametrize("text", ["a: " + "[" * 50_000, "".join(" " * n + "a:\n" for n in range(500))], ids=["[", "a:"])
def test_deep_nesting_is_refused_quickly(file: Path, text: str) -> None:
    """Nesting without end is refused at its line, before the stack is used up."""
    begun = time.perf_counter()
    (problem,) = problems_of(file, text)
    assert problem.endswith("must be YAML, but it nests too deep.")
    assert time.perf_counter() - begun < 30


def test_ordinary_aliases_and_merges_work(file: Path) -> None:
    """An alias stands for its value; `<<` brings keys in, the first mapping before the others, own keys before all."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: *a\nd: {z: 3, <<: [*a, *b]}\ne:\n  <<: *a\n  x: 9\n"
    values = plain(file, text)
    assert values["c"] == {"x": 1, "y": 1}
    assert values["d"] == {"x": 1, "y": 1, "z": 3}
    assert values["e"] == {"x": 9, "y": 1}


# --- refused paths ----------------------------------------------------------------------------------------------------


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    """The message for a file that is not there names a near one, where there is one."""
    (tmp_path / "reviews.yaml").touch()
    with pytest.raises(DataError) as caught:
        read_text(tmp_path / "review.yaml")
    assert str(caught.value) == f"{tmp_path}/review.yaml: no such file. Did you mean 'reviews.yaml'?"
    with pytest.raises(DataError) as caught:
        read_text(tmp_path / "nowhere" / "reviews.yaml")
    assert str(caught.value) == f"{tmp_path}/nowhere/reviews.yaml: no such file."


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder where a file should be is said so."""
    with pytest.raises(DataError) as caught:
        read_text(tmp_path)
    assert str(caught.value) == f"{tmp_path}: must be a file, got a folder. Name a file in it."


def test_text_that_is_not_utf_8_is_told_with_line_and_byte(file: Path) -> None:
    """The line and the byte at which a file stops being UTF-8 are told."""
    file.write_bytes("a: 1\nb: caf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError) as caught:
        read_text(file)
    assert str(caught.value) == f"{file}:2: must be UTF-8 text, got the byte 0xe9. Save the file as UTF-8."


def test_other_reasons_not_to_read_are_those_of_the_system(file: Path) -> None:
    """Whatever else the system says is passed on in its words."""
    file.touch()
    with pytest.raises(DataError) as caught:
        read_text(file / "below")
    assert str(caught.value) == f"{file / 'below'}: cannot be read: Not a directory."


# --- sections ---------------------------------------------------------------------------------------------------------


def test_unknown_keys_are_told_with_the_nearest_known_one(file: Path) -> None:
    """A key that nobody took is unknown, on its own line: the nearest known one is named, else all of them."""

    def take(top: Section) -> None:
        top.text("model")
        part = top.section("output")
        assert part is not None
        part.text("format")
        part.finish()
        top.finish()

    text = "model: x\noutput:\n  formt: list\nmodle:\n  name: x\nzzz: 1\n"
    assert problems_of(file, text, take) == [
        "3: unknown key 'output.formt'. Did you mean 'format'?",
        "4: unknown key 'modle'. Did you mean 'model'?",
        "6: unknown key 'zzz'. Known here: model, output.",
    ]


WRONG: dict[str, tuple[Callable[[Section], object], str]] = {
    "a: [1]": (lambda top: top.text("a"), "'a' must be a text, got a list."),
    "a: true": (lambda top: top.text("a"), "'a' must be a text, got true/false."),
    "a: x": (lambda top: top.integer("a"), "'a' must be a whole number, got a text."),
    "a: 1.5": (lambda top: top.integer("a"), "'a' must be a whole number, got a number."),
    "a: false": (lambda top: top.integer("a"), "'a' must be a whole number, got true/false."),
    "a: 0": (lambda top: top.integer("a", least=1), "'a' must be at least 1, got 0."),
    "a: no": (lambda top: top.boolean("a"), "'a' must be true or false, got a text."),
    "a: lst": (
        lambda top: top.choice("a", ["list", "json"]),
        "'a' must be one of list, json, got 'lst'. Did you mean 'list'?",
    ),
    "a: [x, [y]]": (lambda top: top.texts("a"), "'a' must be a list of texts, got a list in it."),
    "a: [true]": (lambda top: top.texts("a"), "'a' must be a list of texts, got true/false in it."),
    "a: [~]": (lambda top: top.texts("a"), "'a' must be a list of texts, got nothing in it."),
    "a: {b: 1}": (lambda top: top.texts("a"), "'a' must be a list of texts, got a mapping in it."),
    "a: word": (lambda top: top.section("a"), "'a' must be a mapping, got a text."),
    "a: 7": (lambda top: top.mapping("a") or None, "'a' must be a mapping, got a number."),
}


@pytest.mark.parametrize(("text", "take", "message"), [(text, *rest) for text, rest in WRONG.items()], ids=WRONG)
def test_a_value_of_the_wrong_kind_is_told_and_read_as_absent(
    file: Path, text: str, take: Callable[[Section], object], message: str
) -> None:
    """What is wrong with a value is told with the key and the line, and the value counts as absent."""
    taken: list[object] = []
    assert problems_of(file, text, lambda top: taken.append(take(top))) == [f"1: {message}"]
    assert taken == [None]


def test_values_of_the_right_kind_are_returned(file: Path) -> None:
    """Each way of taking returns its value without a problem."""
    top = section_of(file, "t: x\ni: 3\nb: true\nc: json\nl: [x, 1]\nm: {n: {o: 1}}\n")
    assert (top.text("t"), top.integer("i"), top.boolean("b")) == ("x", 3, True)
    assert (top.choice("c", ["list", "json"]), top.texts("l")) == ("json", ("x", "1"))
    assert top.mapping("m") == {"n": {"o": 1}}
    assert list(top.keys()) == ["t", "i", "b", "c", "l", "m"]
    top.finish()
    assert top.problems.found == []


def test_what_is_absent_or_null_is_none(file: Path) -> None:
    """An absent key and a null one are both absent, and neither is a problem."""
    top = section_of(file, "a:\n")
    for key in ("a", "b"):
        assert not top.has(key)
        assert [top.take(key), top.text(key), top.integer(key), top.boolean(key), top.choice(key, ["x"])] == [None] * 5
        assert [top.texts(key), top.section(key), dict(top.mapping(key))] == [None, None, {}]
    top.finish()
    assert top.problems.found == []


def test_a_problem_with_an_absent_key_stands_at_the_section(file: Path) -> None:
    """`problem` names the whole path of the key, on its line, or on the section's line when it is absent."""

    def take(top: Section) -> None:
        part = top.section("part")
        assert part is not None
        part.problem("here", "is wrong.")
        part.problem("absent", "is missing.")

    assert problems_of(file, "\npart:\n  x: 1\n  here: 2\n", take) == [
        "2: 'part.absent' is missing.",
        "4: 'part.here' is wrong.",
    ]
