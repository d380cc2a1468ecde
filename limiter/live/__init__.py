"""What a running worker decides from: loaded on first use, bounded, and kept up to date with every edit."""
