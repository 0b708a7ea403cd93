"""Builds the gallery: a page for each example, with its code, what it prints and its picture.

    python -m examples.gallery            runs all of them as they are, about fifteen minutes
    python -m examples.gallery --small    runs small versions, in a minute

It needs `pip install 'kerasish[gallery]'`, and MNIST for some. Open build/gallery/index.html.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path

from examples.gallery.small import SETTINGS

HERE = Path(__file__).parent
EXAMPLES = HERE.parent
HEADER = """\
Examples
========

Short scripts to copy from. Each says what it does, what to expect and how long it takes.
"""
INDEX = """\
kerasish: the gallery
=====================

.. toctree::
   :maxdepth: 2

   scripts_built/index
"""


def build(out: Path, small: bool, only: list[str] | None = None) -> None:
    """Writes the pages into a folder, which is emptied first.

    Raises: what an example raises, or Sphinx.
    """
    from sphinx.application import Sphinx

    shutil.rmtree(out, ignore_errors=True)
    source = out / "source"
    (source / "scripts").mkdir(parents=True)
    (source / "index.rst").write_text(INDEX, encoding="utf-8")
    (source / "scripts" / "GALLERY_HEADER.rst").write_text(HEADER, encoding="utf-8")
    for path in sorted(EXAMPLES.glob("*.py")):
        if only is None or path.stem in only:
            text = as_page(path, SETTINGS[path.stem] if small else None)
            (source / "scripts" / path.name).write_text(text, encoding="utf-8")
    made = Sphinx(source, HERE, out, out / "doctrees", "html", status=None, warning=sys.stderr)
    made.build(force_all=True)
    if made.statuscode:
        raise RuntimeError(f"python -m examples.gallery expects a build without errors; got status "
                           f"{made.statuscode}. What went wrong is printed above.")


def as_page(path: Path, settings: dict | None) -> str:
    """An example as Sphinx reads it: its first line a title, its commands in a box.

    There it runs in its own folder, and knows neither its file nor its words. Settings, if there
    are any, are those that it runs with.
    """
    text = path.read_text(encoding="utf-8").replace(
        'Path(__file__).parent / "pictures"', 'Path("pictures")').replace(
        "__file__", repr(path.name))
    _, docstring, code = text.split('"""', 2)
    title, _, words = docstring.partition("\n")
    code = code.replace("__doc__.splitlines()[0]", repr(title))
    words = re.sub(r"\n\n(    \S)", r"\n\n.. code-block:: console\n\n\1", words)
    if settings is not None:
        head, tail = code.split('if __name__ == "__main__":')
        told = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        code = f'{head}if __name__ == "__main__":' + re.sub(r"\bmain\(.*\)", f"main({told})", tail)
    return f'"""{title}\n{"=" * len(title)}\n{words}"""{code}'


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="small versions")
    parser.add_argument("--out", type=Path, default=Path("build/gallery"), help="where pages go")
    arguments = parser.parse_args()
    build(arguments.out.absolute(), arguments.small)
    print(f"Gallery: {arguments.out / 'index.html'}")
