-- Write down that a multiplier ended by itself, when its samples had aged, if it has and was not computed anew meanwhile.
--
-- KEYS[1]  hash    evidence, as adapt.lua keeps it
-- KEYS[2]  stream  changes of multipliers that are not in the database yet
-- KEYS[3]  sorted set  those that cut, as adapt.lua keeps it
-- ARGV[1]  field: "<tenant>|<action>"
-- ARGV[2]  its value as it was read
-- ARGV[3]  how long ago it has to have ended (us)
--
-- Returns  1, or 0 when it lasts or is another value by now

local KEEP_SECONDS, CHANGES_KEPT = 604800, 100000

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
local tenant, action = string.match(ARGV[1], '^([^|]*)|(.*)$')
local was, uncut, threshold, ended = string.match(ARGV[2], '^(%d+)|(%d+)|%d+|%d+|(%d+)|%d+|%d+|(%d+)')
if not was then return 0 end -- a newer release noted it in another way
if was == uncut then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return 0
end
local t = redis.call('TIME')
if tonumber(ended) + tonumber(ARGV[3]) > t[1] * 1000000 + t[2] then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', CHANGES_KEPT, '*', 'at', ended, 'tenant', tenant, 'action', action,
  'before', was, 'after', uncut, 'p95_us', '0', 'samples', '0', 'threshold_us', threshold, 'pushback', '0')
redis.call('EXPIRE', KEYS[2], KEEP_SECONDS)
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], uncut .. string.sub(ARGV[2], #was + 1))
return 1
