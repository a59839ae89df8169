"""Each defence of the protocol is needed: without it the simulation breaks a promise within a few histories.

The simulation's host compares and swaps by itself, so for git's lease it is the remotes' contract that breaks.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from mutations import SIMULATION, Mutant, Patch, copy, prove


def simulation(profile: str, count: int) -> tuple[str, ...]:
    """The histories within which a mutant must die: far more than it takes, so that no single seed matters."""
    return (*SIMULATION, "--profile", profile, "--count", str(count), "--jobs", "1", "--failures", "1")


_ADD = "    actor.journal.add(\n        *(Entrusted("

MUTANTS = [
    Mutant(
        "the nonce",
        (Patch("citgit/flows/writing.py", "nonce=state.entropy.nonce()", 'nonce="0" * 32'),),
        simulation("twins", 400), "claims started twice",
    ),
    Mutant(
        "the claim's oid as the holder",
        (
            Patch("citgit/rules/judge.py", 'return "" if named == current else', 'return "" if build.held else'),
            Patch("citgit/flows/worker.py", "build.held.claim != oid", "build.held.actor != self.actor.name"),
            Patch("citgit/flows/attempts.py", "build.held.claim != claim or build.is_final", "build.is_final"),
        ),
        simulation("twins", 400), "not the holder's result",
    ),
    Mutant(
        "the archive check after a won claim",
        (Patch("citgit/flows/worker.py", "if not is_finished(self.state, repository, claimed):", "if True:"),),
        simulation("late", 400), "archived builds ran again",
    ),
    Mutant(
        "the journal before the push",
        (Patch("citgit/flows/writing.py", _ADD, _ADD.replace("actor.journal.add(", "str.format('x',")),),
        simulation("mixed", 400), "pushed before it was journalled",
    ),
    Mutant(
        "promises before the archive",
        (Patch("citgit/flows/archive.py", " and _promises_exist(repository, build):", ":"),),
        simulation("pipelines", 400), "promised build",
    ),
    Mutant(
        "the memory of tips",
        (
            Patch(
                "citgit/flows/compare.py",
                "known = {ref: tip for ref, tip in memory.items() if ref.startswith(prefixes)}",
                "known: dict[str, Oid] = {}",
            ),
        ),
        simulation("restore", 400), "is lost",
    ),
    Mutant(
        "later policies and their seals",
        (Patch("citgit/rules/judge.py", "case.chain.policies[cited + 1 :] if case.later else ()", "()"),),
        simulation("revoke", 400), "counts after a policy dropped",
    ),
    Mutant(
        "the lease of a push",
        (Patch("citgit/git/remote.py", 'f"--force-with-lease={each.ref}:{each.old or \'\'}"', '"--force"'),),
        ("-m", "pytest", "-q", "-x", "-n", "0", "tests/contract/test_remotes.py", "-k", "TestGitOverAPath and lease"),
        "test_stale_lease_changes_nothing",
    ),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_without_it_a_promise_breaks(mutant: Mutant, tmp_path: Path) -> None:
    """A check fails on a copy of the tree that lacks the defence, and says which promise broke."""
    prove(mutant, tmp_path)


def test_a_patch_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    """A defence that was rewritten needs its proof rewritten: it is not skipped."""
    with pytest.raises(AssertionError, match="0 times, not once"):
        copy(tmp_path, [Patch("citgit/rules/judge.py", "no such text", "")])
