"""The version of the package, which recipes, the page and the distribution tell."""

__version__ = "0.2.0"
