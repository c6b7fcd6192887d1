"""Templates and expressions: what they give, what is told before they run, and what they can never reach."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.errors import DataError
from harness.labelspace import Label
from harness.template import TemplateError, expression, render, sample_filter, words
from harness.templatenames import (
    Inclusion,
    alternatives,
    check_expression,
    check_names,
    inclusions,
    names_used,
    reached,
)

CONTEXT: dict[str, Any] = {
    "text": "late",
    "labels": (Label("shipping", "Late or lost"),),
    "groups": {"delivery": ("shipping",)},
}


def failure(source: str, context: dict[str, Any] | None = None) -> tuple[str, int]:
    """Return the message and the line with which rendering a template fails."""
    with pytest.raises(TemplateError) as caught:
        render(source, CONTEXT if context is None else context)
    assert str(caught.value) == caught.value.message
    return caught.value.message, caught.value.line


def told(errors: list[TemplateError]) -> list[tuple[str, int]]:
    """Return errors as message and line."""
    return [(error.message, error.line) for error in errors]


# --- rendering --------------------------------------------------------------------------------------------------------


def test_labels_print_as_their_names() -> None:
    """A template may join labels, and may take what is known of each."""
    assert render('{{ labels | join(", ") }}: {{ labels[0].description }}', CONTEXT) == "shipping: Late or lost"


def test_a_line_that_holds_a_tag_alone_leaves_no_line() -> None:
    """Tags on a line of their own leave neither the line nor its indentation behind."""
    assert render("a\n  {% for label in labels %}\n- {{ label }}\n  {% endfor %}\nb", CONTEXT) == "a\n- shipping\nb"


@unhurried
@given(st.text(), st.text("{}%#'\"\\ \n<>&$"))
def test_what_is_put_into_a_template_comes_out_unchanged(text: str, signs: str) -> None:
    """Input text is data: Jinja's signs, markup, control characters and lone surrogates in it pass as they are."""
    assert render("<{{ text }}>", {"text": text + signs}) == f"<{text}{signs}>"


@pytest.mark.parametrize(
    "text",
    ["\x00", "x" * 100_000, "\x1b[31mred\x1b[0m", "[bold]b[/bold]", "👩‍👧 שלום", "\ud800", "{{ 7 * 7 }}", "&lt;<b>"],
)
def test_odd_texts_pass_unharmed(text: str) -> None:
    """NUL, long lines, ANSI, markup, emoji, right-to-left text, lone surrogates and Jinja itself are text like any other."""
    assert render("{{ text }}", {"text": text}) == text


def test_a_failure_names_the_line_of_the_template() -> None:
    """What fails while a template runs is told with its line, in loops and macros too."""
    assert failure("a\n\n{{ 1 / 0 }}") == ("ZeroDivisionError: division by zero.", 3)
    assert failure("a\n{% for i in [1] %}\n{{ text.nope }}\n{% endfor %}") == (
        "str has no attribute 'nope'.",
        3,
    )
    assert failure("{% macro m(x) %}\n{{ x.nope }}\n{% endmacro %}\n\n{{ m(1) }}") == (
        "int has no attribute 'nope'.",
        2,
    )
    assert failure("{{ groups.nope }}") == ("dict has no attribute 'nope'.", 1)


