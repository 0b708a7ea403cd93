"""Takes the pictures that an example has saved onto its page."""

import shutil
from pathlib import Path


class Pictures:
    """What Sphinx-Gallery calls after each example.

    Example:
        >>> Pictures()
        Pictures()
    """

    def __call__(self, block, block_vars, gallery_conf) -> str:
        """Copies those that are new, and answers the lines that show them."""
        from sphinx_gallery.scrapers import figure_rst

        folder = Path(block_vars["src_file"]).parent / "pictures"
        shown = []
        for path in sorted(folder.glob("*.png")):
            target = Path(next(block_vars["image_path_iterator"]))
            shutil.move(path, target)
            shown.append(str(target))
        return figure_rst(shown, gallery_conf["src_dir"])

    def __repr__(self) -> str:
        return "Pictures()"
