"""Fakes and contract suites, shipped so that other implementations can be held to the same contracts."""
