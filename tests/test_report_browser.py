"""The page of a report in a browser: filters filter, sorting sorts, samples open, and nothing in them runs or leaves."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import report_runs

from harness.report.html import page_data, to_html
from harness.report.text import visible
from harness.reportdata import Report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NEEDED = os.environ.get("HARNESS_NEEDS_BROWSER") == "1"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 812}
ROWS = "#sample-table tbody tr"


def missing(what: str) -> None:
    """Skip, or fail where a browser is said to be there."""
    if NEEDED:
        pytest.fail(f"HARNESS_NEEDS_BROWSER is set, but {what}")
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed")
    if CHROMIUM is None:
        missing("no Chromium is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Report, Path]]:
    """Reports with their pages: of a run alone, of one against a baseline, of two passes, of repeats."""
    folder = tmp_path_factory.mktemp("pages")
    root = report_runs.write_project(folder / "project")
    made = {
        "alone": report_runs.report(root, "v1"),
        "compared": report_runs.report(root, "v2", "v1"),
        "passes": report_runs.report(root, "v3", "v2"),
        "repeats": report_runs.report(root, "v2", "v1", repeats=3),
    }
    found = {}
    for name, report in made.items():
        path = folder / f"{name}.html"
        path.write_text(to_html(report), encoding="utf-8")
        found[name] = (report, path)
    return found


class Seen:
    """What a page did beside being shown: requests, errors, messages, dialogs."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.told: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.told.append(message.text))
        page.on("pageerror", lambda error: self.told.append(str(error)))
        page.on("dialog", lambda dialog: self.told.append(dialog.message))


@pytest.fixture
def tab(browser: Browser, reports: dict[str, tuple[Report, Path]]) -> Iterator[Any]:
    """Open a page: ``tab("compared", "#sample=s001")``. In the end none has failed, asked for anything or run a script."""
    opened: list[tuple[Page, Seen, str]] = []

    def show(name: str, place: str = "", **options: Any) -> Page:
        page = browser.new_page(**{"viewport": WIDE, **options})
        seen = Seen(page)
        address = reports[name][1].as_uri()
        page.goto(address + place)
        opened.append((page, seen, address))
        return page

    yield show
    for page, seen, address in opened:
        assert page.evaluate("window.hacked") is None
        assert seen.told == []
        assert {url.partition("#")[0] for url in seen.requests} == {address}
        page.close()


def shown(page: Page) -> list[str]:
    """Return the ids in the table, as far as its page goes."""
    return page.locator(f"{ROWS} td.id").all_inner_texts()


def n_shown(page: Page) -> int:
    """Return how many samples the filters let through."""
    return int((page.locator("#count").text_content() or "").split()[0].replace(",", ""))


# --- filters ----------------------------------------------------------------------------------------------------------


def test_the_samples_are_there_in_pages(tab: Any) -> None:
    """Fifty samples are shown at once, in the order of the run; the others are on the next pages."""
    page = tab("compared")
    assert (n_shown(page), shown(page)[0], len(shown(page))) == (130, "s000", 50)
    assert page.locator("#previous").is_disabled()
    page.click("#next")
    assert (shown(page)[0], page.locator("#page").inner_text()) == ("s050", "51 to 100")
    page.click("#next")
    assert (len(shown(page)), page.locator("#next").is_disabled()) == (30, True)
    page.reload()
    assert shown(page)[0] == "s100"


@pytest.mark.parametrize("name", ["alone", "compared", "passes", "repeats"])
def test_every_kind_has_the_samples_that_were_counted(
    tab: Any, reports: dict[str, tuple[Report, Path]], name: str
) -> None:
    """Each kind lets through as many samples as the report counts of it."""
    page, report = tab(name), reports[name][0]
    for kind in page_data(report)["kinds"]:
        page.select_option("#kind", kind)
        assert n_shown(page) == report.kinds[kind], kind


