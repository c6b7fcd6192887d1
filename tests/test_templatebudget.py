"""What templates make has an end: every way to fill memory or time is stopped, and nothing that prompts do."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import templatebudget
from harness.labelspace import Label
from harness.template import TemplateError, compiled, expression, render, sample_filter
from harness.templatebudget import LIMIT, STEP, weight

TOO_MUCH = "it makes more than 5,000,000 characters and items. Make its loops and texts smaller."
TEXT = "{% set x = 'ab' %}"
BIG = "{% set x = 'a' * 1000000 %}"
MANY = "{% set x = range(99999) | list %}"


def grown(step: str, uses: str = "{{ x }}") -> str:
    """Return a template in which a value grows by a step, sixty times."""
    return TEXT + step * 60 + uses


BOMBS = {
    "times": "{{ 'a' * 10 ** 10 }}",
    "times, from the left": "{{ 10 ** 10 * 'a' }}",
    "a list times": "{{ [1] * 10 ** 9 }}",
    "a long text times": "{% set x = 'a' * 1000000 %}{{ [x] * 1000 }}",
    "a power": "{{ 10 ** (10 ** 10) }}",
    "a product": "{% set x = 9 ** 20000 %}{% set x = x * x %}{{ x > 1 }}",
    "loops in loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "loops with a condition": "{% for i in range(99999) if range(99999) | select | list %}{% endfor %}",
    "loops over what comes one by one": (
        "{% for i in range(99999) %}{% for j in range(99999) | map('abs') %}{% endfor %}{% endfor %}"
    ),
    "a text letter by letter": BIG + "{% for c in x %}{% endfor %}",
    "a loop that calls itself": (
        "{% for i in range(2) recursive %}{% if loop.depth < 60 %}{{ loop(range(2)) }}{% endif %}{% endfor %}"
    ),
    "a macro that calls itself": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "a macro called often": (
        "{% macro f() %}" + "x" * 10_000 + "{% endmacro %}{% for i in range(99999) %}{% set x = f() %}{% endfor %}"
    ),
    "much text in a loop": "{% for i in range(99999) %}" + "x" * 10_000 + "{% endfor %}",
    "doubled by ~": grown("{% set x = x ~ x %}"),
    "doubled by +": grown("{% set x = x + x %}"),
    "doubled by a block": grown("{% set x %}{{ x }}{{ x }}{% endset %}"),
    "doubled by a list": grown("{% set x = [x, x] %}"),
    "doubled by a tuple": grown("{% set x = (x, x) %}"),
    "doubled by a mapping": grown("{% set x = {1: x, 2: x} %}"),
    "doubled by dict()": grown("{% set x = dict(a=x, b=x) %}"),
    "doubled by views": grown("{% set x = [{1: x}.items(), {1: x}.items()] %}"),
    "doubled by namespaces": grown("{% set x = namespace(a=[x, x]) %}"),
    "doubled in a namespace": (
        "{% set x = namespace(a=1) %}{% for i in range(60) %}{% set x.a = [x.a, x.a] %}{% endfor %}{{ x.a }}"
    ),
    "a namespace in itself": "{% set x = namespace(a=1) %}{% set x.a = [x, x] %}{{ [x] }}",
    "lists by +": "{% set x = [1, 2] %}" + "{% set x = x + x %}" * 60 + "{{ x | length }}",
    "replace, a filter": grown("{% set x = x | replace('', x) %}"),
    "replace, a method": grown("{% set x = x.replace('', x) %}"),
    "join, a filter": grown("{% set x = [x, x, x] | join(x) %}"),
    "join, a method": grown("{% set x = x.join([x, x, x]) %}"),
    "join of what comes one by one": grown("{% set x = [x, x, x] | map('upper') | join(x) %}"),
    "format": grown("{% set x = '{0}{0}{0}'.format(x) %}"),
    "percent": grown("{% set x = '%s%s' % (x, x) %}"),
    "percent, a filter": grown("{% set x = '%s%s' | format(x, x) %}"),
    "center, a filter": "{{ 'a' | center(10 ** 9) }}",
    "center, mapped": "{{ range(99999) | map('string') | map('center', 1000000) | list }}",
    "center, a block": "{% filter center(1000000000) %}a{% endfilter %}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "zfill": "{{ '1'.zfill(1000000000) }}",
    "expandtabs": "{{ '\t'.expandtabs(1000000000) }}",
    "a width behind %": "{{ '%1000000000d' % 1 }}",
    "a width behind %, in bytes": "{{ '%1000000000d'.encode() % 1 }}",
    "a width for the filter": "{{ '%1000000000d' | format(1) }}",
    "a width in {}": "{{ '{:1000000000}'.format(1) }}",
    "a width in {} by name": "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "translate": "{% set x = 'a' * 100000 %}{{ x.translate({97: x}) }}",
    "indent by a number": "{% set x = 'a\n' * 100000 %}{{ x | indent(1000000) }}",
    "indent by a text": "{% set x = 'a\n' * 100000 %}{{ x | indent('a' * 1000000) }}",
    "tojson": MANY + "{{ x | tojson(indent=1000000) }}",
    "bytes of a number": "{{ (1).to_bytes(10000000000, 'big') }}",
    "round": "{{ 1.5 | round(1000000000, 'ceil') }}",
    "batch": "{{ [1] | batch(1000000000, 'x') | list }}",
    "slice": "{{ [1] | slice(1000000000, 'x') | list }}",
    "slow: striptags": "{% set x = '<!---->' * 100000 %}{{ x | striptags }}",
    "slow: wordwrap": BIG + "{{ x | wordwrap(1) }}",
    "slow: urlize": BIG + "{{ x | urlize }}",
    "slow: sum": "{{ ([[1]] * 100000) | sum(start=[]) }}",
    "a filter called often": BIG + "{% for i in range(9999) %}{{ (x | upper) == '' }}{% endfor %}",
    "a method called often": BIG + "{% for i in range(9999) %}{{ x.upper() == '' }}{% endfor %}",
    "a sort called often": MANY + "{% for i in range(99999) %}{{ x | sort | length }}{% endfor %}",
}


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the limit, so that what takes a second takes a tenth of it."""
    monkeypatch.setattr(templatebudget, "LIMIT", LIMIT // 10)


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_stopped(source: str) -> None:
    """What would fill memory or run for hours ends in a message, soon."""
    began = time.process_time()
    with pytest.raises(TemplateError) as caught:
        render(source, {})
    assert caught.value.message == TOO_MUCH
    assert time.process_time() - began < 10  # a twentieth of that on an idle machine, against hours


@pytest.mark.parametrize(
    ("source", "sign"), [("{{ '%*d' % (1000000000, 1) }}", "*"), ("{{ '{:{}}'.format(1, 1000000000) }}", "{}")]
)
def test_a_width_that_is_an_argument_is_refused(source: str, sign: str) -> None:
    """A width that is not in the text itself cannot be seen before it is used."""
    with pytest.raises(TemplateError) as caught:
        render(source, {})
    assert caught.value.message == f"a width must stand in the text itself, not be a '{sign}'."


@pytest.mark.usefixtures("_soon")
def test_files_that_include_each_other_twice_have_an_end() -> None:
    """Forty small files, each including the next one twice, would be a million million."""
    files = {f"f{at}": f"{{% include 'f{at + 1}' %}}" * 2 for at in range(40)} | {"f40": "x"}
    with pytest.raises(TemplateError) as caught:
        render("{% include 'f0' %}", {}, files)
    assert caught.value.bare == TOO_MUCH


def test_expressions_have_an_end_too() -> None:
    """A `when` and a `--filter` are stopped alike, each time they are asked."""
    run = expression("('a' * n) | length > 1")
    assert run({"n": 5})
    for _ in range(2):
        with pytest.raises(TemplateError, match="characters and items"):
            run({"n": 10**10})
    assert run({"n": 5})
    with pytest.raises(Exception, match=r"--filter .*: sample s1: it makes more than 50,000,000"):
        sample_filter("'a' * 10 ** 10")({"id": "s1"})


@pytest.mark.usefixtures("_soon")
def test_a_constant_bomb_is_stopped_while_it_is_compiled() -> None:
    """Jinja works out constants before a template runs: those that are too large are left to the run, which tells."""
    source = "{{ 'a' | center(1000000) }}" * 100
    compiled(source)
    with pytest.raises(TemplateError) as caught:
        render(source, {})
    assert caught.value.message == TOO_MUCH


def test_a_message_names_the_line() -> None:
    """The line of the bomb is told as that of any mistake."""
    with pytest.raises(TemplateError) as caught:
        render("one\n\n{{ 'a' * 10 ** 10 }}", {})
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for i in range(3) %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/3 2/3 3/3 "),
        ("{% for i in [1, 2] | map('string') %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/2 2/2 "),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        ("{% for i in [[1, [2]], 3] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}", "123"),
        ("{% set a, b = 1, 2 %}{{ a ~ '-' ~ b }}", "1-2"),
        ("{{ [1, 'a', (2,), {'k': none}] }}", "[1, 'a', (2,), {'k': None}]"),
        ("{{ 'a' * 3 }}{{ 3 * 'b' }}{{ 2 * 3 }}{{ 2 ** 10 }}{{ 2 ** -1 }}{{ 7 % 4 }}{{ 1 + 2 }}", "aaabbb610240.533"),
        ("{{ 'a' * -1 }}{{ [1] + [2] }}{{ 'a' + 'b' }}{{ 1.5 * 2 }}", "[1, 2]ab3.0"),
        ("{{ '%s, %5.1f' % ('x', 2) }}|{{ '%s' | format('y') }}", "x,   2.0|y"),
        ("{{ '{} {:>5} {a}'.format('x', 'y', a=1) }}|{{ '{a}'.format_map({'a': 2}) }}", "x     y 1|2"),
        ("{{ 'a-b' | replace('-', '+') }}{{ 'a b'.split() }}{{ ', '.join(['x', 'y']) }}", "a+b['a', 'b']x, y"),
        ("{% macro f(x) %}<{{ x }}{{ caller() }}>{% endmacro %}{% call f(1) %}in{% endcall %}", "<1in>"),
        ("{{ 3.14159 | round(2) }}{{ [1, 2, 3] | batch(2, 0) | list }}", "3.14[[1, 2], [3, 0]]"),
        ("{% filter upper %}a{% endfilter %}{{ {'a': 1} | tojson(indent=1) }}", 'A{\n "a": 1\n}'),
        ("{{ [[1], [2]] | sum(start=[]) }}{{ 'b a' | wordwrap(1) }}{{ '<b>x</b>' | striptags }}", "[1, 2]b\nax"),
    ],
)
def test_what_prompts_do_is_as_ever(source: str, expected: str) -> None:
    """Loops, lists, operators, formats, macros and filters give what Jinja alone gives."""
    assert render(source, {}) == expected


