def test_cast(acme_key: str, globex_key: str, redis_url: str, base_policy: object) -> None:
    assert acme_key != globex_key
