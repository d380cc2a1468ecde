-- A limit of the call that is decided, in `limits` of decide.lua: a list, whose places have these names. A table with names
-- for fields takes four times as long to make, and every call makes one for each of its limits.
--
-- In front of all other parts of the script.

local KIND, PER_CALL, SLOTS, WINDOW, LEASE, SHADOW = 1, 2, 3, 4, 5, 6
local QUOTA, EFFECTIVE, USED, WAIT, RESET = 7, 8, 9, 10, 11
local AT, OLDEST, LATEST, SLICE, DEBT, COUNTED_FOR = 12, 13, 14, 15, 16, 17 -- what a charge has to know
local BOOK, HOLDS, SHARE, TERMS = 18, 19, 20, 21
