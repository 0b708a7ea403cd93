"""Headless Chromium, where there is one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIZE = 1400, 900
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or (
    shutil.which("google-chrome"))
DRIVER = shutil.which("chromedriver")
MISSING = "" if CHROMIUM and DRIVER else (
    "no browser: install it with apt-get install chromium chromium-driver")


@contextmanager
def browser() -> Iterator[Any]:
    """A driver of a browser with a fresh profile that asks nobody for anything."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage",
                     "disable-background-networking", "disable-component-update", "disable-sync",
                     "no-first-run", f"user-data-dir={profile}", "hide-scrollbars",
                     f"window-size={SIZE[0]},{SIZE[1]}"):
            options.add_argument(f"--{flag}")
        driver = Chrome(options=options, service=Service(executable_path=DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


def words_on(driver: Any) -> str:
    """All text of a page, that within its components as well."""
    return str(driver.execute_script("""
        const words = [];
        const visit = node => {
            if (node.nodeType === Node.TEXT_NODE) words.push(node.data);
            if (node.tagName === 'STYLE' || node.tagName === 'SCRIPT') return;
            for (const child of node.childNodes) visit(child);
            if (node.shadowRoot) visit(node.shadowRoot);
        };
        visit(document.body);
        return words.join(' ');
    """))
