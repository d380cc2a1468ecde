"""Parts of the measurement with many tenants (:mod:`tests.bench.tenants_at_scale`)."""
