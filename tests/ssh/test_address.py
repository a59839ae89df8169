"""How a login is written: each of its forms means the same, and the form with a port can be read back."""

from __future__ import annotations

import pytest

from citgit.ssh.address import address_of
from citgit.wiring.install import host_text


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("lab1", "lab1", ""), ("anna@lab1", "anna@lab1", ""), ("lab1:2222", "lab1", "2222"),
        ("ssh://anna@lab1:2222/", "anna@lab1", "2222"), ("[::1]:2222", "::1", "2222"),
        ("anna@[fe80::1]", "anna@fe80::1", ""),
    ],
)  # fmt: skip
def test_a_login_is_kept(typed: str, host: str, port: str) -> None:
    """As typed, and as team.toml has it."""
    for text in (typed, host_text(typed)):
        found = address_of(text)
        assert found is not None
        assert (found.host, found.port) == (host, port), text


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "a b", "lab1/x", "anna@-x"])
def test_what_is_no_login(text: str) -> None:
    """Nothing that ssh could take for an option, or for a path."""
    assert address_of(text) is None
