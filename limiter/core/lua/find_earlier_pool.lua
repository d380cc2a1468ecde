-- Release 0.2.0 kept the pool of a shared counter in a hash of its own, KEYS[pool]. It stands in decide.lua where that calls
-- it, for a pool that is not in the hash of the count yet.

local found = call('HGETALL', KEYS[pool])
if #found > 0 then
  for a = 1, #found, 4000 do call('HSET', hash, unpack(found, a, min(a + 3999, #found))) end
  local ms = call('PTTL', KEYS[pool])
  if call('PTTL', hash) < ms then call('PEXPIRE', hash, ms) end
  of_pool = call('HMGET', hash, '', account, 'n', floor(now / slice))
end