@pytest.mark.parametrize(
    "use",
    ["{{ txet }}", "{{ txet | upper }}", "{% if txet %}{% endif %}", "{{ [txet] }}", "{% for x in txet %}{% endfor %}"],
)
def test_an_unknown_name_is_an_error_and_never_an_empty_string(use: str) -> None:
    """Whatever is done with an unknown name fails, with the names that there are."""
    assert failure(f"\n{use}") == ("'txet' is undefined. Did you mean 'text'? Here there is: groups, labels, text.", 2)


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("a\n{{ text", "must be Jinja, but unexpected end of template, expected 'end of print statement'.", 2),
        ("a\n{% for %}", "must be Jinja, but Expected an expression, got 'end of statement block'.", 2),
        ("{% if text %}\n", "Unexpected end of template.", 1),
        ("\n\n{% do text %}", "must be Jinja, but Encountered unknown tag 'do'.", 3),
        ("{{ dict(a=1, a=2) }}", "must be Jinja, but keyword argument repeated: a.", 1),
        ("{{ " + "9" * 5000 + " }}", "must be Jinja, but Exceeds the limit (4300 digits) for integer string", 1),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "must be Jinja, but it nests too deep.", 1),
        ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", "must be Jinja, but block 'a' defined twice.", 2),
    ],
)
def test_what_is_not_jinja_is_told_before_it_runs(source: str, message: str, line: int) -> None:
    """Every way of not being Jinja is one error with its line: to check, to render, and to name the names."""
    (error,) = check_names(source, ["text"])
    assert message in error.message
    assert error.line == line
    assert failure(source) == (error.message, line)
    with pytest.raises(TemplateError, match=r"^must be Jinja"):
        names_used(source)


# --- checks before the run --------------------------------------------------------------------------------------------


def test_names_are_told_with_the_first_line_of_each() -> None:
    """`names_used` finds what a template takes from its context; what it sets itself and Jinja's own are not among it."""
    source = "{{ b }}\n{% set own = a %}{{ own }}\n{% for x in labels %}{{ x }}{{ loop.index }}{{ b }}{% endfor %}\n"
    source += "{{ range(2) }}"
    assert names_used(source) == {"b": 1, "a": 2, "labels": 3}


def test_what_names_used_returns_is_the_callers_own() -> None:
    """Changing the result of one call changes no later one."""
    names_used("{{ a }}").clear()
    assert names_used("{{ a }}") == {"a": 1}


def test_everything_wrong_is_told_at_once_in_order_of_lines() -> None:
    """Unknown names, filters and tests, and computed names of files are found before a template runs, all of them."""
    source = (
        "{{ txet | uper }}\n{% if text is stringg %}{% endif %}\n{% include text %}{% import text as b %}\n"
        "{% from ['c'] import d %}\n{{ zzzzzz }}\n"
    )
    alone = "a file to include or import must be named by one text in quotes: it is read before the template runs."
    assert told(check_names(source, ["text"])) == [
        ("there is no filter 'uper'. Did you mean 'upper'?", 1),
        ("'txet' is not defined. Did you mean 'text'? Here there is: text.", 1),
        ("there is no test 'stringg'. Did you mean 'string'?", 2),
        (alone, 3),
        (alone, 4),
        ("'zzzzzz' is not defined. Here there is: text.", 5),
    ]


def test_a_template_cannot_extend_another() -> None:
    """`extends` is refused, and the message says what there is in its place."""
    assert told(check_names("{% extends 'a' %}", [], {"a": "x"})) == [
        ("there is no 'extends': what is sent must stand in the prompt. Use include, or a macro.", 1)
    ]


def test_a_template_with_known_names_alone_is_right() -> None:
    """A template that uses known names, and Jinja's own, has no problem."""
    assert check_names("{% for x in range(3) %}{{ text | upper }}{% endfor %}", iter(["text"])) == []


# --- files ------------------------------------------------------------------------------------------------------------

FILES = {
    "guideline.j2": "Rules:\n{% include 'parts/rule.j2' %}\n",
    "parts/rule.j2": "\n- {{ tone }}: {{ text | upper }}",
    "macros.j2": "{% macro item(label) %}\n* {{ label.name }}\n{% endmacro %}",
}


def test_what_follows_an_include_is_not_glued_to_it() -> None:
    """An included file keeps its last line break; one without it ends where it ends."""
    source = "Rules:\n{% include 'rules' %}\nText"
    assert render(source, {}, {"rules": "- one\n- two\n"}) == "Rules:\n- one\n- two\nText"
    assert render("{% include 'a' %}!", {}, {"a": "so"}) == "so!"


