"""The contenders measured side by side: each is one server with one worker before the same store and upstream."""

from tests.bench.contenders.contender import Contender, Rig

__all__ = ["Contender", "Rig"]
