"""Paired statistics of label vectors: what can be said of a score, and of the difference of two runs.

Runs are compared on the same samples, so everything here is paired: a sample is drawn, or exchanged, whole, with all
its labels and all its repeats. This module says what counts as a difference, in `verdict`, and is where the parts meet:

* `outcomes` turns answers into what scores are made of;
* `bootstrap` and its companions give intervals, standard errors and the smallest detectable difference;
* `sign_swap` and `mcnemar` are the tests, `holm` their correction.

docs/statistics.md tells what each number means, and where it does not hold.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from harness.outcomes import AVERAGES as AVERAGES
from harness.outcomes import F1_AVERAGES as F1_AVERAGES
from harness.outcomes import FloatMatrix as FloatMatrix
from harness.outcomes import Outcomes as Outcomes
from harness.outcomes import Repeat as Repeat
from harness.outcomes import outcomes as outcomes
from harness.pairedtests import PERMUTATIONS as PERMUTATIONS
from harness.pairedtests import TOLERANCE as TOLERANCE
from harness.pairedtests import PValues as PValues
from harness.pairedtests import holm as holm
from harness.pairedtests import mcnemar as mcnemar
from harness.pairedtests import sign_swap as sign_swap
from harness.resampling import LEVEL as LEVEL
from harness.resampling import RESAMPLES as RESAMPLES
from harness.resampling import Interval as Interval
from harness.resampling import Replicates as Replicates
from harness.resampling import bootstrap as bootstrap
from harness.resampling import detectable as detectable
from harness.resampling import interval as interval
from harness.resampling import intervals as intervals
from harness.resampling import standard_errors as standard_errors
from harness.resampling import unvarying as unvarying

ALPHA = 0.05
"""Two-sided: how often a test may see a difference where there is none."""

MARGIN = 0.02
"""How much lower a score may be and still be called no worse."""

LEAST_SUPPORT = 20
"""Gold cells that a label needs before anything is said of it."""

Verdict: TypeAlias = Literal["better", "worse", "no worse", "inconclusive", "too few to tell"]


def verdict(low: float, high: float, p: float, *, size: float, margin: float = MARGIN, alpha: float = ALPHA) -> Verdict:
    """Return in a word what can be said of a difference of scores, of which more is better.

    * better, worse: p is at most ``alpha`` and the interval leaves out 0: both ways of asking agree;
    * no worse: neither, the interval would end above ``-margin`` with one more sample lost, and there are at least
      ``3 / margin`` samples: with fewer, nothing seen is no proof that nothing is there (the rule of three, Hanley &
      Lippman-Hand 1983). The one sample is for differences that rest on a few losses alone, where a bootstrap cannot
      draw what it has not seen;
    * inconclusive: none of these, so the samples cannot tell, or nothing is defined.

    Args:
        low: Lower end of the difference's interval.
        high: Upper end.
        p: Its p-value, corrected where several are tested.
        size: On how many it rests: samples of an average, gold cells of a label.
        margin: How much lower is still no worse.
        alpha: Level of the test.
    """
    if any(map(math.isnan, (low, high, p))):
        return "inconclusive"
    if p <= alpha and low > 0:
        return "better"
    if p <= alpha and high < 0:
        return "worse"
    enough = size * margin >= 3 - TOLERANCE
    return "no worse" if enough and low - 1 / size > TOLERANCE - margin else "inconclusive"
