"""The CXone sandbox: a stand-in for CXone and its like over real HTTP, for tests, the demo and benchmarks.

``async with running(clients={"id": "secret"}) as sandbox`` starts one; ``manage.py cxone_sandbox`` starts it as a
process. ``docs/sandbox.md`` describes the control API.
"""

from quota_platform.sandbox.fields import ControlError
from quota_platform.sandbox.log import masked
from quota_platform.sandbox.server import Running, running, running_in_thread, serving
from quota_platform.sandbox.state import SandboxState

__all__ = ["ControlError", "Running", "SandboxState", "masked", "running", "running_in_thread", "serving"]
