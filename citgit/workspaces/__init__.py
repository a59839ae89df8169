"""A node's place for attempts: workspaces, and what must outlive the worker."""
