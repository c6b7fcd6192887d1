"""Answers that a threshold was to decide, and whose words decided: no probability came with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.labelspace import LabelSpace
from harness.parsing import FORMATS
from harness.prompt import Pass, Prompt
from harness.records import Prediction


class Unweighed:
    """Counts the cells of a run that have no probability though a threshold was to decide them.

    Only labels are counted that one pass alone answers, in each sample, by thresholds on token log-probabilities: of any
    other label it is right that some cells have none. So predictions tell it, and no answer is read twice.
    """

    def __init__(self, prompt: Prompt, space: LabelSpace) -> None:
        shared = Counter(name for each in prompt.passes for name in each.inside(space))
        self._labels = {
            each.name: frozenset(name for name in each.inside(space) if shared[name] == 1)
            for each in prompt.passes
            if _is_weighed(each)
        }
        self._answered: Counter[str] = Counter()
        self._without: Counter[str] = Counter()

    def note(self, prediction: Prediction) -> None:
        """Take a prediction of the run."""
        for name, labels in self._labels.items():
            answered = labels - prediction.unanswered
            self._answered[name] += len(answered)
            self._without[name] += len(answered - prediction.probabilities.keys())

    def warnings(self) -> Iterator[str]:
        """Yield what a person should know of each pass with such cells."""
        for name in self._labels:
            without, answered = self._without[name], self._answered[name]
            if without:
                yield (
                    f"pass {name}: {without} of {answered} answered labels came without a probability, so the threshold was "
                    "not applied to them: their words decided. Look if the server gives log-probabilities with "
                    "'top_logprobs: 20', and if 'min_mass' asks for too much; or take the threshold out."
                )


def _is_weighed(each: Pass) -> bool:
    plain = each.votes is None and each.candidates is None and not each.chooses_groups
    return plain and each.output.has_thresholds and FORMATS[each.output.format].weigh is not None
