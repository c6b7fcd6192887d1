"""A report as one HTML file that needs nothing else: no network, no other file, no inline handler.

What stands still is written here; the samples are data that the page's script shows. The policy in its head lets the page
load nothing, and run no script and no style but the two that are in it, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from harness import __version__
from harness.report import analysis, numbers, sections
from harness.report.judged import seen_text, verdict_text
from harness.report.markup import Content, Node, h, written
from harness.report.passeshtml import passes_section
from harness.report.samples import CHANGES, FAILURES, sample_table, to_page
from harness.report.text import visible
from harness.reportdata import Report

_PLACE = re.compile(r"<!--@(\w+)-->")
_MARKUP = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
"""What JSON may hold and a script element should not."""


def to_html(report: Report) -> str:
    """Return the report as a page."""
    style, script = _asset("report.css"), _asset("report.js")
    found = [(name, title, content) for name, title, content in _sections(report) if content is not None]
    parts = {
        "policy": _policy(style, script),
        "title": written(report.title),
        "style": style,
        "heading": "".join(map(written, _heading(report))),
        "contents": "".join(str(h("a", title, href=f"#{identity}")) for identity, title, _ in found),
        "sections": "".join(str(_section(*each)) for each in found),
        "about": str(_section("about", "About", analysis.about(report))),
        "version": written(__version__),
        "data": _in_script(page_data(report)),
        "script": script,
    }
    pieces = _PLACE.split(_asset("report.html"))
    return "".join(parts[piece] if at % 2 else piece for at, piece in enumerate(pieces))


def page_data(report: Report) -> dict[str, Any]:
    """Return what the page's script shows, as plain values."""
    return {
        "names": [visible(each) for each in (report.name, report.baseline_name) if each is not None],
        "labels": [visible(name) for name in report.space.names],
        "fields": [visible(each.name) for each in report.space.fields],
        "changes": list(CHANGES),
        "failures": [str(kind) for kind in FAILURES],
        "kinds": _kinds(report),
        "samples": to_page(sample_table(report)),
    }


def _kinds(report: Report) -> Mapping[str, int]:
    """Return the kinds of samples that a person can choose, with how many there are."""
    always = ("all", "wrong", "right", "missed", "added")
    changed = ("regressed", "fixed", "churned") if report.diff is not None else ()
    return {name: n for name, n in report.kinds.items() if n or name in always or name in changed}


def _in_script(value: Any) -> str:
    """Return a value as JSON that stands in a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _MARKUP.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _policy(style: str, script: str) -> str:
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return resources.files("harness.report").joinpath("page", name).read_text(encoding="utf-8")


# --- what stands still ------------------------------------------------------------------------------------------------


def _heading(report: Report) -> Iterator[Content]:
    manifest, scores = report.run.manifest, report.scores
    yield h("h1", h("bdi", report.title))
    about = [numbers.plural(scores.n_samples, "sample"), " + ".join(manifest.models)]
    about += [f"mean of {manifest.repeats} repeats"] if manifest.repeats > 1 else []
    about += [manifest.state] if manifest.state != "complete" else []
    if report.baseline is not None:
        about.append(f"against {report.baseline_name}")
    yield h("p", " · ".join([*about, manifest.id]), class_="about")
    if report.compared is not None and report.diff is not None:
        yield h("p", f"{verdict_text(report.compared, 0)}.", class_="verdict-line", id="verdict")
        if seen := seen_text(report.compared, 0):
            yield h("p", f"{seen}.", class_="quiet")
    notes = [h("li", each) for each in (*report.notes, *report.cautions)]
    if notes:
        yield h("ul", notes, class_="notes")


def _sections(report: Report) -> Iterator[tuple[str, str, Node | None]]:
    """Yield what stands above the samples: id, title and content; None where there is nothing to show."""
    yield "scores", "Scores", sections.headline(report)
    yield "labels", "Labels", sections.label_table(report)
    yield "changes", "Changes", sections.changes(report)
    yield "passes", "Passes", passes_section(report.passes)
    yield "failures", "Failures", sections.failures(report)
    yield "fields", "Fields", sections.field_table(report)
    yield "confusion", "Confusion", analysis.confusion(report)
    yield "probabilities", "Probabilities", analysis.probabilities(report)


def _section(identity: str, title: str, content: Node) -> Node:
    name = f"{identity}-title"
    return h("section", h("h2", title, id=name), content, id=identity, aria_labelledby=name)
