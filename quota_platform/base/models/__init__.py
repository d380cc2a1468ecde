"""The bases of models, and the two tables that belong to no app: the change feed and what groups were given."""
