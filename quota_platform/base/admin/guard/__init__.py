"""No save undoes an unseen change: forms carry marks of the values they showed, and a stale one is refused.

sent     what a browser sends of a field as it was shown
seen     the marks of all that a form shows, as a hidden field of it
lines    the lines below a form, put together from theirs and one's own
gone     the entries in the form of a row that was deleted
stale    the changes in the meantime, their author, and the form with both
admin    the base of every admin page that edits or deletes
"""
