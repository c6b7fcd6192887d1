"""A gate as JUnit's XML, which continuous integration shows as tests: a case a rule, a label and a protected sample."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from harness.comparison import SampleChange
from harness.gatecheck import Case, GateResult
from harness.gaterules import CHANGES
from harness.measuring import Measured
from harness.report import numbers
from harness.report.changedsamples import label_list, said
from harness.report.gate import MOST_IN_A_CELL, value_of, verdict_of, why_of
from harness.report.text import one_line, visible

SUITE = "harness gate"
MOST_SAMPLES = 200
"""Samples that one failure names."""

LONGEST_NAME = 300
"""Characters of the name of a case."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no document of XML 1.0 may hold, escaped or not: https://www.w3.org/TR/xml/#charsets."""


def gate_junit(measured: Measured, result: GateResult) -> bytes:
    """Return the outcome as a JUnit document, in UTF-8.

    A label fails with the rules that fail because of it, so no case fails in a gate that passed.
    """
    cases = [*_cases(measured, result), *_labels(measured, result)]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    root = ET.Element("testsuites", {"name": SUITE, **{name: counts[name] for name in ("tests", "failures", "errors")}})
    suite = ET.SubElement(root, "testsuite", {"name": SUITE, **counts, "time": "0"})
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(measured).items():
        ET.SubElement(properties, "property", {"name": name, "value": xml_text(value)})
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = xml_text(verdict_of(measured, result))
    ET.indent(root, " ")
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def xml_text(text: str) -> str:
    """Return the text with everything that XML cannot hold, or that hides in a terminal, as a visible escape."""
    return _NOT_XML.sub(lambda found: f"\\u{ord(found.group()):04x}", visible(text))


def _properties(measured: Measured) -> dict[str, str]:
    manifest, found = measured.run.manifest, measured.found
    told = {"run": manifest.id, "dataset": manifest.dataset, "split": manifest.split}
    return told if found is None else {**told, "baseline": found.baseline.run, "against": found.where}


def _case(kind: str, name: str) -> ET.Element:
    shown = xml_text(one_line(name, LONGEST_NAME))
    return ET.Element("testcase", {"classname": f"{SUITE.replace(' ', '.')}.{kind}", "name": shown, "time": "0"})


def _cases(measured: Measured, result: GateResult) -> Iterator[ET.Element]:
    for case in result.cases:
        made = _case("protected" if case.kind == "protected" else "rules", case.name)
        message = xml_text(f"{value_of(case)}, wanted {case.wanted}" + (f": {why_of(case)}" if why_of(case) else ""))
        if case.status == "failed":
            failure = ET.SubElement(made, "failure", {"message": message, "type": case.kind})
            failure.text = xml_text("\n".join([case.name, *_named(measured, case), *_drops(case)]))
        elif case.status == "skipped":
            ET.SubElement(made, "skipped", {"message": message})
        else:
            ET.SubElement(made, "system-out").text = message
        yield made


def _named(measured: Measured, case: Case) -> Iterator[str]:
    """Yield the samples that a count of changes is made of, one a line."""
    diff = measured.evidence.diff
    changes: Sequence[SampleChange] = getattr(diff, case.subject) if diff and case.subject in CHANGES else ()
    space = measured.evidence.space
    for each in changes[:MOST_SAMPLES]:
        gold = label_list(space.ordered(each.gold), MOST_IN_A_CELL)
        before, now = (said(which, space, MOST_IN_A_CELL) for which in (each.before, each.after))
        yield f"{one_line(each.sample, LONGEST_NAME)}: gold {gold}; before {before}; now {now}"
    if len(changes) > MOST_SAMPLES:
        yield f"and {len(changes) - MOST_SAMPLES} more"


def _drops(case: Case) -> list[str]:
    """Return all scores that became worse, one a line; where there is one, the message has it."""
    return why_of(case, len(case.judged)).split("; ") if len(case.judged) > 1 else []


def _labels(measured: Measured, result: GateResult) -> Iterator[ET.Element]:
    evidence = measured.evidence
    scores = {} if evidence.alone is None else {row.label: row for row in evidence.alone.scores.labels}
    for name in evidence.space.names:
        made = _case("labels", name)
        failed = result.because_of(name)
        if failed:
            said_of = [
                f"{case.name}: {value_of(case)}" + (f" ({why_of(case)})" if why_of(case) else "") for case in failed
            ]
            message = f"{numbers.plural(len(failed), 'rule')} failed because of this label"
            failure = ET.SubElement(made, "failure", {"message": message, "type": "label"})
            failure.text = xml_text("\n".join(said_of))
        elif name in scores:
            row = scores[name]
            told = [f"precision {numbers.score(row.precision)}", f"recall {numbers.score(row.recall)}"]
            told += [f"F1 {numbers.score(row.f1)}", f"support {numbers.count(row.support)}"]
            ET.SubElement(made, "system-out").text = ", ".join(told)
        else:
            ET.SubElement(made, "skipped", {"message": "the run has no predictions"})
        yield made
