"""What the admin shows of the way upstream."""

from limiter.upstream.admin import action_preview

action_preview.register()
