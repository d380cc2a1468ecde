-- Learn how many calls an upstream takes in any window, and how long that is, from when calls were sent.
--
-- In front of pace.lua, as `gaps`. Of a limit of N calls in a window, a call is turned away because the Nth call before it
-- was sent less than a window ago. So calls that are turned away have a shorter gap to the Nth before them than any call
-- that runs. One call after the other is N = 1; ten in ten seconds N = 10; five at once that last a second each N = 5, in a
-- second. For a wrong N, and for a bucket, some call with a shorter gap ran, and nothing is concluded.
--
-- All times are milliseconds. The log has when calls were let through (pace_log.lua); those that were turned away are taken
-- out of it here.

local MAX_CALLS = 64 -- N at most
local ENOUGH, SAMPLES = 3, 20 -- calls turned away, and gaps of calls that ran, to conclude from
local TOO_MANY = 8 -- calls turned away that no window explains: the limit is another one than before
local JITTER = 100 -- calls come to the upstream so much closer together, or further apart, than they were sent
local SHORTEST, SHORTEST_OF_ONE = 500, 100 -- a window that is not longer than the jitter shows in nothing
local FADES = 0.1 -- of the way from the longest gap to a shorter one
local LONGER, AT_LEAST = 1.03, 50 -- a window than a gap that is new, by this factor or so many ms
local FEW, PAIR = 4, 500 -- calls that show whether others came as soon; sooner than half of the time between two
local IN_TURN = 750 -- no sooner than three quarters of that time
local SAME, USUAL = 10, 0.2 -- ms: calls that come evenly have equal gaps; of the calls that ran
local FEW_CALLS = 24 -- in a window that is compared with one after the other
local MAX_GAP = 268435455
local num, text, min, floor = tonumber, string.format, math.min, math.floor
local WRAP, read, write, place = sent_log.WRAP, sent_log.read, sent_log.write, sent_log.place

local function gap(log, i, n) return (log[i] - log[i - n]) % WRAP end

-- Take the last call out of the log, and everything behind it: the gaps to those before it, and what came behind.
local function taken(log, i)
  local found, behind = {}, {}
  for n = 1, min(MAX_CALLS, i - 1) do found[n] = gap(log, i, n) end
  for k = i + 1, #log do behind[#behind + 1] = log[k] end
  for k = #log, i, -1 do log[k] = nil end
  return found, behind
end

-- From how many gaps the longest of this N is, and how long.
local function of(known, n)
  return num(string.sub(known, 8 * n - 7, 8 * n - 7), 16) or 0, num(string.sub(known, 8 * n - 6, 8 * n), 16) or 0
end

-- Calls that came as soon after the nth before them, but for the one in this place.
local function as_soon(log, n, ms, but)
  local calls = 0
  for i = n + 1, #log do
    if i ~= but and gap(log, i, n) <= ms + SAME then calls = calls + 1 end
  end
  return calls
end

-- Whether many calls that ran came as soon as the one that was turned away, so that this explains it in no way.
local function usual(log, n, ms, but)
  return #log >= n + SAMPLES and as_soon(log, n, ms, but) > USUAL * (#log - n)
end

-- The longest gaps of calls that were turned away; each with the number of gaps it was found from, which its first digit
-- holds. Old ones fade, since the limit may be another one by now. A usual gap refutes this N, but for the one that is held:
-- its window is probed.
local function longer(known, found, log, held)
  local longest, numbers, texts = {}, {}, {}
  for n, each in ipairs(found) do
    local was, before = of(known, n)
    each = min(each, MAX_GAP)
    if n ~= held and usual(log, n, each) then
      numbers[n], longest[n] = 0, 0
    else
      numbers[n], longest[n] = min(15, was + 1), each > before and each or floor(before - FADES * (before - each))
    end
    texts[n] = text('%x%07x', numbers[n], longest[n])
  end
  return longest, numbers, table.concat(texts)
end

-- Whether a window of n calls explains those that ran and those that were turned away. single: calls are sent one by one.
local function explains(log, longest, n, single)
  local least = n > 1 and SHORTEST or single and 0 or SHORTEST_OF_ONE
  if longest[n] < least or #log < n + SAMPLES then return false end
  local ran = longest[n] - min(JITTER, longest[n] / 2) -- of two at once some come closer together than half of it
  for i = n + 1, #log do
    if gap(log, i, n) < ran then return false end
  end
  return true
end

-- The shortest gap to the Nth before it of the calls that ran; the window is hardly longer.
local function shortest(log, n)
  local found
  for i = n + 1, #log do found = min(found or MAX_GAP, gap(log, i, n)) end
  return found or 0
end

-- The first call in a while was turned away, that was sent at this instant. digits: the log · known: what this has returned
-- before · calls: N by which calls are let through now, 0 for none · single: whether they come one by one · alone: whether
-- only one call after the other is looked for.
--
-- Returns  the log without that call · the evidence from now on · N of the window that explains all calls, 0 for none ·
--          how long that window is; nil if it is much longer than was known
local function turned_away(digits, at, known, calls, single, alone)
  local log = read(digits)
  local i = place(log, at % WRAP)
  if not i then return digits, known, calls, nil end
  local found, behind = taken(log, i)
  local longest, numbers, knows = longer(known, found, log, calls)
  local most = min(#longest, alone and 1 or MAX_CALLS)
  local n = calls <= most and calls > 0 and explains(log, longest, calls, single) and calls or 0
  local fewest -- one after the other is the dearest conclusion: not if another window explains more
  for each = 1, n == 0 and most or 0 do
    if (n == 0 or each <= FEW_CALLS) and numbers[each] >= ENOUGH and explains(log, longest, each, single) then
      local part = as_soon(log, each, longest[each]) / (#log - each)
      if not fewest or part < fewest then n, fewest = each, part end
      if n > 1 then break end
    end
  end
  local is_new, window = n == 0 and (numbers[1] or 0) >= TOO_MANY, nil
  if n > 0 then
    local _, was = of(known, n)
    local ran = min(shortest(log, n), LONGER * found[n])
    if found[n] < was then
      window = math.max(was, ran)
    elseif found[n] < was + JITTER then
      window = math.max(min(LONGER * found[n], found[n] + AT_LEAST), ran)
    end
  end
  for _, each in ipairs(behind) do log[#log + 1] = each end
  return write(log), is_new and '' or knows, n, window
end

-- Whether calls that ran came much sooner after the one before than the call that was sent at this instant and turned away;
-- whether that one came sooner than calls do at this rate (calls a second; nil: not asked), and than any that ran; and
-- whether it came about when its turn was at that rate.
local function came_closer(digits, at, rate)
  local log = read(digits)
  local i = place(log, at % WRAP)
  if not i or i == 1 then return false, false, false end
  local own = gap(log, i, 1)
  local most, pair = min(own / 2, own - JITTER), rate and i > FEW and own < PAIR / rate
  local in_turn = rate and own >= IN_TURN / rate
  if usual(log, 1, own, i) then return true, false, in_turn end
  for k = 2, i - 1 do
    if gap(log, k, 1) < most then return true, false, in_turn end
    pair = pair and gap(log, k, 1) >= own + JITTER / 2
  end
  return false, pair, in_turn
end

return { turned_away = turned_away, came_closer = came_closer }
