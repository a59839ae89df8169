"""What an archive holds is final, though a build on which its end rests is missing after a restore."""

from __future__ import annotations

import pytest
from chains import ANNA, EARLIER, EVE, LAB1, LATER, Chain, requested

from citgit.model.names import Kind, Place
from citgit.model.policy import PolicyChain
from citgit.model.record import Body, Outcome, Reused, Skipped, Supersede
from citgit.rules.facts import Facts, NoFacts, Other
from citgit.rules.judge import judge


class _Wrong(NoFacts):
    def other(self, build: str) -> Other:
        return Other("other", "lint", "x")


class _OtherEnd(NoFacts):
    def other(self, build: str) -> Other:
        return Other("default", "tool", "main", "a" * 40, Outcome.CANCELLED)


def _final(chain: Chain, facts: Facts, archived: bool) -> bool:
    place, policies = Place(Kind.BUILD, chain.pool, chain.id), PolicyChain(tuple(chain.policies))
    return judge(chain.ref, place, chain.links, policies, facts, archived=archived).is_final


@pytest.mark.parametrize(
    ("body", "actor", "holds"),
    [
        (Supersede(successor=LATER), ANNA, True), (Supersede(successor=EARLIER), ANNA, False),
        (Supersede(successor=LATER), EVE, False), (Reused(build=EARLIER, final="f" * 40), LAB1, True),
        (Skipped(job="tool", build=EARLIER, final="f" * 40), LAB1, True),
    ],
)  # fmt: skip
def test_an_archived_end_outlives_what_it_rests_on(body: Body, actor: str, holds: bool) -> None:
    """Missing is not wrong: whoever archived it had seen the other build. Nobody gains a right by it."""
    chain = requested()
    chain.add(body, actor)
    for archived, facts, final in ((False, NoFacts(), False), (True, NoFacts(), holds), (True, _Wrong(), False)):
        assert _final(chain, facts, archived) is final


@pytest.mark.parametrize(
    "body", [Reused(build=EARLIER, final="f" * 40), Skipped(job="tool", build=EARLIER, final="f" * 40)]
)
def test_an_archived_end_outlives_another_end_of_what_it_rests_on(body: Body) -> None:
    """After a restore the other build may have ended twice: what the archiver had seen counts for this one."""
    chain = requested()
    chain.add(body, LAB1)
    assert not _final(chain, _OtherEnd(), archived=False)
    assert _final(chain, _OtherEnd(), archived=True)
