"""What the admin shows of the gateway."""

from limiter.gateway.admin import connection_state

connection_state.register()
