-- Token bucket: "<debt> <at> <window>", the debt in units times the window (lua/decide.lua).

local call, num, ceil, max = redis.call, tonumber, math.ceil, math.max

-- A bucket cannot tell whose units have been refilled since, so it takes back only what cannot have been: never more
-- than was charged, and nobody is admitted for it twice.
local function give_back(key, at, cost, window, quota, now)
  local state = call('GET', key)
  if not state then return end
  local debt, t, w = string.match(state, '^(%d+) (%d+) (%d+)')
  debt, t, w = num(debt), num(t), num(w)
  local left = w == window and max(0, cost * window - max(0, now - at) * quota) or 0
  -- Without the sums of a pool behind it, where an account has the units back as well.
  call('SET', key, string.format('%.0f %.0f %.0f', max(0, debt - left), t, w), 'KEEPTTL')
end

-- Units that are held for refused calls (lua/appointments.lua, shared_appointments.lua): how a book fits in, when it does
-- behind all that is held, and a finder of the times at which it does between them.
local function holding()
  -- A line that falls with the refill, from the units taken now and up to each appointment.
  local function fits(book, quota, most, held)
    -- The refill may be another one by then (until_passes in decide.lua).
    local debt = max(0, book.latest - (book.at - book.oldest) * quota)
    local taken = debt + (book.cost - most) * book.window
    if taken > 0 then return false end
    for _, each in ipairs(held) do
      taken = taken + each.cost * book.window
      if taken > max(0, each.due - book.at) * quota then return false end
    end
    return true
  end

  local function after(book, quota, most, held)
    local level, from = max(0, book.latest - (book.at - book.oldest) * quota), book.at
    for _, each in ipairs(held) do
      local due = max(from, each.due)
      level, from = max(0, level - (due - from) * quota) + each.cost * book.window, due
    end
    return from + ceil(max(0, level - (most - book.cost) * book.window) / quota)
  end

  -- Between two appointments the level only falls, so there is one candidate in each gap.
  local function finder(book, quota, most, held)
    local window, n = book.window, #held
    local cost, room = book.cost * window, most * window
    local dues, taken, line = {}, { [0] = 0 }, {} -- when each is due; units up to it; how far above the refill at most
    for k, each in ipairs(held) do
      dues[k] = max(book.at, each.due)
      taken[k] = taken[k - 1] + each.cost * window
      line[k] = taken[k] - (dues[k] - book.at) * quota
    end
    for k = n - 1, 1, -1 do line[k] = max(line[k], line[k + 1]) end
    local p, level, from = 0, book.debt, book.at
    return function(at)
      while true do
        local ends = dues[p + 1] or math.huge
        if at < ends then
          local over = max(0, level - (at - from) * quota) + cost - room
          local then_at = at + ceil(max(0, over) / quota)
          if p == n then return then_at end
          local then_level = max(0, level - (then_at - from) * quota)
          if then_at < ends and then_level + cost - taken[p] + (then_at - book.at) * quota + line[p + 1] <= room then
            return then_at
          end
        end
        level, from, p = max(0, level - (ends - from) * quota) + held[p + 1].cost * window, ends, p + 1
        at = max(at, ends)
      end
    end
  end

  return fits, after, finder
end

local function held(key, now, window, refill)
  local state = call('GET', key)
  if not state then return nil end
  local d, t, w = string.match(state, '(%d+) (%d+) (%d+)')
  local debt = num(d)
  if num(w) ~= window then debt = ceil(debt / num(w)) * window end
  return { now, max(0, debt - max(0, now - num(t)) * refill), 0, 0, 0, 0 }
end

return { give_back = give_back, held = held, holding = holding }
