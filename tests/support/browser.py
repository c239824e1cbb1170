"""Headless Chromium, driven by playwright; tests that need it are skipped where either is missing."""

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
ALONE = [  # no call to anything outside of the machine
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium():
    """A browser."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    command = next(filter(None, map(shutil.which, COMMANDS)), None)
    if command is None:
        pytest.skip(f"no browser: none of {', '.join(COMMANDS)} is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=ALONE)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, **how):
    """A file in a page of the browser; fails on what its scripts complain about, and on calls to anything else."""
    with watched(browser, f"file://{path}", lambda url: url == f"file://{path}", **how) as page:
        yield page


@contextmanager
def visited(browser, server, hash="", forgiven=None, **how):
    """The page at ``/`` of a server; fails as :func:`opened` does, but for messages with ``forgiven`` in them."""
    with watched(browser, f"{server}/{hash}", lambda url: url.startswith(f"{server}/"), forgiven, **how) as page:
        yield page


@contextmanager
def watched(browser, address, own, forgiven=None, **how):
    """A page that calls only what is its ``own``, and whose console has no messages but ``forgiven`` ones."""
    context = browser.new_context(**how)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("request", lambda request: None if own(request.url) else wrong.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert [each for each in wrong if forgiven is None or forgiven not in each] == []


if __name__ == "__main__":  # python tests/support/browser.py PAGE PICTURE: the first screen of a file or address as PNG
    place, picture = sys.argv[1:]
    address = place if place.startswith("http://") else f"file://{Path(place).resolve()}"
    with chromium() as own, watched(own, address, str, viewport={"width": 1280, "height": 800}) as shown:
        shown.wait_for_load_state("networkidle")
        shown.screenshot(path=picture)
