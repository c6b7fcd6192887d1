"""Rules of a gate: which expressions are rules, what they mean, and what is said of the others."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of

from harness.errors import DataError
from harness.gaterules import (
    DEFAULT_RULES,
    SCORES,
    UNITS,
    Bound,
    Measure,
    NoDrop,
    NoWorse,
    Protected,
    RuleError,
    Rules,
    judged_measures,
    parse_rule,
    parse_rules,
    read_rules,
    with_defaults,
)
from harness.project import Project

SPACE = space_of("safety", "gift wrap", "it's", "a[b]", 'say "no"', "f1")


def rule(text: str) -> object:
    """Return a rule over the labels of this module."""
    return parse_rule(text, SPACE)


def refusal(text: str) -> str:
    """Return what is said of an expression that is no rule."""
    with pytest.raises(RuleError) as caught:
        parse_rule(text, SPACE)
    return str(caught.value)


# --- expressions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "measure", "operator", "bound", "change"),
    [
        ("macro_f1 >= 0.80", Measure("macro_f1"), ">=", 0.8, False),
        ("coverage>=99%", Measure("coverage"), ">=", 0.99, False),
        ("hamming_loss ≤ .1", Measure("hamming_loss"), "<=", 0.1, False),
        ("recall[safety] >= 0.95", Measure("recall", "safety"), ">=", 0.95, False),
        ('precision["gift wrap"] > 5e-1', Measure("precision", "gift wrap"), ">", 0.5, False),
        ("f1[Gift_Wrap] < 1", Measure("f1", "gift wrap"), "<", 1.0, False),
        ("f1[it's] == 1", Measure("f1", "it's"), "==", 1.0, False),
        ("f1['it''s'] == 1", Measure("f1", "it's"), "==", 1.0, False),
        ("f1[ 'a[b]' ] >= 0.5", Measure("f1", "a[b]"), ">=", 0.5, False),
        ('f1["say ""no"""] >= 0.5', Measure("f1", 'say "no"'), ">=", 0.5, False),
        ("f1[f1] >= 0.5", Measure("f1", "f1"), ">=", 0.5, False),
        ("regressed <= 3", Measure("regressed"), "<=", 3.0, False),
        ("off_list == 0", Measure("off_list"), "==", 0.0, False),
        ("cost_usd <= 1.5", Measure("cost_usd"), "<=", 1.5, False),
        ("cardinality_predicted <= 2.5", Measure("cardinality_predicted"), "<=", 2.5, False),
        ("change macro_f1 >= -0.01", Measure("macro_f1"), ">=", -0.01, True),
        ("change  f1[safety] >= −5 %", Measure("f1", "safety"), ">=", -0.05, True),
        ("change cardinality_predicted <= 1.5", Measure("cardinality_predicted"), "<=", 1.5, True),
    ],
)
def test_a_number_can_be_bounded(text: str, measure: Measure, operator: str, bound: float, change: bool) -> None:
    """Scores, counts, prices and changes are compared with a number; labels go by any spelling, quoted where need be."""
    found = rule(text)
    assert isinstance(found, Bound)
    assert (found.measure, found.operator, found.change) == (measure, operator, change)
    assert found.bound == pytest.approx(bound)


def test_what_is_judged_can_be_named() -> None:
    """A drop is of all judged scores or of one; 'no worse' is of one."""
    assert rule("no significant drop") == NoDrop("no significant drop")
    assert rule("no significant drop in f1[safety]") == NoDrop(
        "no significant drop in f1[safety]", Measure("f1", "safety")
    )
    assert rule("no  worse in macro_f1") == NoWorse("no worse in macro_f1", Measure("macro_f1"))
    assert [str(each) for each in judged_measures(["a"])] == ["macro_f1", "micro_f1", "subset_accuracy", "f1[a]"]


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ("protected[r012]", "r012"),
        ("protected[ r 1 ]", "r 1"),
        ("protected['a  ]']", "a  ]"),
        ('protected["#1"]', "#1"),
    ],
)
def test_a_sample_can_be_protected(text: str, sample: str) -> None:
    """A protected sample goes by its id, which is taken as it is."""
    found = rule(text)
    assert isinstance(found, Protected)
    assert found.sample == sample


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("macro_f1 >= 0.5", False),
        ("failures == 0", False),
        ("protected[r1]", False),
        ("regressed <= 3", True),
        ("change macro_f1 >= 0", True),
        ("no significant drop", True),
        ("no worse in coverage", True),
    ],
)
def test_rules_say_whether_they_need_a_baseline(text: str, needs: bool) -> None:
    """Changes and verdicts need a baseline; a number of the run and a protected sample do not."""
    assert parse_rule(text, SPACE).needs_baseline is needs


