-- An upstream's response about load binds every call of its connection: pause them.
--
-- KEYS[1]  string  "<until us>|<status>|<since us>|<unspoken>|<asked us, or nothing>": the pause that decide.lua keeps.
--          It outlives the pause by a minute, so that the next one without a time of its own is longer
--
-- KEYS[2]  string  the pace in force, as pace.lua keeps it
--
-- ARGV[1] now (us; "" for the server's clock) · [2] the upstream's wait (us), "" without one · [3] the
-- status of that response · [4] longest pause (us)
--
-- Returns  how long calls are paused from now on (us)
--
-- Without a time of its own the first pause is two seconds, under a pace two of its intervals if that is less, and three
-- times as long whenever the upstream turns calls away again after one: calls that were on their way at once count as
-- one. It is not longer than 18 seconds until a window of a minute must have emptied, however short the first one was,
-- and then 54.

local call, num, min, max, text = redis.call, tonumber, math.min, math.max, string.format
local FIRST_US, SHORTEST_US, REMEMBERED_MS = 2000000, 500000, 60000
local LONG_US, LONGEST_US, MINUTE_US, MANY = 18000000, 54000000, 60000000, 8

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local ends, since, unspoken = string.match(call('GET', KEYS[1]) or '', '^(%d+)|%d+|(%d+)|(%d+)')
ends, since, unspoken = num(ends or 0), num(since or now), num(unspoken or 0)
if ends <= now then since = now end

local pace = call('GET', KEYS[2])
local wait = num(ARGV[2])
if not wait then
  wait = 0
  if ends <= now then
    unspoken = min(unspoken + 1, MANY)
    local interval = num(string.match(pace or '', '^(%d+)|') or FIRST_US)
    local first, before = max(SHORTEST_US, min(FIRST_US, 2 * interval)), 0
    for i = 1, unspoken do
      before, wait = before + wait, min(first * 3 ^ (i - 1), LONG_US)
    end
    if before > MINUTE_US then wait = LONGEST_US end
  end
end
ends = max(ends, now + min(wait, num(ARGV[4])))
local value = text('%.0f|%.0f|%.0f|%.0f|%s', ends, num(ARGV[3]), since, unspoken, ARGV[2])
call('SET', KEYS[1], value, 'PX', math.ceil((ends - now) / 1000) + REMEMBERED_MS)

-- After it calls come one by one: the first of them finds out.
local every, tolerance, next_us, rest = string.match(pace or '', '^(%d+)|(%d+)|(%d+)(.*)')
if every then
  call('SET', KEYS[2], text('%s|%s|%.0f%s', every, tolerance, max(num(next_us), ends + num(tolerance)), rest), 'KEEPTTL')
end
return ends - now
