"""The rows of the record of demand."""

from limiter.demand.models.block import DemandBlock
from limiter.demand.models.span import RecordedSpan

__all__ = ["DemandBlock", "RecordedSpan"]
