"""citgit: continuous integration whose only state is git."""

__version__ = "0.1.0"
