-- Each script runs in Redis or Valkey (Lua 5.1) by itself, with what the server provides.
std = "lua51"
read_globals = { "redis", "KEYS", "ARGV", "cjson", "struct", "bit", "cmsgpack" }
local in_front = { "algorithms", "assessing", "appointments", "counts", "flight", "gaps", "holding", "in_force", "joint", "probes", "rates",
  "sent_log", "values" }
local places = { "KIND", "PER_CALL", "SLOTS", "WINDOW", "LEASE", "SHADOW", "QUOTA", "EFFECTIVE", "USED", "WAIT", "RESET", "AT", "OLDEST",
  "LATEST", "SLICE", "DEBT", "COUNTED_FOR", "BOOK", "HOLDS", "SHARE", "TERMS" } -- of limit.lua, which is in front of these
for _, each in ipairs(places) do in_front[#in_front + 1] = each end
files["limiter/core/lua"] = { read_globals = in_front }
files["limiter/core/lua/limit.lua"] = { ignore = { "211" } } -- it names them for the others
files["limiter/core/lua/*.lua"] = { read_globals = { "dividing", "newcomers", "window_dividing", "slot_dividing", "unused_units" } } -- in place of calls
max_line_length = 125
ignore = { "311" } -- a first value that every branch replaces
files["limiter/core/lua/values.lua"] = { globals = { "KEYS", "ARGV" } } -- it hands decide.lua its own
-- These stand in decide.lua, and work on its variables.
local blocks = { "look_at_share", "look_at_slots", "charge_share", "charge_slot", "find_earlier_pool", "find_sums" }
files["limiter/core/lua/decide.lua"] = {
  read_globals = { "leave_places", unpack(blocks) }, ignore = { "221/share", "231/turned", "231/big", "231/small", "231/charged_at", "231/of_account", "231/length", "231/slices", "231/most", "231/lives", "231/written", "211/share", "211/anew",
    "231/form", "231/first", "231/second", "231/third", "231/fourth", "231/fifth" },
}
local of_decide = {
  globals = { "share", "sums", "wait", "of_account", "of_pool", "turned", "big", "small", "charged_at", "written" },
  read_globals = {
    "KEYS", "anew", "appointments", "call", "ceil", "floor", "max", "min", "num", "take", "text", "account", "at", "charged", "charging", "cost", "debt",
    "decided_before", "effective", "fifth", "first", "form", "fourth", "hash", "key", "kind", "length", "limit", "lives", "most", "now", "pool", "second",
    "slice", "slices", "third", "state", "t", "used", "w", "window", "BUCKET", "BEHIND_BYTES", "CONCURRENCY_HINT_US", "MARGIN_MS", "SLACK_US",
  },
}
files["limiter/core/lua/leave_places.lua"] = {
  globals = { "apart", "due", "early", "part" },
  read_globals = {
    "call", "calls", "ceil", "decided_before", "floor", "interval", "log", "max", "min", "now", "num", "own_turn", "patience", "pause", "take", "within",
    "DIGITS", "MINUTE_US", "SAVED", "WRAP",
  },
}
for _, each in ipairs(blocks) do files["limiter/core/lua/" .. each .. ".lua"] = of_decide end
