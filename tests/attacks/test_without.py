"""Each defence is needed: on a copy of the tree without it, the test that plays its threat fails."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from mutations import Mutant, Patch, prove


def without(name: str, test: str, file: str, old: str, new: str, *more: Patch) -> Mutant:
    """The tree with `old` of a file replaced: then `test` (of tests/attacks, unless it says where) must fail."""
    where = test if "/" in test.partition("::")[0] else f"attacks/{test}"
    command = ("-m", "pytest", "-x", "-q", "-n", "0", "-m", "", f"tests/{where}")
    return Mutant(name, (Patch(f"citgit/{file}", old, new), *more), command, where.split("::")[-1].partition("[")[0])


POLICY_GROWS = """\
    if update.old and not descends(state, update.new, update.old):
        return Denied("fast-forward", f"policy"""
FORGED = "test_forgeries.py::test_verify_shows_the_attack"
MUTANTS = [
    without(
        "the compare-and-swap", "contract/test_remotes.py::TestGitOverAPath::test_stale_lease_changes_nothing",
        "git/remote.py", "--force-with-lease={each.ref}:{each.old or ''}", "--force",
    ),
    without(
        "the binding to the ref", f"{FORGED}[replay to another pool]",
        "rules/place.py", "found = (head.repo, head.ref,", "found = (head.repo, ref,",
    ),
    without(
        "the binding to the repository", f"{FORGED}[replay from another repository]",
        "rules/place.py", "found = (head.repo,", "found = (repo,",
    ),
    without(
        "the signature", "test_tampering.py::test_a_changed_byte_is_detected_in_each_of_a_hundred_records",
        "keys/verify.py", "except InvalidSignature:\n", "except InvalidSignature:\n            return key\n",
    ),
    without(
        "one text for one signature", "test_tampering.py::test_a_signature_has_one_text",
        "keys/ssh_signature.py", "or lines != _wrapped(text)", "",
    ),
    without(
        "the memory of tips", "test_forgeries.py::test_a_returning_reader_sees_what_is_gone[another valid tip]",
        "flows/compare.py", "        if before is None or ", "        if True or before is None or ",
    ),
    without(
        "policies that only follow", "test_admit.py::test_policy_is_never_deleted_nor_replaced",
        "flows/admit.py", POLICY_GROWS, POLICY_GROWS.replace("update.old and", "False and"),
    ),
    without(
        "the memory of the policy", "programs/test_policy.py::test_an_older_policy_never_comes_back",
        "flows/policies.py", "and tip != before and not descends(state, tip, before)", "and False",
    ),
    without(
        "versions that only rise", "rules/test_decisions.py::test_policies_follow_each_other",
        "rules/policies.py", "if body.version != (before.version + 1 if before else 1):", "if False:",
    ),
    without(
        "revocation by position", "test_revoked.py::test_a_record_that_is_backdated",
        "rules/judge.py", "case.chain.policies[cited + 1 :] if case.later else ()", "()",
    ),
    without(
        "the seal", "test_forgeries.py::test_an_honest_repository_is_good",
        "rules/judge.py", "if _covers(policy, build, seq, case):\n", "if False:\n",
    ),
    without(
        "the seal's end of waiting", "test_forgeries.py::test_cara_can_mend_a_stalled_build",
        "rules/judge.py", "if any(_covers(one, build, seq, case) for one in chain.policies):", "if False:",
    ),
    without(
        "the principal in a trigger's id", "test_squatting.py::test_an_id_belongs_to_one_trigger",
        "rules/ids.py", '            "principal": principal,\n', "",
    ),
    without(
        "the freeing of squatted ids", "test_squatting.py::test_a_squatted_trigger_id_is_freed",
        "flows/enqueue.py", "        _clear(state, repository, [ref])\n", "",
    ),
    without(
        "the dashes before an address", "test_names.py::test_no_address_is_read_as_an_option",
        "git/remote.py", '[*_FETCH, "--", self._url, *specs]', "[*_FETCH, self._url, *specs]",
        Patch("citgit/git/program.py", 'if not url or url.startswith("-") or', "if not url or"),
    ),
    without(
        "the question whose judge it is", "test_hook.py::test_nobody_else_s_judge_is_believed",
        "programs/verify_push.py", "if peer(channel) != os.geteuid():", "if False:",
    ),
    without(
        "the agent's signature on its beats", f"{FORGED}[a forged beat]",
        "rules/side_records.py", "if not speaks_for(judge or", "if False and not speaks_for(judge or",
    ),
    without(
        "the end that an archive entry must have", "test_archives.py::test_an_entry_without_an_end_is_none",
        "flows/builds.py", "            if found.is_final or found.unsupported:\n", "            if True:\n",
    ),
    without(
        "the end that was archived once",
        "test_archives.py::test_an_entry_of_a_build_that_a_later_policy_made_void_is_read_as_it_was",
        "flows/builds.py", "facts.was_archived(place, tip)", "False",
    ),
    without(
        "the entries that are put back", "test_archives.py::test_an_entry_that_was_dropped_is_put_back",
        "flows/takings.py", "if follows(state, tip, known.tip) else ()", "if False else ()",
    ),
    without(
        "the wait for whoever settles two ends", "test_archives.py::test_two_ends_stay_until_somebody_decides",
        "flows/archive.py", "if there and not lies and", "if there and",
    ),
    without(
        "the bounds of an entry", "test_archives.py::test_an_entry_that_cannot_be_read_stops_nobody",
        "flows/folders.py", 'if one.name == "tip" and one.mode == FILE', 'if one.name == "tip"',
    ),
    without(
        "the position of a record, whatever the one before says",
        "test_junk.py::test_junk_on_a_build_s_chain_stops_nobody", "flows/writing.py",
        "seq=len(build.entries) - 1", "seq=last.record.head.seq if last.record else 0",
    ),
    without(
        "git's own notion of parents", "test_junk.py::test_junk_at_any_ref_stops_nobody[a parent that is no name]",
        "records/commit.py", "((?:parent [0-9A-Fa-f]{40}\\n)*)\")",
        "(?:author.*\\n)?(?:committer.*\\n)?((?:parent .*\\n)*)\")",
    ),
    without(
        "the names that a citation must be", "test_fields.py::test_a_worker_goes_on",
        "records/envelope.py", '    refuse(_head_faults(head), f"record {read.oid[:12]}")\n', "",
    ),
    without(
        "the files that are not read", "git/test_embedded.py::test_a_huge_file_in_a_record_stops_no_fetch[False]",
        "git/embedded.py", "if found and names:", "if found:",
        Patch("citgit/git/embedded.py", "read(each, limit=closure.LARGEST)", "read(each)"),
    ),
    without(
        "the links that lead nowhere", "workspaces/test_below.py::test_a_link_of_an_earlier_source_leads_nowhere",
        "workspaces/below.py", "if target.is_symlink() or not target.parent.resolve().is_relative_to(top.resolve()):",
        "if False:",
    ),
    without(
        "the sources that a job names", "flows/test_fetchable.py::test_what_it_does_not_name_is_not",
        "flows/claims.py", "            _same_sources(config, one.job, request)\n", "",
    ),
    without(
        "the signature in a certificate", "contract/test_keys.py::test_damaged_certificate",
        "keys/verify.py",
        '    _check(SshSignature(authority, "sha512", algorithm.decode("ascii", "replace"), raw), kind, signed)\n', "",
    ),
    without(
        "the standing of who grants", "scenarios/test_private.py::test_a_grant_of_a_stranger_counts_nothing",
        "flows/private.py", " and may_grant(policies.tip.team, record.head.actor, build)", "",
    ),
    without(
        "the envelope that shows what it hides", "scenarios/test_private.py::test_what_is_shown_must_be_what_is_hidden",
        "flows/private.py", "    _same(build, request_envelope(hidden), shown)\n", "",
    ),
]  # fmt: skip

READING = [
    without(
        "the role to read", "ssh/test_reading.py::test_no_role_no_files",
        "rules/reading.py", "if has_role(team, reader, Role.READ) or", "if True or",
    ),
    without(
        "the proof of checkout", "ssh/test_reading.py::test_no_code_no_files",
        "wiring/proofs.py", "if not hmac.compare_digest(wanted, answer.digest):", "if False:",
    ),
]  # fmt: skip


@pytest.mark.heavy
@pytest.mark.privileged
@pytest.mark.parametrize("mutant", READING, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_without_it_a_stranger_reads(mutant: Mutant) -> None:
    """As below, at a node behind a real sshd, whose users must be able to read the copy."""
    with tempfile.TemporaryDirectory(prefix="cit-mutant-") as folder:
        Path(folder).chmod(0o755)
        prove(mutant, Path(folder))


@pytest.mark.heavy
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_without_it_the_attack_succeeds(mutant: Mutant, tmp_path: Path) -> None:
    """The attack's own test fails on a copy of the tree that lacks the defence."""
    prove(mutant, tmp_path)
