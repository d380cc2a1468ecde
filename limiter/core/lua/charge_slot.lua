-- Keep in the pool of a shared concurrency limit (look_at_slots.lua) that a call has asked for a slot, and if it was
-- `charged`, that it holds one. It stands in decide.lua where that calls it.

local pack, held, since, part, area, refusals = struct.pack, share[3], share[10], share[11], share[12], share[13]
local big, small, settled, lives, joins = share[16], share[17], share[20], share[21], share.joins
if charged then
  local own_most, own = share[14], part - held
  if own_most > 0 then
    if held < own_most then settled = settled + 1 end
  elseif own > 0 then
    if own > 1 then own = 1 end
    if part >= 1 then big = big - own else small = small - own end
  end
  if now > since then area, since = area + held * (now - since), now end
  held = held + 1
  share[3] = held
elseif not waited then
  refusals = refusals + 1
end
local until_us, hash = charged and now + limit.lease or now, share[7]
if joins and until_us < now + share.keep_us then until_us = now + share.keep_us end
local longer = until_us > lives
if longer then lives = until_us + SLACK_US end -- so that the next ones of this second need not
call('HSET', hash, share[8], pack('<dddd', held, since, area, refusals) .. share[15], '',
  pack('<ddddddd', share[9], big, small, share[18], share[19], settled, lives))
if joins then
  call('HSET', hash, '#', joins)
  share.joins = nil -- its weight is among those of all now
end
if longer then call('PEXPIRE', hash, ceil((lives - now) / 1000) + MARGIN_MS) end
