"""Sphinx's settings; the sources beside this file are made by docs/site/build.py."""

import os

import autoconv

project = "autoconv"
author = "The autoconv authors"
version = release = autoconv.__version__
html_title = f"autoconv {version}"
extensions = ["myst_nb", "mathml", "tables"]
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_extra_path = ["extra"]
templates_path: list[str] = []
exclude_patterns = ["extra", "_static", "derivation.html"]
html_theme_options = {
    "show_toc_level": 2,
    "collapse_navigation": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 5,
    "show_version_warning_banner": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    **({"github_url": os.environ["AUTOCONV_URL"]} if "github.com" in os.environ.get("AUTOCONV_URL", "") else {}),
}
html_sidebars = {"index": [], "derivation": [], "changelog": [], "glossary": []}
copyright = "the autoconv authors; MIT licence"
pygments_style = "default"

# the lessons are shown as they were executed, here and by tests/test_notebooks.py; none runs again
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline", "attrs_block"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]
# quotes in docstrings are those of code
smartquotes = False
html_math_renderer = "mathml"
