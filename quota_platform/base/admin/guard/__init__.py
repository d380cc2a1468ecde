"""No save undoes unseen what somebody else has saved: forms carry what they showed, and a stale one is refused.

sent     what a browser sends of a field as it was shown
seen     the marks of all that a form shows, as a hidden field of it
lines    the lines below a form, put together from theirs and one's own
gone     what was entered in the form of a row that is not there any more
stale    what changed meanwhile, by whom, and the form with both
admin    the base of every admin page that edits or deletes
"""
