"""Measures citgit: one file per measurement, all run by `python -m bench`. Not shipped."""