def test_long_texts_and_many_labels_are_no_bombs() -> None:
    """A document of a megabyte, a thousand labels and every one looked for in it are ordinary work."""
    text = "The parcel came late. " * 50_000
    labels = tuple(Label(f"label {at}", "what it means") for at in range(1000))
    source = (
        "{{ labels | join(', ') }}{% for label in labels %}{{ label.name }}: {{ label.description }}\n{% endfor %}"
        "{{ text | replace('\n', ' ') | replace('parcel', 'package') | indent(2) }}{{ '%s' % text }}{{ text | upper }}"
    )
    assert len(render(source, {"labels": labels, "text": text})) > 3_000_000


def test_a_loop_over_nothing_that_is_there_is_the_usual_error() -> None:
    """An unknown name in a loop, a list or a call is told as anywhere."""
    for source in ("{% for x in nobody %}{% endfor %}", "{{ [nobody] }}", "{{ nobody() }}", "{{ nobody ~ 'a' }}"):
        with pytest.raises(TemplateError) as caught:
            render(source, {})
        assert caught.value.message == "'nobody' is undefined. Here there is: ."


@given(
    st.recursive(
        st.text(max_size=5) | st.integers(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=20,
    )
)
def test_a_value_weighs_as_much_as_what_it_is_made_of(value: object) -> None:
    """In a list a value weighs once for each time it stands there, and no more than a list needs."""
    whole = weight(value)
    assert whole >= (len(value) if isinstance(value, str) else 0)
    holds = isinstance(value, str | list | dict)
    assert weight([value, value]) == 2 + STEP + (2 * whole if holds else 0)
    assert weight([value] * 3) == 3 + STEP + (3 * whole if holds else 0)


def test_the_limit_is_told() -> None:
    """The message has the limit that holds."""
    with pytest.raises(TemplateError) as caught:
        render("{{ 'a' * 50000001 }}", {})
    assert caught.value.message == TOO_MUCH.replace("5,", "50,", 1)
    assert len(render("{{ 'a' * 10000000 }}", {})) == 10_000_000


@pytest.mark.usefixtures("_soon")
def test_a_heavy_value_is_not_counted_to_its_end() -> None:
    """The count stops where it is more than may be."""
    value: list[object] = []
    for _ in range(100):
        value = [value, value]
    assert LIMIT // 10 < weight(value) < LIMIT // 5
