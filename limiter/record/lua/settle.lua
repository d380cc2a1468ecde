-- Acknowledge entries that are in the database, take them off the stream and count them, all at once.
--
-- KEYS[1]  stream
-- KEYS[2]  hash    about this making of the stream; see attend.lua
-- ARGV[1]  group · [2 …] ids, oldest first
--
-- Returns  how many of them had not been settled before

local ids = {}
for i = 2, #ARGV do ids[#ids + 1] = ARGV[i] end
local settled = redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))
redis.call('XDEL', KEYS[1], unpack(ids))
redis.call('HINCRBY', KEYS[2], 'settled', settled)
redis.call('HSET', KEYS[2], 'last', ids[#ids])
return settled