def test_a_template_includes_and_imports_the_given_files() -> None:
    """What is included sees the names of the template, loop variables too; macros come by import or from … import."""
    assert render("{% include 'guideline.j2' %}.", {"tone": "calm", "text": "late"}, FILES) == "Rules:\n\n- calm: LATE."
    source = "{% import 'macros.j2' as m %}{% for each in labels %}{{ m.item(each) }}{% endfor %}"
    assert render(source, CONTEXT, FILES) == "* shipping\n"
    source = "{% from 'macros.j2' import item as one %}{{ one(labels[0]) }}"
    assert render(source, CONTEXT, FILES) == "* shipping\n"
    source = "{% for tone in ['a', 'b'] %}{% include 'parts/rule.j2' %}{% endfor %}"
    assert render(source, CONTEXT, FILES) == "\n- a: LATE\n- b: LATE"


def test_the_same_template_with_other_files_is_another_one() -> None:
    """Nothing that was compiled with one text of a file is used with another."""
    for text in ("one", "two", "one"):
        assert render("{% include 'a' %}", {}, {"a": text}) == text


def test_a_failure_in_a_file_names_the_file_and_its_line() -> None:
    """What fails in a file is told with the file's line; the error's own line is that of the template."""
    cases = {
        "\n{% include 'a' %}": ("b:2: str has no attribute 'nope'.", 2),
        "{% import 'm' as m %}\n\n{{ m.item(1) }}": ("m:2: int has no attribute 'nope'.", 3),
        "{% from 'm' import item %}\n{{ item(1) }}": ("m:2: int has no attribute 'nope'.", 2),
        "{% import 'm' as m %}\n{% call m.twice() %}\n{{ 1 / 0 }}{% endcall %}": (
            "ZeroDivisionError: division by zero.",
            3,
        ),
        "\n{% include 'zz' %}": ("there is no file 'zz' among those that were read with the prompt.", 2),
        "\n{% include 'bad' %}": ("bad:2: must be Jinja, but Encountered unknown tag 'do'.", 2),
    }
    files = {
        "a": "A\n{% include 'b' %}",
        "b": "\n{{ text.nope }}",
        "m": "{% macro item(x) %}\n{{ x.nope }}{% endmacro %}{% macro twice() %}{{ caller() }}{% endmacro %}",
        "bad": "\n{% do x %}",
    }
    for source, expected in cases.items():
        with pytest.raises(TemplateError) as caught:
            render(source, CONTEXT, files)
        assert (caught.value.message, caught.value.line) == expected
    with pytest.raises(TemplateError) as caught:
        render("\n{% include 'a' %}", CONTEXT, files)
    assert (caught.value.where, caught.value.bare) == ("b:2", "str has no attribute 'nope'.")


def test_files_are_checked_like_the_template() -> None:
    """Names, filters and syntax in files are told with the file and its line, at the template's line, each once."""
    files = {
        "a": "{{ text }}\n{{ txet }}{% include 'b' %}",
        "b": "{{ text | uper }}\n{% include text %}",
        "bad": "\n{% do x %}",
    }
    assert told(check_names("\n{% include 'a' %}{% include 'a' %}\n{% include 'bad' %}", ["text"], files)) == [
        ("a:2: 'txet' is not defined. Did you mean 'text'? Here there is: text.", 2),
        ("b:1: there is no filter 'uper'. Did you mean 'upper'?", 2),
        (
            "b:2: a file to include or import must be named by one text in quotes: it is read before the template runs.",
            2,
        ),
        ("bad:2: must be Jinja, but Encountered unknown tag 'do'.", 3),
    ]
    assert check_names("{% for shot in text %}{% include 's' %}{% endfor %}", ["text"], {"s": "{{ shot }}"}) == []
    assert check_names("{% include 'elsewhere' %}", [], {}) == []  # who read the files told it


