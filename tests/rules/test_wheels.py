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


def asked(arch: str, libc: str, version: tuple[int, int]) -> list[str]:
    """The platforms that pip is asked for."""
    node = msgspec.structs.replace(LINUX, arch=arch, libc=libc, libc_version=version)
    return [one.removeprefix("--platform=") for one in download_tags(node) if one.startswith("--platform=")]


def test_what_pip_is_asked_for() -> None:
    """Every platform that the node takes, under each of its names; all of them fit, newer ones are not among them."""
    old = asked("x86_64", "glibc", (2, 28))
    assert [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)] == [one for one in old if "_2_" in one]
    assert {"manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64"} == {
        one for one in old if "_2_" not in one
    }
    assert asked("aarch64", "glibc", (2, 18)) == [
        "manylinux_2_18_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64",
    ]  # fmt: skip
    assert asked("x86_64", "musl", (1, 2)) == [f"musllinux_1_{minor}_x86_64" for minor in (2, 1, 0)]
    node = msgspec.structs.replace(LINUX, arch="x86_64", libc_version=(2, 28))
    assert all(fits(f"a-1-cp312-cp312-{one}.whl", node) for one in old)
    mac = Platform(python=(3, 12), os="macos", arch="arm64", libc_version=(13, 2))
    assert download_tags(mac)[2:] == ["--platform=macosx_13_0_arm64", "--platform=macosx_13_0_universal2"]


def test_what_is_no_wheel() -> None:
    """A name that is none names nothing."""
    assert project("Some_Thing-1.0-py3-none-any.whl") == ("some-thing", "1.0")
    assert project("some-1.0.tar.gz") == ("", "")
    assert not fits("../x-1-py3-none-any.whl", LINUX)
