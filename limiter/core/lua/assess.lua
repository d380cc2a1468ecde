-- Take over the computing of a multiplier that is due: nobody's call has ended since, or who was to do it has died.
--
-- KEYS[1]  list    samples (record.lua)
-- KEYS[2]  string  present while the multiplier is fresh enough
-- KEYS[3]  sorted set, KEYS[4] hash: the unassessed targets, and how (record.lua)
-- KEYS[5]  hash    calls in flight that are overdue (overdue.lua)
--
-- ARGV[1] now (us; "" for the server's clock) · [2] what KEYS[3] calls them · [3] ms until it is due again should this
-- caller die
--
-- Returns  nil when it is not due, or somebody else's to do; else the count of KEYS[4], the settings, then the samples

local call, num = redis.call, tonumber

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local due = num(call('ZSCORE', KEYS[3], ARGV[2]) or 'inf')
if due > now or not call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return nil end
call('ZADD', KEYS[3], now + num(ARGV[3]) * 1000, ARGV[2])
local how = call('HMGET', KEYS[4], ARGV[2] .. '|n', ARGV[2])
return { num(how[1] or 0), how[2] or '', unpack(assessing.with_overdue(call('LRANGE', KEYS[1], 0, -1), KEYS[5], now)) }
