"""Records as bytes: canonical JSON, the commit around it, one file per record type; pure."""
