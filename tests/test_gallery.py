"""The gallery is built from the examples: a page for each, with its picture and no error."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.gallery.small import READS_MNIST, SETTINGS
from tests.datasets.originals import real_folder
from tests.tensorboard.browser import MISSING, browser

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
NEEDS = pytest.mark.skipif(real_folder() is None, reason="needs MNIST's files in $KERASISH_DATA")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, of small versions."""
    out = tmp_path_factory.mktemp("gallery")
    built = subprocess.run(
        [sys.executable, "-m", "examples.gallery", "--small", "--out", str(out)], cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
        check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    assert "WARNING" not in built.stderr, built.stderr
    return out


def test_every_example_has_small_settings() -> None:
    assert sorted(SETTINGS) == NAMES and READS_MNIST <= SETTINGS.keys()


@NEEDS
@pytest.mark.parametrize("name", NAMES)
def test_every_example_has_a_page_with_its_picture_and_no_error(name: str, gallery: Path) -> None:
    page = (gallery / "scripts_built" / f"{name}.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="(\.\./_images/[^"]+\.png)"', page)
    assert pictures, "no picture"
    for picture in pictures:
        assert (gallery / "scripts_built" / picture).resolve().stat().st_size > 1000
    assert "Traceback" not in page and "examples failed" not in page
    index = (gallery / "scripts_built" / "index.html").read_text(encoding="utf-8")
    assert f"{name}.html" in index and f"sphx_glr_{name}_thumb.png" in index


def test_readme_shows_every_example_with_its_picture() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"(examples/{name}.py)" in readme, name
    for picture in re.findall(r"examples/pictures/[\w-]+\.\w+", readme):
        assert (ROOT / picture).exists(), picture


@NEEDS
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_the_index_opens_without_a_missing_picture_or_an_error(gallery: Path) -> None:
    with browser() as driver:
        driver.get((gallery / "scripts_built" / "index.html").as_uri())
        widths = driver.execute_script(
            "return [...document.images].map(image => [image.src, image.naturalWidth])")
        told = [each for each in driver.get_log("browser") if each["level"] == "SEVERE"]
    assert len(widths) >= len(NAMES) and all(width for _, width in widths), widths
    assert told == []
