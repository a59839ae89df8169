"""Effects in order, through interfaces only: what a requester, a worker and a reader do."""
