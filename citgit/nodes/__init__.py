"""Adapters for machines that build: what is sent there, what keeps a worker alive there."""
