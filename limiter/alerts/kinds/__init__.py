"""The kinds of contact points that alerts go to."""
