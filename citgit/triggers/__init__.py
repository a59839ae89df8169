"""Triggers: what notices that a build is due; one file per way."""
