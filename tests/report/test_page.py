import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from limen import LimenError
from limen.report import Curves, Facts, Page, Section, Table, Trace, read, records_from_dict
from limen.report.strict import dumps


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text outside scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.inside not in {"script", "style"}:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def html(page):
    return page.html()


@pytest.fixture(scope="module")
def elements(html):
    return Elements(html)


@pytest.mark.parametrize(
    "kind",
    ["curves", "table", "trace", "grid", "scatter", "gallery", "diff", "marked", "facts"],
)
def test_a_record_comes_back_from_json_as_it_was(records, kind):
    written = dumps(records[kind].to_dict())
    (back,) = records_from_dict([json.loads(written)])
    assert type(back) is type(records[kind])
    assert dumps(back.to_dict()) == written


def test_a_page_is_rebuilt_from_its_own_file(page, html, tmp_path):
    file = page.write(tmp_path / "page.html")
    assert Page.from_dict(read(file)).html() == html


def test_what_comes_from_data_is_text_and_never_markup(elements, hostile):
    scripts = elements.all("script")
    assert len([s for s in scripts if "type" not in s]) == 2  # plotly and the page's own
    assert not [a for _, a in elements.found if "onerror" in a]
    assert all(image["src"].startswith("data:image/png;") for image in elements.all("img"))
    assert hostile in "".join(elements.text)


def test_the_embedded_data_is_strict_json_with_the_hostile_text_in_it(page, tmp_path, hostile):
    text = page.write(tmp_path / "page.html").read_text(encoding="utf-8")
    data = re.search(r'id="limen-data">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(data, parse_constant=pytest.fail)["subtitle"] == hostile


def test_the_page_names_no_address_outside_itself(elements):
    for _, attributes in elements.found:
        for name in ("src", "href", "action", "srcset", "poster"):
            assert re.match(r"(data:|#)", attributes.get(name) or "#")


def test_the_policy_of_the_page_forbids_every_request(elements):
    (policy,) = [m["content"] for m in elements.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_headings_descend_without_a_jump(elements):
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_figure_has_words_and_its_numbers(elements, html):
    plots = [a for a in elements.all("div") if a.get("class") == "plot"]
    assert len(plots) == 5
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 20 for plot in plots)
    assert html.count("Numbers behind this figure") == 5


def test_every_picture_has_words(elements):
    assert all(image["alt"] for image in elements.all("img"))


def test_contents_are_listed_only_for_two_sections_or_more(elements):
    assert [a["href"] for a in elements.all("a")] == ["#part-1", "#part-2"]
    one = Elements(Page("t", "a", [Section("s", [Facts({"a": 1})])]).html())
    assert not one.all("nav")


def test_ids_are_unique(elements):
    ids = [a["id"] for _, a in elements.found if "id" in a]
    assert len(ids) == len(set(ids))


def test_plotly_is_embedded_once_and_only_for_figures(html):
    words = Page("t", "a", [Facts({"a": 1})]).html()
    assert len(words) < 50_000
    assert 4_000_000 < len(html) < 6_000_000


def test_records_stand_in_the_order_given():
    records = [Facts({"a": 1}, title="first"), Table(["x"], [[1]], title="second")]
    html = Page("t", "a", records).html()
    assert html.index(">first<") < html.index(">second<")


def test_the_interval_of_an_answer_is_set_apart():
    html = Page("t", "It is 0.9 [0.8, 1.0] now.", []).html()
    assert 'It is 0.9 <span class="interval">[0.8, 1.0]</span> now.' in html


def test_a_bare_tradeoff_is_drawn_as_curves(tradeoff):
    (record,) = Page("t", "a", [tradeoff("mine")]).records
    assert isinstance(record, Curves)
    assert record.title == "mine"


def test_what_is_no_record_is_refused():
    with pytest.raises(LimenError, match=r"a record must be one of Bars, .* got str"):
        Page("t", "a", ["a string"])


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(LimenError, match="'tabel' is no kind of record; nearest: table"):
        records_from_dict([{"kind": "tabel"}])


def test_nothing_partial_is_left_when_writing_fails(tmp_path, monkeypatch):
    page = Page("t", "a", [Trace([0], {"x": [1.0]})])
    target = tmp_path / "page.html"
    target.write_text("the page before")

    def broken(self):
        raise RuntimeError("no figure today")

    monkeypatch.setattr(Trace, "figure", broken)
    with pytest.raises(RuntimeError, match="no figure today"):
        page.write(target)
    assert [f.name for f in tmp_path.iterdir()] == ["page.html"]
    assert target.read_text() == "the page before"


def test_a_character_that_no_file_can_hold_does_not_lose_the_page(tmp_path):
    file = Page("t", "odd \ud800 text", []).write(tmp_path / "new" / "page.html")
    assert "odd ? text" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["absent.html", "other.html"])
def test_a_file_that_is_no_page_of_ours_is_refused(tmp_path, name):
    (tmp_path / "other.html").write_text("<html></html>")
    with pytest.raises(LimenError, match="must be a page that limen wrote"):
        read(tmp_path / name)


def test_records_stand_side_by_side_only_where_asked(records):
    both = [records["bars"], records["gallery"]]
    beside, below = (Page("t", "a", [Section("s", both, beside=b)]) for b in (True, False))
    assert beside.html().count('<div class="columns">') == 1
    assert '<div class="columns">' not in below.html()
    told = beside.records[0].to_dict()
    assert Section.from_dict(told).beside
    assert not Section.from_dict({k: v for k, v in told.items() if k != "beside"}).beside
