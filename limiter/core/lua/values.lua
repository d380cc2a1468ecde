-- Limits that count by a value of the call: a count for each value, and a bound on how many a tenant has at once.
--
-- In front of decide.lua and around it, for stacks with such limits (limiter/core/values.py). For each of them, in their
-- order, its last keys are
--   sorted set  the tenant's values in use: digest -> when its count ends (us)
--   its count   of all values of the tenant above the bound together
--   string      the appointments of that count, where the stack holds units (appointments.lua)
-- and ARGV[5] begins with one byte, 64 and how many, and then for each
--   PLACE       which limit · how many values at most; 0 for a call that needs no place, since it has no value
-- decide.lua sees neither. In place of the count of a value that is new and above the bound it sees that of all the
-- others; where a place comes free, the next call with the value has a count of its own.
--
-- Returns, behind what decide.lua returns, a number: for each of the limits a bit, set if its value was above the bound.

local call, num = redis.call, tonumber
local PLACE, FIXED = '<BI4', 8 -- keys before those of the limits, as in decide.lua
local valued, stride = string.byte(ARGV[5]) - 64, appointments and 3 or 2
local front = #KEYS - stride * valued
local begins = ARGV[5] -- read to the end of the places
ARGV[5] = string.sub(begins, 2 + 5 * valued)

local now = num(ARGV[6])
if not now or now < 0 then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end

local of_pace = ARGV[11] and 1 or 0 -- its pool
local counts = front - FIXED - of_pace - (#ARGV[5] > 0 and string.byte(ARGV[5]) < 64 and string.byte(ARGV[5]) or 0)
local values, own, above = {}, {}, 0
for j = 1, valued do
  local i, most = struct.unpack(PLACE, begins, 5 * j - 3)
  local at, mark = front + stride * (j - 1) + 1, ''
  values[i] = KEYS[at] -- by which refusals of one kind are counted together, whatever their value
  if most > 0 and call('EXISTS', KEYS[FIXED + i]) == 1 then
    own[i] = KEYS[FIXED + i]
  elseif most > 0 then
    call('ZREMRANGEBYSCORE', KEYS[at], '-inf', now)
    if call('ZCARD', KEYS[at]) < most then
      own[i] = KEYS[FIXED + i]
    else
      KEYS[FIXED + i], mark, above = KEYS[at + 1], '+', above + 2 ^ (j - 1)
      if appointments then KEYS[FIXED + counts / 2 + i + front - FIXED - counts] = KEYS[at + 2] end
    end
  end
  ARGV[4] = string.gsub(ARGV[4], '\2', mark, 1) -- in the description that events carry
end
for at = #KEYS, front + 1, -1 do KEYS[at] = nil end

function values.finish(answer)
  if answer[3] == -1 then return answer end
  if answer[3] == 1 and ARGV[8] ~= '0' then
    for i, key in pairs(own) do
      local ms = call('PTTL', key)
      if ms > 0 then
        call('ZADD', values[i], now + ms * 1000, string.match(key, '[^:]*$'))
        if call('PTTL', values[i]) < ms then call('PEXPIRE', values[i], ms) end
      end
    end
  end
  answer[#answer + 1] = above
  return answer
end

return values
