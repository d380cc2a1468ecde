-- Sliding log: a list of admission times, oldest first (lua/decide.lua).

local call, num, ceil, max, min = redis.call, tonumber, math.ceil, math.max, math.min
local FEWEST = 5 -- calls that the pace is computed from, if it holds so many: a slow one has few in any time

-- Exactly the units of the call leave.
local function give_back(key, at, cost) call('LREM', key, -cost, string.format('%.0f', at)) end

local function held(key, now, window, _, back, points)
  local n = call('LLEN', key)
  if n == 0 then return nil end
  local function time(i) return num(call('LINDEX', key, i)) end
  local function after(t, lo) -- the first entry later than t, at or after lo; n: none is
    local hi = n
    while lo < hi do
      local mid = math.floor((lo + hi) / 2)
      if time(mid) <= t then lo = mid + 1 else hi = mid end
    end
    return lo
  end
  local last = time(n - 1)
  local at = max(now, last)
  local first = after(at - window, 0)
  local used = n - first
  if used == 0 then return nil end
  local of_last = n - after(last - 1, first)
  -- The pace counts from a first call on, which is not counted itself: the first one lately, or the fewest that will do.
  local from = max(first, min(after(at - back, first), n - FEWEST * of_last))
  local before = after(time(from), from) - 1
  local reply = { now, used, n - 1 - before, last - time(before), of_last, at - last }
  local step = ceil(used / points)
  for i = first + step - 1, n - 1 + step - 1, step do
    local leaves = min(i, n - 1)
    reply[#reply + 1] = time(leaves) + window - now
    reply[#reply + 1] = min(step, leaves - (i - step))
  end
  return reply
end

return { give_back = give_back, held = held }
