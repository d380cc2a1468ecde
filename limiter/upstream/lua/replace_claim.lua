-- Put a response in the place of the claim it was made under; a claim that ended meanwhile is somebody else's now.
-- KEYS[1]  the key
-- ARGV[1]  the claim that is expected there
-- ARGV[2]  the response to store
-- ARGV[3]  how long the response lives, milliseconds
-- Returns 1 when it was stored, else 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