def test_a_label_s_cells_that_were_lost_and_won_are_found(tab: Any, reports: dict[str, tuple[Report, Path]]) -> None:
    """The counts in the table of labels lead to just so many samples."""
    page, report = tab("compared"), reports["compared"][0]
    for row in report.labels:
        assert row.diff is not None
        page.select_option("#label", row.score.label)
        for kind, n in (("regressed", row.diff.regressed), ("fixed", row.diff.fixed)):
            page.select_option("#kind", kind)
            assert n_shown(page) == n
        page.select_option("#kind", "missed")
        assert n_shown(page) == row.score.fn - sum(
            row.score.label in (sample.labels or ()) and row.score.label in said.unanswered
            for sample, said in zip(report.samples, report.run.predictions, strict=True)
        )
        page.select_option("#kind", "added")
        assert n_shown(page) == row.score.fp
        page.select_option("#kind", "right")
        assert n_shown(page) == row.score.tp


def test_churned_and_failed_cells_of_a_label(tab: Any, reports: dict[str, tuple[Report, Path]]) -> None:
    """With a label, the other kinds are about its cells too."""
    page, report = tab("repeats"), reports["repeats"][0]
    page.select_option("#label", "late")
    page.select_option("#kind", "unstable")
    assert n_shown(page) == sum("late" in labels for labels in report.unstable.values())
    page.select_option("#kind", "call_error")
    assert n_shown(page) == report.kinds["call_error"]
    right = report.repeats[0].right[:, 0]
    page.select_option("#kind", "wrong")
    assert n_shown(page) == (~right).sum()
    assert report.compared is not None
    flips = [each for each in report.changes.values() if "late" in each.flips]
    before, after = (run.plain.right[:, 0] for run in report.compared.comparison.runs)
    wrong = {sample.id for at, sample in enumerate(report.samples) if not before[at] and not after[at]}
    page.select_option("#kind", "churned")
    assert shown(page) == [
        sample.id for sample in report.samples if sample.id in wrong & {each.sample for each in flips}
    ]
    assert shown(page)


def test_confusions_lead_to_their_samples(tab: Any, reports: dict[str, tuple[Report, Path]]) -> None:
    """Every number of the map of confusions leads to so many samples; the pair can be taken away again."""
    page, report = tab("compared"), reports["compared"][0]
    names = [*report.space.names, ""]
    for at, counts in enumerate(report.analysis.confusion):
        for to, n in enumerate(counts):
            if n:
                page.click(f".heat tbody tr:nth-child({at + 1}) td:nth-child({to + 2}) a")
                page.locator("#count", has_text=re.compile(rf"^{int(n)} ")).wait_for()
                told = f"missed {names[at] or 'nothing'}, added {names[to] or 'nothing'} ✕"
                assert page.locator("#pair").inner_text() == told
    page.click("#pair")
    assert (n_shown(page), page.locator("#pair").is_hidden()) == (130, True)


def test_search_is_over_ids_and_texts(tab: Any) -> None:
    """All words must be there, in any case; Escape and the button empty the search."""
    page = tab("compared")
    page.fill("#q", "NUMBER 12 tells")
    assert "s012" in shown(page)
    assert n_shown(page) < 20
    page.fill("#q", "s1")
    assert set(shown(page)) >= {f"s{at}" for at in range(100, 130)}
    page.press("#q", "Escape")
    assert n_shown(page) == 130
    page.fill("#q", "nothing has these words")
    assert (n_shown(page), page.locator("#sample-table").is_hidden()) == (0, True)
    page.click("#clear")
    assert n_shown(page) == 130


def test_filters_stand_in_the_address(tab: Any) -> None:
    """What is chosen can be sent: the address opened anew shows the same."""
    page = tab("compared")
    page.select_option("#kind", "missed")
    page.select_option("#label", 'too "dear"')
    page.fill("#q", "lamps")
    ids = shown(page)
    page.reload()
    assert (shown(page), page.input_value("#q"), page.input_value("#label")) == (ids, "lamps", 'too "dear"')
    again = tab("compared", "#kind=nonsense&label=nobody&page=99&sample=gone")
    assert (n_shown(again), shown(again)[0]) == (130, "s100")


