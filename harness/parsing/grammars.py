"""GBNF grammars of answers, for servers that take one (llama.cpp, vLLM): what `render` writes and `parse` reads, bounded.

A grammar that lets a model go on lets a small one name labels until its tokens are used up. So an answer holds at most as
many labels as there are, and a text at most `MOST_CHARACTERS`. Labels may come in any order and twice: `parse` takes both.

GBNF: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from harness.labelspace import Field, LabelSpace
from harness.parsing.codetable import CodeTable
from harness.parsing.formats import Output
from harness.regexes import regex

MOST_CHARACTERS = 300
"""Characters of an extracted text."""

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}

_PLAIN = regex(r"\w(?:[^,;:|()\[\]{}<>\"`*#=]*\w)?")

_JSON_RULES = (
    'ws ::= (" " | "\\n" [ ]{0,8})?',
    f'text ::= "\\"" character{{0,{MOST_CHARACTERS}}} "\\""',
    'character ::= [^"\\\\\\x00-\\x1F\\x7F] | "\\\\" (["\\\\/bfnrt] | "u" [0-9a-fA-F]{4})',
)


def literal(text: str) -> str:
    """Return a text as GBNF writes it: in quotes, its own quotes, backslashes and line ends escaped."""
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'


def one_of(texts: Iterable[str]) -> str:
    """Return the alternatives between texts, each once, in their order; in brackets when there are several."""
    known = [literal(text) for text in dict.fromkeys(texts)]
    return known[0] if len(known) == 1 else f"({' | '.join(known)})"


def none_of(characters: Iterable[str]) -> str:
    """Return the class of all characters but these and control characters."""
    # By number, because what a class may hold unescaped (- ^ ]) is another set than what its parser lets be escaped.
    numbers = "".join(f"\\U{ord(character):08X}" for character in sorted(set(characters)))
    return f"[^\\x00-\\x1F\\x7F{numbers}]"


def several(item: str, joint: str, most: int) -> str:
    """Return one to ``most`` items with a joint between them; all three are GBNF."""
    return item if most == 1 else f"{item} ({joint} {item}){{0,{most - 1}}}"


def list_grammar(space: LabelSpace, output: Output) -> str:
    """Return the grammar of the format `list`: the none word, or names with the separator between them."""
    root, rules = _list(space, output, "")
    return _grammar(root, *rules)


def _list(space: LabelSpace, output: Output, prefix: str, written: Callable[[str], str] = str) -> tuple[str, list[str]]:
    """Return what a list can be, and the rules for it.

    Args:
        space: Its labels.
        output: Its separator and none word.
        prefix: What the names of the rules begin with.
        written: How a name stands in what surrounds the list.
    """
    from harness.parsing.list import OPTIONS, render  # it names this module's function where it says what the format is

    separator: str = output.options.get("separator", OPTIONS["separator"])
    joint = separator if separator.isspace() else f"{separator.rstrip(' ')} "
    most = len(space)
    none = literal(written(render((), {}, space, output)))
    plain = [f"{prefix}item ::= {one_of(map(written, space.names))}"]
    ways = [none, several(f"{prefix}item", literal(joint), most)]
    if _is_plain(space, separator.strip(" ")) and render(space.names, {}, space, output) == joint.join(space.names):
        return " | ".join(ways), plain
    # A name that could be misread stands in quotes, among others that stand so, or on a line of its own.
    rules = [
        f"{prefix}item ::= {one_of(written(render([name], {}, space, output)) for name in space.names)}",
        f"{prefix}quoted ::= {one_of(written(_quoted(name)) for name in space.names)}",
        f"{prefix}line ::= {one_of(map(written, space.names))}",
    ]
    ways += [several(f"{prefix}quoted", literal(joint), most), several(f"{prefix}line", literal("\n"), most)]
    return " | ".join(ways), rules


def _quoted(name: str) -> str:
    return f'"{name}"'


def _is_plain(space: LabelSpace, separator: str) -> bool:
    """Return whether no name or alias holds the separator or begins, ends or goes on with what a list is made of."""
    return all(
        _PLAIN.fullmatch(spelling) and (separator or "\n") not in spelling
        for label in space
        for spelling in (label.name, *label.aliases)
    )


def list_on_one_line(space: LabelSpace, output: Output) -> bool:
    """Return whether no answer that is rendered as a list, of whichever labels, holds a line break."""
    root, rules = _list(space, output, "")
    return "\\n" not in root and all("\\n" not in rule and not rule.startswith("line ") for rule in rules)


def json_grammar(space: LabelSpace, output: Output) -> str:
    """Return the grammar of the format `json`: the labels under their key, then the fields that are asked for."""
    from harness.parsing.json import OPTIONS

    key = output.options.get("labels_key", OPTIONS["labels_key"])
    fields = [field for name in output.fields if (field := space.field(name))]
    members = [_member(key, "labels"), *(_member(each.name, _json_value(each)) for each in fields)]
    names = one_of(_json(name) for name in space.names)
    return _grammar(
        '"{" ws ' + ' "," ws '.join(members) + ' ws "}"',
        'labels ::= "[" ws (' + several("label", '"," ws', len(space)) + ' ws)? "]"',
        f"label ::= {names}",
        *_JSON_RULES,
    )


def _member(key: str, value: str) -> str:
    return f'{literal(_json(key))} ":" ws {value}'


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _json_value(field: Field) -> str:
    if field.type == "choice":
        return one_of([*map(_json, field.values), "null"])
    return one_of(["true", "false", "null"]) if field.type == "bool" else '("null" | text)'


def vector_grammar(space: LabelSpace, output: Output) -> str:
    """Return the grammar of the format `vector`: one 0 or 1 for each label, with the separator between them."""
    from harness.parsing.vector import OPTIONS

    separator = literal(output.options.get("separator", OPTIONS["separator"]))
    return _grammar(f"[01] ({separator} [01]){{{len(space) - 1}}}" if len(space) > 1 else "[01]")


def codes_grammar(space: LabelSpace, output: Output) -> str:
    """Return the grammar of the format `codes`: the code of no label or the none word, or at most as many codes as labels.

    Without a separator the codes come in their order, each at most once: only so are they told from a word.
    """
    table = CodeTable(space, output)
    codes = [table.written[code] for code in table.order if table.sets[code]]
    nothing = one_of([table.write(()), *(table.written[code] for code in table.order if not table.sets[code])])
    if not codes:
        return _grammar(nothing)
    if table.separator:
        most = min(len(codes), len(space))
        return _grammar(f"{nothing} | {several('code', literal(table.separator), most)}", f"code ::= {one_of(codes)}")
    ways = [
        " ".join([literal(code), *(f"{literal(later)}?" for later in codes[at + 1 :])]) for at, code in enumerate(codes)
    ]
    return _grammar(" | ".join([nothing, *ways]))


def containers_grammar(space: LabelSpace, output: Output) -> str:
    """Return the grammar of the format `containers`: all of them in their order, one a line.

    A text stands on one line and holds no sign by which a container could begin or end: a model that has to write one
    escapes it (``&#60;``).
    """
    from harness.parsing.containermarks import Container, layout
    from harness.parsing.containerreader import ContainerReader
    from harness.parsing.containers import OPTIONS

    containers = layout(space, output.options.get("containers", OPTIONS["containers"]), output.fields)
    reader = ContainerReader(containers, output.options.get("none", OPTIONS["none"]))

    def within(each: Container) -> Callable[[str], str]:
        return lambda text: reader.marks.enclosed(each, text).removeprefix(each.prefix).removesuffix(each.suffix)

    marks = [mark.strip() for each in containers for mark in (each.prefix, each.suffix)]
    signs = {mark[0] for mark in marks if mark and not mark[0].isalnum()}
    root, rules = [], [f"text ::= {none_of(signs)}{{0,{MOST_CHARACTERS}}}"]
    for number, each in enumerate(containers, 1):
        written, name = within(each), f"c{number}"
        if each.labels is not None:
            content, more = _list(each.labels, reader.list_output(each), f"{name}-", written)
            rules += [f"{name} ::= {content}", *more]
        elif each.field is not None:
            rules.append(f"{name} ::= {_contained(each.field, written)}")
        end = each.suffix if each.suffix.endswith("\n") else f"{each.suffix}\n"
        root += [literal(each.prefix), name, literal(end.removesuffix("\n") if number == len(containers) else end)]
    return _grammar(" ".join(root), *rules)


def _contained(field: Field, written: Callable[[str], str]) -> str:
    """Return what a field's container can hold; an empty one says that there is nothing."""
    if field.type == "choice":
        return one_of([*map(written, field.values), ""])
    return one_of(["true", "false", ""]) if field.type == "bool" else "text"


def _grammar(root: str, *rules: str) -> str:
    return "\n".join([f"root ::= {root}", *rules]) + "\n"
