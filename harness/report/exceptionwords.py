"""What a search for exceptions found, in sentences: for the terminal, the digest and the draft."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.exceptionsearch import Exceptions
from harness.report import numbers
from harness.report.judged import p_value
from harness.stats import Interval
from harness.triggernumbers import Numbers
from harness.triggerverdict import Reason

SCORES = {"macro_f1": "macro F1", "micro_f1": "micro F1", "subset_accuracy": "subset accuracy"}

CHANCE = "what it catches on samples that it did not see, chance would catch too"


def title_line(found: Exceptions) -> str:
    """Return what was searched, as a line."""
    manifest, result = found.run.manifest, found.search
    about = [found.title, numbers.plural(result.n_samples, "sample")]
    about += [f"mean of {result.n_repeats} repeats"] if result.n_repeats > 1 else []
    about += [f"{result.n_seen} of them searched (seed {found.settings.seed})"]
    return " · ".join([*about, manifest.id])


MOSTLY = 0.5
"""Share of the wrong samples without an answer from which on the form of the answers comes first."""


def verdict_line(found: Exceptions) -> str:
    """Return whether a second pass is worth it, and why, as one or two sentences."""
    result = found.search
    if not found.sites.errors:
        return "Nothing is wrong in the searched half: there is nothing for a second pass to mend."
    if result.verdict == "worth" and result.chosen is not None:
        unseen = result.chosen.unseen
        return (
            "Worth a second pass: on samples that the search never saw it catches more errors than chance "
            f"(p {p_value(result.unseen_p)}), {numbers.percent(unseen.coverage)} of them for {_price(unseen)}."
        )
    names = ", ".join(found.worth_by_label)
    but = f"; but label by label: {names}" if names else ""
    unread = _unread(found)
    if result.verdict == "not worth":
        return f"No trigger is worth it: {'; '.join(_whys(found)) or CHANCE}{but}.{unread}"
    return f"Too few to tell: {'; '.join(_whys(found))}{but}.{_limited(found)}{unread}"


def _limited(found: Exceptions) -> str:
    """Return that more samples can be had, where the run was made on a part of its split."""
    limit = found.run.manifest.selection.get("limit")
    few = any(each.ground in ("few samples", "few errors") and not each.holds for each in found.search.reasons)
    if not few or not limit:
        return ""
    return f" The run took {numbers.plural(found.run.manifest.n_samples, 'sample')} (--limit {limit}): run it without."


def _unread(found: Exceptions) -> str:
    """Return what to mend first where most wrong samples have no answer: a second pass cannot read the first one's."""
    failures = found.sites.failures
    if sum(each.share for each in failures) < MOSTLY:
        return ""
    most = max(failures, key=lambda each: each.n)
    return (
        f" Most of what is wrong has no answer ({most.kind}): mend the form of the answers first, see "
        f"'harness failures {found.run.manifest.version} --kind {most.kind}'."
    )


def _whys(found: Exceptions) -> Iterator[str]:
    """Yield what does not hold of what a verdict rests on."""
    reasons = {each.ground: each for each in found.search.reasons}
    missing = {ground: each for ground, each in reasons.items() if not each.holds}
    if "nothing found" in missing:
        yield "none catches clearly more errors than as many random samples hold"
    for ground in ("few samples", "few errors", "few sent"):
        if ground in missing:
            yield _too_few(missing[ground])
    fold, unseen = reasons.get("out of fold"), reasons.get("unseen")
    if fold is None or unseen is None or (fold.holds and unseen.holds):
        return
    by_fold, by_unseen = f"p {p_value(fold.value)}", f"p {p_value(unseen.value)}"
    if not (fold.holds or unseen.holds):
        yield f"{CHANCE}: by cross-validation ({by_fold}) and on the unseen half ({by_unseen})"
        return
    told = {True: "more than chance", False: "no more than chance may"}
    yield (
        f"by cross-validation what the search picks catches {told[fold.holds]} ({by_fold}), on the unseen half "
        f"{told[unseen.holds]} ({by_unseen})"
    )


def _too_few(reason: Reason) -> str:
    value, limit = numbers.count(reason.value), numbers.count(reason.limit)
    if reason.ground == "few samples":
        return f"each half needs {limit} samples, and one has {value}"
    if reason.ground == "few errors":
        return (
            f"each half needs {limit} samples with more errors than the others, and as many with fewer; one has {value}"
        )
    return f"of the unseen half {numbers.plural(reason.value, 'sample')} would be sent, and {limit} are needed"


def _price(found: Numbers) -> str:
    return f"{numbers.count(found.sent)} of {numbers.plural(found.n, 'sample')} sent ({numbers.percent(found.price)})"


def trigger_line(found: Exceptions) -> str:
    """Return what is known of the chosen trigger: what it sends and catches, and the verdict where it is not good."""
    chosen, procedure = found.search.chosen, found.search.procedure
    if chosen is None:
        return "Nothing was found to send."
    parts = [f"The searched half: {_told(chosen.seen)}.", f"The unseen half: {_told(chosen.unseen)}."]
    if procedure is not None:
        precision, rate = numbers.percent(procedure.numbers.precision), numbers.percent(procedure.numbers.base_rate)
        parts.append(f"By cross-validation {precision} of what is sent is wrong, and {rate} of all.")
    return " ".join([*parts, *([] if found.search.verdict == "worth" else [verdict_line(found)])])


def _told(found: Numbers) -> str:
    return (
        f"{_price(found)}, {numbers.percent(found.coverage)} of the errors; {numbers.percent(found.precision)} of what is "
        f"sent is wrong, and {numbers.percent(found.base_rate)} of all"
    )


def notes_line(found: Exceptions) -> str:
    """Return the notes of a drafted version, on one line."""
    manifest, chosen = found.run.manifest, found.search.chosen
    if chosen is None:
        return f"drafted from run {manifest.id}"
    unseen = chosen.unseen
    return (
        f"an exception pass, drafted from run {manifest.id}, for {chosen.expression}: on the unseen half "
        f"{numbers.percent(unseen.price)} of the samples with {numbers.percent(unseen.coverage)} of the errors"
    )


def bound_line(found: Exceptions) -> str:
    """Return what a perfect second pass would gain, with how sure that is; empty where nothing was chosen."""
    chosen, sure = found.search.chosen, found.search.uncertainty
    if chosen is None or sure is None:
        return ""
    gains = [
        f"{words} {numbers.delta(chosen.unseen.bound[name])}{_interval(sure.bound[name])}"
        for name, words in SCORES.items()
    ]
    return f"Upper bound on the unseen half, if a second pass made all that is sent right: {', '.join(gains)}."


def _interval(found: Interval) -> str:
    if math.isnan(found.low):
        return ""
    return f" ({numbers.delta(found.low)} to {numbers.delta(found.high)})"
