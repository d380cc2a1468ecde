"""Quota policies, the decision taken for every call, the way upstream, and the record of it all."""
