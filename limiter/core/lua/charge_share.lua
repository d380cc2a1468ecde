-- Keep in the pool of a shared window or bucket (look_at_share.lua) that a call has asked, and if it was `charged`, its
-- units: `form`, `first` and those behind it are what the pool has of the limit's count. One that is not `anew` has asked
-- before: it has waited and looks again, or comes back for a unit that is held. It stands in decide.lua where that calls it.

local pack, hash, account, mine, part, till = struct.pack, share[7], share[8], share[3], share[11], share[12]
local joins, claim, known = share.joins, share.claim, nil
if charged or claim then
  local big, small, sums = share[13], share[14], nil
  if charged then
    mine, till = mine + cost, 0
    share[3] = mine
  end
  if claim then
    local _, grow = newcomers()
    known = joins or call('HGET', hash, '#')
    local units = charged and cost or 0
    part, claim, big, small, known = grow(known, account, share.whole, part, claim, mine, share[10], units, big, small)
    till = part >= mine + 1 and share.until_us or 0 -- its share may be smaller now
  elseif charged then
    local own = share[15]
    if cost < own then own = cost end
    if part >= 1 then big = big - own else small = small - own end
  end
  if charged and form and not fifth then
    sums = pack(form, share[9], big, small, first, second, third, fourth)
  elseif joins or not fifth then
    sums = pack('<dddd', share[9], big, small, charged and at or 0)
  end
  local state = pack('<dddd', mine, share[10] + (anew and cost or 0), part, till)
  if claim then state = state .. pack('<d', claim) end
  if fifth then -- behind the count of a bucket
    local lives, longer = share[16], fourth > share[16] or #fifth + 1 + BEHIND_BYTES ~= share[17]
    if longer then lives = fourth + SLACK_US end
    local count = pack(form, fifth, share[9], big, small, first, second, third, lives, share[18])
    if longer then
      call('SET', key, count, 'PX', ceil((lives - now) / 1000) + MARGIN_MS)
    else
      call('SETRANGE', key, 0, count)
    end
    if sums then call('HSET', hash, account, state, '', sums) else call('HSET', hash, account, state) end
  elseif not fourth then
    call('HSET', hash, account, state, '', sums)
    if share.behind then call('SETRANGE', share.behind, share[17] - BEHIND_BYTES + 8, pack('<dd', big, small)) end
  elseif third == limit[LATEST] then -- with the count of a counter
    call('HSET', hash, account, state, '', sums, third, fourth, 'n', first)
  else
    call('HSET', hash, account, state, '', sums, third, fourth, 'n', first, 'o', second, 'l', third)
    call('PEXPIRE', hash, ceil(((third + 5) * limit[SLICE] + window - now) / 1000) + MARGIN_MS)
  end
else
  call('HSET', hash, account, pack('<dddd', mine, share[10] + (anew and cost or 0), part, till))
end
if joins then
  local ring = pack('<ddddd', share[9], 0, 0, 0, 0) .. string.rep('\0', 8 * share.slices)
  call('HSET', hash, '~' .. account, ring, '#', known)
  share.joins = nil -- its weight is among those of all now
  call('PEXPIRE', hash, ceil((share.slices + 4) * share.length / 1000) + MARGIN_MS)
elseif claim then
  call('HSET', hash, '#', known)
end
