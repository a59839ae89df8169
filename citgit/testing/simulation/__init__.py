"""A whole team in one process: real flows over a faulty host in memory, every interleaving from one seed."""
