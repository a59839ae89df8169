"""What the verbs of a node are made of: the talk with a client, whose command was read by a closed grammar."""

from __future__ import annotations

from citgit.ssh.frames import Garbled as Garbled
from citgit.ssh.grammar import NodeCommand as NodeCommand
from citgit.ssh.grammar import parse_node as parse_node
from citgit.ssh.pipe import Gone as Gone
from citgit.ssh.talk import NodeMessage as NodeMessage
from citgit.ssh.talk import Talk as Talk
from citgit.ssh.talk import sorry as sorry
