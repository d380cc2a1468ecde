-- Token bucket: "<debt> <at> <window>", the debt in units times the window (lua/decide.lua).

local call, num, ceil, max = redis.call, tonumber, math.ceil, math.max

-- A bucket cannot tell whose units have been refilled since, so it takes back only what cannot have been: never more
-- than was charged, and nobody is admitted for it twice.
local function give_back(key, at, cost, window, quota, now)
  local state = call('GET', key)
  if not state then return end
  local debt, t, w = string.match(state, '^(%d+) (%d+) (%d+)')
  debt, t, w = num(debt), num(t), num(w)
  if w ~= window then return end
  local left = max(0, cost * window - max(0, now - at) * quota)
  call('SET', key, string.format('%.0f %.0f %.0f', max(0, debt - left), t, window), 'KEEPTTL')
end

local function held(key, now, window, refill)
  local state = call('GET', key)
  if not state then return nil end
  local d, t, w = string.match(state, '(%d+) (%d+) (%d+)')
  local debt = num(d)
  if num(w) ~= window then debt = ceil(debt / num(w)) * window end
  return { now, max(0, debt - max(0, now - num(t)) * refill), 0, 0, 0, 0 }
end

return { give_back = give_back, held = held }
