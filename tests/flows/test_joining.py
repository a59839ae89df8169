"""Who is let in: the holder of the line that an admin sent, once, and nobody who only saw the branch."""

from __future__ import annotations

import pytest

from citgit.errors import Refused
from citgit.flows.joining import JOINING, Joiner, Joining, _commit, _proof, invite, join, joiners
from citgit.flows.policies import fetch_policies
from citgit.flows.publishing import Next, submit
from citgit.flows.state import State
from citgit.interfaces import Update
from citgit.model.policy import PolicyChain, Seal
from citgit.model.record import Revoked
from citgit.model.team import Role
from citgit.testing.keys import FakeSigner, fake_public_key
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.world import World

LINE = FakeSigner("the line's secret")


class Site:
    """A host with anna's invitation of dora."""

    def __init__(self) -> None:
        self.world = World(0, PROFILES["mixed"])
        self.anna = self.world.nodes["anna"]
        self.state: State = self.world.client(self.anna)
        self.roles = (Role.REQUEST,)
        self.invitation = invite(
            self.state, self.state.remote, self.anna.actor, self.chain, "dora", LINE.public_key, roles=self.roles,
            groups=(),
        )  # fmt: skip

    @property
    def chain(self) -> PolicyChain:
        """The policies as they are."""
        return fetch_policies(self.state)

    def waiting(self) -> list[Joiner]:
        """Who asks, as an admin sees it."""
        return list(joiners(self.state, self.state.remote, self.chain))

    def push(self, body: Joining, key: str) -> None:
        """An answer made by hand, in the place of whatever is there."""
        made = _commit(self.state, "person:dora", FakeSigner(key), body.invite, body)
        ref = JOINING + "dora"
        self.state.remote.push([Update(ref, self.state.remote.fetch([ref])[ref], made)])


def test_the_holder_of_the_line_is_let_in() -> None:
    """With the roles of the invitation, not with others."""
    site = Site()
    assert [(one.key, one.fault) for one in site.waiting()] == [("", "")]
    join(site.state, site.state.remote, FakeSigner("dora"), LINE, "dora", "")
    (found,) = site.waiting()
    assert (found.key, found.roles, found.inviter) == (fake_public_key("dora"), site.roles, "person:anna")


@pytest.mark.parametrize(
    ("signs", "names", "proves", "told"),
    [
        ("eve", "eve", "eve's own secret", "not made with the line"),
        ("eve", "dora", "the line's secret", "not signed by the key that it names"),
        ("ben", "ben", "the line's secret", "belongs to person:ben already"),
    ],
)  # fmt: skip
def test_who_only_saw_the_branch_is_not(signs: str, names: str, proves: str, told: str) -> None:
    """An answer by another key, for another's key, or by somebody who is in already."""
    site = Site()
    key = fake_public_key(names)
    proof = FakeSigner(proves).sign(_proof(site.invitation, key))
    site.push(Joining(name="dora", key=key, invite=site.invitation, proof=proof), signs)
    (found,) = site.waiting()
    assert found.key == ""
    assert told in found.fault


def test_an_invitation_falls_with_its_admin() -> None:
    """Made by nobody who may, or by somebody whose key was revoked since: it lets nobody in."""
    site = Site()
    ben = site.world.node("ben", "person:ben")
    with pytest.raises(Refused, match="no admin"):
        invite(
            site.state, site.state.remote, ben.actor, site.chain, "eve", LINE.public_key, roles=(Role.ADMIN,), groups=()
        )
    forged = Joining(name="dora", key=fake_public_key("dora"), invite=site.invitation, proof="")
    site.push(forged, "dora")
    assert "signature is m" in site.waiting()[0].fault
    team = site.world.team()
    second = {**team.person, "cara": type(team.person["ben"])(keys=(fake_public_key("cara"),), roles=(Role.ADMIN,))}
    wanted = Next(
        team=type(team)(**{**{name: getattr(team, name) for name in team.__struct_fields__}, "person": second}),
        seal=Seal(), revoked=(Revoked(key=fake_public_key("anna"), why="left"),),
    )  # fmt: skip
    submit(site.state, site.state.remote, site.anna.actor, site.chain, wanted)
    assert "who is no admin" in site.waiting()[0].fault
