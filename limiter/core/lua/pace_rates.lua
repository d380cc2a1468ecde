-- The rate at which an upstream takes calls, from how many ran between the instants at which it began to take no more.
--
-- In front of pace_probes.lua and pace.lua, as `rates`. All times are us, and rates calls a second. ran_since: calls that
-- ran after an instant (pace_counts.lua). seen: what pace.lua holds, by the same names.

local max, min, floor = math.max, math.min, math.floor
local S = 1000000
local BELOW = 0.985 -- of the rate found
local CUT = 0.9 -- of a pace that was too high, at least
local EVEN = 0.95 -- of it when calls came evenly
local PROBED = 0.975 -- of it when it had been raised since the pushback before: it is hardly too high
local ALONE = 0.97 -- of it when calls go out one by one, until that was too little once
local NEAR = 1.06 -- of the rate found
local FAR = 0.5 -- of the pace: a rate not further below may come from a window that frees as it was filled
local ENOUGH = 8 -- calls that make a rate
local WINDOW_S, BLOCKED_S = 60, 5 -- an upstream that takes nothing for so long counts in a window, of a minute mostly
local FULL_S = 20 -- so long that the window had been filled twice as fast as it frees
local FEWER = 0.95 -- calls in a minute than in another, surely
local SURE = 30 -- calls in a window, of which one more or less is little
local SAME = 0.011
local SAVED_UP = 5 -- calls for a burst, more or less

-- The calls that filled a window of the clock since it began; nil if it may be one that slides: that would have turned
-- these away as well, for it holds no more than in the minute before it took calls again.
local function filled_since(ran_since, at, seen, minute)
  if seen.freed == 0 or at - seen.free > WINDOW_S / 2 * S or minute >= FEWER * seen.freed - 1 then return nil end
  local calls = ran_since(seen.free - S)
  return calls >= ENOUGH and calls or nil
end

-- The rate at which one call less would be under way, if it is so many at once that it takes.
local function at_once(rate, lasts)
  local under_way = lasts > 0 and floor(rate * lasts / S) or 0
  return under_way > 0 and under_way * S / lasts or rate
end

-- Whether one call follows the other: no two at once, and each lasts about as long as the pace's interval.
local function alone(even, rate, lasts) return even > 0 and rate * lasts > 0.8 * S end

-- The rate at which it took calls lately, but for those that it had saved up; the one found last, at least.
local function borne(ran_since, at, base)
  local least = base
  for _, seconds in ipairs({ 20, 60, 110 }) do least = max(least, (ran_since(at - seconds * S) - SAVED_UP) / seconds) end
  return least
end

-- It counts in a window. Nothing ran while that was full, and even calls do not make up for it: that time counts only as
-- far as they were too few.
local function of_window(ran_since, at, seen, minute, estimate, blocked, active)
  local filled = seen.rate and filled_since(ran_since, at, seen, minute)
  if filled then return BELOW * filled / WINDOW_S end
  if blocked >= BLOCKED_S then estimate = max(estimate, minute / 60) end
  if seen.rate and blocked < FULL_S then
    estimate = max(estimate, ran_since(seen.kept[#seen.kept]) / (active + max(0, blocked - active / 2)))
  end
  return BELOW * estimate
end

-- From one pushback alone: it took so many before, and nothing since, for so long (s), until this many ran.
local function of_first_window(ran_since, at, blocked, ran)
  local before, first = ran_since(at - WINDOW_S * S)
  return BELOW * (before - ran) / min(WINDOW_S, (at - first) / S + blocked)
end

-- A little below the pace, which was too high.
local function lower(ran_since, at, seen, few, wide, estimate)
  local rate, base, latest = seen.rate, seen.base, seen.kept[#seen.kept]
  local single = alone(seen.even, rate, seen.lasts)
  local jumped = single and base and rate > NEAR * base -- it rose fast, for one interval and the latency too long
  local slightly = not single and PROBED or wide and EVEN or ALONE
  local found = ((few or jumped) and CUT or seen.probed > latest and slightly or EVEN) * rate
  if few then found = min(found, at_once(rate, seen.lasts)) end
  if seen.careful and base and seen.probed > latest then
    -- A burst that was saved up let it rise too far, so the rate is between the two.
    found = min(found, max(BELOW * estimate, math.sqrt(found * BELOW * borne(ran_since, at, base))))
  end
  return found
end

-- The rate to go on with, at an instant at which the upstream took no more.
--
-- Returns  that rate · calls in the last minute · since when it has been far below the pace, at each pushback; 0: it has not
--          · `wide` and `rough` from now on
local function found(ran_since, at, seen)
  local kept, rate, wide = seen.kept, seen.rate, seen.wide
  local latest = kept[#kept]
  local calls, seconds = max(ran_since(latest), seen.since), (at - latest) / S -- whole seconds lose the calls of one
  local blocked = seen.free > latest and (seen.free - latest) / S or 0
  local active = seconds - blocked
  local few = calls < ENOUGH
  local minute, ten = (ran_since(at - 60 * S)), (ran_since(at - 10 * S))
  local before = kept[#kept - 1] or latest
  local estimate = calls / seconds
  for i = #kept - 1, 1, -1 do
    if calls >= ENOUGH then break end
    calls, seconds = ran_since(kept[i]), (at - kept[i]) / S
    if calls >= ENOUGH then estimate = min(estimate, calls / seconds) end
  end
  local rough = calls < SURE and not rate
  if not rate or blocked >= BLOCKED_S and active < 2 * blocked then
    return of_window(ran_since, at, seen, minute, estimate, blocked, active), minute, 0, wide, rough
  end
  -- Far below the pace, and not once alone: it takes less than before. Once it may be a window that frees as it was filled.
  local is_far = few and estimate < (seen.shared and seen.even > 0 and FAR / 2 or FAR) * rate
  local far_since = seen.far == 0 and latest or seen.far == 1 and before or seen.far -- "1" is the release before's
  local ran = is_far and seen.far > 0 and ran_since(far_since)
  if ran and rate * (at - far_since) / S - ran >= ENOUGH then
    return BELOW * max(estimate, ran * S / (at - far_since)), minute, far_since, wide, rough
  end
  if seen.even > 0 and seen.probed <= latest and seen.probed > before then wide = true end -- a probe's cut was too little
  local below = lower(ran_since, at, seen, few, wide, estimate)
  -- As many in a minute as the last time: that is its rate, or a shorter window lets more pass. Not of single calls:
  -- callers that leave make gaps, which show in the calls that ran.
  if minute >= SURE and math.abs(minute - seen.minute) <= max(1, SAME * seen.minute) and seen.even == 0 then
    local short = blocked < BLOCKED_S and latest > at - 60 * S and blocked or 0
    below = max(BELOW * minute / (60 - short), ten >= SURE and min(BELOW * ten / 10, below) or 0)
  end
  -- The minute may have calls for which a bucket had saved up before. Where tenants share the pace, and it was not raised
  -- since, the calls since the last pushback say how far it was too high, so it need not be turned away for this again.
  if seen.careful and seen.probed <= latest and blocked < BLOCKED_S and seen.since >= SURE then
    below = min(below, max(BELOW * seen.since / seconds, EVEN * rate))
  end
  return below, minute, is_far and far_since or 0, wide, rough
end

return {
  found = found, of_first_window = of_first_window, borne = borne, alone = alone,
  BELOW = BELOW, EVEN = EVEN, NEAR = NEAR, FAR = FAR, ENOUGH = ENOUGH, WINDOW_S = WINDOW_S, BLOCKED_S = BLOCKED_S,
}
