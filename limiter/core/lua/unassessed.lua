-- Which multipliers of a connection are due to be computed.
--
-- KEYS[1]  sorted set of record.lua
-- ARGV[1] now (us; "" for the server's clock) · [2] at most so many
--
-- Returns  their names, the longest due first

local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[2])
