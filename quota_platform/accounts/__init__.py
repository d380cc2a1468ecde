"""Accounts of people: signing in, second factors, sessions, mails, and sign-in through an identity provider."""
