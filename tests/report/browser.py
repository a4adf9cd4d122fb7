"""Opens pages of this package in a real browser without a window."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.report.pages import Page

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --window-size=1000,800"
)


class Browser:
    """Chromium with its own profile; a test that asks for it is skipped if it is not installed."""

    def __init__(self, profile: Path):
        names = ("chromium", "chromium-browser", "google-chrome")
        self.program = next(filter(None, map(shutil.which, names)), None)
        if self.program is None:
            pytest.skip("needs Chromium (Debian: apt-get install chromium)")
        self.profile = profile

    def __call__(self, address: str, *more: str) -> tuple[str, list[str]]:
        """Opens an address with more flags; returns its output and the messages of the page's console."""
        command = [self.program, *FLAGS.split(), f"--user-data-dir={self.profile}", *more, address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    def run(self, path: Path, script: str):
        """Runs a script after the page's own; returns the value of its variable `outcome`."""
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)  # it forbids other scripts
        write = 'document.body.append(make("script", { type: "application/json", id: "outcome", textContent: '
        script = f"<script>{script}\n{write}JSON.stringify(outcome) }}));</script>"
        changed = path.with_name(f"with_script_{path.name}")
        changed.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
        dom, messages = self(changed.as_uri(), "--dump-dom")
        assert not messages, messages
        return Page(dom).data("outcome")
