"""Reports: the record as files that others can read and check."""
