"""Which origins of apps and extensions `KEYTURN_ALLOWED_ORIGINS` takes; those of the web: test_config.py."""

from __future__ import annotations

import pytest

from tests.unit.settings.reading import problems, read


@pytest.mark.parametrize(
    "origin",
    [
        *("capacitor://localhost", "ionic://localhost", "tauri://localhost", "http://tauri.localhost", "app://-"),
        *("https://tauri.localhost", "https://localhost", "app://obsidian.md", "wails://wails.localhost:34115"),
        *(
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "safari-web-extension://0F3A-00",
            "com.example.app://x",
        ),
        *("moz-extension://0f3a1b2c-0000-4000-8000-00000000000a", "vscode-webview://0f3a", "my-app+beta://localhost"),
    ],
)
def test_origins_of_packaged_apps(origin: str) -> None:
    """What came with an app or an extension is an origin too, to be compared byte for byte (appwrite #13514)."""
    listed = f"https://app.example.com,{origin}"
    assert read(KEYTURN_ALLOWED_ORIGINS=listed).pages.allowed_origins == {"https://app.example.com", origin}


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "file://",
            "file:///",
            "file://localhost",
            "content://x",
            "data://x",
            "blob://x",
            "about://blank",
            "null://x",
        ),
        *("filesystem://x", "view-source://x", "ws://localhost", "wss://app.example.com", "ftp://app.example.com"),
        *("capacitor://", "capacitor://localhost/", "capacitor://localhost/a", "Capacitor://localhost", "://localhost"),
        *("capacitor://*", "chrome-extension://*", "*://localhost", "capacitor:localhost", "capacitor://u@localhost"),
        *("capacitor://localhost:0", "capacitor://localhost:99999", "capacitor://localhost?x", "app://a b", "app://ä"),
        *("1app://x", "http://localhost.example.com", "http://tauri.localhost:80", "http://tauri.localhost:65536"),
        *("http://tauri.localhost/", "http://.localhost", "http://a..localhost", "javascript://x"),
    ],
)
def test_other_schemes_are_refused(origin: str) -> None:
    """What stands for more than one app, or is spelled as no browser spells it, is refused by name."""
    (problem,) = problems(KEYTURN_ALLOWED_ORIGINS=f"https://app.example.com,{origin}")
    assert repr(origin) in problem
