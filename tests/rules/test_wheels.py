"""Which wheels fit which node."""

from __future__ import annotations

import msgspec
import pytest

from citgit.model.node import Platform
from citgit.rules.wheels import download_tags, fits, project

LINUX = Platform(python=(3, 12), os="linux", arch="aarch64", libc="glibc", libc_version=(2, 31))


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp312-cp312-manylinux2014_aarch64.manylinux_2_17_aarch64", True),
        ("cp312-cp312-linux_aarch64", True),
        ("cp39-abi3-manylinux_2_28_aarch64", True),
        ("cp39-abi3-manylinux_2_34_aarch64", False),  # a newer libc than the node's
        ("cp313-abi3-manylinux_2_17_aarch64", False),  # for a newer Python
        ("cp311-cp311-manylinux_2_17_aarch64", False),  # for another Python
        ("cp312-cp312-manylinux_2_17_x86_64", False),  # for another machine
        ("cp312-cp312-musllinux_1_2_aarch64", False),  # for another libc
        ("cp312-cp312-macosx_11_0_arm64", False),
        ("cp312-cp312-win_amd64", False),
    ],
)
def test_fits(tags: str, wanted: bool) -> None:
    """Interpreter, binary interface, libc and machine all count."""
    assert fits(f"some_thing-1.0-{tags}.whl", LINUX) is wanted


def test_other_systems() -> None:
    """A universal wheel is for both kinds of Mac, musl is told apart from glibc."""
    mac = Platform(python=(3, 12), os="macos", arch="arm64", libc_version=(13, 2))
    assert fits("a-1-cp312-cp312-macosx_11_0_universal2.whl", mac)
    assert not fits("a-1-cp312-cp312-macosx_14_0_arm64.whl", mac)
    assert fits(
        "a-1-cp312-cp312-musllinux_1_1_aarch64.whl", msgspec.structs.replace(LINUX, libc="musl", libc_version=(1, 2))
    )
    assert "--platform=manylinux_2_17_aarch64" in download_tags(LINUX)
    assert "--platform=manylinux_2_34_aarch64" not in download_tags(LINUX)


def test_what_is_no_wheel() -> None:
    """A name that is none names nothing."""
    assert project("Some_Thing-1.0-py3-none-any.whl") == ("some-thing", "1.0")
    assert project("some-1.0.tar.gz") == ("", "")
    assert not fits("../x-1-py3-none-any.whl", LINUX)
