-- Make a learned limit the one that every worker's next decision keeps, unless another step was faster.
--
-- KEYS[1]  string  the learned limit: "<calls in flight>|<step>|<state>", of which decide.lua reads the first number
--
-- ARGV[1] the step that this one follows · [2] the limit as it is kept · [3] for how long (ms)
--
-- Returns  1, or 0 when another step was faster

local step = string.match(redis.call('GET', KEYS[1]) or '', '^%d+|(%d+)|') or '0'
if step ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
