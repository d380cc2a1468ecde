-- How many units of its share an account of a shared window or bucket has not used, by its state in the pool
-- (look_at_share.lua), and its share. It stands where it is called.

local take = struct.unpack
return function(state)
  local used, _, part = take('<ddd', state)
  if #state > 32 then return take('<d', state, 33), part end -- it has come in this slice: its claim
  return math.max(0, part - used), part
end
