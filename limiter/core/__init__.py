"""The idea itself: limits, windows, decisions and their store. No Django, no app, no HTTP."""
