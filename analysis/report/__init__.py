"""The report of a run: sections made from its journal, written as HTML, Markdown, CSV or JSON."""
