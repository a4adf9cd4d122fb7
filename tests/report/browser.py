"""A real browser, without a window, on pages of this package."""

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
    """Chromium with a profile of its own; a test that asks for one is skipped where there is none."""

    def __init__(self, profile: Path):
        names = ("chromium", "chromium-browser", "google-chrome")
        self.program = next(filter(None, map(shutil.which, names)), None)
        if self.program is None:
            pytest.skip("needs Chromium (Debian's package chromium), which is not here")
        self.profile = profile

    def __call__(self, address: str, *more: str) -> tuple[str, list[str]]:
        """What it printed with more flags, and what it complained of."""
        command = [self.program, *FLAGS.split(), f"--user-data-dir={self.profile}", *more, address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    def run(self, path: Path, script: str):
        """What a script that runs after the page's own leaves in its variable `outcome`."""
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)  # which forbids any other script
        told = 'document.body.append(make("script", { type: "application/json", id: "outcome", textContent: '
        script = f"<script>{script}\n{told}JSON.stringify(outcome) }}));</script>"
        changed = path.with_name(f"with_script_{path.name}")
        changed.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
        dom, complaints = self(changed.as_uri(), "--dump-dom")
        assert not complaints
        return Page(dom).data("outcome")