def test_links_of_the_tables_filter(tab: Any) -> None:
    """A label, and a count of changes, lead to their samples."""
    page = tab("compared")
    page.click("#label-table tbody th a >> nth=2")
    page.wait_for_function(
        "document.querySelector('#label').value === '<b>bad</b>'"
    )  # `hashchange` is a task of its own
    page.click(".tallies .regressed a")
    page.wait_for_function("document.querySelector('#kind').value === 'regressed'")
    assert page.input_value("#label") == ""


# --- sorting ----------------------------------------------------------------------------------------------------------


def test_the_table_of_labels_sorts(tab: Any, reports: dict[str, tuple[Report, Path]]) -> None:
    """A click on a header sorts by it, a second one the other way, a third as it was; the header says so."""
    page, report = tab("compared"), reports["compared"][0]

    def labels() -> list[str]:
        found: list[str] = page.locator("#label-table tbody th").all_inner_texts()
        return found

    head = page.locator("#label-table thead th", has=page.get_by_role("button", name="F1", exact=True))
    by_f1 = [row.score.label for row in sorted(report.labels, key=lambda row: -row.score.f1)]
    orders = []
    for _ in range(3):
        head.get_by_role("button").click()
        orders.append((head.get_attribute("aria-sort"), labels()))
    assert orders == [("descending", by_f1), ("ascending", by_f1[::-1]), ("none", list(report.space.names))]
    page.get_by_role("button", name="label", exact=True).click()
    assert page.locator("#label-table [aria-sort=ascending]").count() == 1
    assert labels() == sorted(report.space.names, key=lambda name: name.strip("<").casefold())


# --- one sample -------------------------------------------------------------------------------------------------------


def test_a_sample_opens_with_all_of_it(tab: Any, reports: dict[str, tuple[Report, Path]]) -> None:
    """A click shows text, gold, the marks of both runs, both raw outputs, and what was sent."""
    page, report = tab("compared"), reports["compared"][0]
    page.click(f"{ROWS} >> nth=9")
    assert page.locator("#sample-id").inner_text() == "s009"
    assert page.url.endswith("#sample=s009")
    sides = page.locator(".sides > div")
    assert sides.locator(".side-name").all_inner_texts() == ["v1", "v2"]
    assert report.baseline is not None
    sample = report.samples[9]
    assert page.locator("#detail .text.read").inner_text() == sample.inputs["text"]
    for at, run in enumerate((report.baseline, report.run)):
        slot = (sample.id, "main", "", 0)
        assert sides.nth(at).locator("pre").first.inner_text() == run.log.latest[slot].completion.raw
        assert sides.nth(at).locator("details pre").count() == 0
        sides.nth(at).get_by_text("What was sent").click()
        sent = sides.nth(at).locator("details pre").inner_text()
        assert sent == (
            f'[{run.manifest.version}] Which of late, too "dear", <b>bad</b>, it\'s & more apply?\n\n'
            f"Text: {sample.inputs['text']}"
        )


def test_marks_tell_what_was_right_missed_and_added(tab: Any, reports: dict[str, tuple[Report, Path]]) -> None:
    """Each label of a row is marked, in words for those who do not see the sign."""
    page, report = tab("alone"), reports["alone"][0]
    for at, row in enumerate(page.locator(ROWS).all()[:20]):
        gold, said = report.samples[at].labels or frozenset(), report.run.predictions[at]
        marks = [] if said.failure is None else [str(said.failure)]
        for name in report.space.names:
            if name in said.unanswered and name in gold:
                marks.append(f"? unanswered: {name}")
            elif name in gold:
                marks.append(f"✓ right: {name}" if name in said.labels else f"− missed: {name}")
            elif name in said.labels:
                marks.append(f"+ added: {name}")
        assert row.locator(".chip").all_text_contents() == (marks or ["✓ right: none"])


