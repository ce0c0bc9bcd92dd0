"""`make run` as it is, and Chromium to look at it with. What was seen is kept as screenshots."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.http.make_run import forget_its_log, free_port, make_run, said_before_serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",  # which needs rights that containers do not give; only pages of this machine are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing is loaded from elsewhere. Not by a route: playwright then answers preflights by itself, and allows all.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]
SCREENSHOTS = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Keyturn's page, served by `make run`."""
    port = free_port()
    with make_run(port) as process:
        said_before_serving(process)
        forget_its_log(process)
        yield f"http://localhost:{port}/"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The machine's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_browser(chromium: Browser) -> Iterator[Callable[[], BrowserContext]]:
    """Makes browsers that share nothing. No script may fail in them."""
    contexts: list[BrowserContext] = []
    failed: list[str] = []

    def make() -> BrowserContext:
        context = chromium.new_context(viewport={"width": 900, "height": 640})
        context.set_default_timeout(15_000)
        context.on("weberror", lambda error: failed.append(str(error.error)))
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert not failed


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path:
    """The folder that is named at the end."""
    return request.config.stash.setdefault(SCREENSHOTS, Path(tempfile.mkdtemp(prefix="keyturn-browser-")))


@pytest.fixture
def seen(screenshots: Path) -> Callable[[Page, str], None]:
    """Keeps what a page shows under a name."""

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=screenshots / f"{name}.png")

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the screenshots are."""
    if SCREENSHOTS in config.stash:
        terminalreporter.write_line(f"Screenshots: {config.stash[SCREENSHOTS]}")
