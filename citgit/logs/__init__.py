"""Logs: how they are written, read, made safe to show, and searched for the first error (docs/log-format.md)."""
