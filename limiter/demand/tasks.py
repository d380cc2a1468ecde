"""Celery's doors into the record of demand: each calls one function. All may be missed, or come twice."""

from __future__ import annotations

from celery import shared_task

from limiter.demand import keeping, rollup


@shared_task(name="limiter.tasks.store_demand")
def store_demand(**_: object) -> int | None:
    """Move the demand of minutes that are over from the store into the database."""
    return keeping.store_demand()


@shared_task(name="limiter.tasks.roll_up_demand")
def roll_up_demand(**_: object) -> int | None:
    """Pack older demand, and delete rows past their retention."""
    return rollup.roll_up()
