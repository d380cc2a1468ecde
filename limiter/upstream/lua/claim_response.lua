-- Read the response remembered under a key, or claim the key for the caller when nothing is.
-- KEYS[1]  the key
-- ARGV[1]  the claim to store
-- ARGV[2]  how long the claim lives, milliseconds
-- Returns the stored value, or false when the claim was stored.
local found = redis.call('GET', KEYS[1])
if not found then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return found
