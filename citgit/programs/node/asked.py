"""What a client asked of this node, who it is, and which workers' files it may be about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from citgit.errors import Refused
from citgit.model.policy import PolicyView
from citgit.rules.authority import live_keys
from citgit.rules.reading import denied_node
from citgit.wiring.homes import Home, homes
from citgit.wiring.keys import fingerprint

Denied = Callable[[PolicyView, str], str]
"""Why the policy does not let an actor do something; "" if it does."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One command. `words` fit what the verb takes.

    `reader` is the actor to whom sshd bound the key ("person:anna"), and `key` that key's fingerprint, "" if the
    binding does not say; without a reader whoever asks has a shell of their own here. `own`: this account is the
    reader's own, so what it may do, they may. `homes` are the workers whose attempts are meant, none for all.
    """

    verb: str
    words: tuple[str, ...]
    reader: str
    key: str
    own: bool
    homes: tuple[Path, ...]

    def places(self) -> list[Home]:
        """The homes of the workers that the command is about."""
        return homes(self.homes)

    def allowed(self, home: Home, denied: Denied = denied_node) -> bool:
        """Whether the policy that a worker obeys lets this client do something: by default, look at the node."""
        return not self.refusal(home.repository.snapshot.policies.tip, denied)

    def refusal(self, policy: PolicyView, denied: Denied) -> str:
        """Why a policy does not let this client do something; "" if it does."""
        if not self.reader:
            return ""
        name = self.reader.partition(":")[2]
        if self.key and self.key not in map(fingerprint, live_keys(policy, name)):
            return f"this key is not one of {self.reader}'s under policy {policy.version}"
        return denied(policy, self.reader)


def need(refusal: str) -> None:
    """Raises Refused if there is a reason to."""
    if refusal:
        raise Refused(f"access denied: {refusal}", hint="an admin gives roles in team.toml: cit policy publish")
