-- Put a pace in force: calls come an interval apart, or so many in a window. decide.lua and retry.lua hold them to it.
--
-- In front of pace.lua, as `in_force`. All times are us.

local call, num, max, min, floor = redis.call, tonumber, math.max, math.min, math.floor
local S, MS = 1000000, 1000
local KEEP_S = 600 -- a pace that held nobody back and met no pushback for so long is forgotten
local BURST_S, MIN_BURST = 0.5, 2
local AHEAD = 2 -- as in decide.lua

local function int(x) return string.format('%.0f', x) end

-- key: of the pace · rate: calls a second · ends: of a pause; nil: there is none · shared: tenants share it · how:
--   even      no two calls at once
--   regained  the call that found out after a pause has run, so the next need not wait
--   saves     the upstream saves up for bursts. Where calls go ahead of others it is left as many, from the pause on: else
--             it would turn those away
--   log       of the calls let through, of which so many may come in a window; 0: any number
--   calls     that number · within: as long as its window is (ms), or the lease of calls under way
--
-- Returns  calls a minute, as text
local function put(key, now, rate, ends, shared, how)
  local interval = max(1, floor(S / rate + 0.5))
  local burst = how.even and 1 or max(MIN_BURST, floor(rate * BURST_S))
  local next_us = num(string.match(call('GET', key) or '', '^%d+|%d+|(%d+)') or now)
  local ahead = shared and burst > 1 and AHEAD or 0
  local saved = how.saves and ahead or 0
  local latest = (ends or now) + (how.regained and 1 + saved or burst + ahead) * interval
  if ends and saved > 0 then next_us = latest - interval end
  next_us = max(now, min(next_us, latest))
  local value = int(interval) .. '|' .. int((burst - 1) * interval) .. '|' .. int(next_us)
  if how.log then
    value = value .. '|' .. int(how.calls) .. '|' .. int(how.within or how.calls / rate * MS) .. '|' .. how.log
  end
  call('SET', key, value, 'PX', KEEP_S * 1000)
  return string.format('%.1f', rate * 60)
end

return { put = put, KEEP_S = KEEP_S }
