"""A talk with a client of a node, and no more: it is greeted before anything that takes long is loaded."""

from __future__ import annotations

from citgit.ssh.pipe import Gone as Gone
from citgit.ssh.talk import Talk as Talk
from citgit.ssh.talk import sorry as sorry
