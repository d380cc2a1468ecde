-- Note the seconds in which a worker counted demand: in those without an entry, nothing came.
--
-- KEYS[1]  sorted set  seconds that are not in the database yet, by themselves
--
-- ARGV[1]  seconds that it waits for the database at most
-- then     how many seconds ago, by the worker's own clock
--
-- The second is the store's, as of all demand: workers' clocks may differ.

local call = redis.call
local now = tonumber(call('TIME')[1])

for i = 2, #ARGV do
  local second = now - tonumber(ARGV[i])
  call('ZADD', KEYS[1], second, second)
end
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]))
call('EXPIRE', KEYS[1], ARGV[1])
