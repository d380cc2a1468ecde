-- Note that a process lives, and forget those that do not.
--
-- KEYS[1]    sorted set: process -> when it was last heard (us)
--
-- ARGV[1]    the process · [2] after how long without a word one has gone (us)
--
-- Returns    nothing

local call = redis.call
local KEEP_SECONDS = 604800

local t = call('TIME')
local now = t[1] * 1000000 + t[2]
call('ZADD', KEYS[1], now, ARGV[1])
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
call('EXPIRE', KEYS[1], KEEP_SECONDS)
