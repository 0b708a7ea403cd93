"""Opens pages of TensorBoard in a browser and keeps what they look like.

    KERASISH_DATA=... python -m tests.tensorboard.pages

writes README's pictures of TensorBoard anew; that of the worst mistakes needs the folder mnist
with its four files in KERASISH_DATA.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.tensorboard import runs
from tests.tensorboard.browser import SIZE, browser, words_on
from tests.tensorboard.serving import serving


class Page(NamedTuple):
    """A page of TensorBoard."""

    fragment: str
    """What its address ends in."""
    words: tuple[str, ...]
    """What it is to say."""
    width: int


PAGES: Mapping[str, Page] = {
    "scalars": Page("scalars&tagFilter=^epoch_", ("epoch_loss", "epoch_accuracy", "validation"),
                    1400),
    "histograms": Page("histograms", ("0/activation/histogram", "0.bias/gradient/histogram",
                                      "0.bias/histogram"), 1100),
    "graphs": Page("graphs", ("0_Linear", "1_ReLU", "7_Tanh", "graph_backward"), 900),
}
PATIENCE = 60
"""Seconds that a page may take."""
_QUIET = 3
"""Seconds after its words that a page needs for its drawings."""


def look(folder: Path, pictures: Path) -> dict[str, str]:
    """Opens the pages of a run of the disc, and saves each as tensorboard-<page>.png.

    Returns: page → all the words on it.
    """
    runs.points(folder)
    pictures.mkdir(parents=True, exist_ok=True)
    found = {}
    with serving(folder, limit=4 * PATIENCE) as server, browser() as driver:
        server.wait_for(lambda: len(server.ask("runs") or ()) >= 3)
        for page, (fragment, expected, width) in PAGES.items():
            driver.set_window_size(width, SIZE[1])
            driver.get("about:blank")  # a change behind # alone would load nothing
            driver.get(f"{server.address}/#{fragment}")
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                found[page] = words_on(driver)
                if all(word in found[page] for word in expected):
                    break
                time.sleep(0.2)
            time.sleep(_QUIET)
            driver.save_screenshot(str(pictures / f"tensorboard-{page}.png"))
    return found


def worst_mistakes(folder: Path) -> bytes:
    """The picture that a net on MNIST ends with."""
    runs.digits(folder)
    events = EventAccumulator(str(folder / "validation"))
    events.Reload()
    picture: bytes = events.Images("mistakes")[-1].encoded_image_string
    return picture


if __name__ == "__main__":
    there = Path(__file__).parent.parent.parent / "examples" / "pictures"
    with tempfile.TemporaryDirectory() as temporary:
        look(Path(temporary) / "disc", there)
        if "KERASISH_DATA" in os.environ:
            (there / "mistakes.png").write_bytes(worst_mistakes(Path(temporary) / "digits"))
