"""What the admin shows of the gateway."""
