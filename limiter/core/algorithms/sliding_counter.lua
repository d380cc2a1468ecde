-- Sliding counter: a hash of slice number -> units, with n (their sum), o and l (oldest and latest slice; lua/decide.lua).

local call, num, floor, ceil, max, text = redis.call, tonumber, math.floor, math.ceil, math.max, string.format
local SLICES = 60
local COUNTED = 20 -- units that the pace is computed from: a counter does not know when in its slice one came

-- Exactly the units of the call leave.
local function give_back(key, at, cost, window)
  local slice = text('%.0f', floor(at / ceil(window / SLICES)))
  local units = math.min(cost, num(call('HGET', key, slice) or 0))
  if units > 0 then
    call('HINCRBY', key, slice, -units)
    call('HINCRBY', key, 'n', -units)
  end
end

local function held(key, now, window, _, back)
  local slice = ceil(window / SLICES)
  local state = call('HMGET', key, 'n', 'o', 'l')
  local oldest, latest = num(state[2] or 0), num(state[3] or 0)
  if not state[1] then return nil end
  local at = max(now, latest * slice)
  oldest = max(oldest, floor((at - window) / slice))
  if oldest > latest then return nil end
  local names = {}
  for i = oldest, latest do names[#names + 1] = text('%.0f', i) end
  local slices = call('HMGET', key, unpack(names))
  local reply = { now, 0, 0, 0, 0, 0 }
  for i = 1, #names do
    local units = num(slices[i] or 0)
    if units > 0 then
      reply[2] = reply[2] + units
      reply[#reply + 1] = (oldest + i) * slice + window - now
      reply[#reply + 1] = units
    end
  end
  local came, from, began = 0, latest + 1, latest
  while from > oldest and (from * slice > at - back or came < COUNTED) do
    from = from - 1
    local units = num(slices[from - oldest + 1] or 0)
    if units > 0 then came, began = came + units, from end
  end
  reply[3], reply[4] = came, at - began * slice
  return reply
end

return { give_back = give_back, held = held }
