-- Shared concurrency limits: whose slots are whose. In front of decide.lua, for stacks that have one; docs/sharing.md has
-- the reasons. Slots come back when calls end (record.lua) or their leases do.
--
-- The limit's sorted set names each lease "<decision>|<account>". A pool is a hash with, for each account,
--   "<account>"  slots that it holds · since when (us) · slots times us before, in this slice · refused in it · its share ·
--                most of its slots that count as those of a settled account (0: it is none) · its demand, if it is ·
--                slots held lately · its demand in the four slices before, newest first (-1: it had not come)
--   ""           this slice · reserved in shares of one slot and more · in those below · of all settled accounts: demand,
--                its variance, and slots held · until when the pool lives at least (us), so that its expiry is set
--                once a second and not by every call
--   "#"          weights of the accounts of each class
-- As in sharing.lua, the first call of a slice divides, and a share is reserved as far as it is wanted and not used. Demand
-- is how many slots were held on average, and how many calls were refused. An account that gets all that it wants is
-- *settled*. Its calls come by chance, now more and now fewer: for all settled accounts together their demand is kept, and
-- three standard deviations for critical ones, and each may draw on that.

local LOOKS = 4
local HINT_US = 1000000 -- as in decide.lua
local MARGIN_MS = 1000
local SLACK_US = 1000000 -- by which the pool outlives the lease for which its expiry is set
local ACCOUNT, POOL = '<dddddddddddd', '<ddddddd'

-- Slots kept for settled accounts that they do not hold.
local function kept(demand, variance, held) return math.max(0, demand + math.sqrt(math.max(0, variance)) - held) end

local function variance_of(name, want) return string.byte(name) == 49 and 9 * want or 0 end

-- The slots that each account holds, by their leases, and its demand up to the slice `turn`.
local function divide(hash, leases, mine, last, turn, length, effective, lives)
  local call, max, min, pack = redis.call, math.max, math.min, struct.pack
  local fill, _, _, terms = dividing()
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
  local weights, written, big, small, state = { 0, 0, 0 }, {}, 0, 0, nil
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
      if part >= 1 then big = big + own else small = small + own end
    end
    local packed = pack(
      ACCOUNT, each.held, turn * length, 0, 0, part, most, want, each.lately, unpack(each.looks, 1, LOOKS)
    )
    if each.name == mine then state = packed end
    weights[each.class] = weights[each.class] + each.weight
    written[#written + 1], written[#written + 2] = each.name, packed
  end
  written[#written + 1], written[#written + 2] = '', pack(POOL, turn, big, small, settled[1], settled[2], settled[3], lives)
  written[#written + 1], written[#written + 2] = '#', pack('<ddd', unpack(weights))
  for a = 1, #written, 4000 do call('HSET', hash, unpack(written, a, min(a + 3999, #written))) end
  for a = 1, #gone, 4000 do call('HDEL', hash, unpack(gone, a, min(a + 3999, #gone))) end
  return big, small, settled, state
end

-- As look_at_share. `leases`: the limit's sorted set, of `used` slots. In the share, from its seventh on: pool · account ·
-- slice · since when it holds its slots · its share · slots times us · refused · most of a settled one · ACCOUNT's other
-- parts, as they are · reserved in large shares · in small ones · of settled accounts: demand, variance, slots held · until
-- when the pool lives.
local function look(hash, leases, from, now, effective, used, wait)
  local take, max = struct.unpack, math.max
  local length, slices, most, account, to = take('<dBds', ARGV[5], from)
  if most < 0 then most = math.max(1, math.floor(effective * -most / 10000)) end
  local turn, big, small, demand, variance, settled, lives = math.floor(now / length), 0, 0, 0, 0, 0, 0
  local found = redis.call('HMGET', hash, '', account)
  local pool, state, last, joins = found[1], found[2], turn, nil
  if pool then
    if #pool < 56 then pool = pool .. string.rep('\0', 8) end -- the release before this one wrote six parts
    last, big, small, demand, variance, settled, lives = take(POOL, pool)
    if turn > last then
      local of
      big, small, of, state = divide(hash, leases, account, last, turn, length, effective, lives)
      demand, variance, settled = of[1], of[2], of[3]
      last = turn
    end
  end
  local held, since, area, refusals, part, own_most, want = 0, now, 0, 0, 0, 0, 0
  if state then
    held, since, area, refusals, part, own_most, want = take('<ddddddd', state)
  else
    local _, joining = dividing()
    part, joins = joining(hash, account, effective)
    state = struct.pack(ACCOUNT, 0, now, 0, 0, part, 0, 0, 0, -1, -1, -1, -1)
    if part >= 1 then big = big + part else small = small + part end
  end
  -- Of a settled account its own demand is not kept for others.
  local owed = big + small
  if own_most > 0 then
    owed = owed + kept(demand - want, variance - variance_of(account, want), settled - math.min(held, own_most))
  elseif held < part and part < 1 then
    owed = big
  else
    owed = owed + kept(demand, variance, settled)
    if held < part then owed = owed - part + held end
  end
  local refused = 0
  if wait ~= 0 then
    refused = 3
  elseif held + 1 > part and effective - used - 1 < owed - 0.000001 then
    refused, wait = 2, HINT_US
  end
  if most > 0 and held + 1 > most then refused, wait = 1, max(wait, HINT_US) end
  local share = {
    refused, refused == 1 and most or part, held, owed, -1, 0, hash, account, last, since, part, area, refusals, own_most,
    string.sub(state, 33), big, small, demand, variance, settled, lives,
  }
  if joins then share.joins, share.keep_ms = joins, math.ceil((slices + 4) * length / 1000) + MARGIN_MS end
  return wait, to, share
end

-- Keep that a call has asked for a slot, and whether it holds one now. It lives as long as the lease (`lease`, us).
local function charge(share, now, charged, waited, lease)
  local call, pack, max = redis.call, struct.pack, math.max
  local hash, held, since, part, area, refusals = share[7], share[3], share[10], share[11], share[12], share[13]
  local big, small, settled, lives, joins = share[16], share[17], share[20], share[21], share.joins
  if charged then
    if share[14] > 0 then
      if held < share[14] then settled = settled + 1 end
    else
      local own = max(0, part - held)
      if own > 1 then own = 1 end
      if part >= 1 then big = big - own else small = small - own end
    end
    area = area + held * max(0, now - since)
    held, since = held + 1, max(now, since)
    share[3] = held
  elseif not waited then
    refusals = refusals + 1
  end
  local until_us = now + max(charged and lease or 0, joins and share.keep_ms * 1000 or 0)
  local longer = until_us > lives
  if longer then lives = until_us + SLACK_US end
  call('HSET', hash, share[8], pack('<dddd', held, since, area, refusals) .. share[15], '',
    pack(POOL, share[9], big, small, share[18], share[19], settled, lives))
  if joins then
    call('HSET', hash, '#', joins)
    share.joins = nil -- its weight is among those of all now
  end
  if longer then call('PEXPIRE', hash, math.ceil((lives - now) / 1000) + MARGIN_MS) end
end

return look, charge
