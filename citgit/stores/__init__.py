"""Where artifacts go: collected from a workspace, kept by content."""
