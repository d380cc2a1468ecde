-- Say what one limit's count holds: when its units leave, and how fast they came. Nothing is written.
--
-- KEYS[1]  the count: list (log), hash (counter), string (bucket)
-- ARGV[1]  algorithm (l, s, b) · [2] window (us) · [3] refill (units per window; bucket only) ·
--          [4] now (us; "" for the server's clock) · [5] pace: look back so far (us) · [6] points at most
--
-- Returns  now (us) · used (units; for a bucket units times window) · came (units) · over (us) ·
--          units of the last call · us since the last call · then pairs: leaves in (us), units; soonest first
--
-- At most [6] pairs: a log of more units is told in blocks, each said to leave with its last unit.

local call, num, floor, ceil, max, min = redis.call, tonumber, math.floor, math.ceil, math.max, math.min
local FEWEST = 5   -- calls that a log's pace is told from, if it holds so many: a slow one has few in any time
local COUNTED = 20 -- the same for units of a counter, which does not know when in its slice one came
local SLICES = 60

local kind, window, now = ARGV[1], num(ARGV[2]), num(ARGV[4])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local back, points = num(ARGV[5]), num(ARGV[6])
local nothing = { now, 0, 0, 0, 0, 0 }

local function log_held()
  local n = call('LLEN', KEYS[1])
  if n == 0 then return nothing end
  local function time(i) return num(call('LINDEX', KEYS[1], i)) end
  local function after(t, lo) -- the first entry later than t, at or after lo; n: none is
    local hi = n
    while lo < hi do
      local mid = floor((lo + hi) / 2)
      if time(mid) <= t then lo = mid + 1 else hi = mid end
    end
    return lo
  end
  local last = time(n - 1)
  local at = max(now, last)
  local first = after(at - window, 0)
  local used = n - first
  if used == 0 then return nothing end
  local of_last = n - after(last - 1, first)
  -- The pace is told from a first call on, which is not counted itself: the first one lately, or the fewest that will do.
  local from = max(first, min(after(at - back, first), n - FEWEST * of_last))
  local before = after(time(from), from) - 1
  local answer = { now, used, n - 1 - before, last - time(before), of_last, at - last }
  local step = ceil(used / points)
  for i = first + step - 1, n - 1 + step - 1, step do
    local leaves = min(i, n - 1)
    answer[#answer + 1] = time(leaves) + window - now
    answer[#answer + 1] = min(step, leaves - (i - step))
  end
  return answer
end

local function counter_held()
  local slice = ceil(window / SLICES)
  local state = call('HMGET', KEYS[1], 'n', 'o', 'l')
  local oldest, latest = num(state[2] or 0), num(state[3] or 0)
  if not state[1] then return nothing end
  local at = max(now, latest * slice)
  oldest = max(oldest, floor((at - window) / slice))
  if oldest > latest then return nothing end
  local names = {}
  for i = oldest, latest do names[#names + 1] = string.format('%.0f', i) end
  local held = call('HMGET', KEYS[1], unpack(names))
  local answer = { now, 0, 0, 0, 0, 0 }
  for i = 1, #names do
    local units = num(held[i] or 0)
    if units > 0 then
      answer[2] = answer[2] + units
      answer[#answer + 1] = (oldest + i) * slice + window - now
      answer[#answer + 1] = units
    end
  end
  local came, from, began = 0, latest + 1, latest
  while from > oldest and (from * slice > at - back or came < COUNTED) do
    from = from - 1
    local units = num(held[from - oldest + 1] or 0)
    if units > 0 then came, began = came + units, from end
  end
  answer[3], answer[4] = came, at - began * slice
  return answer
end

local function bucket_held()
  local state = call('GET', KEYS[1])
  if not state then return nothing end
  local d, t, w = string.match(state, '(%d+) (%d+) (%d+)')
  local debt = num(d)
  if num(w) ~= window then debt = ceil(debt / num(w)) * window end
  return { now, max(0, debt - max(0, now - num(t)) * num(ARGV[3])), 0, 0, 0, 0 }
end

local held = { l = log_held, s = counter_held, b = bucket_held }
return held[kind]()
