-- The log of a pace: when calls were let through, in milliseconds modulo 2^32, eight hexadecimal digits each.
--
-- In front of pace_gaps.lua, pace_under_way.lua and pace.lua, as `sent_log`. decide.lua writes it.

local WRAP = 4294967296
local NEAR = 50 -- between the instant at which a worker sent a call and the one in the log

local function read(digits)
  local values = {}
  for each in string.gmatch(digits, string.rep('%x', 8)) do values[#values + 1] = tonumber(each, 16) end
  return values
end

local function write(values)
  local texts = {}
  for i, each in ipairs(values) do texts[i] = string.format('%08x', each % WRAP) end
  return table.concat(texts)
end

-- The place of the call that was sent at this instant, nil for none.
local function place(log, at)
  local found, least
  for i = 1, #log do
    local apart = math.min((log[i] - at) % WRAP, (at - log[i]) % WRAP)
    if apart <= NEAR and apart <= (least or apart) then found, least = i, apart end
  end
  return found
end

-- The log without the calls that were sent at these instants.
local function without(digits, instants)
  local log = read(digits)
  for _, at in ipairs(instants) do
    local i = place(log, at % WRAP)
    if i then table.remove(log, i) end
  end
  return write(log)
end

return { WRAP = WRAP, NEAR = NEAR, read = read, write = write, place = place, without = without }