def test_what_is_imported_sees_no_names_of_the_template() -> None:
    """An imported file has its own names alone, unless the import says `with context`; an include is the other way round."""
    files = {"m": "{% macro item() %}{{ text }}{% endmacro %}", "t": "{{ text }}"}
    blind = "What is imported sees no names of the template, unless its import says 'with context'."
    for source in ("{% import 'm' as m %}", "{% from 'm' import item %}"):
        assert told(check_names(source, ["text"], files)) == [(f"m:1: 'text' is not defined. {blind}", 1)]
    assert check_names("{% import 'm' as m with context %}", ["text"], files) == []
    assert told(check_names("{% include 't' without context %}", ["text"], files)) == [
        (f"t:1: 'text' is not defined. {blind}", 1)
    ]
    assert render("{% from 'm' import item with context %}{{ item() }}", CONTEXT, files) == "late"


def test_a_circle_of_files_is_told() -> None:
    """Files that include one another are an error, not an endless text."""
    files = {"a": "{% include 'b' %}", "b": "\n{% include 'a' %}"}
    assert told(check_names("{% include 'a' %}", [], files)) == [("b:2: it includes itself: a → b → a.", 1)]
    assert names_used("{% include 'a' %}", files) == {}
    assert list(reached("{% include 'a' %}", files)) == [("a", 1), ("b", 1)]
    with pytest.raises(TemplateError, match="RecursionError"):
        render("{% include 'a' %}", {}, files)


def test_the_names_of_a_template_are_those_of_its_files_too() -> None:
    """A name that only an included file takes stands on the line of the include; what the template binds is none."""
    files = {"a": "\n\n{{ shot }}{{ text }}{% import 'm' as m %}", "m": "{% macro i() %}{{ hidden }}{% endmacro %}"}
    source = "{% for shot in shots %}\n{% include 'a' %}{% endfor %}{{ labels }}"
    assert names_used(source, files) == {"shots": 1, "labels": 2, "text": 2}
    assert names_used("{% macro f() %}{% endmacro %}{% include 'a' %}{{ text }}", files) == {"text": 1, "shot": 1}


def test_the_files_that_a_template_names() -> None:
    """`inclusions` are static names with their lines, and `reached` all files that they lead to."""
    source = "{% include 'a' %}\n{% import 'm' as m %}{% include text %}{% from 'zz' import x with context %}"
    assert inclusions(source) == (Inclusion("a", 1, True), Inclusion("m", 2, False), Inclusion("zz", 2, True))
    assert list(reached(source, {"a": "{% include 'm' %}", "m": ""})) == [("a", 1), ("m", 1)]
    with pytest.raises(TemplateError, match="must be Jinja"):
        inclusions("{% include %}")


# --- the sandbox ------------------------------------------------------------------------------------------------------

