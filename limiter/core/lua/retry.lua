-- A retry draws on the budget of its connection, which all workers share, and later waits for its turn.
--
-- KEYS[1]  string  the rest of the budget, in calls: each call of the connection adds one, a retry takes ten. Absent:
--          all that is saved up
-- KEYS[2]  string  until when the upstream takes no calls (pause.lua)
-- KEYS[3]  string  the pace in force (pace.lua): a retry takes its place in it
--
-- ARGV[1] now (us; "" for the server's clock) · [2] us within which the retry has to be sent · [3] calls that this worker
-- has sent since it last drew on the budget; nothing if the retry has been granted before and its turn has come
-- · [4] calls that are saved up at most · [5] calls that a retry takes
--
-- Returns  { 1 if it is granted or has its turn, 0 if not; us to wait, at least }
--
-- A retry that has its turn is sent after the wait. One that has not, though it had been granted, may ask again then.

local call, num, min, max = redis.call, tonumber, math.min, math.max
local KEEP_S = 86400 -- a budget that nobody drew on for so long is whole again

local now, within = num(ARGV[1]), num(ARGV[2])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local paused = max(0, num(string.match(call('GET', KEYS[2]) or '', '^%d+') or 0) - now)
local every, tolerance, next_us, rest = string.match(call('GET', KEYS[3]) or '', '^(%d+)|(%d+)|(%d+)(.*)')
local wait = every and max(paused, num(next_us) - num(tolerance) - now) or paused
local may = wait < within

if ARGV[3] then
  local saved, takes = num(ARGV[4]), num(ARGV[5])
  local left = min(saved, (num(call('GET', KEYS[1]) or '') or saved) + num(ARGV[3]))
  may = may and left >= takes
  call('SET', KEYS[1], may and left - takes or left, 'EX', KEEP_S)
else
  may = may and paused == 0
  if may and every then
    next_us = max(num(next_us), now) + num(every)
    call('SET', KEYS[3], every .. '|' .. tolerance .. '|' .. string.format('%.0f', next_us) .. rest, 'KEEPTTL')
  end
end
return { may and 1 or 0, wait }
