"""The rows of the record of demand."""

from limiter.demand.models.block import DemandBlock

__all__ = ["DemandBlock"]
