-- Shared limits: who may use how much of a limit that all tenants of a connection use. It stands in decide.lua
-- where that calls it; docs/sharing.md has the reasons.
--
-- A pool is a hash with, for each account, "<class>|<weight>|<floor>|<ceiling>|<tenant>",
--   "<account>"   ACCOUNT: units that count · asked for in this slice · its share · when the next refused call of one
--                 unit is within it (us; 0: not known), or while it is: when the wait of the last one ends · of one
--                 that has come in this slice: its claim (newcomers.lua)
--   "~<account>"  RING: slice of the first call · units admitted in the slices before this one · asked for in them,
--                 as it was one, and two slices ago · then admitted and asked for, of each, oldest first
--   ""            POOL: this slice · reserved in shares of one unit and more · in those below · when the last unit
--                 was charged (us) · and, if that was in this slice, of a log: its length by then · time of its oldest
--                 entry (us); of a counter, in place of that time: its n, o and l. Of a bucket the sums of now stand
--                 behind its count (BUCKET in decide.lua); here are those of the division, or when an account came
--   "@<account>"  of a pace: when its next call is due at the rate of its share (us) · "@": leave_places.lua
--   "#"           weights of the accounts of each class · what shares of one unit and more, and those below, add up to ·
--                 if an account has come in this slice: what those that have may still ask for (newcomers.lua)
--   "%"           how many accounts have left lately after one visit, and how many have stayed (window_dividing.lua)
-- A share is an account's own whatever the others do. As far as it is not used and the account has asked for
-- it lately it is reserved: nobody else gets it. Everything else is lent to the next call that asks. The first call
-- of each slice divides anew, so that the others decide from two fields. Units of the slice that is leaving
-- the window count no more: they are gone when it ends.
--
-- A function is made anew for each call, and costs what ten steps of this do. So this is none, and works on the variables
-- of decide.lua; nor does it make those that few calls need (window_dividing.lua).

-- Look at the caller's account in the pool, `sums` and `of_account`, for a call that waits for the limit itself (`wait`,
-- us; 0: it has room). Sets the wait for both, and the share:
--   1 what of it refused (core/sharing.py) · 2 share to show (units) · 3 used (units) · 4 reserved for others (units) ·
--   5 when the last unit was charged in this slice (us; -1: none was) · 6 when the slice ends (us) ·
--   and for a charge: 7 pool · 8 account · 9 slice · 10 asked · 11 share · 12 ACCOUNT's last · 13, 14 reserved in
--   large shares and small ones · 15 unused of its own · of a bucket: 16 until when its key lives (us) · 17 the length
--   of all that is stored there; of a counter: units in the slice of now · 18 which pool of the limit this is, by its
--   slices. Of an account that has come in this slice: `claim` · `whole`: the limit (units) · `joins`: "#" with one whose
--   first call this is · `behind`: the count that has the sums behind it
-- A list, since fields with names take longer to make.
local turn = (now - now % length) / length
local state, last, mine, asked, part, till = of_account, turn, 0, 0, 0, 0
local joins, claim = nil, nil
if sums then
  if not turned then -- they were not read with the limit's count
    if #sums < 32 then sums = sums .. string.rep('\0', 8) end -- an earlier script wrote three parts
    turned, big, small, charged_at = take('<dddd', sums)
  end
  last = turned
  if turn > last then
    local divide = window_dividing()
    -- Not of a pace, and not where units are promised.
    local lends = not appointments and used >= 0
    big, small, state = divide(hash, account, last, turn, slices, effective, length, cost, lends)
    last = turn
  end
end
if not turned then big, small, charged_at = 0, 0, 0 end -- nobody has asked yet
if state then
  mine, asked, part, till = take('<dddd', state)
  if #state > 32 then claim = take('<d', state, 33) end
else
  local come, grown = newcomers(), 0
  part, claim, grown, joins = come(hash, account, effective)
  if part >= 1 then big = big + claim else small = small + claim end
  small = small + grown
end

local own, owed = part - mine, big
if own <= 0 then
  own, owed = 0, big + small
elseif claim then
  own, owed = claim, part >= 1 and big - claim or big
elseif part >= 1 then
  owed = big - own
end
local refused, excess, passed, ring = 0, mine + cost - part, 0, nil
if excess > 0 and wait == 0 then
  local free = effective - (debt > 0 and debt / window or used)
  if free - cost >= owed - 0.000001 then excess = 0 else refused = 2 end -- it is lent, or not
end
if most > 0 then
  ring = not joins and call('HGET', hash, '~' .. account)
  passed = mine + cost + (ring and take('<I4', ring, 41) or 0) - most
end
if passed > 0 then
  refused = 1
elseif wait > 0 then
  refused = 3
  if excess <= 0 then till = now + wait end
end
if refused > 0 and (excess > 0 or passed > 0) and wait >= 0 then
  if cost > most and passed > 0 then
    wait = -1
  else
    if till == 0 or cost > 1 or passed > 0 then
      ring = ring or not joins and excess > 0 and part >= cost and call('HGET', hash, '~' .. account)
      local _, within_at = window_dividing()
      till = within_at(ring, cost, part, excess, passed, last, slices, length)
    end
    wait = max(wait, till - now, 1)
    if cost > 1 or passed > 0 then till = 0 end
  end
end
local ends = (turn + 1) * length
share = {
  refused, refused == 1 and most or part, mine, owed, charged_at >= ends - length and charged_at or -1, ends,
  hash, account, last, asked, part, till, big, small, own, lives, written, 256 * length + slices,
}
if claim then
  share.joins, share.slices, share.length, share.claim, share.whole = joins, slices, length, claim, effective
  if refused == 3 and excess <= 0 then share.until_us = till end
  if sums == true then share.behind = key end
end
