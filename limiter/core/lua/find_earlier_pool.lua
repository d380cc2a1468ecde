-- The release before kept the pool of a shared counter in a hash beside the count. It stands in decide.lua where that calls
-- it, for a pool that is not there yet.

local earlier = key .. text(':shares%.0f', window + slice)
local found = call('HGETALL', earlier)
if #found > 0 then
  for a = 1, #found, 4000 do call('HSET', key, unpack(found, a, min(a + 3999, #found))) end
  local ms = call('PTTL', earlier)
  if call('PTTL', key) < ms then call('PEXPIRE', key, ms) end
  of_pool = call('HMGET', key, '', account, 'n', floor(now / slice))
end
