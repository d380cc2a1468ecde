-- One sliding log in one list, the leanest script that decides it: for the contenders that have a single limit.
--
-- KEYS[1]  list  admission times (us), oldest first
-- ARGV[1]  quota · [2] window (us) · [3] now (us)
--
-- Returns  0 when admitted, else the wait (us)

local call, num = redis.call, tonumber
local quota, window, now = num(ARGV[1]), num(ARGV[2]), num(ARGV[3])
local used = call('LLEN', KEYS[1])
local oldest
while used > 0 do
  oldest = num(call('LINDEX', KEYS[1], 0))
  if oldest > now - window then break end
  call('LPOP', KEYS[1])
  used = used - 1
end
if used >= quota then return oldest + window - now end
call('RPUSH', KEYS[1], ARGV[3])
call('PEXPIRE', KEYS[1], window / 1000)
return 0
