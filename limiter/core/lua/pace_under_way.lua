-- Learn how many calls an upstream works on at once, from how many were under way when calls were sent.
--
-- In front of pace.lua, as `flight`. Of a limit of N calls in flight, a call is turned away when N others are under way, and
-- one that runs was sent when fewer were. Where calls last equally long the window of N calls says the same
-- (pace_gaps.lua), and uses more: it need not wait for responses. Calls of unequal length only show in this.
--
-- All times are milliseconds, and the log has when calls were let through (pace_log.lua). Of calls that have ended there are
-- pairs, written like it: when each was sent, and when its response came.

local KEPT, LOOKED_AT = 64, 40 -- calls that have ended, and those of them that are compared
local ENOUGH, SAMPLES, MOST = 3, 20, 24 -- calls turned away, and calls that ran, to conclude from; N at most
local JITTER = 100 -- a response is on its way so long at most after the upstream has done with the call, both ways
local SHORTEST = 300 -- calls that last no longer on average show nothing
local LEASE, LEASES = 5000, 3 -- a call whose end nobody reports counts so long, or so many times the longest
local num, text, min, max = tonumber, string.format, math.min, math.max
local WRAP, NEAR, read = sent_log.WRAP, sent_log.NEAR, sent_log.read

-- How long before b an instant a was; negative if it was later.
local function before(a, b)
  local ago = (b - a) % WRAP
  return ago < WRAP / 2 and ago or ago - WRAP
end

-- With calls that have ended since, "<ms since it was sent>:<since it ended>" each; and how many these are.
local function with(ends, more, now)
  local number = 0
  for sent, ended in string.gmatch(more, '(%d+):(%d+)') do
    ends = ends .. text('%08x%08x', (now - num(sent)) % WRAP, (now - num(ended)) % WRAP)
    number = number + 1
  end
  return string.sub(ends, -16 * KEPT), number
end

-- How long calls last on average, at most, and until one whose end nobody reports counts no more.
local function lasts(ends)
  local values, sum, longest = read(ends), 0, 0
  for i = 1, #values, 2 do
    local each = max(0, before(values[i], values[i + 1]))
    sum, longest = sum + each, max(longest, each)
  end
  return #values > 0 and sum / (#values / 2) or 0, longest, max(LEASE, LEASES * longest)
end

-- The log without calls that have ended: of so many at the end of this list, all for nil.
local function without(log, ends, number)
  local done, sent = read(ends), {}
  for i = number and max(1, #done - 2 * number + 1) or 1, #done, 2 do sent[#sent + 1] = done[i] end
  return sent_log.without(log, sent)
end

-- Calls that were sent before this instant, by so much at most, and had not ended by then, or so much later.
local function under_way(sent, done, at, age, later)
  local calls = 0
  for _, each in ipairs(sent) do
    local ago = before(each, at)
    if ago > 0 and ago <= age then calls = calls + 1 end
  end
  for i = 1, #done, 2 do
    local ago = before(done[i], at)
    if ago > 0 and ago <= age and before(done[i + 1], at + later) >= 0 then calls = calls - 1 end
  end
  return calls
end

-- Calls under way at an instant, of a log without those that have ended. One that was sent a little later may have come to
-- the upstream first.
local function in_log(log, at, age)
  return under_way(read(log), {}, (at + NEAR) % WRAP, age, 0)
end

-- The evidence with the call that was sent at this instant and turned away, and N that explains all; 0: none.
local function turned_away(log, ends, unders, at)
  local mean, longest = lasts(ends)
  local sent, done, age = read(log), read(ends), longest + JITTER
  local numbers = { under_way(sent, done, at % WRAP, age, 0) }
  for each in string.gmatch(unders, '%-?%d+') do numbers[#numbers + 1] = num(each) end
  numbers[ENOUGH + 1] = nil
  local kept, least = table.concat(numbers, ','), min(unpack(numbers))
  if #numbers < ENOUGH or least < 1 or least > MOST or mean < SHORTEST then return kept, 0 end
  local from, looked_at = sent[1], 0
  if #done == 2 * KEPT and before(from, done[2]) > 0 then from = done[2] end
  for i = max(1, #done - 2 * LOOKED_AT + 1), #done, 2 do
    if before(from, done[i]) >= age then
      looked_at = looked_at + 1
      -- Its own entry may be a little earlier than the worker's.
      if under_way(sent, done, done[i] - NEAR / 10, age, JITTER) >= least then return kept, 0 end
    end
  end
  return kept, looked_at >= SAMPLES and least or 0
end

return { with = with, without = without, lasts = lasts, in_log = in_log, turned_away = turned_away }