EXAMPLE = "must be a rule such as 'macro_f1 >= 0.8', 'regressed <= 3' or 'no significant drop'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{EXAMPLE}."),
        ("no significant drp", f"{EXAMPLE}. Did you mean 'no significant drop'?"),
        ("macro_f >= 0.8", "must name a score or a count, got 'macro_f'. Did you mean 'macro_f1'?"),
        ("xyzzy >= 1", f"must name a score or a count, got 'xyzzy'. Known: {', '.join(UNITS)}."),
        ("two words >= 1", f"{EXAMPLE}; got 'two words'. A label with brackets or quotes needs quotes."),
        ("f1[a[b]] >= 1", f"{EXAMPLE}; got 'f1[a[b]]'. A label with brackets or quotes needs quotes."),
        ("recall[safty] >= 1", "must name a label, got safty: recall[LABEL]. Did you mean 'safety'?"),
        (
            "recall >= 1",
            'must name a label: recall[LABEL]. Labels: safety, gift wrap, it\'s, a[b], say "no", f1.',
        ),
        (
            "macro_f1[safety] >= 1",
            "macro_f1 is of all labels together, got [safety]. Of one: precision, recall, f1.",
        ),
        ("macro_f1 => 0.8", "must compare with >=, <=, >, < or ==, got '=>'."),
        ("macro_f1 >= high", "must end in a number, got 'high'."),
        ("macro_f1 >=", "must end in a number, got ''."),
        ("macro_f1 >= 80", "must compare a score with a number from 0 to 1, got 80. 80 % is 0.8."),
        ("macro_f1 >= -0.1", "must compare a score with a number from 0 to 1, got -0.1."),
        ("change macro_f1 >= -2", "must compare the change of a score with a number from -1 to 1, got -2."),
        ("regressed <= -1", "must compare regressed with a number of at least 0, got -1."),
        ("cost_usd <= 1e999", "must compare cost_usd with a number of at least 0, got inf."),
        ("regressed <= 3%", "must compare regressed with a plain number, got one in %."),
        (
            "change failures <= 0",
            "must be the change of a score, got 'failures'. Without 'change' it can be bounded as it is.",
        ),
        (
            "no worse in recall[safety]",
            "there is a verdict of macro_f1, micro_f1, weighted_f1, samples_f1, subset_accuracy, coverage, f1[LABEL]; "
            "none of 'recall[safety]'.",
        ),
        ("no significant drop in f1", refusal("no worse in f1")),
        ("protected[]", "must name a sample: protected[ID]."),
    ],
)
def test_what_is_no_rule_is_told(text: str, message: str) -> None:
    """A mistake is told with what there is instead; a bound that nothing could be on the other side of is one."""
    assert refusal(text) == message


@given(st.text(max_size=40))
def test_any_text_is_a_rule_or_a_message(text: str) -> None:
    """No expression does anything but become a rule or a message."""
    with suppress(RuleError):
        assert parse_rule(text, SPACE).text


@given(st.sampled_from(SCORES), st.sampled_from([">=", "<=", ">", "<", "=="]), st.floats(0, 1))
def test_a_bound_is_the_number_that_was_written(name: str, operator: str, bound: float) -> None:
    """What is written is what is compared with, to the last digit."""
    found = rule(f"{name}{operator}{bound!r}")
    assert isinstance(found, Bound)
    assert (found.measure.name, found.operator, found.bound) == (name, operator, bound)


@given(st.text(min_size=1, max_size=12).filter(str.strip))
def test_any_id_can_be_protected_in_quotes(sample: str) -> None:
    """Quotes take every id, with a quote inside doubled."""
    doubled = sample.replace('"', '""')
    found = rule(f'protected["{doubled}"]')
    assert isinstance(found, Protected)
    assert found.sample == sample


def test_all_wrong_expressions_are_told_together() -> None:
    """The command line's rules are read all, and every wrong one is told."""
    rules, wrong = parse_rules(["macro_f1 >= 0.5", "x", "y"], SPACE)
    assert rules == (rule("macro_f1 >= 0.5"),)
    assert wrong == [f"--rule 'x': {EXAMPLE}.", f"--rule 'y': {EXAMPLE}."]


