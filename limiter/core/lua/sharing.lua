-- Shared limits: who may use how much of a limit that all tenants of a connection use. In front of decide.lua, for
-- stacks that have one; docs/sharing.md has the reasons.
--
-- A pool is a hash with, for each account, "<class>|<weight>|<floor>|<ceiling>|<tenant>",
--   "<account>"   ACCOUNT: units that count · asked for in this slice · its share · when the next refused call of one
--                 unit is within it (us; 0: not known)
--   "~<account>"  RING: slice of the first call · units admitted in the slices before this one · asked for in them,
--                 as it was one, and two slices ago · then admitted and asked for, of each, oldest first
--   ""            POOL: this slice · reserved in shares of one unit and more · in those below · when the last unit
--                 was charged (us)
--   "#"           weights of the accounts of each class
-- A share is an account's own whatever the others do. As far as it is not used and the account has asked for
-- it lately it is reserved: nobody else gets it. Everything else is lent to the next call that asks. The first call
-- of each slice divides anew, so that the others decide from two fields. Units of the slice that is leaving
-- the window count no more: they are gone when it ends.
--
-- A function is made anew for each call, and costs more for each variable that it takes from around it: they take none.

-- The part that few calls need, and so is not made for the others.
local function rarely()
  local fill, joining, _, terms = dividing()

  -- The use and demand of one account up to the slice `turn`; nil of one that has asked for nothing lately.
  local function aged(name, state, ring, last, turn, slices, effective)
    local take, pack, max, min = struct.unpack, struct.pack, math.max, math.min
    local counted, came_asked = take('<dd', state)
    local since, total, ask, ask1, ask2 = take('<ddddd', ring)
    local cells = string.sub(ring, 41)
    local came = counted - total + take('<I4', cells)
    for _ = 1, min(turn - last, slices + 1) do -- a ceiling counts the oldest too
      local out_used, out_asked = take('<I4I4', cells)
      total, ask2, ask1, ask = total - out_used + came, ask1, ask, ask - out_asked + came_asked
      cells = string.sub(cells, 9) .. pack('<I4I4', came, came_asked)
      came, came_asked = 0, 0
    end
    if turn - last > slices + 2 then ask1, ask2 = 0, 0 end
    if ask + ask1 + ask2 == 0 then return nil end
    -- The largest of three looks covers calls a little late. Who has begun within the time that counts is taken to go on
    -- like this, give or take chance. Of critical calls, as many more may come by chance.
    local class, weight, least, bound = terms(name, effective)
    local want, age = max(ask, ask1, ask2), turn - since
    if age < slices then want = max(want, (ask + 1 + (class == 1 and 3 or 1) * math.sqrt(ask)) * slices / age) end
    if class == 1 then want = want + 2 * math.sqrt(want) end
    want = min(math.ceil(want), bound)
    return {
      name = name, class = class, weight = weight, want = want, low = min(want, least),
      base = total - take('<I4', cells), ring = pack('<ddddd', since, total, ask, ask1, ask2) .. cells,
    }
  end

  -- The first call of a slice: the use and demand of every account up to now, and the share of each in this slice. Returns
  -- the reserved units, in shares of one unit and more and in those below, and the caller's account (nil: it has none).
  local function divide(hash, account, last, turn, slices, effective, length)
    local call, pack, min, max = redis.call, struct.pack, math.min, math.max
    local all, rings, accounts, gone, wanted, floors = call('HGETALL', hash), {}, {}, {}, 0, 0
    for a = 1, #all, 2 do
      if string.byte(all[a]) == 126 then rings[string.sub(all[a], 2)] = all[a + 1] end
    end
    for a = 1, #all, 2 do
      local name, ring = all[a], rings[all[a]]
      if ring then
        local each = aged(name, all[a + 1], ring, last, turn, slices, effective)
        if each then
          accounts[#accounts + 1], wanted, floors = each, wanted + each.want, floors + each.low
        else
          gone[#gone + 1], gone[#gone + 2] = name, '~' .. name
        end
      end
    end
    fill(accounts, effective, wanted, floors)
    local weights, written, big, small, own_state = { 0, 0, 0 }, {}, 0, 0, nil
    for _, each in ipairs(accounts) do
      local due = each.share >= 1 and math.floor(each.share) or each.share
      local packed, to = pack('<dddd', each.base, 0, due, 0), #written
      if each.name == account then own_state = packed end
      if due >= 1 then big = big + max(0, due - each.base) else small = small + max(0, due - each.base) end
      weights[each.class] = weights[each.class] + each.weight
      written[to + 1], written[to + 2], written[to + 3], written[to + 4] = each.name, packed, '~' .. each.name, each.ring
    end
    written[#written + 1], written[#written + 2] = '', pack('<dddd', turn, big, small, 0)
    written[#written + 1], written[#written + 2] = '#', pack('<ddd', unpack(weights))
    for a = 1, #written, 4000 do call('HSET', hash, unpack(written, a, min(a + 3999, #written))) end
    for a = 1, #gone, 4000 do call('HDEL', hash, unpack(gone, a, min(a + 3999, #gone))) end
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

  return divide, joining, within_at
end

-- Look at the caller's account in a pool, whose terms are packed at `from` of the limits. `free`: units that the limit
-- itself has left; `wait`: for it (us; 0: it has room). Returns the wait for both, where the terms end, and the share:
--   1 what of it refused (core/sharing.py) · 2 share to show (units) · 3 used (units) · 4 reserved for others (units) ·
--   5 when the last unit was charged in this slice (us; -1: none was) · 6 when the slice ends (us) ·
--   and for `charge`: 7 pool · 8 account · 9 slice · 10 asked · 11 share · 12 ACCOUNT's last · 13, 14 reserved in
--   large shares and small ones · 15 unused of its own; `joins`: nil, or the weights of all with one that has just come
-- A list, since fields with names take longer to make.
local function look(hash, from, now, cost, effective, free, wait)
  local take = struct.unpack
  local length, slices, most, account, to = take('<dBds', ARGV[5], from)
  if most < 0 then most = math.max(1, math.floor(effective * -most / 10000)) end
  local turn, big, small, charged_at, joins = math.floor(now / length), 0, 0, 0, nil
  local found = redis.call('HMGET', hash, '', account)
  local state, last, used, asked, part, till = found[2], turn, 0, 0, 0, 0
  if found[1] then
    if #found[1] < 32 then found[1] = found[1] .. string.rep('\0', 8) end -- an earlier script wrote three parts
    last, big, small, charged_at = take('<dddd', found[1])
    if turn > last then
      local divide = rarely()
      big, small, state = divide(hash, account, last, turn, slices, effective, length)
      last = turn
    end
  end
  if state then
    used, asked, part, till = take('<dddd', state)
  else
    local _, joining = rarely()
    part, joins = joining(hash, account, effective)
    if part >= 1 then big = big + part else small = small + part end
  end

  local own, owed = part - used, big
  if own <= 0 then
    own, owed = 0, big + small
  elseif part >= 1 then
    owed = big - own
  end
  local refused, excess, passed, ring = 0, used + cost - part, 0, nil
  if excess > 0 and wait == 0 then
    if free - cost >= owed - 0.000001 then excess = 0 else refused = 2 end -- it is lent, or not
  end
  if most > 0 then
    ring = not joins and redis.call('HGET', hash, '~' .. account)
    passed = used + cost + (ring and take('<I4', ring, 41) or 0) - most
  end
  if passed > 0 then refused = 1 elseif wait > 0 then refused = 3 end
  if refused > 0 and (excess > 0 or passed > 0) and wait >= 0 then
    if cost > most and passed > 0 then
      wait = -1
    else
      if till == 0 or cost > 1 or passed > 0 then
        ring = ring or not joins and excess > 0 and part >= cost and redis.call('HGET', hash, '~' .. account)
        local _, _, within_at = rarely()
        till = within_at(ring, cost, part, excess, passed, last, slices, length)
      end
      wait = math.max(wait, till - now, 1)
      if cost > 1 or passed > 0 then till = 0 end
    end
  end
  local ends = (turn + 1) * length
  local share = {
    refused, refused == 1 and most or part, used, owed, charged_at >= ends - length and charged_at or -1, ends,
    hash, account, last, asked, part, till, big, small, own,
  }
  if joins then share.joins, share.slices, share.length = joins, slices, length end
  return wait, to, share
end

-- Keep that a call has asked, and if it was charged (`at`, us), its units. One that has waited and looks again has asked
-- before.
local function charge(share, cost, at, waited)
  local call, pack = redis.call, struct.pack
  local used, hash, account, last = share[3], share[7], share[8], share[9]
  local part, till, joins = share[11], share[12], share.joins
  if at or joins then
    local big, small = share[13], share[14]
    if at then
      local own = share[15]
      if cost < own then own = cost end
      used, till = used + cost, 0
      share[3] = used
      if part >= 1 then big = big - own else small = small - own end
    end
    local pool = pack('<dddd', last, big, small, at or 0)
    call('HSET', hash, account, pack('<dddd', used, share[10] + cost, part, till), '', pool)
  else
    call('HSET', hash, account, pack('<dddd', used, share[10] + (waited and 0 or cost), part, till))
  end
  if joins then
    local ring = pack('<ddddd', last, 0, 0, 0, 0) .. string.rep('\0', 8 * share.slices)
    call('HSET', hash, '~' .. account, ring, '#', joins)
    share.joins = nil -- its weight is among those of all now
    call('PEXPIRE', hash, math.ceil((share.slices + 4) * share.length / 1000) + 1000)
  end
end

return look, charge
