"""`make run`: the whole platform on one machine, with its own store, database, upstream and people."""
