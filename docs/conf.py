"""How Sphinx builds the site: `make docs` writes it to site/, every warning an error, nothing from the network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import neurosam

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "neurosam"
author = "neurosam developers"
copyright = "neurosam developers"
version = release = neurosam.__version__

extensions = [
    "myst_nb",  # Markdown by myst_parser, and the notebook with the outputs that its file holds
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "commands",  # docs/_ext: the command reference, from the Typer application
    "references",  # docs/_ext: links of docstrings
    "mathml",  # docs/_ext: equations as MathML, which needs no script
]
exclude_patterns = ["_ext", "_static", "README.md"]

# Markdown. Anchors of headings are those that GitHub makes, so that FORMAT.md's links work in both places.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # tests run the notebook

# API reference: NumPy docstrings; the docstrings say the types.
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
python_use_unqualified_type_names = True
add_module_names = False
default_role = "code"  # `name` in a docstring is a name, not a link
smartquotes = False  # options of the command line begin with two hyphens
nitpicky = True  # a link that leads nowhere is an error
nitpick_ignore = [("py:class", "numpy.generic")]

# Output. Furo brings its own fonts stack and scripts; nothing is fetched by a page.
html_theme = "furo"
html_title = f"neurosam {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#7a3f8f", "color-brand-content": "#7a3f8f"},
    "dark_css_variables": {"color-brand-primary": "#d9a6e8", "color-brand-content": "#d9a6e8"},
    "top_of_page_buttons": [],
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_copy_empty_lines = False


def tidy(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """After napoleon: dashes for its hyphens, and the first words of a property where it takes them for a type."""
    lines[:] = [line.replace(") -- ", ") – ").replace("** -- ", "** – ") for line in lines]
    for at, line in enumerate(lines):
        if what == "property" and line.startswith(":type: "):
            del lines[at]
            lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"
            break


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", tidy, priority=600)
