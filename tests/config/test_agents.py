"""Agents are written into team.toml as a person would."""

from __future__ import annotations

import msgspec
import pytest

from citgit.config.agents import with_agent
from citgit.config.read import read_team
from citgit.errors import BadName, Refused
from citgit.model.team import Agent

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKRtvhEhRgBxcyZ9QfIbEA7jq0/sPg7b85KDnKwiWMbj"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPj1Y6lbDAdTGhtYugAqBF2oySgEiC5Av6mEf69vqUhP"
TEAM = f"""\
# who
protected = "main"

[person.anna]
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIJGouHVpE7c7VPBidw7MXQRhFe4fCcHoaM9va0Pact6 anna"]
roles = ["admin"]

[agent.lab1]                   # the old one
key = "{OTHER} lab1"
labels = ["big"]               # it has 64 cores

# the queue of everybody
[pool.default]
claim = ["@agents"]
"""


def test_a_new_agent_stands_behind_the_others() -> None:
    """With all comments where they were, and nothing said that is the default."""
    agent = Agent(key=KEY, host="anna@lab2", labels=("gpu",))
    path, content = with_agent({"team.toml": TEAM.encode()}, "lab2", agent)
    assert path == "team.toml"
    block = f'[agent.lab2]\nkey = "{KEY}"\npools = ["default"]\nlabels = ["gpu"]\nhost = "anna@lab2"\n'
    assert content.decode() == TEAM.replace("\n# the queue", f"\n{block}\n# the queue")
    assert read_team({path: content}).agent["lab2"] == agent


def test_the_first_agent_and_a_split_team() -> None:
    """The first one stands at the end; in a folder each has a file."""
    people = TEAM.partition("[agent")[0] + "[pool.default]\nclaim = []\n\n"
    _, content = with_agent({"team.toml": people.encode()}, "lab2", Agent(key=KEY))
    assert content.decode() == f'{people}[agent.lab2]\nkey = "{KEY}"\npools = ["default"]\n'
    files = {"team.toml": people.encode(), "agents/lab1.toml": f'[agent.lab1]\nkey = "{OTHER}"\n'.encode()}
    assert with_agent(files, "lab2", Agent(key=KEY))[0] == "agents/lab2.toml"


def test_a_known_agent_changes_in_place() -> None:
    """Only what differs, with the comment beside it; the same again changes nothing; another key is refused."""
    files = {"team.toml": TEAM.encode()}
    known = read_team(files).agent["lab1"]
    path, content = with_agent(files, "lab1", msgspec.structs.replace(known, labels=("big", "gpu"), slots=4))
    assert 'labels = ["big", "gpu"]   # it has 64 cores' in content.decode()
    assert "slots = 4" in content.decode()
    assert content.decode().count("#") == TEAM.count("#")
    assert with_agent({path: content}, "lab1", read_team({path: content}).agent["lab1"])[1] == content
    with pytest.raises(Refused, match="another key"):
        with_agent(files, "lab1", Agent(key=KEY))


@pytest.mark.parametrize("name", ["../lab2", "lab2]\n[person.eve", "lab 2", "Lab2", "", "a/b", 'a"b'])
def test_what_is_no_name_is_written_nowhere(name: str) -> None:
    """Neither into a table's head nor into a file's name."""
    split = {"team.toml": TEAM.encode(), "agents/lab3.toml": f'[agent.lab3]\nkey = "{KEY}"\n'.encode()}
    for files in ({"team.toml": TEAM.encode()}, split):
        with pytest.raises(BadName):
            with_agent(files, name, Agent(key=KEY))
