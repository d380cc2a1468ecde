"""The pages of this feature in the admin."""
