"""The label space: labels in a fixed order, with their groups and aliases, and the fields beside them.

The order of `LabelSpace.labels` is the order of every label vector; nothing else in the program orders labels.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NONE_WORD = "none"
"""How the empty label set is written, unless the output format says otherwise. No label may be called so."""

MOST_PARTS = 4096
"""Label spaces of some of the labels that are kept at a time: as many as there are units, but candidates are endless."""

FieldType = Literal["choice", "text", "bool"]
TextMatch = Literal["exact", "normalized"]

_JOINERS = re.compile(r"[\s_\-\u2010-\u2015]+")


def normalize(name: str) -> str:
    """Return the form in which two spellings of a label are compared: NFKC, case folded, joiners as one space.

    >>> normalize("Build_Quality ") == normalize("build quality")
    True
    """
    return _JOINERS.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()


def is_visible(name: str) -> bool:
    """Return whether a name has something to see and to compare, and no control characters, lines or surrogates."""
    kinds = {unicodedata.category(character) for character in name}
    return bool(normalize(name)) and not kinds & {"Cc", "Cs", "Zl", "Zp"} and bool(kinds - {"Cf", "Zs", "Mn"})


@dataclass(frozen=True, slots=True)
class Label:
    """One label. Printed as its name, so that templates can say ``{{ labels | join(", ") }}``."""

    name: str
    description: str = ""
    aliases: tuple[str, ...] = ()
    code: str | None = None
    group: str | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Group:
    """Labels that belong together. Printed as its name."""

    name: str
    labels: tuple[Label, ...]
    description: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """A typed container beside the labels.

    Attributes:
        values: The choices, for type "choice"; empty for the others.
        match: How a text is compared with its gold, for type "text".
    """

    name: str
    type: FieldType
    values: tuple[str, ...] = ()
    match: TextMatch = "normalized"
    description: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class LabelSpace:
    """Labels in their fixed order, the fields, and the rules that label sets keep.

    The rules say what gold and predictions should look like. They change neither what is asked nor how it is scored.

    Attributes:
        exclusive: Sets of labels of which a sample has one at most.
        implies: Pairs of labels: a sample that has the first has the second too.
        about_groups: Pairs of a group and its description, for the groups that have one.
    """

    labels: tuple[Label, ...]
    fields: tuple[Field, ...] = ()
    exclusive: tuple[tuple[str, ...], ...] = ()
    implies: tuple[tuple[str, str], ...] = ()
    about_groups: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The label names, in order."""
        return tuple(label.name for label in self.labels)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each label in every label vector, by name."""
        return {name: position for position, name in enumerate(self.names)}

    @cached_property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Label names by group, in label-space order; labels without a group are not in it."""
        grouped: dict[str, list[str]] = {}
        for label in self.labels:
            if label.group is not None:
                grouped.setdefault(label.group, []).append(label.name)
        return {group: tuple(names) for group, names in grouped.items()}

    @cached_property
    def group_of(self) -> Mapping[str, str]:
        """Group by label name; labels without a group are not in it."""
        return {label.name: label.group for label in self.labels if label.group is not None}

    @cached_property
    def as_groups(self) -> LabelSpace:
        """The label space whose labels are the groups of this one: what a pass that chooses among groups answers with."""
        about = dict(self.about_groups)
        return LabelSpace(tuple(Label(group, about.get(group, "")) for group in self.groups), self.fields)

    def group(self, name: str, labels: tuple[Label, ...]) -> Group:
        """Return some labels of a group as that group; the same labels give the same object."""
        key = name, tuple(label.name for label in labels)
        if key not in self._made_groups:
            if len(self._made_groups) >= MOST_PARTS:
                self._made_groups.clear()
            self._made_groups[key] = Group(name, labels, dict(self.about_groups).get(name, ""))
        return self._made_groups[key]

    @cached_property
    def _made_groups(self) -> dict[tuple[str, tuple[str, ...]], Group]:
        """Groups that `group` made, by their names and those of their labels."""
        return {}

    def only(self, names: Iterable[str]) -> LabelSpace:
        """Return the label space of some of the labels, in the same order; the fields stay, the rules do not.

        The same names give the same object: a pass that asks label by label needs it for every sample.
        """
        kept = tuple(names)
        if kept == self.names:
            return self
        if kept not in self._parts:
            chosen = frozenset(kept)
            if len(self._parts) >= MOST_PARTS:
                self._parts.clear()
            labels = tuple(label for label in self.labels if label.name in chosen)
            self._parts[kept] = LabelSpace(labels, self.fields, about_groups=self.about_groups)
        return self._parts[kept]

    @cached_property
    def _parts(self) -> dict[tuple[str, ...], LabelSpace]:
        """Label spaces that `only` made, by the names they were made for."""
        return {}

    @cached_property
    def spellings(self) -> Mapping[str, str]:
        """Label name by every normalised spelling of it: the name itself and its aliases."""
        return {normalize(spelling): label.name for label in self.labels for spelling in (label.name, *label.aliases)}

    def find(self, text: str) -> str | None:
        """Return the name of the label that ``text`` names exactly (but for case and joiners), or None."""
        return self.spellings.get(normalize(text))

    def field(self, name: str) -> Field | None:
        """Return the field of that name, or None."""
        return next((each for each in self.fields if each.name == name), None)

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Return the given label names in label-space order."""
        return sorted(names, key=self.index.__getitem__)

    def vectors(self, sets: Iterable[Iterable[str]]) -> NDArray[np.bool_]:
        """Return the label vectors of the given sets of label names: bool, shape (n_sets, n_labels)."""
        import numpy as np

        index, width = self.index, len(self.labels)
        n_sets, present = 0, []
        for names in sets:
            if names:
                start = n_sets * width
                present += [start + index[name] for name in names]
            n_sets += 1
        matrix = np.zeros(n_sets * width, dtype=np.bool_)
        matrix[present] = True
        return matrix.reshape(n_sets, width)

    def to_json(self) -> dict[str, Any]:
        """Return the label space as plain values; `from_json` is the way back."""
        return {
            "labels": [asdict(label) for label in self.labels],
            "fields": [asdict(each) for each in self.fields],
            **({"exclusive": [list(names) for names in self.exclusive]} if self.exclusive else {}),
            **({"implies": [list(pair) for pair in self.implies]} if self.implies else {}),
            **({"about_groups": [list(pair) for pair in self.about_groups]} if self.about_groups else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabelSpace:
        """Return the label space that `to_json` wrote; one without rules has none of them."""
        return cls(
            tuple(Label(**{**row, "aliases": tuple(row["aliases"])}) for row in data["labels"]),
            tuple(Field(**{**row, "values": tuple(row["values"])}) for row in data["fields"]),
            tuple(tuple(names) for names in data.get("exclusive", ())),
            tuple((name, other) for name, other in data.get("implies", ())),
            tuple((name, about) for name, about in data.get("about_groups", ())),
        )
