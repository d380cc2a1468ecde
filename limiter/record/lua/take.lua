-- Set a hash of counts aside as a batch, so that later counts go into the next one.
--
-- KEYS[1]  hash    counts
-- KEYS[2]  hash    the batch set aside; its field #batch names it
-- ARGV[1]  name of the batch, should this be a new one
--
-- Returns  the name of the batch that is set aside now, or nil. One that somebody left unfinished comes first.

local waiting = redis.call('HGET', KEYS[2], '#batch')
if waiting then return waiting end
if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], '#batch', ARGV[1])
return ARGV[1]
