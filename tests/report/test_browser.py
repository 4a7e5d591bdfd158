"""The page in a real browser: drawn, quiet, readable, and alone with itself."""

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SOFT = ("rgb(92, 101, 112)", "rgb(163, 171, 181)")  # the colour of small print, light and dark


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def heard():
    """What the browser said while the page was open: requests, messages, errors."""
    return {"requests": [], "messages": []}


@pytest.fixture(scope="module")
def seen(browser, page, heard, tmp_path_factory):
    """The page, opened once."""
    file = page.write(tmp_path_factory.mktemp("page") / "page.html")
    context = browser.new_context(color_scheme="light", viewport={"width": 1000, "height": 800})
    tab = context.new_page()
    tab.on("request", lambda request: heard["requests"].append(request.url))
    tab.on("console", lambda message: heard["messages"].append(message.text))
    tab.on("pageerror", lambda error: heard["messages"].append(str(error)))
    tab.goto(file.as_uri())
    yield tab
    context.close()


def table(seen):
    return seen.locator("table.sortable").filter(has_text="method").last


def first_cells(seen):
    return [text[:1] for text in table(seen).locator("tbody th").all_text_contents()]


def test_every_figure_is_drawn(seen):
    counts = seen.eval_on_selector_all(
        ".plot", "plots => plots.map(p => p.querySelectorAll('svg.main-svg').length > 0)"
    )
    assert counts == [True] * 5


def test_the_title_is_still_ours(seen):
    assert seen.title() == "A page"


def test_a_hostile_name_is_shown_as_it_is_written(seen):
    names = seen.locator(".keys .name").all_text_contents()
    assert names[0].startswith("</script><script>")


def test_sorting_works_by_keyboard_and_leaves_absent_values_last(seen):
    head = table(seen).locator("thead th").nth(1)
    button = head.get_by_role("button")
    button.focus()
    seen.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert first_cells(seen) == ["b", "<", "c"]
    seen.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert first_cells(seen) == ["<", "b", "c"]


def test_numbers_are_sorted_as_numbers(seen):
    table(seen).locator("thead th").nth(3).get_by_role("button").click()
    assert first_cells(seen) == ["<", "b", "c"]


def test_what_has_the_focus_can_be_seen(seen):
    button = seen.get_by_role("button", name="Download data")
    button.focus()
    seen.keyboard.press("Shift+Tab")
    seen.keyboard.press("Tab")
    assert button.evaluate("b => getComputedStyle(b).outlineStyle") == "solid"


def test_the_download_is_the_data_of_the_page(seen, page):
    with seen.expect_download() as waiting:
        seen.get_by_role("button", name="Download data").click()
    assert waiting.value.suggested_filename == "a-page.json"
    data = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert data == json.loads(json.dumps(page.to_dict()))


def test_a_fact_is_copied_whole(seen, page):
    seen.context.grant_permissions(["clipboard-read", "clipboard-write"])
    seen.get_by_role("button", name="copy seeds").click()
    assert seen.evaluate("navigator.clipboard.readText()") == "0, 1"


def test_the_dark_changes_paper_and_figures(seen):
    ticks, body = seen.locator(".plot .xtick text").first, seen.locator("body")
    api.expect(ticks).to_have_css("fill", SOFT[0])
    seen.emulate_media(color_scheme="dark")
    api.expect(ticks).to_have_css("fill", SOFT[1])
    api.expect(body).to_have_css("background-color", "rgb(21, 24, 29)")
    seen.emulate_media(color_scheme="light")
    api.expect(ticks).to_have_css("fill", SOFT[0])


@pytest.mark.parametrize(
    ("sign", "line", "light", "dark"),
    [
        ("plus", "solid", "rgb(10, 79, 140)", "rgb(134, 197, 245)"),
        ("minus", "dotted", "rgb(163, 63, 6)", "rgb(245, 160, 106)"),
    ],
)
def test_a_shaded_piece_is_underlined_by_its_sign_in_both_themes(seen, sign, line, light, dark):
    piece = seen.locator(f"blockquote .{sign}").first
    api.expect(piece).to_have_css("border-bottom-style", line)
    api.expect(piece).to_have_css("border-bottom-color", light)
    seen.emulate_media(color_scheme="dark")
    api.expect(piece).to_have_css("border-bottom-color", dark)
    seen.emulate_media(color_scheme="light")


def test_a_shade_is_as_strong_as_its_piece_and_goes_on_paper(seen):
    shades = seen.locator("blockquote .minus, blockquote .plus").evaluate_all(
        """pieces => pieces.map(p => [
            p.style.getPropertyValue("--part"),
            getComputedStyle(p).backgroundColor !== "rgba(0, 0, 0, 0)",
            getComputedStyle(p).printColorAdjust,
        ])"""
    )
    assert [part for part, _, _ in shades] == ["25%", "100%", "50%", "75%"]
    assert all(coloured and printed == "exact" for _, coloured, printed in shades)


def test_print_is_light_even_in_the_dark(seen):
    seen.emulate_media(color_scheme="dark")
    seen.evaluate(
        """addEventListener("beforeprint", () => {
            window.printed = getComputedStyle(document.querySelector(".plot .xtick text")).fill;
        }, { once: true })"""
    )
    file = seen.pdf(format="A4")
    assert file.startswith(b"%PDF")
    assert seen.evaluate("window.printed") == SOFT[0]
    seen.emulate_media(color_scheme="light")


def test_nothing_is_wider_than_a_narrow_screen(seen):
    seen.set_viewport_size({"width": 380, "height": 800})
    seen.eval_on_selector_all("details", "all => all.forEach(d => { d.open = true; })")
    api.expect(seen.locator(".plot .main-svg").first).to_have_css("width", "348px")
    assert seen.evaluate("document.scrollingElement.scrollWidth") <= 380


def test_nothing_was_requested_and_nothing_complained(seen, heard):
    assert heard["requests"] == [seen.url]
    assert heard["messages"] == []
