-- An upstream's response about load binds every call of its connection: pause them.
--
-- KEYS[1]  string  "<until us>|<status>|<since us>|<unspoken>|<asked us, or nothing>": the pause that decide.lua keeps.
--          It outlives the pause by a minute, so that the next one without a time of its own is longer
--
-- ARGV[1] now (us; "" for the server's clock) · [2] the upstream's wait (us), "" without one · [3] the
-- status of that response · [4] longest pause (us)
--
-- Returns  how long calls are paused from now on (us)
--
-- Without a time of its own the first pause is two seconds, and three times as long whenever the upstream turns calls
-- away again after one: calls that were on their way at once count as one.

local call, num, min, max, text = redis.call, tonumber, math.min, math.max, string.format
local FIRST_US, REMEMBERED_MS, MAX_GROWN = 2000000, 60000, 4

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local ends, since, unspoken = string.match(call('GET', KEYS[1]) or '', '^(%d+)|%d+|(%d+)|(%d+)')
ends, since, unspoken = num(ends or 0), num(since or now), num(unspoken or 0)
if ends <= now then since = now end

local wait = num(ARGV[2])
if not wait then
  wait = 0
  if ends <= now then
    unspoken = min(unspoken + 1, MAX_GROWN)
    wait = FIRST_US * 3 ^ (unspoken - 1)
  end
end
ends = max(ends, now + min(wait, num(ARGV[4])))
local value = text('%.0f|%.0f|%.0f|%.0f|%s', ends, num(ARGV[3]), since, unspoken, ARGV[2])
call('SET', KEYS[1], value, 'PX', math.ceil((ends - now) / 1000) + REMEMBERED_MS)
return ends - now
