"""Accounts of people: signing in, second factors, sessions, mails, and sign-in through an identity provider."""


def connect() -> None:
    """Called once, when Django is ready."""
    from quota_platform.accounts import recorded, sealing, second_factor, sessions
    from quota_platform.base import rotation
    from quota_platform.base.sessions import object_to

    recorded.connect()
    rotation.also("second_factors", sealing.rotate)
    sessions.connect()
    object_to("ended", sessions.has_ended)
    object_to("no_second_factor", second_factor.is_missing)
