-- Leave places of an upstream that takes so many calls at once to tenants that are within their share of its pace.
-- It stands in decide.lua where that calls it, for a call of a tenant that shares a pace.
--
-- Where one call follows the other, or so many are under way, a call cannot go ahead of others: it finds a place or none.
-- So calls of a tenant above its share leave the places that others will need while they would last:
--   a regular tenant  its next calls are known, by the gaps between those before
--   any other         so many places as its calls need by chance are free, where more than one call may be under way
--   a call that waits its place
-- Of the tenants that ask, "@" in the pool has first VERSION, a byte, and then for up to MOST of them an ENTRY: when it
-- asked last (us) · the gap between its calls (us; 0: not known) · how far gaps are from that, on average (us) · until when
-- a call waits (us; 0: none does) · its rank: 2 its calls are fewer than its share; 1 its next call is due by the
-- rate of its share; 0 neither · its account, "" for all that are not among these and have rank 2. A call leaves places to
-- those of a higher rank.

local VERSION, ENTRY, MOST = '\1', '<ddddBs', 16
local SHARE_OF = 8 -- of the difference, by which a gap moves the mean
local SILENT = 4 -- gaps: who is silent for longer has left
local REGULAR = 0.4 -- of its gap: whose gaps vary by more is not expected at an instant
local LIKE_CHANCE = 0.74 -- of the gap, so much do gaps vary of calls that come by chance
local SURE = 1.5 -- standard deviations of the places that they need
local EARLIER, LATER = 0.25, 0.5 -- of what a call lasts: so much earlier or later one may come
local LEAST = 1 / 16 -- of its gap: so much later at least
-- A call may be under way for LONGER times the mean, or as long as the longest, which the lease shows that is no LEASE (ms);
-- and one that is overdue for OVERDUE of the mean from now on.
local LONGER, LEASE, OVERDUE = 1.05, 5000, 0.3
local LEASED = 1000 / 3
local WITHIN_SHARE = 1.5 -- times its share, which is of the last minute: the pace was another one then

local count, lasts, leased = 1, interval, 0
if calls and calls ~= '0' then count, lasts, leased = num(calls), num(calls) * interval, num(within) end
local pool, name, stored = part[7], part[8], call('HGET', part[7], '@') or ''
if string.sub(stored, 1, 1) ~= VERSION then stored = VERSION end

local others, before, mine, rest, spare = {}, 2, nil, nil, nil
while before <= #stored do
  local entry, next = { take(ENTRY, stored, before) }, nil
  next = entry[7]
  entry[7] = string.sub(stored, before, next - 1)
  if entry[6] == name then
    mine = entry
  elseif now - entry[1] < (entry[2] > 0 and SILENT * entry[2] or MINUTE_US) then
    others[#others + 1] = entry
    if entry[6] == '' then rest = #others elseif entry[5] == 0 then spare = spare or #others end
  end
  before = next
end

-- The gap to its call before; not of one before a pause, in which nothing is noted.
local function moved(entry)
  local gap, varies, new = entry[2], entry[3], now - entry[1]
  if gap == 0 then return new, new / 2 end
  if new >= SILENT * gap or (pause and num(string.match(pause, '^%d+') or 0) or 0) >= entry[1] then return gap, varies end
  return gap + (new - gap) / SHARE_OF, varies + (math.abs(new - gap) - varies) / SHARE_OF
end

local _, _, even = dividing()
local most, first_time = even(pool, name, MINUTE_US, part.joins), not decided_before
local gap, varies, rank = mine and mine[2] or 0, mine and mine[3] or 0, 0
if mine and first_time then gap, varies = moved(mine) end
local listed = mine or #others < MOST or spare
local asks = gap > 0 and MINUTE_US * interval / gap or part[11] -- of a minute, as its share
if asks < most and asks <= WITHIN_SHARE * part[11] then
  rank = 2
else
  if not due then due, apart = own_turn() end
  if due - SAVED * apart <= now then rank = 1 end
end

if rank < 2 and early <= 0 then
  local times, needed, kept = {}, 0, 0
  for _, each in ipairs(others) do
    local last, its, by, waits = each[1], each[2], each[3], each[4]
    if each[5] > rank then
      if each[5] == 1 then kept = 1 end
      if waits > now then times[#times + 1] = now end
      if its > 0 then
        if each[5] == 2 then needed = needed + lasts / its * min(1, (by / its / LIKE_CHANCE) ^ 2) end
        if by <= REGULAR * its then
          local comes, late = last + its, min(max(2 * by, LEAST * its), LATER * lasts)
          if comes + late < now then comes = comes + its * ceil((now - late - comes) / its) end
          while comes - min(by, EARLIER * lasts) < now + lasts and #times < 2 * count + MOST do
            times[#times + 1] = max(comes, now)
            comes = comes + its
          end
        end
      end
    end
  end
  -- When each of those that are under way was sent.
  local sent, here, longest = {}, floor(now / 1000), max(LONGER * lasts, leased > LEASE and leased * LEASED or 0)
  for i = 1, leased > 0 and #log or 0, DIGITS do
    local ago = (here - num(string.sub(log, i, i + DIGITS - 1), 16)) % WRAP
    if ago < leased then sent[#sent + 1] = now - ago * 1000 end
  end
  kept = min(floor(count / 2), max(kept, floor(SURE * math.sqrt(needed) + 0.5)))
  if #sent + 1 + kept > count then early = lasts / count end
  table.sort(times)
  for k, comes in ipairs(times) do
    local still = 0
    for _, each in ipairs(sent) do
      if each + longest > comes or each + longest < now and comes < now + OVERDUE * lasts then still = still + 1 end
    end
    if still + k + 1 > count then
      early = max(early, comes + LATER * lasts - now)
      break
    end
  end
  early = ceil(early)
end
if early > 0 and part[1] ~= 1 then part[1] = rank > 0 and 3 or 2 end

local entries, waits = { VERSION }, early > 0 and rank == 2 and patience and now + patience or 0
if listed then
  if not mine and #others >= MOST then table.remove(others, spare) end
elseif rank == 2 then
  mine = rest and table.remove(others, rest) or { now, 0, 0 }
  gap, varies = moved(mine)
  name, waits = '', 0
end
for _, each in ipairs(others) do entries[#entries + 1] = each[7] end
if listed or rank == 2 then
  entries[#entries + 1] = struct.pack(ENTRY, first_time and now or mine and mine[1] or now, gap, varies, waits, rank, name)
end
call('HSET', pool, '@', table.concat(entries))
