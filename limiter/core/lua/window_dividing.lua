-- What few calls of a shared window or bucket need. It stands in look_at_share.lua where it is called, and so
-- no other call makes its functions.

local fill, _, _, terms = dividing()
-- A refused call comes back after whole seconds; one that has not come so long (us) after its wait has left.
local LATE_US = 250000
-- So many slices after its first window it shows whether an account has stayed. What others did is forgotten in so many
-- windows; and so many have to have left for each one that stayed before units are lent that new ones were refused.
local STAYED, REMEMBERED, VISITS = 3, 2, 2

-- The use and demand of one account up to the slice `turn`; nil of one that has asked for nothing lately. And whether it
-- shows now that it has left after one visit, or has stayed: 1 or 0 each. `lends`: most leave, so that refused calls of one
-- without a floor that does not come back after its wait are demand no more; nil: units are not lent for that.
local function aged(name, state, ring, last, turn, slices, effective, cost, length, lends)
  local take, pack, max = struct.unpack, struct.pack, math.max
  local counted, came_asked, _, till = take('<dddd', state)
  local since, total, ask, ask1, ask2 = take('<ddddd', ring)
  local cells = string.sub(ring, 41)
  local came = counted - total + take('<I4', cells)
  for _ = 1, math.min(turn - last, slices + 1) do -- a ceiling counts the oldest too
    local out_used, out_asked = take('<I4I4', cells)
    total, ask2, ask1, ask = total - out_used + came, ask1, ask, ask - out_asked + came_asked
    cells = string.sub(cells, 9) .. pack('<I4I4', came, came_asked)
    came, came_asked = 0, 0
  end
  if turn - last > slices + 2 then ask1, ask2 = 0, 0 end
  local base = total - take('<I4', cells) -- their calls may have asked before, and the oldest count for a ceiling
  local judged = lends ~= nil and last - since < slices + STAYED
  if ask + ask1 + ask2 + total == 0 then return nil, judged and 1 or 0, 0 end
  judged = judged and turn - since >= slices + STAYED
  local stays = judged and string.find(string.sub(cells, -4 * slices), '[^%z]') and 1 or 0
  -- One that has begun within the time that counts has left if it is silent for longer than three of its gaps.
  local class, weight, least, bound = terms(name, effective)
  local age, left = turn - since, false
  if age < slices and class > 1 then
    local silent = math.floor(3 * age / (ask / cost + 2)) + 1
    left = not string.find(string.sub(cells, -8 * silent), '[^%z]')
  end
  local young, gone = age < slices and age, false
  if young and lends and class > 1 and least == 0 and turn * length > till + LATE_US then
    gone = not string.find(string.sub(cells, -8 * math.ceil((1000000 + LATE_US) / length)), '[^%z]')
  end
  if gone and ask > total then -- these calls are demand no more
    for place = math.max(1, #cells - 8 * age + 1), #cells - 7, 8 do
      cells = string.sub(cells, 1, place + 3) .. string.sub(cells, place, place + 3) .. string.sub(cells, place + 8)
    end
    ask, ask1, ask2 = total, total, total
  end
  -- The largest of three looks covers calls a little late.
  local asked = gone and base or max(ask, ask1, ask2, base)
  return {
    name = name, class = class, weight = weight, want = asked, bound = bound, least = least,
    base = base, ring = pack('<ddddd', since, total, ask, ask1, ask2) .. cells,
    ask = ask, asked = asked, young = young, left = left, gone = gone, till = young and lends ~= nil and till or 0,
  }, judged and 1 - stays or 0, stays
end

-- What each account will want. One that has begun within the time that counts is taken to go on like this: by its calls
-- after the first, which says only that it is there. Besides, a standard deviation for chance, and three calls for those of
-- which there is no sign yet; that one of several makes these is enough for all (newcomers.lua), and by chance some call
-- less when others call more. A floor is its own whatever the others do. Of critical calls, as many more may come by chance.
-- Returns the wants and floors of all.
local function foresee(accounts, slices)
  local young, wanted, floors, max, min, sqrt = 0, 0, 0, math.max, math.min, math.sqrt
  for _, each in ipairs(accounts) do
    if each.young and each.class > 1 and not each.gone then young = young + 1 end
  end
  for _, each in ipairs(accounts) do
    local want, ask = each.want, each.ask
    if each.young and not each.gone then
      if each.left then ask = min(ask, 1) end
      local more = max(0, ask - 1)
      local chance, unseen = sqrt(more), 2 + sqrt(ask) - sqrt(more)
      local doubt = each.class == 1 and 2 + 3 * sqrt(ask) or chance / sqrt(young) + unseen / young
      local alone = (ask + 1 + sqrt(ask)) * slices / each.young
      want = max(want, (ask - 1 + doubt) * slices / each.young, min(each.least, alone))
    end
    if each.class == 1 then want = want + 2 * sqrt(want) end
    each.want = min(math.ceil(want), each.bound)
    each.low = min(each.want, each.least)
    wanted, floors = wanted + each.want, floors + each.low
  end
  return wanted, floors
end

-- Who calls at even gaps and gets all that it wants is refused whenever a call comes a little before the one of a window
-- ago has left, since others use the rest. So such accounts get a three-hundredth of the limit beyond their wants, one
-- unit each at least, if that is enough for all of them. Critical ones have more anyway. Tells whether any wants more now.
local function allow_early(accounts, effective)
  local regular, wants, floor = {}, 0, math.floor
  for _, each in ipairs(accounts) do
    if each.class > 1 and each.want >= 1 and each.share == each.want and each.want < each.bound then
      regular[#regular + 1], wants = each, wants + each.want
    end
  end
  local rest = (effective < 100 and 0 or math.max(1, floor(effective / 300))) - #regular
  if rest < 0 or wants == 0 then return false end
  for _, each in ipairs(regular) do
    each.want = math.min(each.want + 1 + floor(rest * each.want / wants), each.bound)
  end
  return true
end

-- Units reserved for accounts that have begun within the time that counts, of which most come for one visit, and lent
-- nevertheless: kept are their floors and, for all of them together, as many as they were refused, a thirtieth of the limit
-- at most.
local function lent(accounts, effective)
  local reserved, floors, refused, max, min = 0, 0, 0, math.max, math.min
  for _, each in ipairs(accounts) do
    local own = each.due - each.base
    if each.young and each.class > 1 and own > 0 then
      local least = max(0, min(own, each.low - each.base))
      reserved, floors = reserved + own, floors + least
      refused = refused + min(own - least, each.asked - each.base)
    end
  end
  return max(0, math.floor(reserved - floors - min(refused, max(1, effective / 30))))
end

-- The first call of a slice, of `cost` units: the use and demand of every account up to now, and the share of each in this
-- slice. Returns the reserved units, in shares of one unit and more and in those below, and the caller's account (nil: it
-- has none).
local function divide(hash, account, last, turn, slices, effective, length, cost, lends)
  local call, pack, min, max = redis.call, struct.pack, math.min, math.max
  local all, rings, accounts, gone = call('HGETALL', hash), {}, {}, {}
  local left, stayed = 0, 0 -- of accounts that had begun: those that left after one visit, and the others
  for a = 1, #all, 2 do
    local mark = string.byte(all[a])
    if mark == 126 then
      rings[string.sub(all[a], 2)] = all[a + 1]
    elseif mark == 37 then
      left, stayed = struct.unpack('<dd', all[a + 1])
    end
  end
  if lends then lends = left > VISITS * (stayed + 1) else lends = nil end
  local fades = (1 - 1 / REMEMBERED / slices) ^ (turn - last)
  left, stayed = left * fades, stayed * fades
  for a = 1, #all, 2 do
    local name, ring = all[a], rings[all[a]]
    if ring then
      local each, leaves, stays = aged(name, all[a + 1], ring, last, turn, slices, effective, cost, length, lends)
      left, stayed = left + leaves, stayed + stays
      if each then
        accounts[#accounts + 1] = each
      else
        gone[#gone + 1], gone[#gone + 2], gone[#gone + 3] = name, '~' .. name, '@' .. name
      end
    end
  end
  local wanted, floors = foresee(accounts, slices)
  fill(accounts, effective, wanted, floors)
  if wanted > effective and allow_early(accounts, effective) then fill(accounts, effective, wanted, floors) end
  local weights, written, big, small, own_state = { 0, 0, 0, 0, 0 }, {}, 0, 0, nil
  for _, each in ipairs(accounts) do
    local due = each.share >= 1 and math.floor(each.share) or each.share
    -- As long as it is within its share, its last number says when the wait of its refused calls ends.
    local packed, to = pack('<dddd', each.base, 0, due, due >= each.base + 1 and each.till or 0), #written
    each.due = due
    if each.name == account then own_state = packed end
    if due >= 1 then big = big + max(0, due - each.base) else small = small + max(0, due - each.base) end
    weights[each.class] = weights[each.class] + each.weight
    local parts = due >= 1 and 4 or 5
    weights[parts] = weights[parts] + due
    written[to + 1], written[to + 2], written[to + 3], written[to + 4] = each.name, packed, '~' .. each.name, each.ring
  end
  if left + stayed > 0.01 then written[#written + 1], written[#written + 2] = '%', pack('<dd', left, stayed) end
  if lends then big = big - lent(accounts, effective) end
  written[#written + 1], written[#written + 2] = '', pack('<dddd', turn, big, small, 0)
  written[#written + 1], written[#written + 2] = '#', pack('<ddddd', unpack(weights))
  for a = 1, #written, 4000 do call('HSET', hash, unpack(written, a, min(a + 3999, #written))) end
  for a = 1, #gone, 3999 do call('HDEL', hash, unpack(gone, a, min(a + 3998, #gone))) end
  call('PEXPIRE', hash, math.ceil((slices + 4) * length / 1000) + 1000)
  return big, small, own_state
end

-- When a refused call is within its share and its ceiling at the latest (us): so much of the account's own has left,
-- or everybody has been silent for so long that nothing is reserved. `excess` and `passed`: units above them.
local function within_at(ring, cost, part, excess, passed, last, slices, length)
  local silent, first = last + slices + 3, 0
  -- The first slice in which so many of its units count no more. The oldest counts for the ceiling alone.
  local function gone(units, of, stays)
    local freed = 0
    for s = of, slices do
      freed = freed + struct.unpack('<I4', ring, 33 + 8 * s)
      if freed >= units then return last + s - stays end
    end
    return last + slices + 1 - stays
  end
  if excess > 0 then first = ring and part >= cost and math.min(silent, gone(excess, 2, 1)) or silent end
  if passed > 0 then first = math.max(first, ring and gone(passed, 1, 0) or silent) end
  return first * length
end

return divide, within_at