def test_probabilities_fields_repeats_and_passes_are_shown(tab: Any) -> None:
    """A sample has P(label) where there is any, its fields, its repeats, and each of its calls."""
    page = tab("repeats", "#sample=s001")
    assert page.locator(".sides > div:nth-child(2) table.p tr").count() == 4
    assert page.locator(".sides > div:nth-child(2) ol li").count() == 3
    assert page.get_by_text("Came back: repeat 2").count() == 2
    page = tab("passes", "#sample=s001")
    assert page.locator("dt", has_text="gold item").count() == 1
    assert page.get_by_text("Came back: pass first").count() == 1
    page = tab("passes", "#sample=s005")
    assert page.locator("dt", has_text="why").count() == 1


def test_an_address_opens_its_sample(tab: Any) -> None:
    """A link with a sample shows it, on the page of the table where it stands; Escape closes it and goes there."""
    page = tab("compared", "#sample=s077")
    assert page.locator("#sample").is_visible()
    assert (page.locator("#place").inner_text(), shown(page)[0]) == ("78 of 130", "s050")
    page.keyboard.press("Escape")
    assert page.locator("#sample").is_hidden()
    assert page.evaluate("document.activeElement.textContent") == "s077"
    assert "sample=" not in page.url
    page.go_back()
    page = tab("compared", "#kind=missed")
    first = shown(page)[0]
    page.evaluate(f"location.hash = '#kind=missed&sample={first}'")
    page.wait_for_selector("#sample[open]")
    page.evaluate("location.hash = '#kind=added'")
    page.wait_for_selector("#sample:not([open])", state="attached")
    assert page.input_value("#kind") == "added"


def test_samples_are_turned_over(tab: Any) -> None:
    """The arrows lead through the samples that the filters let through, past the end of a page of the table."""
    page = tab("compared", "#sample=s049")
    page.keyboard.press("ArrowRight")
    assert (page.locator("#sample-id").inner_text(), shown(page)[0]) == ("s050", "s050")
    page.keyboard.press("k")
    page.click("#before")
    assert page.locator("#sample-id").inner_text() == "s048"
    page.click("#after")
    page.keyboard.press("j")
    assert page.locator("#sample-id").inner_text() == "s050"
    page = tab("compared", "#sample=s000")
    assert page.locator("#before").is_disabled()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#sample-id").inner_text() == "s000"


def test_a_long_text_is_shown_in_part_first(tab: Any, reports: dict[str, tuple[Report, Path]]) -> None:
    """Of a text of a million characters the first are shown, and all when that is asked for."""
    report, path = reports["alone"]
    text = path.read_text(encoding="utf-8").replace("Sample number 0 tells", "x" * 1_000_000 + " tells")
    path.with_name("long.html").write_text(text, encoding="utf-8")
    reports["long"] = (report, path.with_name("long.html"))
    page = tab("long", "#sample=s000")
    box = page.locator("#detail .text.read")
    assert len(box.inner_text()) == 20_000
    page.get_by_role("button", name="Show all").click()
    assert len(box.inner_text()) > 1_000_000


# --- nothing in it runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(report_runs.NASTY))
def test_what_looks_like_markup_is_text(tab: Any, reports: dict[str, tuple[Report, Path]], name: str) -> None:
    """A sample whose text is a script is shown letter by letter; so are labels and answers."""
    page = tab("compared", f"#sample={name}")
    assert page.locator("#detail .text.read").text_content() == visible(report_runs.NASTY[name])
    assert page.locator("#detail img, #detail script, #detail b").count() == 0


