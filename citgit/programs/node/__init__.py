"""The verbs of a node, one file each: what `cit-serve` does for who reads builds there, and for who starts them.

A new verb is a line in `NODE_VERBS` of citgit/ssh/grammar.py, which says what its words look like, a line here, and a
file with a function `serve(asked, talk)`; its client's end is a `Call` (citgit/ssh/call.py).
"""

from __future__ import annotations

VERBS = {
    "probe": "probe",
    "start": "start",
    "stats": "stats",
    "log": "log",
    "artifact": "artifact",
    "workspace": "workspace",
    "clean": "clean",
    "shell": "shell",
}
"""Verb -> module of citgit.programs.node."""
