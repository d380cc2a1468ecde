-- Forget a batch that is in the database.
--
-- KEYS[1]  hash    the batch set aside
-- ARGV[1]  its name; another batch stays
--
-- Returns  1 if it was forgotten

if redis.call('HGET', KEYS[1], '#batch') ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
