-- Learn how many calls a minute an upstream takes that publishes no limit, from the calls that ran and those that it
-- turned away; hold calls just below, and probe upward. decide.lua holds them; this runs after calls have ended, with the
-- other pace_*.lua in front (pacing.py).
--
-- KEYS[1]  string  the pace in force, "<interval us>|<tolerance us>|<next us>": a call may come at <next> less the
--          tolerance, and moves <next> by an interval (GCRA). decide.lua and retry.lua move it; absent: no pace. Of a
--          learned one then "|<calls>|<window ms>|<log>": so many may come in a window (0: any number), and when the last
--          hundred came
-- KEYS[2]  hash    the evidence, all times in us:
--          rate, base  calls a second: in force, and as found last · at: when it was found · probe: when it was raised last
--          pushed      the last pushback · since: calls that ran after it · starts: when pushback began, after calls had
--                      run ("<us>,<us>", the last two minutes) · free: when a call ran again after the last start
--          hold        us to wait after pushback until the pace is raised · grown: until when it has been · rough: the
--                      rate was found from few calls ("1")
--          minute      calls in the minute before the last start · far: since when so few ran before each start that it
--                      takes less than before ("1" of the release before); 0: they did not
--          close       pushbacks under a pace with few calls since the one before · even: since when calls are let
--                      through one by one · window: when it took nothing for long; 0: never
--          freed       calls that ran in the minute before it took calls again, after it took none for long; 0: it did not
--          lasts       how long a call lasts, at least · wide: a pace of single calls needs more room ("1")
--          gaps        before calls that were turned away (pace_gaps.lua) · fit: so many calls in a window, longer the fewer
--                      a second, explain these; 0: no window is known
--          ends        the calls that ended last (pace_under_way.lua) · away: when one was sent that was turned away, and is
--                      to be compared with these · unders: how many were under way with those before · most: so many may
--                      be under way, while that explains these; 0: not known
--          0 … 127     "<second>:<calls that ran in it>"
-- KEYS[3]  string  until when the upstream takes no calls (pause.lua)
--
-- ARGV[1] now (us; "" for the server's clock) · since this worker's last report: [2] calls that ran · [3] calls that were
-- held back · [4] calls that were turned away · [5] "learn", or the calls a minute that a person has set, or "" for no
-- pace · [6] us since those that ran were sent, on average · [7] the wait (us) in the response of the call that was
-- turned away, 0 without one · [8] "1" if tenants share the pace: calls within their share go two intervals ahead of the
-- others (decide.lua), and no window is learned · [9] us since the call that was turned away was sent; "" if not known
-- · [10] calls that have ended, "<ms since it was sent>:<since it ended>" each
--
-- Returns  calls a minute in force, "" for none; behind it "|" if the end of each call is to be reported at once

local call, num, max, min, floor = redis.call, tonumber, math.max, math.min, math.floor
local S, MS = 1000000, 1000
local KEEP_S = in_force.KEEP_S
local LOOK_BACK_S = 120
local APART_S = 0.5 -- calls that were on their way together are turned away together
local BELOW, EVEN, FAR, ENOUGH = rates.BELOW, rates.EVEN, rates.FAR, rates.ENOUGH
local WINDOW_S, BLOCKED_S = rates.WINDOW_S, rates.BLOCKED_S
local ROUGH_S, HOLD_S, FILLS_S, LONG_S = probes.ROUGH_S, probes.HOLD_S, probes.FILLS_S, probes.LONG_S
local NEARLY = 0.99 -- of the rate of a window: so long a one may have held as well
local ANOTHER = 2 -- times the rate found: it is another limit, and another window
local CLOSE = 2 -- pushbacks with hardly a call between them: it does not take two calls at once
local CLOSE_SHARED, TIGHT, KNOWN = 4, 3, 40 -- where calls go ahead of others; one with fewer calls than that between counts
-- twice, and none while the rate was found from few calls: it is hardly right. So many calls ran, none of them so soon
local SLOWEST = 0.1 -- calls a second
local LASTING_S = 0.3 -- calls that last so long may be counted while they are under way
local SETTLED_S = 1 -- all workers have reported what ended before
local MAX_HOLD_FLIGHT_S, MORE = 60, 0.25 -- where calls under way are counted; and so many more of them, if one more ran

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * S + t[2]
end
local ran, held, pushed = num(ARGV[2]), num(ARGV[3]), num(ARGV[4])
local sent, said = now - num(ARGV[6] or 0), num(ARGV[7] or 0)
local shared = ARGV[8] == '1'
local function int(x) return string.format('%.0f', x) end

local ends, between, unspoken, behind = string.match(call('GET', KEYS[3]) or '', '^(%d+)(|%d+|%d+|)(%d+)(|?.*)$')
local paused = ends and num(ends) > now

local function enforce(rate, how) return in_force.put(KEYS[1], now, rate, paused and num(ends), shared, how) end

if ARGV[5] ~= 'learn' then
  call('DEL', KEYS[2])
  if ARGV[5] == '' then
    call('DEL', KEYS[1])
    return ''
  end
  return enforce(num(ARGV[5]) / 60, {})
end

local names = {
  'rate', 'base', 'at', 'pushed', 'since', 'starts', 'free', 'hold', 'grown', 'minute', 'far', 'close', 'even',
  'rough', 'probe', 'window', 'freed', 'lasts', 'wide', 'gaps', 'fit',
  'ends', 'away', 'unders', 'most',
}
local second = floor(now / S) -- counted when they end, since of those that are under way nothing is known yet
names[#names + 1] = int(second % 128)
local held_state = call('HMGET', KEYS[2], unpack(names))
local rate, base = num(held_state[1] or nil), num(held_state[2] or nil)
local last, since, starts = num(held_state[4] or 0), num(held_state[5] or 0), held_state[6] or ''
local free, hold, grown = num(held_state[7] or 0), num(held_state[8] or 0), num(held_state[9] or 0)
local was_minute, far = num(held_state[10] or 0), num(held_state[11] or 0)
local close, even, rough = num(held_state[12] or 0), num(held_state[13] or 0), held_state[14] == '1'
local probed, window = num(held_state[15] or 0), num(held_state[16] or 0)
local freed, lasts, wide = num(held_state[17] or 0), num(held_state[18] or 0), held_state[19] == '1'
local known_gaps, fit = held_state[20] or '', num(held_state[21] or 0)
local log = string.match(call('GET', KEYS[1]) or '', '^%d+|%d+|%d+|%d+|%d+|(%x*)$') or ''
local flights, compared, unders = held_state[22] or '', num(held_state[23] or 0), held_state[24] or ''
local most = num(held_state[25] or 0)
local was_even, regained = even > 0, false
local new = {}
local function note(name, value) new[#new + 1], new[#new + 2] = name, value end

local ran_since = counts.of(KEYS[2], ran, second)

local kept = {} -- when it began to take no more, lately
for us in string.gmatch(starts, '%d+') do
  if num(us) > now - LOOK_BACK_S * S then kept[#kept + 1] = num(us) end
end

local noticed = false -- that the upstream took calls again before the last pushback
if ran > 0 then
  local ago = now - sent
  lasts = (lasts == 0 or ago < lasts) and ago or lasts + (ago - lasts) / 32 -- less the wait for the report
  local of, count = string.match(held_state[#names] or '', '^(%d+):(%d+)$')
  note(names[#names], int(second) .. ':' .. int(ran + (of == int(second) and num(count) or 0)))
  if #kept > 0 and sent <= last and sent > kept[#kept] and last - kept[#kept] >= APART_S * S then
    noticed = true
    if ends and num(unspoken) > 0 then call('SET', KEYS[3], ends .. between .. '0' .. behind, 'KEEPTTL') end
  elseif not paused then
    if sent > last then since = since + ran end
    if free == 0 and #kept > 0 then
      free, regained = now, even == 0
      local blocked = ends and (num(ends) - kept[#kept]) / S or 0
      -- A slow pace makes the next call late by itself.
      if blocked >= BLOCKED_S + (rate and 1 / rate or 0) then window = now end
      freed = blocked >= LONG_S and (ran_since(now - WINDOW_S * S)) - ran or 0
      if not rate and blocked >= BLOCKED_S then
        rate = max(SLOWEST, rates.of_first_window(ran_since, kept[#kept], blocked, ran))
        hold = (blocked >= LONG_S and FILLS_S or HOLD_S) * S
        note('base', string.format('%.6f', rate / BELOW))
        note('at', int(now))
        note('hold', int(hold))
      end
    end
    -- It takes calls again: the next pause without a time of its own is a short one.
    if ends and num(unspoken) > 0 then call('SET', KEYS[3], ends .. between .. '0' .. behind, 'KEEPTTL') end
  end
end

if rate and (ARGV[10] or '') ~= '' then
  local number
  flights, number = flight.with(flights, ARGV[10], floor(now / MS))
  if most > 0 then log = flight.without(log, flights, number) end
end

-- How long the calls last that ended last (ms): on average; and the lease of one whose end nobody reports.
local mean, lease
local function flights_last()
  if not mean then
    local _
    mean, _, lease = flight.lasts(flights)
  end
  return mean, lease
end

-- The calls that it took in the window that frees after the wait in its response, which is rounded to a second; nil for
-- a wait that is no such window's.
local function in_window(at)
  if said >= LONG_S * S and said <= WINDOW_S * S then return (ran_since(at + said - (WINDOW_S + 1) * S)) end
end

-- Whether a pushback costs tenants calls that are within their share, and the pace is raised seldom.
local function careful() return shared and even == 0 end
local function seen()
  return {
    kept = kept, free = free, freed = freed, rate = rate, base = base, even = even, wide = wide, lasts = lasts,
    probed = probed, hold = hold, grown = grown, rough = rough, far = far, minute = was_minute,
    careful = careful(), since = since, shared = shared,
  }
end

-- The rate to go on with, from the instants at which the upstream took no more.
local function found(at)
  local to, minute
  to, minute, far, wide, rough = rates.found(ran_since, at, seen())
  note('minute', int(minute))
  note('far', int(far))
  return to
end

local function begins_at(at)
  kept[#kept + 1] = at
  local texts = {}
  for i = max(1, #kept - 15), #kept do texts[#texts + 1] = int(kept[i]) end
  note('starts', table.concat(texts, ','))
  note('hold', int(hold))
  free = 0
end

-- While calls under way are counted: so many others were, when this call was sent. Where none was it is another limit.
local function turned_away_of_most(under)
  local before = probed > last and most - 1 or most
  hold = under < before and HOLD_S * S or before < most and min(2 * hold, MAX_HOLD_FLIGHT_S * S) or hold
  most = min(before, under)
  if most < 1 then
    most, unders = 0, ''
    rate = max(SLOWEST, BELOW * ran_since(now - WINDOW_S * S) / WINDOW_S)
  end
end

-- Whether a call that was turned away a second ago shows how many may be under way.
local function look_at_flights()
  local at = floor(compared / MS)
  compared = 0
  if fit > 0 then return end
  unders, most = flight.turned_away(log, flights, unders, at)
  if most > 0 then
    log, even, hold, close = flight.without(log, flights), 0, HOLD_S * S, 0
    note('hold', int(hold))
  end
end

-- Whether calls ran that came closer; whether it came sooner than any, and the pace; and the window (ms) that it shows.
local closer, pair, explained = false, false, nil
-- It began to take no more: the rate, how long it stays, and whether calls came too close together.
local function turned_away(at)
  local before, was_blocked = rate, #kept > 0 and free > kept[#kept] and (free - kept[#kept]) / S or 0
  if rate then
    -- Where tenants share the pace: within a pause of the last pushback, busy workers report late pushback from before it.
    local no_sign = closer or shared and not pair and (rough and close == 0 or at - (kept[#kept] or 0) < S)
    local sign = no_sign and 0 or shared and since < TIGHT and 2 or 1
    close = (since < ENOUGH or pair) and close + sign or 0
    local signs = shared and CLOSE_SHARED or CLOSE
    if fit > 1 and close >= signs then known_gaps, fit = '', 0 end -- a window takes more than that
    if close >= signs and even == 0 and fit == 0 and now > window + KEEP_S * S then even = now end
  end
  if #kept > 0 then
    local to, fits = found(at), explained and close < CLOSE and fit * MS / explained
    -- After a probe the window that held before it: in the shortest one that is known a call was turned away.
    if fits and base and probed > kept[#kept] then fits = min(fits, max(NEARLY * fits, BELOW * base)) end
    if fits and to >= FAR * fits then to = fits end -- less than half of it is another limit
    rate = max(SLOWEST, min(rate or math.huge, to)) -- no pushback raises it
  elseif rate then
    rate = max(SLOWEST, min(EVEN * rate, careful() and base and BELOW * rates.borne(ran_since, at, base) or rate))
  end
  local taken = rate and in_window(at)
  if taken and taken / WINDOW_S < EVEN * rate then rate = max(SLOWEST, BELOW * taken / WINDOW_S) end
  -- Of single calls the rate is new: the one found so far shows how often two came at once. Of calls that last it is not:
  -- each that is under way may turn the next one away.
  if rate and even > 0 and not was_even and (shared and lasts or flights_last() * MS) < LASTING_S * S then rough = true end
  if rate and rate ~= before then
    hold = probes.hold(rate, seen(), was_blocked)
    note('base', string.format('%.6f', rate / BELOW))
    note('at', int(now))
  end
  -- It may take single calls, and is asked for more soon, since pairs show that.
  if careful() and (pair and #log > 8 * KNOWN or close > 1) and now > window + KEEP_S * S then rough = true end
  begins_at(at)
end

-- The window that explains which calls were turned away; single calls are the window of one. It counts from the next
-- pushback on: the calls of before did not keep to it.
local function look_at_gaps(at, begins)
  local before, in_turn = fit, nil
  if begins then closer, pair, in_turn = gaps.came_closer(log, floor(at / MS), careful() and rate) end
  if not begins or in_turn then -- a pace that rises brings each call closer: a bucket turns the last away, too
    log = sent_log.without(log, { floor(at / MS) })
    return
  end
  log, known_gaps, fit, explained = gaps.turned_away(log, floor(at / MS), known_gaps, fit, even > 0, shared)
  if fit ~= before then explained, close = nil, 0 end -- in a window they come closer together than the pace
  if fit > 0 then even = fit == 1 and now or 0 end
end

if noticed and most == 0 then
  since = ran
  turned_away(last)
  since, grown = 0, now
end
if pushed > 0 then
  local begins = last == 0 or (since > 0 and now - last >= APART_S * S)
  if most > 0 and num(ARGV[9]) then
    local at = floor((now - num(ARGV[9])) / MS)
    log = sent_log.without(log, { at })
    -- The calls under way count, so none need have run since the last.
    begins = begins or now - last >= APART_S * S
    turned_away_of_most(flight.in_log(log, at, select(2, flights_last())))
  elseif rate and num(ARGV[9]) then
    look_at_gaps(now - num(ARGV[9]), begins)
    if begins then compared = now - num(ARGV[9]) end
  end
  if begins and most > 0 then begins_at(now) elseif begins then turned_away(now) end
  last, since, grown = now, 0, now
elseif most > 0 then
  -- One that was let through in addition has run: there may be more.
  local from = max(last, free, probed) + (probed > last and 2 * flights_last() * MS + S or hold)
  if held > 0 and not paused and now > from then
    if probed > last then hold, most = HOLD_S * S, most + max(1, floor(MORE * most)) else most = most + 1 end
    note('hold', int(hold))
    probed = now
    note('probe', int(now))
  end
  grown = now
elseif rate then
  local holds_until = max(last, free) + (rough and ROUGH_S * S or hold)
  if held > 0 and not paused and now > max(grown, holds_until) then
    rate = probes.raised(now, holds_until, seen())
    if base and rate > ANOTHER * base then known_gaps, fit = '', 0 end
    note('probe', int(now))
  end
  grown = now
end
if rate and compared > 0 and most == 0 and now > compared + SETTLED_S * S then look_at_flights() end
if most > 0 then
  rate = most * MS / max(1, (flights_last()))
  note('base', string.format('%.6f', rate))
  note('at', int(max(last, probed)))
end
if now > even + KEEP_S * S then even = 0 end
if rate then note('rate', string.format('%.6f', rate)) end
call(
  'HSET', KEYS[2], 'ends', flights, 'away', int(compared), 'unders', unders, 'most', int(most), 'close', int(close),
  'window', int(window), 'even', int(even), 'lasts', int(lasts), 'gaps', known_gaps, 'fit', int(fit),
  'wide', even > 0 and wide and '1' or '0', 'freed', int(freed), 'rough', rough and '1' or '0', 'since', int(since),
  'pushed', int(last), 'free', int(free), 'grown', int(grown), unpack(new)
)
if held > 0 or pushed > 0 or not rate then call('EXPIRE', KEYS[2], rate and KEEP_S or LOOK_BACK_S + 10) end
if not rate then return '' end
local how = { even = even > 0, regained = regained, saves = even == 0 and now > window + KEEP_S * S, log = log }
if most > 0 then
  how.even, how.calls, how.within = false, most, lease
  return enforce(rate, how) .. '|'
end
how.calls = not shared and fit > 1 and fit or 0
return enforce(rate, how)
