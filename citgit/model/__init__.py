"""What citgit talks about: immutable values, no effects."""
