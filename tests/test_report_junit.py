"""A gate as JUnit's XML: what the schema asks for, and what continuous integration shows."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import cli_project
import pytest
from cli_project import stored_run, write, write_samples
from hypothesis import given
from hypothesis import strategies as st

from harness.blessing import Found, baseline_of
from harness.gatecheck import evaluate
from harness.gaterules import Protected, Rule, parse_rule
from harness.measuring import measure
from harness.project import find_project
from harness.report.junit import MOST_SAMPLES, gate_junit, xml_text
from harness.store import StoredRun

project = cli_project.project


def junit(run: StoredRun, before: StoredRun | None, *rules: str | Rule) -> ET.Element:
    """Return the document of a gate, read back and checked against the schema's rules."""
    found = None if before is None else Found(baseline_of(before), "baselines/reviews-dev.json")
    measured = measure(run, found, find_project(run.path))
    parsed = [parse_rule(rule, run.manifest.space) if isinstance(rule, str) else rule for rule in rules]
    document = gate_junit(measured, evaluate(parsed, measured.evidence))
    assert document.startswith(b"<?xml version='1.0' encoding='utf-8'?>\n")
    root = ET.fromstring(document)
    check_schema(root)
    return root


ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "assertions", "time", "classname", "status"},
    "failure": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out"},
    "properties": {"property"},
    "testcase": {"skipped", "failure", "system-out"},
}


def check_schema(root: ET.Element) -> None:
    """Check what the schema of Jenkins' JUnit plugin asks for: elements, attributes, their order, and true counts."""
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    for suite in root:
        tags = [child.tag for child in suite]
        assert tags == ["properties", *["testcase"] * (len(tags) - 2), "system-out"]
        cases = suite.findall("testcase")
        assert all(case.get("name") and case.get("classname") and len(case) <= 1 for case in cases)
        for count, tag in (("failures", "failure"), ("skipped", "skipped")):
            assert suite.get(count) == str(sum(case.find(tag) is not None for case in cases))
        assert (suite.get("tests"), suite.get("errors")) == (str(len(cases)), "0")
        assert root.get("failures") == suite.get("failures")


def cases_of(root: ET.Element) -> dict[tuple[str, str], ET.Element]:
    """Return the cases by class and name."""
    return {(case.attrib["classname"], case.attrib["name"]): case for case in root.iter("testcase")}


def test_a_case_a_rule_a_label_and_a_protected_sample(project: Path) -> None:
    """Every rule, label and protected sample is a case, and failures say the value, what was wanted and why."""
    rules = ("macro_f1 >= 0.8", "regressed <= 0", "recall[price] >= 0.95", "protected[r08]", "protected[r02]")
    root = junit(stored_run(project, "v3"), stored_run(project, "v1"), *rules, "f1[quality] >= 0.9")
    cases = cases_of(root)
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert list(cases) == [
        ("harness.gate.rules", "complete"),
        ("harness.gate.rules", "macro_f1 >= 0.8"),
        ("harness.gate.rules", "regressed <= 0"),
        ("harness.gate.rules", "recall[price] >= 0.95"),
        ("harness.gate.protected", "protected[r08]"),
        ("harness.gate.protected", "protected[r02]"),
        ("harness.gate.rules", "f1[quality] >= 0.9"),
        *(("harness.gate.labels", name) for name in ("shipping", "quality", "price", "gift wrap")),
    ]
    assert failed == {
        ("harness.gate.rules", "regressed <= 0"),
        ("harness.gate.protected", "protected[r08]"),
        ("harness.gate.rules", "f1[quality] >= 0.9"),
        ("harness.gate.labels", "quality"),
    }
    regressed = cases["harness.gate.rules", "regressed <= 0"].find("failure")
    assert regressed is not None
    assert regressed.attrib == {"message": "3, wanted <= 0: r07, r08, r10", "type": "rule"}
    assert regressed.text == (
        "regressed <= 0\n"
        "r07: gold shipping; before shipping; now (unparseable)\n"
        "r08: gold quality; before quality; now (unparseable)\n"
        "r10: gold price; before price; now quality, price"
    )
    label = cases["harness.gate.labels", "quality"].find("failure")
    assert label is not None
    assert label.attrib["message"] == "1 rule failed because of this label"
    assert label.text == "f1[quality] >= 0.9: 0.750"
    assert (
        cases["harness.gate.labels", "price"].findtext("system-out")
        == "precision 1.000, recall 1.000, F1 1.000, support 3"
    )
    assert {each.get("name"): each.get("value") for each in root.iter("property")} == {
        "run": "v3-20260105-030405",
        "dataset": "reviews",
        "split": "dev",
        "baseline": "v1-20260103-030405",
        "against": "baselines/reviews-dev.json",
    }


