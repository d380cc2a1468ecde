"""How every process of a deployment reaches its stores, and by which names: shared by all apps, knows none of them."""
