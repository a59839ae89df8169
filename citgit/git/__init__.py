"""Adapters to git: the program, the object store, remotes, mirrors of sources, and the journal of pushes."""