def test_without_a_rule_there_are_the_default_ones() -> None:
    """Defaults hold where nothing is said, and beside protected samples where there is a baseline for them."""
    defaults = tuple(parse_rule(text, SPACE) for text in DEFAULT_RULES)
    one, kept = parse_rule("regressed <= 3", SPACE), parse_rule("protected[r1]", SPACE)
    assert with_defaults((), SPACE, has_baseline=False) == defaults
    assert with_defaults([kept], SPACE, has_baseline=True) == (*defaults, kept)
    assert with_defaults([kept], SPACE, has_baseline=False) == (kept,)
    assert with_defaults([one, kept, one], SPACE, has_baseline=True) == (one, kept)


# --- files ------------------------------------------------------------------------------------------------------------


def read(folder: Path, text: str, **files: str) -> Rules:
    """Return what a file of rules says, with other files beside it."""
    (folder / "ci").mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / "ci" / f"{name}.txt").write_text(content, encoding="utf-8")
    path = folder / "ci" / "gate.yaml"
    path.write_text(text, encoding="utf-8")
    return read_rules(path, SPACE, Project(folder))


def problems(folder: Path, text: str, **files: str) -> list[str]:
    """Return what is wrong with a file of rules, without the folder's name."""
    with pytest.raises(DataError) as caught:
        read(folder, text, **files)
    return str(caught.value).replace(f"{folder}/ci/", "").splitlines()


def test_a_file_says_rules_protected_samples_baseline_and_margin(tmp_path: Path) -> None:
    """All that the command line can say stands in the file too."""
    text = 'rules:\n- macro_f1 >= 0.8\n- recall["gift wrap"] >= 0.5\n'
    text += "protected: [r1, 7, 'r 2']\nagainst: main\nmargin: 0.05\n"
    found = read(tmp_path, text)
    assert [each.text for each in found.rules] == [
        "macro_f1 >= 0.8",
        'recall["gift wrap"] >= 0.5',
        "protected[r1]",
        "protected[7]",
        "protected[r 2]",
    ]
    assert (found.against, found.margin) == ("main", 0.05)
    assert read(tmp_path, "") == Rules()


def test_protected_samples_can_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    """One id a line, empty lines and comments left out; the path goes from the file of rules."""
    found = read(tmp_path, "protected: safe.txt\n", safe="# never again\nr1\n\n  r2  \nr3 # the refund\n  # no\nr#4\n")
    assert [each.text for each in found.rules] == ["protected[r1]", "protected[r2]", "protected[r3]", "protected[r#4]"]


def test_a_baselines_file_goes_from_the_file_of_rules(tmp_path: Path) -> None:
    """A path of a baseline is relative to the file that names it."""
    assert read(tmp_path, "against: ../baselines/main.json\n").against == f"{tmp_path}/ci/../baselines/main.json"


def test_all_problems_of_a_file_are_told_with_their_lines(tmp_path: Path) -> None:
    """Unknown keys, wrong rules and wrong values come together, in the order of the file."""
    text = (
        "rule: []\nrules:\n- macro_f1 >= 80\n- [f1]\n- recall[safty] >= 1\nmargin: 0\n"
        "protected: gone.txt\nagainst: /etc/x.json\n"
    )
    assert problems(tmp_path, text) == [
        "gate.yaml:1: unknown key 'rule'. Did you mean 'rules'?",
        "gate.yaml:3: 'macro_f1 >= 80': must compare a score with a number from 0 to 1, got 80. 80 % is 0.8.",
        "gate.yaml:4: a rule must be a text, got a list. Put it in quotes.",
        "gate.yaml:5: 'recall[safty] >= 1': must name a label, got safty: recall[LABEL]. Did you mean 'safety'?",
        "gate.yaml:6: 'margin' must be between 0.001 and 1, got 0.",
        "gate.yaml:7: 'protected' must be a list of ids, or a file of them: gone.txt: no such file. Put a single id in [ ].",
        "gate.yaml:8: 'against' names a file that must lie in the project ROOT, got /etc/x.json.".replace(
            "ROOT", str(tmp_path)
        ),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: macro_f1 >= 0.8\n", "'rules' must be a list, got a text. Write one a line, behind '- '."),
        ("protected: {r1: yes}\n", "'protected' must be a text, got a mapping."),
        ("protected: [[r1]]\n", "'protected' must be a list of texts, got a list in it."),
        (
            "protected: ../../outside.txt\n",
            "'protected' names a file that must lie in the project ROOT, got ../../outside.txt.",
        ),
    ],
)
def test_values_of_the_wrong_kind_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """A list is wanted where several are, and no file outside of the project is read."""
    assert problems(tmp_path, text) == [f"gate.yaml:1: {message}".replace("ROOT", str(tmp_path))]
