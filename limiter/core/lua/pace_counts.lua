-- How many calls an upstream took since an instant, as pace.lua counts them: by the whole second in which they ended.
--
-- In front of pace_rates.lua and pace.lua, as `counts`.

local call, num, min, floor = redis.call, tonumber, math.min, math.floor
local S = 1000000

-- key: the evidence · ran: calls of this report, which are not in it yet · second: now.
--
-- Returns  a function: calls that ran after an instant (us), by whole seconds; and when the first of them did
local function of(key, ran, second)
  return function(us)
    local sum, from, first = ran, floor(us / S), second
    local all = call('HGETALL', key)
    for i = 1, #all, 2 do
      if num(all[i]) then
        local at, count = string.match(all[i + 1], '^(%d+):(%d+)$')
        at = num(at)
        if at and at > from and at <= second then
          sum, first = sum + num(count), min(first, at)
        end
      end
    end
    return sum, first * S
  end
end

return { of = of }
