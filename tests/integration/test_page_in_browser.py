"""The page as a reader meets it: in a browser, on a desk, on a phone, in the dark and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree

import pytest
from helpers.page_factory import make_content, make_figure, make_table, write_page

from sercli.reporting.formats.html.content import Section

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

DESK, PHONE = (1280, 900), (360, 740)

UA = "#table-1 td:nth-child(2)"
SYSTEMS = "#table-1 tbody tr:not([hidden]) th"


@pytest.fixture(name="path", scope="module")
def _path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page"))


@pytest.fixture(name="tab")
def _tab(browser: Browser, path: Path) -> Iterator[Tab]:
    tab = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
    tab.set_default_timeout(10_000)
    tab.goto(path.as_uri())
    yield tab
    tab.close()


def texts(tab: Tab, selector: str) -> list[str]:
    return [text.strip() for text in tab.locator(selector).all_inner_texts()]


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(DESK, "dark", id="desk-dark"),
        pytest.param(PHONE, "light", id="phone-light"),
        pytest.param(DESK, "light", id="desk-light", marks=pytest.mark.exhaustive),
        pytest.param(PHONE, "dark", id="phone-dark", marks=pytest.mark.exhaustive),
    ],
)
def test_it_opens_without_an_error_a_request_or_a_sideways_scroll(
    browser: Browser, path: Path, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    tab = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))

    tab.goto(path.as_uri())
    tab.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    tab.screenshot(path=path.with_name(f"{size[0]}-{scheme}.png"), full_page=True)

    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 254, 251)", "dark": "rgb(23, 24, 26)"}[scheme]
    tab.close()


def test_a_wide_table_scrolls_in_its_frame_and_its_systems_stay_in_sight(
    browser: Browser, path: Path
) -> None:
    tab = browser.new_page(viewport={"width": PHONE[0], "height": PHONE[1]})
    tab.goto(path.as_uri())
    frame = tab.locator("#table-1 .scroll")

    assert frame.evaluate("frame => frame.scrollWidth > frame.clientWidth")
    frame.evaluate("frame => { frame.scrollLeft = 200 }")

    for selector in ("tbody th", "caption div", "thead th"):
        box = frame.locator(selector).first.bounding_box()
        assert box is not None
        assert 0 <= box["x"] < 40
    tab.close()


def test_clicking_a_heading_sorts_by_value_and_what_has_none_stays_last(tab: Tab) -> None:
    heading = tab.get_by_role("columnheader", name="UA", exact=True).first
    assert heading.get_attribute("aria-sort") == "none"

    heading.get_by_role("button").click()
    up = texts(tab, UA)
    heading.get_by_role("button").click()
    down = texts(tab, UA)

    assert up[:-1] == sorted(up[:-1], key=float)
    assert down[:-1] == up[:-1][::-1]
    assert (up[-1], down[-1]) == ("–", "–")
    assert heading.get_attribute("aria-sort") == "descending"


def test_rows_that_are_equal_keep_their_order(tab: Tab) -> None:
    before = texts(tab, SYSTEMS)
    tied = [system for system, ua in zip(before, texts(tab, UA), strict=True) if ua == "60.0"]
    assert len(tied) == 4

    button = tab.get_by_role("columnheader", name="UA", exact=True).first.get_by_role("button")
    for _ in range(2):  # up and down
        button.click()
        ties = zip(texts(tab, SYSTEMS), texts(tab, UA), strict=True)
        assert [system for system, ua in ties if ua == "60.0"] == tied


def test_the_keyboard_sorts_and_one_column_at_a_time_is_named_as_sorted(tab: Tab) -> None:
    wa = tab.get_by_role("columnheader", name="WA", exact=True).first
    system = tab.get_by_role("columnheader", name="system").first

    wa.get_by_role("button").press("Enter")
    system.get_by_role("button").press("Space")

    assert wa.get_attribute("aria-sort") == "none"
    assert system.get_attribute("aria-sort") == "ascending"
    numbers = [re.sub(r".*α=(\S+).*", r"\1", name) for name in texts(tab, SYSTEMS)]
    assert numbers == ["0", *(f"0.0{i}" for i in range(1, 10)), "0.1", "0.11"]


def test_typing_filters_the_rows_that_hold_every_word(tab: Tab) -> None:
    box = tab.get_by_role("searchbox").first

    box.fill("ARELU β=3")

    assert texts(tab, SYSTEMS) == [
        "iaan_small gru arelu α=0.03 β=3",
        "iaan_small gru arelu α=0.1 β=3",
    ]
    assert tab.locator("#table-1 output").inner_text() == "2 of 12 rows"
    box.fill("")
    assert len(texts(tab, SYSTEMS)) == 12


def test_only_tables_with_more_than_eight_rows_have_a_filter(
    browser: Browser, tmp_path: Path
) -> None:
    tables = tuple(make_table(rows, title=f"{rows} rows") for rows in (8, 9))
    tab = browser.new_page()
    tab.goto(write_page(tmp_path, sections=(Section("Results", tables),)).as_uri())

    assert tab.locator("#table-1 input").count() == 0
    assert tab.locator("#table-2 input").count() == 1
    tab.close()


def test_print_unfolds_everything_shows_every_row_and_folds_again(tab: Tab) -> None:
    tab.get_by_role("searchbox").first.fill("β=3")
    folded = tab.locator("details:not([open])")
    before = folded.count()
    assert before >= 3

    tab.emulate_media(media="print")
    playwright.expect(folded).to_have_count(0)
    assert tab.locator("#table-1 tbody tr:visible").count() == 12
    assert tab.locator("nav:visible, .strip:visible, input:visible, .save:visible").count() == 0
    assert tab.locator(".warning").first.is_visible()

    tab.emulate_media(media="screen")
    playwright.expect(folded).to_have_count(before)
    assert len(texts(tab, SYSTEMS)) == 2


def test_a_drawing_is_saved_as_a_file_that_is_whole(tab: Tab) -> None:
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="Download SVG: The surface").click()

    text = saved.value.path().read_text(encoding="utf-8")

    assert saved.value.suggested_filename == "surface.svg"
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "step of surface" in text


def test_what_is_folded_into_a_section_shows_when_it_is_opened(tab: Tab) -> None:
    recall = tab.locator("#table-3 table")
    assert not recall.is_visible()

    tab.locator("#section-2 summary").click()

    assert recall.is_visible()


def test_without_javascript_everything_is_there_and_nothing_that_does_nothing(
    browser: Browser, path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(path.as_uri())

    assert tab.locator("button, input").count() == 0
    assert tab.locator("#table-1 tbody tr").count() == 12
    assert tab.locator("svg").first.is_visible()
    tab.emulate_media(media="print")
    assert tab.locator("#table-3 table").is_visible()  # folded on a screen
    context.close()


def test_the_browser_draws_two_figures_with_like_named_parts(
    browser: Browser, tmp_path: Path
) -> None:
    figures = tuple(make_figure(name) for name in ("one", "two"))
    tab = browser.new_page()
    tab.goto(write_page(tmp_path, figures=figures).as_uri())

    for name in ("one", "two"):
        box = tab.locator(f"#{name}-line").bounding_box()
        assert box is not None
        assert box["width"] > 30
    tab.close()


def test_a_script_that_got_into_a_page_would_not_run(browser: Browser, tmp_path: Path) -> None:
    path = write_page(tmp_path)
    html = path.read_text(encoding="utf-8")
    inserted = "<script>document.title = 'run'</script><img src='x' onerror='document.title=1'>"
    path.write_text(html.replace("</main>", f"{inserted}</main>"), encoding="utf-8")
    tab = browser.new_page()

    tab.goto(path.as_uri())

    assert tab.title() == f"SYNTHETIC · {make_content().title}"
    tab.close()
