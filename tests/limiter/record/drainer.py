"""A process that drains until it is killed: ``python -m tests.limiter.record.drainer``."""

from __future__ import annotations


def main() -> None:
    import django

    django.setup()
    from limiter import clients
    from limiter.record import events, multipliers, usage
    from limiter.record.drain import drain

    client = clients.client()
    while True:
        drain(events.of(client, 1), events.write, batch=50, idle_ms=50)
        events.store_floods(client, 1)
        drain(multipliers.of(client, 1), multipliers.write, batch=50, idle_ms=50)
        usage.drain(client, 1)


if __name__ == "__main__":
    main()
