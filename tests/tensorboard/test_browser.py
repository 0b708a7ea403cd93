"""TensorBoard in a browser: the pages show what was written, and look like something."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tensorboard.browser import MISSING
from tests.tensorboard.pages import PAGES, look


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_scalars_histograms_and_graphs_are_on_their_pages(tmp_path: Path) -> None:
    words = look(tmp_path / "runs", tmp_path / "pictures")
    for page, (_, expected, width) in PAGES.items():
        missing = [word for word in expected if word not in words[page]]
        assert missing == [], f"{page} shows: {words[page][:2000]}"
        picture = Image.open(tmp_path / "pictures" / f"tensorboard-{page}.png").convert("RGB")
        assert picture.width == width
        content = np.asarray(picture)[200:, 360:]  # below the bar, beside the menu
        assert len(np.unique(content.reshape(-1, 3), axis=0)) > 20, f"{page} is empty"
