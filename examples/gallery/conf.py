"""Sphinx's configuration of the gallery."""

from examples.gallery.pictures import Pictures

project = "kerasish"
extensions = ["sphinx_gallery.gen_gallery"]
html_theme = "alabaster"
html_theme_options = {"description": "Neural networks, gradients written by hand",
                      "page_width": "1000px"}
html_show_sphinx = False
html_copy_source = False
suppress_warnings = ["config.cache"]
exclude_patterns = ["scripts/*"]
sphinx_gallery_conf = {
    "examples_dirs": ["scripts"],
    "gallery_dirs": ["scripts_built"],
    "filename_pattern": r"\.py$",
    "image_scrapers": (Pictures(),),
    "reset_modules": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 1,
    "plot_gallery": True,
}
