-- Keep in the pool of a shared concurrency limit (look_at_slots.lua) that a call has asked for a slot, and if it was
-- `charged`, that it holds one. It stands in decide.lua where that calls it.

local lives, bound, hash, account = share[5], share[6], share[7], share[8]
if bound > 0 then -- no share refuses, and nothing else is kept up to date
  local longer = now + limit[LEASE] > lives
  share[3] = share[3] + 1
  if longer then
    lives = now + limit[LEASE] + SLACK_US -- so that the next ones of this second need not
    call('HSET', hash, account, share[9], '', string.sub(share[10], 1, 48) .. struct.pack('<dd', lives, bound))
    call('PEXPIRE', hash, ceil((lives - now) / 1000) + MARGIN_MS)
  else
    call('HSET', hash, account, share[9])
  end
else
  local pack, held, since, part, area, refusals = struct.pack, share[3], share[10], share[11], share[12], share[13]
  local big, small, settled, joins, claim = share[16], share[17], share[20], share.joins, share.claim
  local rest, asked = share[15], held + refusals
  if charged then
    local own_most, own = share[14], part - held
    if claim then
      own = 0
    elseif own_most > 0 then
      if held < own_most then settled = settled + 1 end
    elseif own > 0 then
      if own > 1 then own = 1 end
      if part >= 1 then big = big - own else small = small - own end
    end
    if now > since then area, since = area + held * (now - since), now end
    held = held + 1
    share[3] = held
  elseif not decided_before then
    refusals = refusals + 1
  end
  local known = claim and (joins or call('HGET', hash, '#'))
  if claim then
    local _, grow = newcomers()
    local units = charged and 1 or 0
    part, claim, big, small, known = grow(known, account, share.whole, part, claim, held, asked, units, big, small)
    rest = pack('<d', part) .. string.sub(rest, 9, 64) .. pack('<d', claim)
  end
  local until_us = charged and now + limit[LEASE] or now
  if joins and until_us < now + share.keep_us then until_us = now + share.keep_us end
  local longer = until_us > lives
  if longer then lives = until_us + SLACK_US end
  call('HSET', hash, account, pack('<dddd', held, since, area, refusals) .. rest, '',
    pack('<dddddddd', share[9], big, small, share[18], share[19], settled, lives, 0))
  if claim then
    call('HSET', hash, '#', known)
    share.joins = nil -- its weight is among those of all now
  end
  if longer then call('PEXPIRE', hash, ceil((lives - now) / 1000) + MARGIN_MS) end
end
