"""Signing and verifying with SSH keys in the form that git itself writes and checks."""
