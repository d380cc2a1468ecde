-- How long a pace stays after pushback, and how fast it is raised then.
--
-- In front of pace.lua, as `probes`. All times are us, and rates calls a second. seen: what pace.lua holds, by the same
-- names.

local max, min = math.max, math.min
local S = 1000000
local BELOW, NEAR = rates.BELOW, rates.NEAR
local NEAR_ALONE = 1.1 -- times the rate found, of one for single calls, which is found more roughly
local SLOWLY = 0.006 -- raised by so much a second up to a little above the rate found
local FAST = 0.035 -- and beyond, or from a rate found from few calls
local ROUGH_S, HOLD_S, MAX_HOLD_S = 4, 10, 40
local LONG_S, FILLS_S = 10, 45 -- an upstream that took nothing for so long has a window, which is not full for a while
-- Where tenants share the pace, the longest hold is so long for each call a second: a slow one may be far too low.
local HOLD_SHARED_S, MIN_HOLD_SHARED_S, MAX_HOLD_SHARED_S = 25, 20, 90
local PROVES_S, NEAR_SHARED, NEAR_SLOW = 75, 1.02, 0.02 -- so much is tried for so long; more of a slow pace, with its gaps
local FAST_PROVEN = 0.12 -- and beyond

-- For how long a pace stays that a pushback has brought to this rate, after this one. blocked: s until it took calls again.
local function hold(rate, seen, blocked)
  local again = seen.base and math.abs(rate / BELOW / seen.base - 1) < 0.1
  local longest, fills, before = MAX_HOLD_S, FILLS_S, seen.hold
  if seen.shared then
    longest = min(MAX_HOLD_SHARED_S, max(MIN_HOLD_SHARED_S, HOLD_SHARED_S * rate))
    fills = min(fills, longest)
  end
  if blocked >= LONG_S then return fills * S end -- until then the window is not full again, and proves nothing
  -- Of calls that are under way together too many may be so by chance: that proves the rate no better.
  local chance = rate * seen.lasts >= S and seen.probed <= (seen.kept[#seen.kept] or 0)
  return again and (chance and max(before, HOLD_S * S) or min(2 * before, longest * S)) or HOLD_S * S
end

-- The pace since calls are held back: from when it was raised last, or from the end of its hold.
local function raised(now, holds_until, seen)
  local rate, base, rough = seen.rate, seen.base, seen.rough
  local from = max(seen.grown, holds_until)
  local proves = seen.careful and base and seen.hold > HOLD_S * S and not rough
  local proven = proves and now >= holds_until + PROVES_S * S
  local near = rates.alone(seen.even, rate, seen.lasts) and NEAR_ALONE or NEAR
  local slowly = not rough and base and rate < near * base
  local to = rate * math.exp((slowly and SLOWLY or proven and FAST_PROVEN or FAST) * (now - from) / S)
  -- A tenant that asks for less than its share loses calls by each pushback, and all those that come while a window is
  -- full. So where tenants share the pace, and know it, a little more is proven by a whole window first.
  if proves and not proven then to = max(rate, min(to, (NEAR_SHARED + NEAR_SLOW * min(1, 1 / base)) * base)) end
  return to
end

return { hold = hold, raised = raised, ROUGH_S = ROUGH_S, HOLD_S = HOLD_S, FILLS_S = FILLS_S, LONG_S = LONG_S }
