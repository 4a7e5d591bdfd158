"""Sphinx: guides in Markdown, reference and commands from the code, a gallery that is run."""

import sys
from pathlib import Path

import limen

sys.path.insert(0, str(Path(__file__).parent))  # generate.py lies here

project = "limen"
author = "The limen developers"
copyright = "The limen developers, Apache-2.0"
version = release = limen.__version__

extensions = [
    "generate",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "reference/commands.md", "reference/results.md"]
default_role = "obj"
smartquotes = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Reference", "notes_style")]
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
}

html_theme = "furo"
html_title = "limen"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e6e", "color-brand-content": "#0b6e6e"},
    "dark_css_variables": {"color-brand-primary": "#5cc8c0", "color-brand-content": "#5cc8c0"},
}
