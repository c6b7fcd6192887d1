"""The noise floor in the terminal: how much the same prompt disagrees with itself. See `harness.noise`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from harness.errors import listing
from harness.noise import Noise
from harness.report import numbers
from harness.report.terminal import QUIET
from harness.report.text import one_line

MOST_NAMED = 3
"""Labels and samples that are named of those that are not stable."""


def noise_block(noise: Noise) -> RenderableType:
    """Return a few lines: how many samples and cells differ between repeats, what that does to F1, and where it is."""
    return Group(*_lines(noise))


def _lines(noise: Noise) -> Iterator[Text]:
    repeats = f"Same prompt, {numbers.plural(noise.n_repeats, 'repeat')}: "
    if not noise.unstable_samples:
        yield Text(f"{repeats}every sample was answered the same each time.", style=QUIET)
        return
    share = f"{noise.unstable_samples} of {numbers.plural(noise.n_samples, 'sample')}"
    alone = "answers differently by itself" if noise.unstable_samples == 1 else "answer differently by themselves"
    yield Text.assemble(repeats, (f"{share} ({numbers.percent(noise.share_samples)})", "bold"), f" {alone};")
    f1 = noise.scores["macro_f1"]
    yield Text(
        f"  {numbers.percent(noise.share_cells)} of cells; macro F1 between {numbers.score(f1.least)} and "
        f"{numbers.score(f1.most)} (standard deviation {numbers.score(f1.deviation)})"
    )
    least = noise.unstable_labels[:MOST_NAMED]
    labels = ", ".join(f"{one_line(row.label, 40)} {numbers.percent(row.disagreement)}" for row in least)
    cells = numbers.percent(noise.cell_disagreement)
    yield Text(f"  two repeats disagree in {cells} of cells; most in: {labels}", style=QUIET)
    ids = listing((one_line(each.sample, 40) for each in noise.samples), MOST_NAMED)
    yield Text(f"  least stable samples: {ids}", style=QUIET)
