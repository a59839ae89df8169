"""`cit-serve workspace CLAIM`: tells what is in the folders of the workspace that an attempt left."""

from __future__ import annotations

from citgit.programs.node.asked import Asked
from citgit.programs.node.gate import admitted, need_code
from citgit.wiring.homes import workspace_of
from citgit.wiring.serve_node import Folder, Talk, items


def serve(asked: Asked, talk: Talk) -> None:
    """One folder after the other, until the client leaves."""
    kept = admitted(asked)
    need_code(asked, talk, kept)
    workspace = workspace_of(kept)
    while True:
        wanted = talk.hear(Folder)
        talk.say(items(workspace, wanted.names))
