"""Adapters to ssh: one shared connection per host, and the kept channel to `cit-serve` with its two ends."""
