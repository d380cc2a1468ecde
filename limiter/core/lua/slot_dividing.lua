-- What few calls of a shared concurrency limit need. It stands in look_at_slots.lua where it is called, and so
-- no other call makes its functions.

local fill, _, _, terms = dividing()
local come = newcomers()
local LOOKS = 4
local ACCOUNT, POOL = '<dddddddddddd', '<dddddddd'

local function variance_of(name, want) return string.byte(name) == 49 and 9 * want or 0 end

-- The slots that each account holds, by their leases, and its demand up to the slice `turn`.
local function divide(hash, leases, mine, last, turn, length, effective, lives)
  local call, max, min, pack = redis.call, math.max, math.min, struct.pack
  local holds, accounts, gone, wanted, floors = {}, {}, {}, 0, 0
  for _, member in ipairs(call('ZRANGE', leases, 0, -1)) do
    local name = string.match(member, '|(.*)')
    if name then holds[name] = (holds[name] or 0) + 1 end
  end
  local all = call('HGETALL', hash)
  for a = 1, #all, 2 do
    local name = all[a]
    if string.find(name, '|', 1, true) then
      local was, since, area, refused, _, _, _, lately, d1, d2, d3 = struct.unpack(ACCOUNT, all[a + 1])
      local held, holding = holds[name] or 0, (area + was * max(0, (last + 1) * length - since)) / length
      local looks = { holding + refused, d1, d2, d3 }
      lately = (lately + holding) / 2
      for _ = 1, min(turn - last - 1, LOOKS) do
        table.insert(looks, 1, held)
        lately = (lately + held) / 2
      end
      local class, weight, least, bound = terms(name, effective)
      local sum, n, want = 0, 0, 0
      for look = 1, LOOKS do
        if looks[look] >= 0 then sum, n = sum + looks[look], n + 1 end
        if look % 2 == 0 then want = max(want, sum / n) end -- of the last two, and of all
      end
      want = min(want, bound)
      if want == 0 then
        gone[#gone + 1] = name
      else
        local low = min(want, least)
        accounts[#accounts + 1] = {
          name = name, class = class, weight = weight, want = want, low = low,
          held = held, lately = lately, looks = looks,
        }
        wanted, floors = wanted + want, floors + low
      end
    end
  end
  fill(accounts, effective, wanted, floors)
  local settled = { 0, 0, 0 }
  for _, each in ipairs(accounts) do
    if each.share >= each.want then
      each.settled, settled[1] = true, settled[1] + each.want
      settled[2] = settled[2] + variance_of(each.name, each.want)
    end
  end
  if wanted > effective and settled[1] > 0 then
    fill(accounts, max(settled[1], floors, effective - math.sqrt(settled[2])), wanted, floors)
  end
  local weights, written, big, small, bound, holding, state = { 0, 0, 0 }, {}, 0, 0, 0, 0, nil
  for _, each in ipairs(accounts) do
    local part, most, want = each.share, 0, 0
    if each.settled then
      want = each.want
      most = math.floor(want + math.sqrt(math.max(want, variance_of(each.name, want))) + 1)
      part, settled[3] = most, settled[3] + min(each.held, most)
    else
      part = part >= 1 and math.floor(part + 0.000001) or part
      if part < 1 and each.lately > part then part = 0 end -- it had its part of a slot
      local own = max(0, part - each.held)
      bound = bound + part
      if part >= 1 then big = big + own else small = small + own end
    end
    local packed = pack(
      ACCOUNT, each.held, turn * length, 0, 0, part, most, want, each.lately, unpack(each.looks, 1, LOOKS)
    )
    if each.name == mine then state = packed end
    weights[each.class], holding = weights[each.class] + each.weight, holding + each.held
    written[#written + 1], written[#written + 2] = each.name, packed
  end
  bound = bound + settled[1] + math.sqrt(settled[2])
  if holding + 1 + bound > effective then bound = 0 end
  local sums = pack(POOL, turn, big, small, settled[1], settled[2], settled[3], lives, bound)
  written[#written + 1], written[#written + 2] = '', sums
  written[#written + 1], written[#written + 2] = '#', pack('<ddd', unpack(weights))
  for a = 1, #written, 4000 do call('HSET', hash, unpack(written, a, min(a + 3999, #written))) end
  for a = 1, #gone, 4000 do call('HDEL', hash, unpack(gone, a, min(a + 3999, #gone))) end
  return sums, state
end

-- An account that has just come, with its claim behind it; "#" with it; the reserved slots with it.
local function joining(hash, account, effective, now, big, small)
  local part, claim, grown, joins = come(hash, account, effective)
  if part >= 1 then big = big + claim else small = small + claim end
  local state = struct.pack(ACCOUNT, 0, now, 0, 0, part, 0, 0, 0, -1, -1, -1, -1) .. struct.pack('<d', claim)
  return state, joins, big, small + grown
end

-- Reserved slots, in shares of one slot and more and in those below, and those that settled accounts hold.
local function sum_up(hash)
  local all, max, big, small, settled = redis.call('HGETALL', hash), math.max, 0, 0, 0
  for a = 1, #all, 2 do
    if string.find(all[a], '|', 1, true) then
      local held, _, _, _, part, most = struct.unpack('<dddddd', all[a + 1])
      if most > 0 then
        settled = settled + math.min(held, most)
      elseif part >= 1 then
        big = big + max(0, part - held)
      else
        small = small + max(0, part - held)
      end
    end
  end
  return big, small, settled
end

return divide, joining, sum_up