ESCAPES = [
    "{{ text.__class__ }}",
    "{{ text['__class__'].__mro__ }}",
    "{{ text | attr('__class__') }}",
    "{{ [text] | map(attribute='__class__') | list }}",
    "{{ [text] | map('attr', '__class__') | list }}",
    "{{ [text] | groupby('__class__') }}",
    "{{ [text, text] | sort(attribute='__class__') }}",
    "{{ [text] | sum(attribute='__class__') }}",
    "{{ '{0.__class__}'.format(text) }}",
    "{{ '{t.__class__}'.format_map({'t': text}) }}",
    "{{ ('{0.__class__}' | attr('format'))(text) }}",
    "{{ labels[0].__dict__ }}",
    "{{ labels[0].__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner.__init__ }}",
    "{{ namespace.__init__ }}",
    "{{ range.__self__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ render.__globals__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ config }}",
    "{{ request }}",
    "{{ os.environ }}",
    "{{ env }}",
    "{{ open('/etc/passwd').read() }}",
    "{{ __import__('os') }}",
    "{{ groups.update({'a': 1}) }}",
    "{{ groups.clear() }}",
    "{% set groups.a = 1 %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import environ %}",
    "{% extends 'base' %}",
    "{{ range(100001) | list }}",
    "{{ range(10 ** 12) | list }}",
    "{{ [1, 2] | random }}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_a_template_reaches_nothing_beyond_its_values(source: str) -> None:
    """No attribute, global, file, environment or huge range can be reached, and nothing can be changed."""
    before = repr(CONTEXT)
    message, line = failure(source)
    assert line == 1
    assert message.endswith(".")
    assert repr(CONTEXT) == before


@pytest.mark.parametrize("source", [each[3:-3] for each in ESCAPES if each.startswith("{{")])
def test_an_expression_reaches_nothing_beyond_its_values(source: str) -> None:
    """The same for a `when` or a `--filter`."""
    with pytest.raises(TemplateError):
        expression(f"({source}) | string")(CONTEXT)


def test_a_secret_attribute_is_told_as_unsafe() -> None:
    """The message for a forbidden attribute says which one and why."""
    assert failure("\n{{ text.__class__ }}") == (
        "SecurityError: access to attribute '__class__' of 'str' object is unsafe.",
        2,
    )


def test_a_huge_range_is_refused() -> None:
    """A range beyond the sandbox's limit is refused, not built."""
    assert failure("{{ range(10 ** 12) | list }}") == (
        "OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).",
        1,
    )


def test_nothing_is_drawn_without_a_seed() -> None:
    """Jinja's random helpers are not there: the same values always render the same text."""
    assert told(check_names("{{ lipsum() }}{{ text | random }}", ["text"])) == [
        ("there is no filter 'random'.", 1),
        ("'lipsum' is not defined. Here there is: text.", 1),
    ]


# --- expressions ------------------------------------------------------------------------------------------------------


def test_an_expression_is_a_function_of_its_context() -> None:
    """An expression gives its value, whatever the names in the context are."""
    assert expression("'shipping' in predicted")({"predicted": ["shipping"], "self": 1, "context": 2}) is True
    assert expression("n + 1")({"n": 2}) == 3


def test_an_expression_that_fails_says_why() -> None:
    """An unknown name and a failing operation are told when the expression runs."""
    for source, message in {
        "predictd": "'predictd' is undefined. Did you mean 'predicted'? Here there is: predicted.",
        "predicted.nope": "list has no attribute 'nope'.",
        "1 / 0 > 1": "ZeroDivisionError: division by zero.",
    }.items():
        with pytest.raises(TemplateError) as caught:
            expression(source)({"predicted": []})
        assert (caught.value.message, caught.value.line) == (message, 1)


def test_what_is_wrong_with_an_expression_is_told_before_it_runs() -> None:
    """Syntax, names and filters of an expression are checked like a template's; a string may hold Jinja's own signs."""
    assert told(check_expression("a and", ["a"])) == [
        ("must be a Jinja expression, but unexpected 'end of template'.", 1)
    ]
    assert told(check_expression("a\n}} {{ b", ["a"])) == [
        ("must be a Jinja expression, but it goes on after its end.", 2)
    ]
    with pytest.raises(TemplateError, match="must be a Jinja expression"):
        expression("a }} {{ b")
    assert told(check_expression("predictd\n  | lenght > 1", ["predicted"])) == [
        ("'predictd' is not defined. Did you mean 'predicted'? Here there is: predicted.", 1),
        ("there is no filter 'lenght'. Did you mean 'length'?", 2),
    ]
    assert check_expression("'}}' in text and text is not none", ["text"]) == []


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Late! The plate, late-ish.", ["late", "the", "plate", "late", "ish"]),
        ("Didn’t 'go' won't rock'n'roll x' 'y", ["didn't", "go", "won't", "rock'n'roll", "x", "y"]),
        ("STRASSE Straße ＬＡＴＥ", ["strasse", "strasse", "late"]),
        ("日本語 ok タイ", ["日", "本", "語", "ok", "タ", "イ"]),
        ("it is 10,5 a_b", ["it", "is", "10", "5", "a_b"]),
        ("\ud800 …", []),
        (12.5, ["12", "5"]),
    ],
)
def test_the_words_of_a_text(text: object, found: list[str]) -> None:
    """Case folded, one Unicode form, apostrophes within; characters are words where there are no spaces."""
    assert words(text) == found
    assert render("{{ text | words | join('|') }}", {"text": text}) == "|".join(found)


