"""Every pair of state and record type against a second table, written from the protocol alone."""

from __future__ import annotations

import itertools

import pytest

from citgit.model.record import RecordType
from citgit.rules.lifecycle import TABLE, Guard, State, To, Who, diagram

# type: standings; states after it in waiting, paused, running, stopping; "-" is void, "=" the same state
_PROTOCOL = """
claim      | agent                      | running  -        running   -
progress   | holder                     | -        -        =         -
result     | holder                     | -        -        final     final
lost       | agent maintainer           | -        -        final     final
expired    | agent maintainer           | final    final    -         -
pause      | owner maintainer           | paused   -        -         -
resume     | owner maintainer agent     | -        waiting  -         -
cancel     | owner maintainer           | final    final    stopping  -
supersede  | owner principal maintainer | final    final    stopping  -
reused     | agent                      | final    final    -         -
skipped    | agent                      | final    final    -         -
moved      | maintainer                 | final    final    -         -
priority   | owner maintainer           | =        =        -         -
"""
_STATES = (State.WAITING, State.PAUSED, State.RUNNING, State.STOPPING)


def _expected() -> dict[tuple[State, str], tuple[set[str], str]]:
    table = {(State.NONE, "request"): ({"requester"}, "waiting")}
    for line in _PROTOCOL.strip().splitlines():
        kind, who, after = (part.split() for part in line.split("|"))
        for state, to in zip(_STATES, after, strict=True):
            if to != "-":
                table[state, kind[0]] = (set(who), to)
    return table


@pytest.mark.parametrize(("state", "kind"), list(itertools.product(State, RecordType)))
def test_pair(state: State, kind: RecordType) -> None:
    """Who may write the record in that state and where it leads, or that it is void."""
    rule = TABLE.get((state, kind))
    found = rule and ({who.name.lower() for who in rule.who}, "=" if rule.to is To.SAME else rule.to.value)
    assert found == _expected().get((state, kind.value))


def test_guards() -> None:
    """The conditions that the protocol sets beyond state and standing."""
    guarded = {(state.value, kind.value): set(rule.guards) for (state, kind), rule in TABLE.items()}
    for state in ("waiting", "running"):
        assert guarded[state, "claim"] == {Guard.ATTEMPT_COUNTS, Guard.UNDER_MAX, Guard.NOT_HELD}
    assert guarded["running", "lost"] == {Guard.NAMES_CLAIM, Guard.AT_MAX}
    assert guarded["stopping", "lost"] == {Guard.NAMES_CLAIM}
    assert all(Guard.NAMES_CLAIM in guards for (_, kind), guards in guarded.items() if kind in ("progress", "result"))
    assert all(Guard.SUCCESSOR in guards for (_, kind), guards in guarded.items() if kind == "supersede")
    assert all(Guard.EVIDENCE in guards for (_, kind), guards in guarded.items() if kind in ("reused", "skipped"))


def test_diagram_has_a_row_for_each_type() -> None:
    """The table in the documents shows each type once, and names each standing that counts."""
    rows = diagram().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [line.split()[0] for line in _PROTOCOL.strip().splitlines()]
    assert Who.HOLDER.value in rows[1]
