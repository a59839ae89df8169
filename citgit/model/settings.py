"""What a worker on a node is told once, when it is installed: the agent it acts for, the state it serves."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A worker's configuration: `url` is the state repository, `source` that of the code if it is another.

    `root` is the oid of the root policy, `refs` the root of the refs; `own` trusts all builds as the user's own;
    `slots` 0: as the policy says. `builders` are the logins of other users of the machine who run the builds; with
    `attempt_keys` each attempt's records are signed by a key of its own. `target` is the login of a machine that has
    only sshd, git and a shell, where all builds of this agent run: in `target_folder` there, with the key file
    `target_key`, if that machine's own key is `target_host_key` ("": as ssh is set up). Workspaces are kept in the
    folder `shared`, which the unix `group` may read ("": below the worker's own files, for its account alone).
    """

    agent: str
    url: str
    source: str = ""
    root: str = ""
    refs: str = ""
    slots: int = 0
    keep_free: str = ""
    own: bool = False
    builders: tuple[str, ...] = ()
    attempt_keys: bool = False
    target: str = ""
    target_key: str = ""
    target_host_key: str = ""
    target_folder: str = ""
    shared: str = ""
    group: str = ""