def test_a_condition_on_a_word_finds_the_word_alone() -> None:
    """`'late' in text` is true of plates; with `words` it is not, and an unknown name is still an error."""
    late = expression("'late' in text | words")
    assert [late({"text": text}) for text in ("It was LATE.", "a plate", "")] == [True, False, False]
    assert not check_expression("'late' not in text | words", ["text"])
    with pytest.raises(TemplateError, match="'txet' is undefined"):
        expression("txet | words")({"text": "late"})


# --- --filter ---------------------------------------------------------------------------------------------------------


def test_a_filter_is_a_test_of_a_sample() -> None:
    """A filter is true or false of a sample."""
    test = sample_filter("text | length")
    assert test({"id": "a", "text": "x"}) is True
    assert test({"id": "a", "text": ""}) is False


def test_a_filter_that_is_wrong_names_the_expression() -> None:
    """An error in a filter names the option, the expression, and the sample on which it failed."""
    with pytest.raises(DataError) as caught:
        sample_filter("text ==")
    assert str(caught.value) == ("--filter 'text ==': must be a Jinja expression, but unexpected 'end of template'.")
    with pytest.raises(DataError) as caught:
        sample_filter("txet == 'a'")({"id": "s1", "text": "a"})
    assert str(caught.value) == (
        "--filter 'txet == 'a'': sample s1: 'txet' is undefined. Did you mean 'text'? Here there is: id, text."
    )


# --- alternatives of an expression ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("a", ["a"]),
        (" a or b\n or c ", ["a", "b", "c"]),
        ("(a or (b or c))", ["a", "b", "c"]),
        ("(a) or (b and (c or d))", ["a", "b and (c or d)"]),
        ("not a or b and c", ["not a", "b and c"]),
        ("(a or b) and c", ["(a or b) and c"]),
        ("not (a or b)", ["not (a or b)"]),
        ("[a or b] or x[0:1] or {'or': 1}", ["[a or b]", "x[0:1]", "{'or': 1}"]),
        ("'or' in text or \"a or b\" in text", ["'or' in text", '"a or b" in text']),
        ("'late' in text | words or scores['a'] < 0.5", ["'late' in text | words", "scores['a'] < 0.5"]),
        ("a or b if c else d", ["a or b if c else d"]),
        ("(a if b else c) or d", ["a if b else c", "d"]),
        ("x.or or b", ["x.or or b"]),
    ],
)
def test_alternatives_of_an_expression(source: str, parts: list[str]) -> None:
    """What stands between the outermost `or` are alternatives; a ternary, or what cannot be told apart, is one."""
    assert list(alternatives(source)) == parts


def test_what_is_no_expression_has_no_alternatives() -> None:
    """An invalid expression is an error, as it is everywhere."""
    with pytest.raises(TemplateError, match="must be a Jinja expression"):
        alternatives("a or")


BOOLEANS = st.recursive(
    st.sampled_from(["a", "b", "c"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["or", "and"]), inner).map(" ".join),
        inner.map(lambda one: f"({one})"),
        inner.map(lambda one: f"not {one}"),
    ),
    max_leaves=8,
)


@given(BOOLEANS, st.booleans(), st.booleans(), st.booleans())
def test_one_alternative_is_enough(source: str, a: bool, b: bool, c: bool) -> None:
    """An expression is true exactly where one of its alternatives is."""
    context = {"a": a, "b": b, "c": c}
    assert bool(expression(source)(context)) == any(expression(part)(context) for part in alternatives(source))
