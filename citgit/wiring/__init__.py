"""The only package that chooses implementations: programs reach every adapter through it."""
