-- Keeps seats of one person for a while longer; those that were lost with the store are taken again.
-- KEYS[1]  sorted set: seat -> when it is free again unless renewed, milliseconds since the epoch
-- ARGV[1]  for how long, milliseconds
-- ARGV[2]  and all after it: the seats' names
local clock = redis.call("TIME")
local free_at = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
for number = 2, #ARGV do
  redis.call("ZADD", KEYS[1], free_at, ARGV[number])
end
redis.call("PEXPIRE", KEYS[1], ARGV[1])
return redis.status_reply("OK")
