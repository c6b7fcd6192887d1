"""The forms in which a server can be made to write an answer, derived from format, options and label space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import listing
from harness.labelspace import LabelSpace
from harness.records import Constraint

if TYPE_CHECKING:
    from harness.parsing.formats import Format, Output


def forms(written: Format, output: Output, space: LabelSpace) -> tuple[Constraint, ...]:
    """Return the ways to constrain an answer, strictest first; none for a format without a schema and a grammar.

    A grammar comes last where there is a schema: servers that know none rather pass over it than say so.

    Args:
        written: The output's format.
        output: Its options are sound.
        space: The labels that an answer is about.
    """
    schema = None if written.schema is None else written.schema(space, output)
    grammar = None if written.grammar is None else written.grammar(space, output)
    found: list[Constraint] = []
    if schema is not None:
        found += [Constraint("json_schema", schema=schema), Constraint("json_object")]
    if grammar is not None:
        found.append(Constraint("grammar", grammar=grammar))
    return tuple(found)


def constraint_problems(written: Format, output: Output, space: LabelSpace) -> list[str]:
    """Return what is impossible about ``constrain`` in an output, one message each; empty when all is well."""
    if output.constrain in ("auto", "off") or (written.schema is None and written.grammar is None):
        return []  # an answer that is no text has no form, which is told where its API is known
    asked = space.only(space.names[:1]) if written.one_label else space
    known = [each.form for each in forms(written, output, asked)]
    if output.constrain in known:
        return []
    return [
        f"constrain must be one of {listing(['auto', 'off', *known])} for format {output.format}, got {output.constrain}."
    ]
