-- Decide one call against all its limits, all or nothing, and record the decision.
--
-- KEYS[1]    string  adaptive multiplier in millionths (absent: not cut)
-- KEYS[2]    stream  throttle events that are not in the database yet, each one field, "event" (see EVENT)
-- KEYS[3]    hash    usage:  "<minute>|<tenant>|<action>|<counter>" -> count
-- KEYS[4]    hash    totals: "<tenant>|<counter>" -> count
-- KEYS[5]    hash    floods: "<second>|<1 if shadow>|<key of the count>|<tenant>|<action>|<key prefix>" -> refusals of
--            this kind; the same with "|last" -> the last refusal without an entry of its own (see FLOOD)
-- KEYS[6]    string  until when the upstream takes no calls by its own response (pause.lua); absent: it takes them
-- KEYS[7]    string  the learned limit of calls in flight (learned.lua); it begins with the number
-- KEYS[8]    string  the pace at which the upstream takes calls, "<interval us>|<tolerance us>|<next us>" (pace.lua);
--            absent: none is known. Of a learned one "|<calls>|<window ms>|<log>" follows: at most so many calls in a
--            window (0: any number), and when the last ones came (ms modulo 2^32). Anything else that follows is kept
-- KEYS[8+i]  the count of limit i: list (log), hash (counter), string (bucket), sorted set (concurrency)
-- and then   hash    for each shared limit, in their order: who uses how much of it (look_at_share.lua,
--            look_at_slots.lua). A counter has it in the hash of its count, and here what find_earlier_pool.lua reads
-- and then   the same for the pace, if tenants share it (ARGV[11])
-- and then   string  if a limit holds units for refused calls: those of each limit, in their order (appointments.lua)
--            Limits that count by a value of the call have more, which values.lua takes off
--
-- ARGV[1]    multiplier in millionths when KEYS[1] is absent; "" when the policy does not adapt
-- ARGV[2]    tenant
-- ARGV[3]    action
-- ARGV[4]    description of the limits, copied into events (limiter/core/description.py)
-- ARGV[5]    the limits, packed one after the other (LIMIT): algorithm (l, s, b, c) · quota (units) · window (us) ·
--            burst (units; 0: none) · lease (us) · flags (1: shadow, 2: adaptive, 4: at most what KEYS[7] holds, 8:
--            shared, then SHARED follows at once, 16: holds units for refused calls, with the grace (us) in place of the
--            lease, 32: its pool is in the hash of its count). Where an override is known to start or to end, that instant
--            (us, 8 bytes) and the limits as they are from then on, in the same order, come behind. If limits are shared,
--            one byte comes in front: how many
-- ARGV[6]    now (us); "" for the server's clock, and so for a negative one: nothing is done when that clock is past
--            this instant, at which the worker gives up and decides by itself
-- ARGV[7]    cost (units)
-- ARGV[8]    "1" to charge, "2" if it comes back at the time that a refusal named, "0" to peek; for a call that may wait
--            "<us>|<stage>|<client>|<itself>": a refusal whose wait is at most so long leaves no record, since the call
--            waits and comes again. Stage: 1 if it has waited, 2 more if it does no more, 4 more if it comes back, 8 more
--            if it has waited behind others and is decided for the first time. Units are held for its client, by which
--            later calls are known, or for itself; both may be empty
-- ARGV[9]    decision id (also the concurrency lease)
-- ARGV[10]   context, copied into events: "<key prefix>|<request id>"
-- ARGV[11]   given if tenants share the pace: the caller's terms (SHARED)
--
-- Returns    now (us) · multiplier (millionths) · 1 if admitted (-1 if it came too late, and no more; -2: the limits
--            admit it, and the upstream takes no calls; -3: it waits, how long (us) comes last; -4: the same,
--            and its unit is held; -5: it is above the upstream's pace) ·
--            per limit: used (units) · effective limit (units) · wait (us; 0 passes, -1 never) · reset (us). When the
--            upstream takes no calls, one more stands for it. Of a call that was refused, at last, per shared limit:
--            what share of it refused (0 nothing, 1 the ceiling, 2 the share; or 3, the limit itself is full) ·
--            share (units) · used of it (units) · reserved for others (units) · its even part (units; dividing.lua).
--            Of a peek as well, admitted or not, with the share of the tenant, also at its ceiling. Of a shared pace the
--            same, of a call that is above it and of a peek, in calls a minute
--            The longest wait leads to the earliest instant at which the call passes if nobody else calls. The end of
--            the multiplier and of an override are known, and are taken into account
--
-- Numbers stay below 2^53, so Lua's doubles are exact, and so is the way the server writes those that a command is
-- given. `..` is not: it keeps fourteen digits. Refused calls are stored in no window.
--
-- Beside its commands a script pays for every function, table and text it makes, anew for each call. So there is one
-- loop that looks and one that charges, with a branch for each algorithm, in place of functions; a limit is a list
-- (limit.lua), made at once; numbers go to commands as they are; the limits come as one argument, whose flags are tested by
-- arithmetic; and KEYS and ARGV are locals, since a global is looked up.
-- Besides these two only `until_passes` names algorithms: the rest of the script goes by what their branches found.

local call, num, floor, ceil, text = redis.call, tonumber, math.floor, math.ceil, string.format
local max, min, take = math.max, math.min, struct.unpack
local LIMIT = '<c1I8I8I8I8B'
local LIMIT_BYTES = 34
-- The count of a shared bucket, and behind it three parts as every pool has · at · debt · window · until when its key lives
-- (us) · which pool it is (look_at_share.lua). The count alone is shorter than these.
local BUCKET, BEHIND, BEHIND_BYTES = '<sdddddddd', '<dddddddd', 64
local LIMIT_AND_SHARED = '<c1I8I8I8I8BdBds' -- in one go, where all limits are shared
local SHARED = '<dBds' -- slice (us) · slices · ceiling (units; 0: none; below 0: ten-thousandths of the limit) · account
local FIXED = 8 -- keys before those of the limits
local PPM, SLICES = 1000000, 60
local CONCURRENCY_HINT_US = 1000000
local KEEP_SECONDS = 604800
local EVENTS_KEPT = 1000000
local FLOOD = 10 -- refusals of one kind and second that get an entry of their own; the others are counted together
-- As limiter/core/description.py writes a limit. Above a pace its quota and window are the pace's.
local UPSTREAM = '(upstream)||0|token_bucket|connection|%d|%d|1|0|0'
local MARGIN_MS = 1000 -- keys outlive their counts by this
local SLACK_US = 1000000 -- and the slots of shared limits their leases by this, so that few calls have to see to it
local MINUTE_US = 60000000 -- of a shared pace: tenants share the upstream's time, and a call takes an interval of it
local DIGITS, WRAP, LOGGED = 8, 4294967296, 100 -- of a time (ms) in a pace's log, where it wraps, and times kept
local WITHIN = 0.5 -- of the interval is between two calls while a window is held, which bounds them besides
local LEASES, HINTS = 2, 8 -- of calls under way nobody knows when they end: a call that waits asks so often in an interval
local AHEAD, SAVED, OWED = 2, 3, 8 -- calls: ahead of others; of an account, sooner than it is due; after which it is

local KEYS, ARGV = KEYS, ARGV
local n, begin, pools, first_kind = #KEYS - FIXED, 1, 0, string.byte(ARGV[5])
if first_kind and first_kind < 64 then
  begin, pools, first_kind = 2, first_kind, string.byte(ARGV[5], 2)
  n = n - pools
end
local paced = ARGV[11]
if paced then n = n - 1 end
if appointments then n = n / 2 end
local now = num(ARGV[6])
if not now or now < 0 then
  local due, t = now, call('TIME')
  now = t[1] * 1000000 + t[2]
  if due and now > -due then return { now, 0, -1 } end -- nobody waits for this any more, and the call was decided
end
local cost = ARGV[7] == '1' and 1 or num(ARGV[7]) -- reading a number costs more than comparing most calls' only one
local charging, decision_id = ARGV[8] ~= '0', ARGV[9]
local patience, waited, final, client, self, sought
local decided_before -- it has waited, and it is not the first time
local returned = ARGV[8] == '2'
if #ARGV[8] > 1 then
  local stage
  patience, stage, client, self = string.match(ARGV[8], '^(%d+)|(%d+)|(%x*)|(%x*)')
  patience, waited, final, returned = num(patience), stage % 2 == 1, stage % 4 >= 2, stage % 8 >= 4
  decided_before = waited and num(stage) < 8
  sought = waited and self or client
end

-- The state of a bucket that is the first limit is read with these.
local ppm, uncut, pause, pace, of_first = PPM, PPM, nil, nil, nil
local bucket_first = first_kind == 98
if ARGV[1] ~= '' then
  uncut = num(ARGV[1])
  local found = bucket_first and call('MGET', KEYS[1], KEYS[6], KEYS[8], KEYS[FIXED + 1])
    or call('MGET', KEYS[1], KEYS[6], KEYS[8])
  ppm, pause, pace, of_first = num(found[1] or uncut), found[2], found[3], found[4]
else
  local found = bucket_first and call('MGET', KEYS[6], KEYS[8], KEYS[FIXED + 1]) or call('MGET', KEYS[6], KEYS[8])
  pause, pace, of_first = found[1], found[2], found[3]
end

-- Look at every limit -----------------------------------------------------------------------------------------------

local limits, admitted, shadow_admitted, next_limit = {}, true, true, begin
local pool, elsewhere = FIXED + n, false -- the last pool seen; whether a limit refuses that is not shared
local learned -- calls in flight at most; nil unless one of the limits is learned
local held -- the functions of appointments.lua, once they are needed
for i = 1, n do
  local kind, quota, window, burst, lease, flags
  local terms, length, slices, most, account = next_limit, nil, nil, nil, nil -- of a shared limit
  if pools == n then
    kind, quota, window, burst, lease, flags, length, slices, most, account, next_limit =
      take(LIMIT_AND_SHARED, ARGV[5], next_limit)
    terms = terms + LIMIT_BYTES
  else
    kind, quota, window, burst, lease, flags, next_limit = take(LIMIT, ARGV[5], next_limit)
    if flags % 16 > 7 then
      terms = next_limit
      length, slices, most, account, next_limit = take(SHARED, ARGV[5], next_limit)
    end
  end
  if flags > 1 then
    if ppm ~= PPM and flags % 4 > 1 then
      quota, burst = max(1, floor(quota * ppm / PPM)), max(1, floor(burst * ppm / PPM))
    end
    if flags % 8 > 3 then
      learned = learned or num(string.match(call('GET', KEYS[7]) or '', '^%d+') or quota)
      quota = min(quota, max(1, learned))
    end
  end
  local key, effective, used, wait, reset = KEYS[FIXED + i], quota, 0, 0, window
  local at, oldest, latest, slice, debt = now, 0, 0, 0, 0 -- what a charge has to know
  local per_call, slots = cost, false -- units of one call; whether it holds them until it ends
  local counted_for -- until then the key has to live; nil when a charge alone sees to it
  -- Of a shared limit, and its pool and account as they are stored; all parts of it, where they are read at once.
  local share, hash, sums, of_account, of_pool
  local turned, big, small, charged_at
  local lives, written = 0, 0 -- of a shared bucket: until when its key lives (us), its length; of a counter: its slice
  if account then
    pool = pool + 1
    if flags > 31 then -- in the hash of its count, which is in slices
      hash, slice = key, ceil(window / SLICES)
      of_pool = call('HMGET', hash, '', account, 'n', floor(now / slice))
      if not of_pool[1] then
        find_earlier_pool()
      end
      sums, of_account = of_pool[1], of_pool[2]
    else
      hash = KEYS[pool]
    end
  end

  if kind == 'l' then
    -- Sliding log: a list of admission times, oldest first. Never earlier than the last one, should the server's
    -- clock step back. A shared one's pool has the last and the oldest time too. Nobody has charged or trimmed the list
    -- since if it is as long as then, and the oldest still counts. (If a call came under a policy that does not share the
    -- limit, and the oldest unit of another one was given back, the reset is too early.)
    if hash then
      of_pool = call('HMGET', hash, '', account)
      sums, of_account = of_pool[1], of_pool[2]
    end
    used = call('LLEN', key)
    if used > 0 then
      local last, counted
      if sums and #sums > 47 then
        turned, big, small, last, counted, oldest = take('<dddddd', sums)
        charged_at = last
      end
      if counted ~= used or oldest <= max(now, last) - window then
        last, oldest = num(call('LINDEX', key, -1)), num(call('LINDEX', key, 0))
      end
      at, counted_for, latest = max(now, last), last + window - now, last
      local edge = at - window
      if oldest <= edge then
        local lo, hi = 1, used -- the first live entry is in [lo, hi]; hi == used: none is
        while lo < hi do
          local mid = floor((lo + hi) / 2)
          if num(call('LINDEX', key, mid)) <= edge then lo = mid + 1 else hi = mid end
        end
        call('LTRIM', key, lo, -1)
        used = used - lo
        if used > 0 then oldest = num(call('LINDEX', key, 0)) end
      end
      if used > 0 then reset = oldest + window - now end
    end
    if cost > effective then
      wait = -1
    elseif used + cost > effective then
      local freeing = used + cost - effective - 1
      wait = (freeing == 0 and not hash and oldest or num(call('LINDEX', key, freeing))) + window - now
    end

  elseif kind == 's' then
    -- Sliding counter: a hash of slice number -> units, with n (their sum), o and l (oldest and latest slice). The
    -- slice that has only partly left the window counts in full: never over the limit, early to refuse by at most one.
    if hash == key then
      -- The pool has o and l too, as the last charge left them. As long as n is the same and the oldest slice counts they
      -- are these, but for a call that came under a policy that does not share the limit, and was given back.
      local counted
      used, written = num(of_pool[3] or 0), of_pool[4]
      if sums and #sums > 47 then
        turned, big, small, counted, oldest, latest = take('<dddddd', sums)
        charged_at = counted
      end
      if counted ~= used or (oldest + 1) * slice <= max(now, latest * slice) - window or used + cost > effective then
        local state = call('HMGET', key, 'o', 'l')
        oldest, latest = num(state[1] or 0), num(state[2] or 0)
      end
    else
      slice = ceil(window / SLICES)
      local state = call('HMGET', key, 'n', 'o', 'l')
      used, oldest, latest = num(state[1] or 0), num(state[2] or 0), num(state[3] or 0)
    end
    at = max(now, latest * slice)
    local first = floor((at - window) / slice) -- the oldest slice that still counts
    if used > 0 and oldest < first then
      if latest < first then
        if hash == key then -- which stays
          local gone = { 'n', 'o', 'l' }
          for s = oldest, latest do gone[#gone + 1] = s end
          call('HDEL', key, unpack(gone))
        else
          call('DEL', key)
        end
        used = 0
      else
        local gone = {}
        for s = oldest, first - 1 do gone[#gone + 1] = s end
        for _, units in ipairs(call('HMGET', key, unpack(gone))) do used = used - num(units or 0) end
        call('HDEL', key, unpack(gone))
        while not call('HGET', key, first) do first = first + 1 end
        oldest = first
        call('HSET', key, 'n', used, 'o', oldest)
      end
    end
    if used == 0 then oldest, latest = floor(at / slice), -1 end
    reset = (oldest + 1) * slice + window - now
    if cost > effective then
      wait = -1
    elseif used + cost > effective then
      local names, freed = {}, 0
      for s = oldest, latest do names[#names + 1] = s end
      for s, units in ipairs(call('HMGET', key, unpack(names))) do
        freed = freed + num(units or 0)
        if used + cost - freed <= effective then
          wait = (oldest + s) * slice + window - now
          break
        end
      end
    end

  elseif kind == 'b' then
    -- Token bucket (GCRA): "<debt> <at> <window>": units taken and not yet given back, times the window, so that whole
    -- numbers are exact. When the window is edited the units are carried over, a part of one as one: a product of two
    -- windows may not fit 53 bits.
    -- Behind that a shared one has the sums of its pool, and the same as numbers (BUCKET): so one command reads both, and
    -- one writes both. A call that does not know of them leaves them out.
    effective = burst
    if hash then sums, of_account = true, call('HGET', hash, account) end
    local state = i == 1 and of_first
    if i > 1 then state = call('GET', key) end
    local t, w
    if state then
      written = #state
      if hash and written > BEHIND_BYTES then
        local whose
        turned, big, small, t, debt, w, lives, whose = take(BEHIND, state, written - BEHIND_BYTES + 1)
        charged_at = t
        if whose ~= 256 * length + slices then turned, lives = nil, 0 end
      else
        debt, t, w = string.match(state, '(%d+) (%d+) (%d+)')
        debt, t, w = num(debt), num(t), num(w)
      end
    end
    if hash and not (turned and (turned + 1) * length > now) then
      find_sums()
    end
    if state then
      if w ~= window then debt = ceil(debt / w) * window end
      at = max(now, t)
      oldest, latest = t, debt -- as the last charge left it
      debt = max(0, debt - (at - t) * quota)
      counted_for = at - now + ceil(debt / quota)
    end
    local over = debt - (effective - cost) * window
    used = ceil(debt / window)
    reset = debt == 0 and ceil(window / quota) or at - now + ceil((debt - (used - 1) * window) / quota)
    if cost > effective then
      wait = -1
    elseif over > 0 then
      wait = at - now + ceil(over / quota)
    end

  else
    -- Concurrency: a sorted set of leases by expiry. One call holds one slot whatever its cost. Nobody can know when a
    -- running call ends, so the wait is a hint: a second, or the expiry that frees a slot for certain if that is sooner.
    -- Of a shared limit the leases that have ended go when shares are divided.
    if hash then
      of_pool = call('HMGET', hash, '', account)
      used = call('ZCOUNT', key, now + 1, '+inf')
    else
      call('ZREMRANGEBYSCORE', key, '-inf', now)
      used = call('ZCARD', key)
    end
    reset, per_call, slots = 0, 1, true
    if used + 1 > effective then
      if hash then call('ZREMRANGEBYSCORE', key, '-inf', now) end
      local freeing = call('ZRANGE', key, used - effective, used - effective, 'WITHSCORES')
      wait = min(CONCURRENCY_HINT_US, num(freeing[2]) - now)
      reset = wait
    end
  end

  if hash then
    if most < 0 then most = max(1, floor(effective * -most / 10000)) end
    if slots then
      look_at_slots()
      if wait > reset then reset = wait end
    else
      look_at_share()
    end
  end

  local book, holds -- of a limit that holds units: those held, and their key
  if appointments and flags % 32 > 15 then
    holds = KEYS[#KEYS - n + i]
    local open = wait >= 0 and call('GET', holds)
    if open or wait > 0 then
      held = held or appointments()
      book = {
        key = holds, open = open, kind = kind, count = key, now = now, at = at, window = window, slice = slice, used = used,
        debt = debt, oldest = oldest, latest = latest, cost = cost, sought = sought, client = client, waited = waited,
        share = share, terms = terms, hint = wait, grace = lease,
      }
      wait = held.look(book, quota, effective)
    end
  end

  local shadow = flags % 2 == 1
  if wait ~= 0 then
    if not share and not shadow then elsewhere = true end
    if shadow then shadow_admitted = false else admitted = false end
  end
  -- In the order of limit.lua.
  limits[i] = {
    kind, per_call, slots, window, lease, shadow, quota, effective, used, wait, reset, at, oldest, latest, slice, debt,
    counted_for, book, holds, share, terms,
  }
end

-- Changes known in advance -------------------------------------------------------------------------------------------
-- A multiplier ends by itself, and so does an override. Between two such instants the limits stay as they are and less
-- is counted with every microsecond, so the earliest instant at which a refused call passes is looked for span by span.
-- All enforced limits have to let it pass at that instant: what passes now may not when a higher limit has ended.

local later -- when an appointment comes free behind all others; nil: as the limits are now
if not (admitted and shadow_admitted) and (ppm ~= uncut or next_limit < #ARGV[5]) then
  local froms = { 0 }
  local life = ppm ~= uncut and call('PTTL', KEYS[1]) or -1
  -- A key is gone as soon as the server's milliseconds are past its end.
  local cut_ends = life >= 0 and (life + 1) * 1000 - now % 1000 or math.huge
  local changes = next_limit < #ARGV[5] and take('<I8', ARGV[5], next_limit) - now or math.huge
  local first, last = min(cut_ends, changes), max(cut_ends, changes)
  if first > 0 and first < math.huge then froms[2] = first end
  if last > first and last < math.huge then froms[#froms + 1] = last end

  local longest = 0
  for i = 1, n do
    if limits[i][WAIT] < 0 then longest = math.huge end
    longest = max(longest, limits[i][WAIT])
  end
  if froms[2] and longest >= froms[2] then
    -- The wait until so much is allowed, whatever changes; -1: it never is.
    local function until_passes(limit, key, quota, most)
      -- Shares are as they are.
      if limit[SHARE] and limit[SHARE][1] % 3 ~= 0 then return limit[WAIT] end
      local kind, used, units = limit[KIND], limit[USED], limit[PER_CALL]
      if limit[BOOK] then return held.wait(limit[BOOK], quota, most) end
      if units > most then return -1 end
      if kind == 'b' then
        local over = limit[LATEST] - (most - cost) * limit[WINDOW]
        return over > 0 and max(0, limit[OLDEST] - now + ceil(over / quota)) or 0
      end
      if used + units <= most then return 0 end
      if kind == 'l' then
        return num(call('LINDEX', key, used + cost - most - 1)) + limit[WINDOW] - now
      elseif kind == 's' then
        local names, freed = {}, 0
        for s = limit[OLDEST], limit[LATEST] do names[#names + 1] = s end
        for s, slice in ipairs(call('HMGET', key, unpack(names))) do
          freed = freed + num(slice or 0)
          if used + cost - freed <= most then return (limit[OLDEST] + s) * limit[SLICE] + limit[WINDOW] - now end
        end
      end
      if limit[SHARE] then call('ZREMRANGEBYSCORE', key, '-inf', now) end
      local freeing = call('ZRANGE', key, used - most, used - most, 'WITHSCORES')
      return min(CONCURRENCY_HINT_US, num(freeing[2]) - now)
    end

    local numbers = '<xI8xxxxxxxxI8xxxxxxxxB' -- LIMIT without algorithm, window and lease, which stay
    local own, joint = {}, nil -- per limit and for all: the wait found, nil while it is not
    for span = 1, #froms do
      local from, to = froms[span], froms[span + 1] or math.huge
      local multiplier = from < cut_ends and ppm or uncut
      local at, latest, behind = from >= changes and next_limit + 8 or begin, from, from
      for i = 1, n do
        local quota, burst, flags
        quota, burst, flags, at = take(numbers, ARGV[5], at)
        if flags % 16 > 7 then at = select(5, take(SHARED, ARGV[5], at)) end
        local has_burst = burst > 0
        if multiplier ~= PPM and flags % 4 > 1 then
          quota, burst = max(1, floor(quota * multiplier / PPM)), max(1, floor(burst * multiplier / PPM))
        end
        if flags % 8 > 3 then quota = min(quota, max(1, learned)) end
        local most = has_burst and burst or quota
        local wait = until_passes(limits[i], KEYS[FIXED + i], quota, most)
        if limits[i][BOOK] then behind = max(behind, held.next_time(limits[i][BOOK], quota, most)) end
        if wait < 0 then wait = math.huge end
        wait = max(from, wait)
        if not own[i] and wait < to then own[i] = wait end
        if flags % 2 == 0 then latest = max(latest, wait) end
      end
      if not joint and latest < to then joint = latest end
      behind = max(behind, latest)
      if held and not later and behind < to then later = behind end
    end

    local bound, longest_own = nil, -1
    for i = 1, n do
      local limit = limits[i]
      if limit[WAIT] ~= 0 then
        limit[WAIT] = own[i] or -1
        if not limit[SHADOW] and (own[i] or math.huge) > longest_own then bound, longest_own = limit, own[i] or math.huge end
      end
    end
    if bound then bound[WAIT] = joint or -1 end
  end
end

-- Appointments ------------------------------------------------------------------------------------------------------

local booked = false
if held and client and client ~= '' then
  local this = {
    now = now, cost = cost, admitted = admitted, patience = patience, final = final, waited = waited, client = client,
    itself = self,
  }
  returned, booked, patience = held.promise(limits, this, later)
end

-- The upstream --------------------------------------------------------------------------------------------------------
-- A call that it would turn away is answered here, at once, and charged to nothing.

local paused, above_pace, interval = 0, false, nil
local part, due, apart -- the caller's of a shared pace; when its next call is due by its rate, and how far apart they are
-- At the rate of its share. One that asks for less than its even part may ask for a tenth more. The others have a tenth
-- less than their share: so they are seldom due, and leave room to those that are.
local own_turn = paced and function()
  local _, _, even = dividing()
  local most = even(part[7], part[8], MINUTE_US, part.joins)
  most = max(min(most, 1.1 * part[11]), 0.9 * part[11])
  return num(call('HGET', part[7], '@' .. part[8]) or 0), MINUTE_US * interval / max(1, most)
end
if admitted and charging or paced and not charging then
  if pause then paused = max(0, num(string.match(pause, '^%d+') or 0) - now) end
  if pace then
    local every, tolerance, next_us, rest = string.match(pace, '^(%d+)|(%d+)|(%d+)(.*)')
    if every then
      interval, next_us = num(every), num(next_us)
      local early = next_us - num(tolerance) - now
      local calls, within, log = string.match(rest, '^|(%d+)|(%d+)|(%x*)$')
      if paced and (paused == 0 or not charging) then
        -- luacheck: push ignore 211 411 421 431 (look_at_share.lua works on them)
        -- As of a limit that has room: nothing is kept free, since time that is not used is lost.
        local cost, effective, window, used, debt, wait, lives, written = interval, MINUTE_US, 1, -math.huge, 0, 0, 0, 0
        local hash, length, slices, most, account = KEYS[FIXED + n + pools + 1], take(SHARED, paced)
        local turned, big, small, charged_at
        if most < 0 then most = max(1, floor(effective * -most / 10000)) end
        local found, share = call('HMGET', hash, '', account), nil
        local sums, of_account = found[1], found[2]
        look_at_share()
        -- luacheck: pop
        part = share
        if part[1] == 1 then
          early = max(early, wait)
        elseif early > 0 then
          -- A call that is due by the rate of its share goes AHEAD intervals before all others, where calls need not come
          -- one by one: so it finds room, however often the others ask.
          part[1] = 2
          if early <= AHEAD * interval then
            due, apart = own_turn()
            if due - SAVED * apart <= now then
              part[1] = 3
              if tolerance ~= '0' then early = early - AHEAD * interval end
            end
          elseif part[3] + interval <= part[11] then
            part[1] = 3
          end
        end
      end
      if log then
        log = string.sub(log, -DIGITS * (LOGGED - 1))
        local begins = #log - DIGITS * num(calls)
        if calls ~= '0' and begins >= 0 then
          local left = num(within) - (floor(now / 1000) - num(string.sub(log, begins + 1, begins + DIGITS), 16)) % WRAP
          if left > 0 then
            -- A window is as long as its calls take at the pace; a longer one is the lease of calls under way.
            local lasts = num(calls) * interval / 1000
            if num(within) > LEASES * lasts then left = max(lasts + left - num(within), interval / HINTS / 1000, 1) end
            early = max(early, floor(left * 1000) - now % 1000)
          end
        end
      end
      if part and charging and (tolerance == '0' or calls and calls ~= '0') then
        leave_places()
      end
      if not charging then
        paused = 0
      elseif early > paused then
        above_pace, paused = paused == 0, early
      elseif paused == 0 then
        local step = interval
        if log then
          if calls ~= '0' then step = floor(WITHIN * interval) end
          rest = text('|%s|%s|%s%08x', calls, within, log, floor(now / 1000) % WRAP)
        end
        pace = every .. '|' .. tolerance .. '|' .. text('%.0f', max(next_us, now) + step) .. rest
        call('SET', KEYS[8], pace, 'KEEPTTL')
      end
      if part and charging then
        -- luacheck: push ignore 211 411 421 431
        local share, cost, charged, at = part, interval, paused == 0, now
        local form, first, second, third, fourth, fifth
        local anew = charged or not decided_before
        -- luacheck: pop
        charge_share()
        if charged then
          part[1] = 0
          if not due then due, apart = own_turn() end
          call('HSET', part[7], '@' .. part[8], text('%.0f', min(max(due, now), now + OWED * apart) + apart))
        end
      end
    end
  end
  if not charging then paused = 0 end
end

-- The caller's part of a shared pace, in calls a minute, behind the response, and as an event describes it.
local write_part = part and function(answer)
  local _, _, even = dividing()
  local to, whole = #answer, { part[1], part[2], part[3], part[4], (even(part[7], part[8], MINUTE_US, part.joins)) }
  for k = 2, 5 do whole[k] = floor(whole[k] / interval + 0.5) end -- the pace moves: a call is no whole interval
  for k = 1, 5 do answer[to + k] = whole[k] end
  return text('|%d,%d,%d,%d|||%d', unpack(whole))
end

-- Charge all or nothing ---------------------------------------------------------------------------------------------
-- A shadow limit counts as if it were enforced: nothing of a call that it would refuse.

local anew = not (decided_before or held and returned)
local verdict = above_pace and -5 or paused > 0 and -2 or admitted and 1 or 0
-- With places for the first limit: a list that grows is made anew for one, two and four more.
local answer = n == 0 and { now, ppm, verdict } or { now, ppm, verdict, 0, 0, 0, 0 }
for i = 1, n do
  local limit, key = limits[i], KEYS[FIXED + i]
  local kind, window, at = limit[KIND], limit[WINDOW], limit[AT]
  local form, first, second, third, fourth, fifth -- what the pool of a shared one has of its count
  if charging and admitted and paused == 0 and (not limit[SHADOW] or shadow_admitted) then
    limit[USED] = limit[USED] + limit[PER_CALL]
    if kind == 'l' then
      if cost == 1 then
        call('RPUSH', key, at)
      else
        local copies = {}
        for c = 1, cost do copies[c] = at end
        call('RPUSH', key, unpack(copies))
      end
      local share = limit[SHARE]
      if share then form, first, second, third = '<dddddd', at, limit[USED], limit[USED] > cost and limit[OLDEST] or at end
      if not (share and share[5] == limit[LATEST]) then -- the unit before was charged in this slice of the pool
        call('PEXPIRE', key, ceil(((share and max(share[6], at) or at) - now + window) / 1000) + MARGIN_MS)
      end
    elseif kind == 's' then
      local slice, share = floor(at / limit[SLICE]), limit[SHARE]
      if share and share[7] == key then -- its pool is in the same hash, and is written with it
        local units = share[17]
        if at ~= now then units = call('HGET', key, slice) end
        form, first, second, third, fourth = '<dddddd', limit[USED], limit[OLDEST], slice, num(units or 0) + cost
      else
        call('HINCRBY', key, slice, cost)
        if slice == limit[LATEST] then
          call('HINCRBY', key, 'n', cost) -- the key lives long enough since this slice began
        else
          call('HSET', key, 'n', limit[USED], 'o', limit[OLDEST], 'l', slice)
          call('PEXPIRE', key, ceil(((slice + 2) * limit[SLICE] + window - now) / 1000) + MARGIN_MS)
        end
      end
    elseif kind == 'b' then
      local debt, share = limit[DEBT] + cost * window, limit[SHARE]
      limit[RESET] = at - now + ceil((debt - (limit[USED] - 1) * window) / limit[QUOTA])
      local lasts = at - now + debt / limit[QUOTA]
      if not share then
        call('SET', key, text('%d %d %d', debt, at, window), 'PX', ceil(lasts / 1000) + MARGIN_MS)
      else -- the sums of its pool are written with it
        form, first, second, third, fourth = BUCKET, at, debt, window, now + lasts
        fifth = text('%d %d %d', debt, at, window)
      end
    else
      local lasts, share = limit[LEASE], limit[SHARE]
      local ends = now + lasts
      call('ZADD', key, ends, share and decision_id .. '|' .. share[8] or decision_id)
      if not share or limit[USED] == 1 or ends > share[5] then -- else it was set within the last second
        if share then lasts = max(lasts + SLACK_US, share[5] - now, share.keep_us or 0) end
        local ttl = ceil(lasts / 1000) + MARGIN_MS
        if call('PTTL', key) < ttl then call('PEXPIRE', key, ttl) end
      end
    end
  elseif limit[COUNTED_FOR] then
    -- A call that charges nothing only has to see to the key when the window was made longer, or the refill slower,
    -- since the last charge.
    local ms = ceil(limit[COUNTED_FOR] / 1000)
    if call('PTTL', key) < ms then call('PEXPIRE', key, ms + MARGIN_MS) end
  end
  if limit[SHARE] and charging and paused == 0 then
    local charged = admitted and (not limit[SHADOW] or shadow_admitted)
    if charged or limit[WAIT] ~= 0 and not elsewhere then
      local share = limit[SHARE]
      if limit[SLOTS] then
        charge_slot()
      else
        charge_share()
      end
    end
  end
  local from = 4 * i
  answer[from], answer[from + 1] = limit[USED], limit[EFFECTIVE]
  answer[from + 2], answer[from + 3] = limit[WAIT], limit[RESET]
end

if held and charging then held.write(limits, now, admitted and paused == 0) end

-- A call that waits ---------------------------------------------------------------------------------------------------

if patience and (paused > 0 or not admitted) then
  local wait = paused
  for i = 1, n do
    local limit = limits[i]
    if limit[WAIT] < 0 and not limit[SHADOW] then wait = math.huge end
    if not limit[SHADOW] then wait = max(wait, limit[WAIT]) end
  end
  if wait <= patience then
    answer[3], answer[#answer + 1] = booked and -4 or -3, wait
    return answer
  end
end

-- The record --------------------------------------------------------------------------------------------------------

if charging then
  local tenant, action = ARGV[2], ARGV[3]
  local minute = floor(now / 60000000) .. '|'
  -- Counters and by how much. Most calls add to the first alone.
  local counters, last = { paused > 0 and 'held_back' or admitted and 'allowed' or 'refused', 1 }, 1
  if admitted and paused == 0 and cost > 1 then
    counters[3], counters[4], last = 'extra_cost', cost - 1, 3
  end
  if admitted and paused == 0 and waited then
    counters[last + 2], counters[last + 3], last = 'waited', 1, last + 2
  end
  if returned and paused == 0 then
    counters[last + 2], counters[last + 3], last = 'returned', 1, last + 2
    if admitted then
      counters[last + 2], counters[last + 3], last = 'kept', 1, last + 2
    end
  end
  if admitted and paused == 0 and not shadow_admitted then
    counters[last + 2], counters[last + 3], last = 'shadow_refused', 1, last + 2
  end
  for c = 1, last, 2 do
    local counter, by = counters[c], counters[c + 1]
    call('HINCRBY', KEYS[4], tenant .. '|' .. counter, by)
    -- The first of this minute.
    if call('HINCRBY', KEYS[3], minute .. tenant .. '|' .. action .. '|' .. counter, by) == by then
      call('EXPIRE', KEYS[3], KEEP_SECONDS)
      call('EXPIRE', KEYS[4], KEEP_SECONDS)
    end
  end
  if paused > 0 or not (admitted and shadow_admitted) then
    -- The limit that bound: of those that refused, the one whose wait ends last.
    local bound, longest = 1, -1
    for i = 1, n do
      local wait = limits[i][WAIT]
      if wait ~= 0 and limits[i][SHADOW] == admitted then
        if wait < 0 then wait = math.huge end
        if wait > longest then bound, longest = i, wait end
      end
    end
    local shadow, context, described, states = admitted and '|1|' or '|0|', ARGV[10], ARGV[4], n
    if paused > 0 then
      -- The upstream's doing: one more limit, which is nobody's.
      shadow, bound, states = '|0|', 0, n + 1
      local quota, window = 1, 1000000
      if above_pace then quota, window = max(1, floor(60000000 / interval + 0.5)), 60000000 end
      described = described .. (n > 0 and ';' or '') .. text(UPSTREAM, quota, window)
      local from = 4 * states
      answer[from], answer[from + 1], answer[from + 2], answer[from + 3] = 1, 1, paused, paused
      if part then described = described .. write_part(answer) end
    elseif pools > 0 then
      -- In the event's description each shared limit has a place for its share, and one for its even part.
      local _, _, even = dividing()
      for i = 1, n do
        local share, to = limits[i][SHARE], #answer + 1
        if share then
          answer[to], answer[to + 1], answer[to + 2] = share[1], floor(share[2]), share[3] + (share.due or 0)
          answer[to + 3] = max(0, ceil(share[4]))
          answer[to + 4] = floor(even(share[7], share[8], limits[i][EFFECTIVE], share.joins))
          described = string.gsub(described, '\1', text('%d,%d,%d,%d', unpack(answer, to, to + 3)), 1)
          described = string.gsub(described, '\3', text('%d', answer[to + 4]), 1)
        end
      end
    end
    local counted = values and values[bound] or KEYS[bound == 0 and 6 or FIXED + bound]
    local kind = floor(now / 1000000) .. shadow .. counted .. '|' .. tenant .. '|' .. action .. '|'
      .. string.match(context, '^[^|]*')
    local nth = call('HINCRBY', KEYS[5], kind, 1)
    local folded = max(0, nth - FLOOD)
    local event = text('%d', now) .. '|' .. folded .. shadow .. ppm .. '|' .. cost .. '|' .. tenant .. '|' .. action
      .. '|' .. decision_id .. '|' .. context .. '\n'
      .. text(string.rep('%d,', 4 * states - 1) .. '%d', unpack(answer, 4)) .. '\n' .. described
    if folded > 0 then
      call('HSET', KEYS[5], kind .. '|last', event)
    else
      if nth == 1 then call('EXPIRE', KEYS[5], KEEP_SECONDS) end
      call('XADD', KEYS[2], 'MAXLEN', '~', EVENTS_KEPT, '*', 'event', event)
      call('EXPIRE', KEYS[2], KEEP_SECONDS)
    end
  end
else
  if pools > 0 then
    local _, _, even = dividing()
    for i = 1, n do
      local limit, to = limits[i], #answer + 1
      local share = limit[SHARE]
      if share then
        answer[to], answer[to + 1], answer[to + 2] = share[1], floor(share[11]), share[3] + (share.due or 0)
        answer[to + 3] = max(0, ceil(share[4])) -- newcomers' may be lent
        answer[to + 4] = floor(even(share[7], share[8], limit[EFFECTIVE], share.joins))
      end
    end
  end
  if part then write_part(answer) end
end
return answer
