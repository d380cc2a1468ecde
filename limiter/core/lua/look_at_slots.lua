-- Shared concurrency limits: whose slots are whose. It stands in decide.lua where that calls it, and works on its variables
-- (look_at_share.lua says why); docs/sharing.md has the reasons. Slots come back when calls end (record.lua) or their leases
-- do.
--
-- The limit's sorted set names each lease "<decision>|<account>". A pool is a hash with, for each account,
--   "<account>"  slots that it holds · since when (us) · slots times us before, in this slice · refused in it · its share ·
--                most of its slots that count as those of a settled account (0: it is none) · its demand, if it is ·
--                slots held lately · its demand in the four slices before, newest first (-1: it had not come) · of one
--                that has come in this slice: its claim (newcomers.lua)
--   ""           this slice · reserved in shares of one slot and more · in those below · of all settled accounts: demand,
--                its variance, and slots held · until when the pool and the slots live at least (us), so that their
--                expiry is set once a second and not by every call · the most that can be reserved and kept in this slice,
--                if that was free when it began (else 0)
--   "#"          weights of the accounts of each class · if an account has come in this slice: two numbers that are
--                nothing · what those that have may still ask for (newcomers.lua)
-- As in look_at_share.lua, the first call of a slice divides, and a share is reserved as far as it is wanted and not used.
-- Demand is how many slots were held on average, and how many calls were refused. An account that gets all that it wants is
-- *settled*. Its calls come by chance, now more and now fewer: for all settled accounts together their demand is kept, and
-- three standard deviations for critical ones, and each may draw on that.
--
-- While the most that can be reserved and kept is free, no share refuses a call. Then the sums of reserved slots, and of
-- those that settled accounts hold, are not kept up to date, and the first call for which they count adds them up.

-- In the share, as there, and from its fifth on: until when pool and slots live · POOL's last · pool · account; then, if
-- that is not 0, ACCOUNT with one slot more · POOL; else slice · since when it holds its slots · its share · slots times
-- us · refused · most of a settled one · ACCOUNT's other parts, as they are · reserved in large shares · in small ones ·
-- of settled accounts: demand, variance, slots held. `keep_us`: with `joins`, so long the pool has to live.
local turn = (now - now % length) / length
local big, small, demand, variance, settled, lives, bound = 0, 0, 0, 0, 0, 0, 0
local sums, state, last, joins = of_pool[1], of_pool[2], turn, nil
if sums then
  if #sums < 64 then sums = sums .. string.rep('\0', 16) end -- the release before this one wrote six parts
  last, big, small, demand, variance, settled, lives, bound = take('<dddddddd', sums)
  if turn > last then
    call('ZREMRANGEBYSCORE', key, '-inf', now)
    local divide = slot_dividing()
    sums, state = divide(hash, key, account, last, turn, length, effective, lives)
    last, big, small, demand, variance, settled, lives, bound = take('<dddddddd', sums)
  end
end
local plenty = bound > 0 and state and wait == 0 and used + 1 + bound <= effective and charging
if plenty and most > 0 then plenty = take('<d', state) + 1 <= most end
if bound > 0 and not plenty then
  local _, _, sum_up = slot_dividing()
  big, small, settled = sum_up(hash)
  call('HSET', hash, '', struct.pack('<dddddddd', last, big, small, demand, variance, settled, lives, 0))
end
if not state then
  local _, joining = slot_dividing()
  state, joins, big, small = joining(hash, account, effective, now, big, small)
end
local claim = #state > 96 and take('<d', state, 97)
local held, since, area, refusals, part = take('<ddddd', state)
if plenty then
  if now > since then area, since = area + held * (now - since), now end
  state = struct.pack('<dddd', held + 1, since, area, refusals) .. string.sub(state, 33)
  share = { 0, part, held, bound, lives, bound, hash, account, state, sums }
else
  local own_most, want = take('<dd', state, 41)
  -- Slots kept for settled accounts that they do not hold. Of a settled one its own demand is not kept for others.
  local owed, kept = big + small, demand - settled
  if own_most > 0 then
    local spread = string.byte(account) == 49 and variance - 9 * want or variance
    kept = kept - want + (held < own_most and held or own_most)
    if spread > 0 then kept = kept + math.sqrt(spread) end
  elseif held < part and part < 1 then
    owed, kept = big, 0
  else
    if variance > 0 then kept = kept + math.sqrt(variance) end
    if claim then owed = owed - claim elseif held < part then owed = owed - part + held end
  end
  if kept > 0 then owed = owed + kept end
  local refused = 0
  if wait ~= 0 then
    refused = 3
  elseif held + 1 > part and effective - used - 1 < owed - 0.000001 then
    refused, wait = 2, CONCURRENCY_HINT_US
  end
  if most > 0 and held + 1 > most then refused, wait = 1, max(wait, CONCURRENCY_HINT_US) end
  share = {
    refused, refused == 1 and most or part, held, owed, lives, 0, hash, account, last, since, part, area, refusals, own_most,
    string.sub(state, 33), big, small, demand, variance, settled,
  }
end
if claim then share.claim, share.whole = claim, effective end
if joins then share.joins, share.keep_us = joins, ceil((slices + 4) * length / 1000) * 1000 + 1000 * MARGIN_MS end
