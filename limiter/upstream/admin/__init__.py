"""What the admin shows of the way upstream."""
