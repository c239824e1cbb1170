"""The playground in a browser, by clicks and keys, against a server with canned answers."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from support.browser import chromium, visited
from support.stand_in import BILL, HOSTILE, LONG, STUDIES, StandIn, served

PHONE = {"viewport": {"width": 390, "height": 844}}
REFUSED = "Failed to load resource"  # what the browser says of a status that is none of success
DESK = {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def everything():
    """A server and its address, for all tests."""
    server = StandIn()
    with served(server.app()) as address:
        server.address = address
        yield server


@pytest.fixture
def server(everything):
    everything.token = everything.fault = None
    everything.asked.clear()
    everything.open.set()
    return everything


@pytest.fixture
def page(browser, server):
    with visited(browser, server.address, **DESK) as found:
        loaded(found)
        yield found


def loaded(page):
    """Wait for the test example."""
    page.locator("#about:not(:empty)").wait_for()


def state(page):
    return parse_qs(urlsplit(page.url).fragment, keep_blank_values=True)


def ask(page):
    """Press the button, and wait for all answers."""
    page.get_by_role("button", name="Ask").click()
    settled(page)


def settled(page):
    page.locator("#results:not([aria-busy]):not(.old) .answer").first.wait_for()


def card(page, title):
    return page.locator("#results article").filter(has=page.get_by_role("heading", name=title))


def choose(page, title):
    page.get_by_label("Study").select_option(label=title)
    loaded(page)


def test_first_visit_has_an_example_and_two_models(page, server):
    assert page.get_by_label("Study").locator("option").all_inner_texts()[:2] == ["Credit <b>risk</b>", "Case reports"]
    assert page.get_by_label("First model").locator("option:checked").inner_text() == "SFT (Macro F1 0.712)"
    assert page.get_by_label("Test example").input_value() == "1" and page.locator("#of").inner_text() == "of 6"
    assert page.get_by_label("features").input_value() == "features 1" and not server.asked
    ask(page)
    assert sorted(server.asked, key=str) == [
        (f"credit_{each}", 1, {"features": "features 1"}) for each in ("sft", "teacher")
    ]


def test_labels_have_bars_and_costs(page):
    page.get_by_label("Third model").select_option(label="Base (Macro F1 0.712)")
    page.get_by_label("Run").select_option(label="seed 3")
    ask(page)
    right, wrong = card(page, "SFT"), card(page, "Teacher")
    assert right.locator(".bars th").all_inner_texts() == ["Standard (reference)", "Good", "Bad"]
    assert right.locator(".bars .num").all_inner_texts() == ["0.700", "0.200", "0.100"]
    bars = [each.bounding_box()["width"] for each in right.locator(".bar").all()]
    assert bars[0] > 3 * bars[1] > 5 * bars[2] > 0
    assert (
        "right" in right.inner_text() and "wrong" in wrong.inner_text() and wrong.locator("ins").inner_text() == "Good"
    )
    assert "credit_sft, seed 3" in right.inner_text() and "credit_teacher, seed 1" in wrong.inner_text()
    assert "(queue 1.3 ms, model 35 ms) · 61 tokens read" in right.locator(".facts").inner_text()
    assert "Standard" in card(page, "Reference").inner_text() and page.locator("#results article").count() == 4


def test_texts_are_compared_with_the_reference(page, server):
    choose(page, "Case reports")
    assert page.get_by_label("language").input_value() == "es"
    ask(page)
    answer = card(page, "SFT")
    assert answer.locator("del").inner_text() == "cat" and answer.locator("ins").inner_text() == "dog"
    assert "ROUGE-L 0.50" in answer.inner_text() and "repeats itself" in answer.inner_text()
    assert card(page, "Reference").locator(".words").inner_text() == "judged reference"
    assert answer.get_by_text("It is a cat.").is_hidden()
    answer.get_by_text("Written before the answer").click()
    assert answer.get_by_text("It is a cat.").is_visible()
    page.get_by_label("document").fill("mine")  # no example any longer: nothing to compare with
    assert page.get_by_label("Test example").input_value() == ""
    ask(page)
    assert card(page, "SFT").locator(".words").last.inner_text() == "the dog sat: mine"
    assert card(page, "Reference").count() == 0
    assert server.asked[-1][2] == {"document": "mine", "language": "es"}


def test_json_is_laid_out_and_its_faults_are_said(page):
    choose(page, "Bills")
    page.get_by_role("button", name="Write your own").click()
    page.keyboard.type("bill")
    ask(page)
    shown = card(page, "SFT").locator("pre").inner_text()
    assert json.loads(shown) == json.loads(BILL)
    assert shown.splitlines()[:3] == ["{", '  "number": "A-1",', '  "total": 12.0,']  # as it was written
    assert shown.endswith(
        '  "lines": [\n    {\n      "text": "caf\\u00e9",\n      "price": 1.50\n    },\n    {}\n  ]\n}'
    )
    assert "valid by its schema" in card(page, "SFT").inner_text()
    assert (
        '{"number": "A-1' in card(page, "Base").inner_text() and "`total` is missing" in card(page, "Base").inner_text()
    )


def test_code_is_tested_where_that_is_allowed(browser, server):
    with visited(browser, server.address, "#study=code", forgiven=REFUSED, **DESK) as page:
        page.get_by_role("button", name="Next example").click()
        loaded(page)
        ask(page)
        assert "tests passed" in card(page, "SFT").inner_text()
        plain = card(page, "Base")
        assert plain.locator("pre").inner_text() == "def double(x): pass\n"
        assert "This server runs no code: start it with `--allow-code`." in plain.inner_text()


def test_options_are_folded_and_sent_as_what_they_are(page, server):
    choose(page, "Code")
    assert page.get_by_label("temperature").is_hidden()
    page.locator("summary", has_text="Options").click()
    page.get_by_label("sampling").select_option(label="yes")
    page.get_by_label("plan then code").select_option(label="no")
    page.get_by_label("temperature").fill(".5")
    page.get_by_label("max new tokens").fill("7")
    assert page.locator("summary", has_text="Options").inner_text() == "Options: 4 set"
    page.get_by_role("button", name="Write your own").click()
    page.keyboard.type("f")
    page.keyboard.press("Control+Enter")
    settled(page)
    options = {"sampling": True, "plan_then_code": False, "temperature": 0.5, "max_new_tokens": 7}
    assert server.asked[0][2] == {"prompt": "f", **options}
    page.get_by_label("temperature").fill("1000")  # out of its bounds: the browser says so, and nothing is asked
    page.get_by_role("button", name="Ask").click()
    assert len(server.asked) == 2


def test_address_gives_the_same_page_again(browser, server):
    with visited(browser, server.address, forgiven=REFUSED, **DESK) as page:
        choose(page, "Case reports")
        page.get_by_label("document").fill("first & \u05e9\n#2")
        page.get_by_label("language").select_option("en")
        page.locator("summary", has_text="Options").click()
        page.get_by_label("sampling").select_option(label="yes")
        ask(page)
        first, asked = page.url, server.asked[0]
        assert state(page) == {
            **{"study": ["cases"], "model": ["cases_sft", "cases_teacher"], "asked": ["yes"]},
            **{"in.document": ["first & \u05e9\n#2"], "in.language": ["en"], "option.sampling": ["true"]},
        }
        page.get_by_label("document").fill("second")
        assert "asked before" in page.get_by_role("status").inner_text()
        ask(page)
        assert page.get_by_role("status").inner_text() == ""
        page.go_back()
        card(page, "SFT").get_by_text("#2").wait_for()
        settled(page)
        assert page.url == first and page.get_by_label("document").input_value() == "first & \u05e9\n#2"
        page.go_forward()
        card(page, "SFT").get_by_text("second").wait_for()
        page.go_back()
        card(page, "SFT").get_by_text("#2").wait_for()
        page.reload()
        settled(page)
        assert page.get_by_label("language").input_value() == "en"
        assert page.get_by_label("sampling").input_value() == "true" and page.url == first
        assert asked in server.asked[-2:]


def test_link_of_an_example_is_copied(browser, server):
    with visited(browser, server.address, **DESK, permissions=["clipboard-read", "clipboard-write"]) as page:
        loaded(page)
        page.get_by_label("Test example").fill("4")
        page.keyboard.press("Enter")  # takes the example, and asks
        settled(page)
        page.get_by_role("button", name="Copy link").click()
        page.get_by_text("The link is copied.").wait_for()
        link = page.evaluate("navigator.clipboard.readText()")
    with visited(browser, link.partition("/#")[0], "#" + link.partition("#")[2], **DESK) as page:
        settled(page)
        assert page.get_by_label("features").input_value() == "features 4" and "credit-4" in page.inner_text("#about")
        assert card(page, "Reference").is_visible()


def test_a_short_link_is_one_step(browser, server):
    with visited(browser, server.address, **DESK) as page:
        loaded(page)
        page.evaluate("location.hash = '#study=bills&example=2&asked=yes'")  # says no models
        card(page, "Base").locator(".facts").wait_for()
        assert state(page)["model"] == ["bills_base", "bills_sft"]
        page.go_back()
        page.get_by_label("features").wait_for()
        assert page.url == f"{server.address}/"


def test_links_to_what_is_gone(browser, server):
    with visited(browser, server.address, "#study=lost&model=lost_sft", **DESK) as page:
        page.get_by_text("There is no study lost here.").wait_for()
        assert page.get_by_label("Study").input_value() == "credit"
    with visited(browser, server.address, "#study=credit&model=credit_dpo&model=credit_sft&example=2", **DESK) as page:
        page.get_by_text("There is no credit_dpo here.").wait_for()
        assert page.get_by_label("Second model").input_value() == "credit_sft"


def test_by_keyboard_alone(page, server):
    name = "e => e.labels?.[0]?.firstChild.textContent.trim() || e.ariaLabel || e.innerText"
    labels = []
    for _ in range(14):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        labels.append(focused.evaluate(name))
        assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    own = ["Study", "First model", "Second model", "Third model", "Run", "Test example"]
    assert labels[:7] == ["the API", *own]
    assert labels[7:12] == ["Previous example", "Next example", "Draw one", "Write your own", "features"]
    page.get_by_label("First model").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    settled(page)
    assert {name for name, *_ in server.asked} == {"credit_base", "credit_teacher"}
    assert page.get_by_label("First model").evaluate("e => e.matches(':focus')")
    page.get_by_label("features").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("two\nlines")
    assert len(server.asked) == 2
    page.keyboard.press("Control+Enter")
    settled(page)
    assert server.asked[-1][2] == {"features": "two\nlines"}


def test_screen_readers_hear_answers_when_they_are_there(page, server):
    results = page.get_by_role("region", name="Answers")
    assert results.get_attribute("aria-live") == "polite"
    server.open.clear()
    page.get_by_role("button", name="Ask").click()
    page.locator("#results[aria-busy=true]").wait_for()
    server.open.set()
    settled(page)
    choose(page, "Code")
    for each in page.locator("select, input, textarea").all():
        assert each.evaluate("e => e.labels.length") == 1
    page.locator("summary", has_text="Options").click()
    page.get_by_role("combobox", name="plan then code", description="A model first writes a plan.").wait_for()


@pytest.mark.parametrize("study", [each["study"] for each in STUDIES])
def test_narrow_and_dark_with_long_texts(browser, server, study):
    long = LONG + "x" * 500
    with visited(browser, server.address, f"#study={study}", **PHONE, color_scheme="dark") as page:
        page.locator("#inputs textarea").first.fill(long)
        page.locator("summary", has_text="Options").evaluate("e => e.click()")
        ask(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        ink, back = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).background]")
        assert ink.startswith("rgb(2") and back.startswith("rgb(2")  # light on dark
        assert page.locator("#results").bounding_box()["y"] < 844  # in sight


def test_hostile_texts_are_only_text(page):
    choose(page, "Case reports")
    for text in HOSTILE:
        page.get_by_label("document").fill(text)
        ask(page)
        shown = card(page, "SFT").locator(".words").last
        assert text.strip().replace("\u0007", "\u2407") in shown.inner_text()
        assert page.locator("#results img, #results script").count() == 0
        assert shown.get_attribute("dir") == "auto"
    assert page.get_by_label("document").get_attribute("dir") == "auto"


def test_policy_lets_no_text_become_markup(browser, server):
    with visited(browser, server.address, forgiven="TrustedHTML", **DESK) as page:
        policy = page.request.get(server.address).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        markup = "() => { try { document.body.innerHTML = '<b>no</b>'; return 'done' } catch { return 'refused' } }"
        assert page.evaluate(markup) == "refused"


def test_a_model_that_loads_says_so_and_can_be_stopped(page, server):
    server.open.clear()
    page.get_by_role("button", name="Ask").click()
    assert "loading" in card(page, "SFT").inner_text() and "working" in card(page, "Teacher").inner_text()
    page.get_by_role("button", name="Stop").click()
    settled(page)
    assert "Stopped." in card(page, "SFT").inner_text() and page.get_by_role("button", name="Stop").is_hidden()
    server.open.set()
    ask(page)
    assert card(page, "SFT").locator(".bars").is_visible()
    server.open.clear()
    page.get_by_role("button", name="Ask").click()
    assert "working" in card(page, "SFT").inner_text()  # it is loaded now
    server.open.set()
    settled(page)


def test_faults_are_said_where_they_belong(browser, server):
    with visited(browser, server.address, forgiven=REFUSED, **DESK) as page:
        server.fault = 422, "the input text is empty: give `features`"
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("status").get_by_text("The input text is empty: give `features`.").wait_for()
        assert page.locator("#results article").count() == 0
        server.fault = 429, "too many requests wait: try again"
        page.get_by_label("Second model").select_option(label="none")
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("status").get_by_text("Too many requests wait: try again.").wait_for()
        server.fault = None
        ask(page)
        assert page.get_by_role("status").inner_text() == ""


def test_a_server_that_is_gone(browser):
    with served(StandIn().app()) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.get_by_label("features").wait_for()
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("status").get_by_text("The server does not answer.").wait_for()
    context.close()


def test_token_is_asked_for_and_kept_in_the_tab(browser, server):
    server.token = "secret"
    with visited(browser, server.address, forgiven=REFUSED, **DESK) as page:
        token = page.get_by_label("Token", exact=True)
        token.fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("The token is not the one of the server.").wait_for()
        token.fill("secret")
        page.keyboard.press("Enter")
        page.get_by_label("features").wait_for()
        ask(page)
        assert "secret" not in page.url and page.evaluate("localStorage.length") == 0
        page.reload()
        settled(page)
        server.token = "another"
        page.get_by_role("button", name="Ask").click()  # both models are refused, and one dialog asks
        token.wait_for()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("status").get_by_text("The server answers with its token only.").wait_for()
