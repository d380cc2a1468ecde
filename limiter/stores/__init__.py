"""How every process of a deployment reaches its stores, and by which names. No Django, and nothing of the limiter."""
