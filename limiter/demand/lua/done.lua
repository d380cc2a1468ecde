-- Forget a minute whose demand is in the database, unless a worker has added to it meanwhile.
--
-- KEYS[1]  sorted set  minutes
-- KEYS[2]  hash        of this minute
-- KEYS[3]  hash        its batch that is set aside
-- ARGV[1]  minute
--
-- Returns  1 if it was forgotten

if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
