-- Accounts of a shared limit that have come in this slice, until shares are divided with them. It stands where it is called:
-- few calls are of such an account, and its functions are not made for the others.
--
-- Nobody knows the demand of one before it calls, and most call seldom. So a new account may use its even part of the
-- limit, but the units kept free for it grow with its calls:
--   its claim       as many units as it had asked for before its last call, so that one that asks for more finds as much
--                   again. Its floor at least: that is its own at once
--   the head start  for all new ones together the even part of one, the largest; less if they have fewer units of their
--                   even parts left, beyond those used and claimed
-- The claim is the last number of the account, which none has after a division. "#" has behind the parts the even part of
-- the largest new one, and how many units all have left. The head start is among the reserved units in shares below one.

local _, part_of, _, terms = dividing()
local ONE_AT, LEFT_AT, BYTES = 41, 49, 56

-- One that has just come: its even part, its claim, by how much the head start grows, and "#" with it.
local function come(hash, account, effective)
  local take, pack = struct.unpack, struct.pack
  local known = redis.call('HGET', hash, '#') or ''
  known = known .. string.rep('\0', BYTES - #known) -- nobody has come before, or nothing is divided yet
  local weights, class, weight = { take('<ddd', known) }, terms(account, effective)
  local one, left = take('<dd', known, ONE_AT)
  local before = math.min(one, left)
  weights[class] = weights[class] + weight
  local of_all = weights[1] + weights[2] + weights[3]
  local part, least = part_of(account, effective, weights)
  local lower = (of_all - weight) / of_all -- the even parts of the others, beside those of before
  one, left = one * lower, part - least + left * lower
  one = math.max(part - least, one >= 1 and math.floor(one) or one)
  known = pack('<ddd', unpack(weights, 1, 3)) .. string.sub(known, 25, ONE_AT - 1) .. pack('<dd', one, left)
  return part, least, math.min(one, left) - before, known
end

-- After its call, of which so many `units` were charged (0: it was refused), and `before` which it had asked for `asked`:
-- its even part, its claim, the reserved units in shares of one and more and in those below, and "#".
local function grow(known, account, effective, part, claim, used, asked, units, big, small)
  local take, max, min = struct.unpack, math.max, math.min
  known = known or ''
  known = known .. string.rep('\0', BYTES - #known) -- an earlier release's
  local one, left = take('<dd', known, ONE_AT)
  local before, had = min(one, left), min(part, used - units + claim)
  if part >= 1 then big = big - claim else small = small - claim end
  part = min(part, (part_of(account, effective, { take('<ddd', known) }))) -- others may have come since
  claim = max(0, min(max(claim - units, asked), part - used))
  if part >= 1 then big = big + claim else small = small + claim end
  left = max(0, left - max(0, min(part, used + claim) - had))
  small = small + min(one, left) - before
  return part, claim, big, small, string.sub(known, 1, LEFT_AT - 1) .. struct.pack('<d', left)
end

return come, grow