def test_no_script_from_outside_runs(browser: Browser, reports: dict[str, tuple[Report, Path]]) -> None:
    """Even an element that got into the page would not run or be fetched: the policy refuses it."""
    page = browser.new_page()
    seen, refused = Seen(page), []
    page.on("requestfailed", lambda request: refused.append((request.url, request.failure)))
    page.goto(reports["alone"][1].as_uri())
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            const image = document.createElement("img");
            image.src = "http://127.0.0.1:9/x.png";
            document.body.append(script, image);
            document.body.insertAdjacentHTML("beforeend", "<p id=bad onclick='window.hacked = 1'>x</p>");
            document.getElementById("bad").click();
        }"""
    )
    assert page.evaluate("window.hacked") is None
    assert refused == [("http://127.0.0.1:9/x.png", "csp")]
    assert len(seen.told) == 3
    assert all("Content Security Policy" in each for each in seen.told)
    page.close()


# --- keyboard, themes, layouts, readers of screens --------------------------------------------------------------------


def test_the_keyboard_is_enough(tab: Any) -> None:
    """`/` goes to the search; arrows go through the rows and pages; Enter opens and Escape closes."""
    page = tab("compared")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("/")
    assert page.input_value("#q") == "/"
    page.keyboard.press("Escape")
    page.focus(f"{ROWS} >> nth=0 >> a")
    for key, row in (
        ("ArrowDown", "s001"),
        ("ArrowUp", "s000"),
        ("ArrowUp", "s000"),
        ("End", "s049"),
        ("ArrowDown", "s050"),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.textContent") == row
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.textContent") == "s049"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sample[open]")
    assert page.locator("#sample-id").inner_text() == "s000"
    assert page.evaluate("document.activeElement.id") == "sample-id"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "s000"
    page.keyboard.press("Control+/")
    assert page.evaluate("document.activeElement.id") != "q"


def test_what_has_focus_is_seen(tab: Any) -> None:
    """Every stop of the Tab key has a visible outline, beginning with the way past everything."""
    page = tab("compared")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the samples"
    for _ in range(12):
        page.keyboard.press("Tab")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid"


def test_the_theme_can_be_changed_and_stays(tab: Any) -> None:
    """The page follows the system, until somebody chooses; the choice is kept."""
    page = tab("compared", color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.get_by_role("button", name="Light colours").click()
    assert page.evaluate(background) != dark
    page.reload()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate(background) == dark


@pytest.mark.parametrize(
    ("name", "scheme", "size"),
    [
        ("alone", "light", WIDE),
        ("compared", "dark", {"width": 900, "height": 700}),
        ("repeats", "light", PHONE),
        ("passes", "dark", PHONE),
    ],
)
def test_nothing_is_wider_than_the_page(tab: Any, name: str, scheme: str, size: dict[str, int]) -> None:
    """On no screen the page scrolls sideways, with or without an open sample."""
    page = tab(name, viewport=size, color_scheme=scheme)
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) == 0
    for each in page.locator("main details > summary").all():
        each.click()
    assert page.evaluate(wider) == 0
    page.evaluate("location.hash = '#sample=s005'")
    page.wait_for_selector("#sample[open]")
    for each in page.locator("#detail details > summary").all():
        each.click()
    assert (
        page.evaluate("document.getElementById('sample').scrollWidth - document.getElementById('sample').clientWidth")
        == 0
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "place"), [("repeats", ""), ("passes", "#sample=s001"), ("compared", "#sample=s005")])
def test_readers_of_screens_and_poor_eyes_are_served(tab: Any, name: str, place: str, scheme: str) -> None:
    """axe-core finds nothing wrong: contrast, names, roles, tables."""
    try:
        from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
    except ImportError:
        missing("axe-playwright-python is not installed")
    page = tab(name, place, color_scheme=scheme)
    for each in page.locator("#sample summary" if place else "main summary").all():
        each.click()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]][:5]) for each in found] == []


def test_on_paper_there_are_no_controls(tab: Any) -> None:
    """Printed, the page has its tables and not what is clicked."""
    page = tab("compared")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator("#filters").is_hidden()
    assert page.locator("#label-table").is_visible()


def test_without_scripts_the_scores_are_there(browser: Browser, reports: dict[str, tuple[Report, Path]]) -> None:
    """Where scripts are switched off, everything but the samples is shown, and that is said."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(reports["compared"][1].as_uri())
    assert page.locator("#label-table").is_visible()
    assert page.locator("noscript p").is_visible()
    context.close()
