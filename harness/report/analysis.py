"""The parts of a report's page about probabilities, about labels that are confused or go together, and about the runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from harness.labelanalysis import CARDINALITIES, Confusion
from harness.probabilities import Bin
from harness.report import charts, numbers
from harness.report.judged import how_made, level
from harness.report.markup import Content, Node, h
from harness.report.sections import cell, heading, number_heads, samples_link, table
from harness.reportdata import Report
from harness.store import Manifest, StoredRun

MOST_IN_HEAT_MAP = 40
"""Labels up to which confusions are a map; of more there is a list alone."""

MOST_CONFUSIONS = 15
MOST_CONFUSIONS_ALONE = 40
"""Rows of the list of confusions beside a map, and without one."""

MOST_PAIRS = 15
MOST_PLOTS = 60
HEATS = 5
"""Shades of the map."""

NOTHING = "nothing"


# --- probabilities ----------------------------------------------------------------------------------------------------


def probabilities(report: Report) -> Node | None:
    """Return how far probabilities can be taken at their word, and what thresholds would give; None without any."""
    scores = report.scores.probabilities
    if scores is None:
        return None
    of = scores.averages
    macro = (of.macro_auroc, of.macro_average_precision, of.macro_brier_loss, math.nan)
    micro = (of.micro_auroc, of.micro_average_precision, of.micro_brier_loss, of.calibration_error)
    rows = [
        h("tr", heading(name), *(cell(numbers.score(value)) for value in values))
        for name, values in (("macro average", macro), ("all cells", micro))
    ]
    names = number_heads("AUROC", "AP", "Brier loss", "ECE")
    about = table("How well they rank and how true they are", ["over", *names], rows)
    share = f"{numbers.percent(of.coverage)} of the cells have a probability."
    plots: list[Content] = [
        h("figure", charts.reliability_plot(scores.bins), h("figcaption", "Reliability: on the diagonal it holds"))
    ]
    best = report.macro_curve
    if best is not None:
        told = f"One threshold for all labels: macro F1 {numbers.score(best.best_f1)} at {numbers.score(best.best)}"
        plots.append(h("figure", charts.threshold_plot(best, "Macro average"), h("figcaption", told)))
    return h(
        "div",
        h("div", h("div", about, h("p", share, class_="quiet"), _bins(scores.bins)), plots, class_="columns plots"),
        _label_probabilities(report),
        _curve_key(),
        _label_plots(report),
    )


def _label_probabilities(report: Report) -> Node:
    rows = []
    for row in report.labels:
        of, curve = row.probabilities, row.curve
        if of is not None and of.n:
            ranks = [numbers.score(value) for value in (of.auroc, of.average_precision, of.brier_loss)]
            best = [numbers.DASH] * 2 if curve is None else [numbers.score(curve.best_f1), numbers.score(curve.best)]
            rows.append(h("tr", heading(of.label), *map(cell, [numbers.count(of.support), *ranks, *best])))
    names = number_heads("gold", "AUROC", "AP", "Brier loss", "best F1", "at threshold")
    return h("details", h("summary", "By label"), table("Probabilities by label", ["label", *names], rows))


def _bins(bins: Sequence[Bin]) -> Node:
    rows = [
        h(
            "tr",
            heading(f"{each.lower:g} to {each.upper:g}"),
            cell(numbers.count(each.n)),
            cell(numbers.score(each.mean_probability)),
            cell(numbers.score(each.share_positive)),
        )
        for each in bins
        if each.n
    ]
    made = table("Reliability", ["probability", *number_heads("cells", "mean", "gold")], rows)
    return h("details", h("summary", "The same as numbers"), made)


def _curve_key() -> Node:
    keys = [
        h("li", name, class_=f"key {kind}")
        for kind, name in (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
    ]
    best = "Marked: the best F1 on these very samples, which flatters it; harness calibrate cross-validates."
    return h("div", h("ul", keys, class_="keys"), h("p", best, class_="quiet"))


def _label_plots(report: Report) -> Node:
    curves = sorted(report.labels, key=lambda row: -row.score.support)
    shown = [(row.score.label, row.curve) for row in curves if row.curve is not None][:MOST_PLOTS]
    figures = [
        h(
            "figure",
            charts.threshold_plot(curve, label),
            h("figcaption", h("bdi", label), f" · F1 {numbers.score(curve.best_f1)} at {numbers.score(curve.best)}"),
        )
        for label, curve in shown
    ]
    title = f"Thresholds of {numbers.plural(len(shown), 'label')}, the most frequent first"
    return h("details", h("summary", title), h("div", figures, class_="small-plots"))


# --- confusion --------------------------------------------------------------------------------------------------------


def confusion(report: Report) -> Node:
    """Return which labels are missed where which others are added: a map of few labels, a list of many."""
    found = report.analysis
    few = len(found.names) <= MOST_IN_HEAT_MAP
    most = MOST_CONFUSIONS if few else MOST_CONFUSIONS_ALONE
    parts: list[Content] = [_heat_map(report)] if few else []
    if found.confusions:
        rows = [h("tr", _confusion_cells(each)) for each in found.confusions[:most]]
        rest = len(found.confusions) - most
        caption = "Most frequent confusions" + (f" ({most} of {len(found.confusions)})" if rest > 0 else "")
        parts.append(table(caption, ["missed", "added", *number_heads("samples")], rows))
    else:
        parts.append(h("p", "No label was missed where another one was added."))
    return h("div", h("div", parts, class_="columns"), h("div", [*_together(report), _rules(report)], class_="columns"))


def _confusion_cells(each: Confusion) -> Iterator[Node]:
    yield h("td", h("bdi", each.missed))
    yield h("td", h("bdi", each.added))
    yield cell(samples_link(numbers.count(each.n), missed=each.missed, added=each.added))


def _heat_map(report: Report) -> Node:
    names = [*report.analysis.names, NOTHING]
    matrix = report.analysis.confusion
    # Errors alone in their sample are many: they have a scale of their own, else all pairs would look alike.
    most = max(max(row[:-1], default=0) for row in matrix[:-1]) if matrix[:-1] else 0
    alone = max((*(row[-1] for row in matrix), *matrix[-1]))
    head: list[Content] = [h("th", "missed ↓ added →", scope="col")]
    head += [h("th", h("span", h("bdi", name)), scope="col", class_="turned") for name in names]
    of = [*report.analysis.names, ""]
    rows = [
        h(
            "tr",
            heading(names[at]),
            [
                _heat(n, most if of[at] and of[to] else alone, missed=of[at], added=of[to])
                for to, n in enumerate(counts)
            ],
        )
        for at, counts in enumerate(matrix)
    ]
    return table("Samples in which a label was missed (row) and another added (column)", head, rows, class_="heat")


def _heat(n: float, most: float, *, missed: str, added: str) -> Node:
    if not n:
        return h("td", "·" if missed != added else "", class_="n none")
    link = samples_link(numbers.count(n), missed=missed, added=added)
    return h("td", link, class_=f"n heat-{math.ceil(HEATS * n / most)}")


def _together(report: Report) -> Iterator[Content]:
    """Yield which labels stand together more or less often than in gold, and how many labels there are."""
    found = report.analysis
    differing = [each for each in found.pairs if each.difference]
    if differing:
        rows = [
            h(
                "tr",
                heading(" + ".join(each.labels)),
                cell(numbers.count(each.gold)),
                cell(numbers.count(each.predicted)),
                cell(numbers.count_delta(each.difference)),
                cell(numbers.score(each.gold_lift)),
                cell(numbers.score(each.predicted_lift)),
            )
            for each in differing[:MOST_PAIRS]
        ]
        names = number_heads("gold", "predicted", "Δ", "lift, gold", "lift, predicted")
        yield table("Labels that go together, most changed first", ["labels", *names], rows)
    sizes = found.cardinality
    rows = [
        h("tr", heading("gold"), *(cell(numbers.count(n)) for n in sizes.gold_samples), cell("")),
        h(
            "tr",
            heading("predicted"),
            *(cell(numbers.count(n)) for n in sizes.predicted_samples),
            cell(numbers.count(sizes.unanswered)),
        ),
    ]
    yield table("Samples by their number of labels", ["samples", *number_heads(*CARDINALITIES, "unanswered")], rows)


def _rules(report: Report) -> Node | None:
    if not report.analysis.rules:
        return None
    rows = [
        h("tr", heading(str(each.rule)), cell(numbers.count(len(each.gold))), cell(numbers.count(each.n_predicted)))
        for each in report.analysis.rules
    ]
    return table("Rules of the labels, how often broken", ["rule", *number_heads("gold", "predicted")], rows)


# --- about ------------------------------------------------------------------------------------------------------------


def about(report: Report) -> Node:
    """Return where the numbers come from: the runs, their prompts, and how the statistics are made."""
    runs = [*([] if report.baseline is None else [report.baseline]), report.run]
    names = [*([] if report.baseline_name is None else [report.baseline_name]), report.name]
    rows = [
        h("tr", h("th", fact, scope="row"), [h("td", h("bdi", of(run.manifest))) for run in runs])
        for fact, of in FACTS
        if any(of(run.manifest) for run in runs)
    ]
    made = table("The runs", ["what", *names], rows, class_="facts")
    prompts = [_prompt(run, name) for run, name in zip(runs, names, strict=True) if run.manifest.prompt.passes]
    return h("div", made, prompts, h("p", method(report), class_="quiet"))


def method(report: Report) -> str:
    """Return how the intervals were made, and what decides a verdict."""
    own = report.judgement.settings
    told = (
        f"{level(own)} intervals: percentiles of {numbers.count(own.resamples)} bootstrap resamples of the samples, "
        f"seed {own.seed}."
    )
    if report.compared is None:
        return told
    made = report.compared.judgement.settings
    return (
        f"{told} Verdicts: paired sign-swap tests, for subset accuracy McNemar's exact test, two-sided at "
        f"{numbers.percent(made.alpha)}, p corrected over the labels by Holm ({how_made(report.compared)}). Better and "
        f"worse: test and interval agree. Labels with fewer than {made.least_support} gold cells: too few to tell."
    )


def _git(manifest: Manifest) -> str:
    git = manifest.git or {}
    commit = str(git.get("commit") or "")[:12]
    return f"{commit}, with changes" if commit and git.get("dirty") else commit


def _origin(manifest: Manifest) -> str:
    origin = manifest.origin
    if origin is None:
        return ""
    return f"{origin.kind} {origin.file}" if origin.file else origin.kind


def _selection(manifest: Manifest) -> str:
    return ", ".join(f"{name} {value}" for name, value in manifest.selection.items() if value)


FACTS: tuple[tuple[str, Callable[[Manifest], str]], ...] = (
    ("run", lambda manifest: manifest.id),
    ("state", lambda manifest: manifest.state),
    ("notes", lambda manifest: manifest.prompt.notes),
    ("from", _origin),
    ("model", lambda manifest: " + ".join(manifest.models)),
    ("served as", lambda manifest: ", ".join(manifest.served)),
    ("samples", lambda manifest: numbers.count(manifest.n_samples)),
    ("selection", _selection),
    ("repeats", lambda manifest: numbers.count(manifest.repeats) if manifest.repeats > 1 else ""),
    ("started", lambda manifest: manifest.started[:19].replace("T", " ") + " UTC"),
    ("time", lambda manifest: numbers.seconds(manifest.seconds)),
    ("cost", lambda manifest: numbers.usd(manifest.cost_usd)),
    ("tag", lambda manifest: manifest.tag or ""),
    ("prompt hash", lambda manifest: manifest.prompt_hash[:12]),
    ("git commit", _git),
    ("harness", lambda manifest: manifest.versions.get("harness", "")),
)


def _prompt(run: StoredRun, name: str) -> Node:
    blocks: list[Content] = []
    for each in run.manifest.prompt.passes:
        said = [f"{each.model.name}, {each.output.format}"]
        said += [f"when {each.when}"] if each.when else []
        said += [f"per {each.per}"] if each.per != "sample" else []
        blocks.append(h("h3", f"Pass {each.name}: {'; '.join(said)}"))
        for message in each.messages:
            blocks.append(h("p", message.role, class_="quiet"))
            blocks.append(h("pre", message.source, class_="text", tabindex="0"))
    return h("details", h("summary", f"The prompt of {name}"), blocks)
