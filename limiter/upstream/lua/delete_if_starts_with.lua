-- Delete a key only while its value is still the one the caller knows: a claim, or a refused token.
-- KEYS[1]  the key
-- ARGV[1]  what the value starts with
-- Returns 1 when it was deleted, else 0.
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, #ARGV[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