def test_no_case_fails_in_a_gate_that_passes(project: Path) -> None:
    """A label that got worse fails only with a rule."""
    root = junit(stored_run(project, "v3"), stored_run(project, "v1"), "no significant drop", "protected[r05]")
    assert root.get("failures") == "0"
    assert root.findtext("testsuite/system-out") == "Gate passed: v3 against v1 on reviews dev, 2 rules"


def test_a_label_with_an_interval_says_it(project: Path) -> None:
    """The reason of a label has what its rule has."""
    root = junit(stored_run(project, "v3"), stored_run(project, "v1"), "no worse in f1[price]")
    text = cases_of(root)["harness.gate.labels", "price"].findtext("failure")
    assert text == "no worse in f1[price]: +0.333 too few to tell (0.000 to +1.000)"


def test_a_drop_names_every_score(project: Path) -> None:
    """The message has some of the scores that became worse, the text all of them, one a line."""
    ids = [f"s{at:03}" for at in range(200)]
    labels = ("shipping", "quality", "price", "gift wrap")
    write_samples(project, {each: {"text": "Late.", "labels": [labels[at % 4]]} for at, each in enumerate(ids)})
    before = stored_run(project, "v1", {each: labels[at % 4] for at, each in enumerate(ids)})
    after = stored_run(project, "v2", {each: labels[(at + (at % 3 > 0)) % 4] for at, each in enumerate(ids)})
    failure = cases_of(junit(after, before, "no significant drop"))["harness.gate.rules", "no significant drop"].find(
        "failure"
    )
    assert failure is not None
    assert failure.attrib["message"].endswith("; and 2 more")
    lines = (failure.text or "").splitlines()
    assert [line.split(" ")[0] for line in lines[1:4]] == ["macro_f1", "micro_f1", "subset_accuracy"]
    assert len(lines) == 8


def test_a_run_without_predictions_skips(project: Path) -> None:
    """What could not be checked is skipped; that the run is partial is the failure."""
    run = stored_run(project, "v1", state="interrupted")
    (run.path / "predictions.jsonl").unlink()
    root = junit(StoredRun(run.path, run.manifest), None, "macro_f1 >= 0.5")
    assert (root.get("tests"), root.get("failures")) == ("6", "1")
    assert root[0].get("skipped") == "5"
    complete = cases_of(root)["harness.gate.rules", "complete"].find("failure")
    assert complete is not None
    assert complete.attrib["message"].startswith("partial, wanted a complete run: the run is interrupted; without a")


def test_many_samples_are_counted(project: Path) -> None:
    """A failure names so many samples and counts the others."""
    ids = [f"s{at:04}" for at in range(MOST_SAMPLES + 7)]
    write_samples(project, {each: {"text": "Late.", "labels": ["shipping"]} for each in ids})
    before = stored_run(project, "v1", dict.fromkeys(ids, "shipping"))
    root = junit(stored_run(project, "v2", dict.fromkeys(ids, "none")), before, "regressed <= 0")
    text = cases_of(root)["harness.gate.rules", "regressed <= 0"].findtext("failure") or ""
    assert len(text.splitlines()) == MOST_SAMPLES + 2
    assert text.endswith("\nand 7 more")


@pytest.mark.parametrize(
    "strange", ['a"<&>\x00\x1b[31m', "\ud800 \ufffe \uffff", "line\nbreak\r\ttab", "]]>", "\u202e"]
)
def test_any_id_and_label_is_valid_xml(project: Path, strange: str) -> None:
    """Control characters, markup and surrogates in ids leave a document that every reader takes."""
    write_samples(project, {strange: {"text": strange, "labels": ["shipping"]}})
    before = stored_run(project, "v1", {strange: "shipping"})
    after = stored_run(project, "v2", {strange: "none"})
    junit(after, before, "regressed <= 0", Protected(f"protected[{strange}]", strange))


def test_labels_with_markup_are_text(project: Path) -> None:
    """A label's name is an attribute, whatever is in it."""
    name = 'R&D <b>\'s \\"x\\"'
    write(project / "datasets/reviews.yaml", f"labels:\n  \"{name}\": ''\nsplits: {{dev: reviews.dev.jsonl}}\n")
    shown = name.replace("\\", "")
    write_samples(project, {"r1": {"text": "Late.", "labels": [shown]}})
    root = junit(stored_run(project, "v1", {"r1": shown}), None)
    assert ("harness.gate.labels", shown) in cases_of(root)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_can_stand_in_xml(text: str) -> None:
    """What is written is read back; what XML cannot hold stands there as a visible escape."""
    shown = xml_text(text)
    element = ET.Element("x", {"a": shown})
    element.text = shown
    read = ET.fromstring(ET.tostring(element, encoding="utf-8"))
    assert read.attrib["a"] == shown
    assert (read.text or "") == shown
    if not re.search(r"[^\x20-\x7e]", text):
        assert shown == text
