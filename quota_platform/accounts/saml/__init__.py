"""Sign-in through a SAML provider. Only :mod:`.views` is imported from outside, when somebody opens a first page of it.

python3-saml reads and checks the messages; allauth keeps accounts and the state of a sign-in. Around them the platform
takes its addresses from PUBLIC_URL and not from a request, insists that an assertion is for this platform, for this
sign-in and new, and stores nothing that a stranger sends before it is verified.
"""
