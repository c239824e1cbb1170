"""The page in a browser, by clicks and keys: the first table, contents, folds and the example browser."""

import re

import pytest

from pipestill.io.records import read_jsonl, write_jsonl
from support.browser import chromium, opened
from support.reports import script, write_study
from support.text_reports import evaluate_text, write_text_tree

LONG = "word " * 2000
HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\u202emirrored \u05e9\u05dc\u05d5\u05dd",
    LONG,
    "bell \u0007 and null \u0000",
    "<!--<script>",
    "{{ 7 * 7 }} ${7 * 7}",
]
PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A report on labels, and on texts of which some are hostile; both ask a question that is as hostile."""
    root = tmp_path_factory.mktemp("results")
    paths = write_study(root, "creditmix", n_per_class=30, seeds=1)
    methods = ("base", "sft", "todi", "teacher")
    runs = write_text_tree(root, "dolly", per_set=4, seeds=1, methods=methods)
    for path in root.glob("dolly_*/predictions/*/predictions.jsonl"):
        rows = read_jsonl(path)
        for number, row in enumerate(rows[: len(HOSTILE)]):
            row["references"] = [HOSTILE[number]]
            row["prediction"] = HOSTILE[-1 - number] if "todi" in str(path) else HOSTILE[number]
        write_jsonl(path, rows)
    paths += [evaluate_text(root, "dolly", method, seeds, (10,)) for method, seeds in runs.items()]
    for task in ("creditmix", "dolly"):
        records = root / f"data/{task}/cropped.jsonl"
        write_jsonl(records, [{**row, "prompt": f"{row['id']}? {HOSTILE[0]}"} for row in read_jsonl(records)])
    script(
        "report",
        [
            *("--evals", *map(str, paths)),
            *("--records", str(root / "data/creditmix/cropped.jsonl"), str(root / "data/dolly/cropped.jsonl")),
            *("--titles", '{"creditmix": "Credit <b>risk</b>"}'),
            *("--config", str(root / "config.yaml"), "--output-dir", str(root / "report")),
        ],
    )
    return root


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser, root):
    with opened(browser, root / "report/index.html", viewport={"width": 1280, "height": 800}) as found:
        yield found


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


def test_first_screen_has_a_row_for_each_study_and_says_what_to_take(page):
    table = page.locator("#overview table")
    assert table.is_visible() and table.bounding_box()["y"] < 400
    rows = table.locator("tbody tr")
    assert rows.count() == 2 and rows.nth(0).locator("th").inner_text().startswith("Credit <b>risk</b>")
    heads = texts(page, "#overview thead th")
    assert heads[:5] == ["study", "recommended", "Teacher", "Base", "SFT"]
    assert table.locator(".recommended").count() == 2
    assert re.search(r"\d s, .* a query|untrained", rows.nth(0).locator(".choice").inner_text())


def test_contents_stay_and_lead_to_what_is_folded(page):
    page.get_by_role("navigation").get_by_text("dolly").click()
    box = page.get_by_role("navigation").bounding_box()
    assert box["y"] == 0 and page.locator("#dolly h2").bounding_box()["y"] < 200
    assert page.locator("#dolly-costs table").first.is_hidden()
    page.locator("#dolly-costs > summary").click()
    assert page.locator("#dolly-costs table").first.is_visible()
    page.evaluate("location.hash = '#dolly-pairs'")
    page.locator("#dolly-pairs table").first.wait_for(state="visible")


def test_examples_by_buttons_and_keys(page):
    shown = page.locator("#creditmix-examples")
    count = shown.locator(".count")
    assert count.inner_text() == "1 of 40" and shown.locator(".previous").is_disabled()
    first = shown.locator(".question").inner_text()
    shown.locator(".next").click()
    assert count.inner_text() == "2 of 40" and shown.locator(".question").inner_text() != first
    shown.focus()
    page.keyboard.press("ArrowRight")
    assert count.inner_text() == "3 of 40"
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert count.inner_text() == "1 of 40" and shown.locator(".question").inner_text() == first
    shown.locator(".wanted").focus()
    page.keyboard.press("ArrowRight")
    assert count.inner_text() == "1 of 40"  # the key is that of the text field


def test_labels_have_bars(page):
    answer = page.locator("#creditmix-examples .answer").first
    assert answer.locator(".bars tr").count() == 3 and answer.locator(".gold").count() == 1
    shares = [float(text) for text in answer.locator(".bars .num").all_inner_texts()]
    assert shares == sorted(shares, reverse=True) and abs(sum(shares) - 1) < 0.01
    assert texts(page, "#creditmix-examples .answer h4")[0].startswith("Base")


def test_filters(page):
    shown = page.locator("#creditmix-examples")
    count = shown.locator(".count")

    def many():
        return int(count.inner_text().split()[-1])

    shown.locator(".differs").check()
    differing = many()
    assert 0 < differing < 40
    shown.locator(".method").select_option(label="Teacher")
    assert shown.locator(".answer").count() == 1 and shown.locator(".answer ins").count() == 1
    assert 0 < many() < 40 and many() != differing
    shown.locator(".differs").uncheck()
    assert many() == 40
    example = shown.locator(".question .note").inner_text().split(" · ")[-1]
    shown.locator(".wanted").fill(example)
    assert count.inner_text() == "1 of 1"
    shown.locator(".wanted").fill("no such text")
    assert count.inner_text() == "none" and shown.locator(".answer").count() == 0
    assert shown.locator(".next").is_disabled()


def test_hostile_texts_are_only_text(page):
    shown = page.locator("#dolly-examples")
    seen = ""
    for number in range(int(shown.locator(".count").inner_text().split()[-1])):
        if number:
            shown.locator(".next").click()
        seen += shown.inner_text()
        assert shown.locator("img, script:not(.data)").count() == 0
    for text in HOSTILE:
        if text != LONG:
            assert text.replace("\u0007", "\u2407").replace("\u0000", "\u2400") in seen
    assert "word word" in seen and seen.count("word ") < 40_000 and "…" in seen
    assert "49" not in seen.split("{{ 7 * 7 }}")[1][:20]
    assert page.locator(".words").first.get_attribute("dir") == "auto"


def test_differences_to_the_reference_are_marked(page):
    shown = page.locator("#dolly-examples")
    shown.locator(".method").select_option(label="SFT")
    shown.locator(".differs").check()
    assert shown.locator(".answer ins").count() + shown.locator(".answer del").count() > 0


def test_phone_and_dark_and_print(browser, root):
    path = root / "report/index.html"
    with opened(browser, path, **PHONE, color_scheme="dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        ink, back = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).background]")
        assert ink.startswith("rgb(2") and back.startswith("rgb(2")  # light on dark
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("nav").is_hidden() and page.locator("#dolly-costs table").first.is_visible()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("#dolly-costs table").first.is_hidden()


def test_without_scripts_the_numbers_are_there(browser, root):
    with opened(browser, root / "report/index.html", java_script_enabled=False) as page:
        assert page.locator("#overview table").is_visible() and page.locator(".tools").first.is_hidden()
        assert "Examples need JavaScript." in page.locator("#creditmix-examples").inner_text()
