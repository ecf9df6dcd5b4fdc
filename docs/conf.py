"""The site that `make docs` builds: the clone's Markdown as it stands, so that links work here as they do there."""

project = "gdpipe"
extensions = ["myst_parser", "sphinx_external_toc"]
external_toc_path = "docs/toc.yml"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "docs/*.md"]
exclude_patterns = [".*", "site", "tests", "gdpipe", "flows", "runs", "scores"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = "gdpipe"
html_extra_path = ["front"]  # index.html, which leads to docs/index.html
html_static_path = ["static"]
html_css_files = ["figures.css"]
html_show_copyright = False  # the licence says whose it is; without a year and a name the line would be empty
html_copy_source = False
html_show_sphinx = False
