-- Takes one of a person's seats for a while, unless all are taken.
-- KEYS[1]  sorted set: seat -> when it is free again unless renewed, milliseconds since the epoch
-- ARGV[1]  the seat's name
-- ARGV[2]  for how long, milliseconds
-- ARGV[3]  how many seats a person has
-- Returns 1 when taken, 0 when all were.
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
if redis.call("ZCARD", KEYS[1]) >= tonumber(ARGV[3]) then
  return 0
end
redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return 1
