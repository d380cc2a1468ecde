-- Each script runs in Redis or Valkey (Lua 5.1) by itself, with what the server provides.
std = "lua51"
read_globals = { "redis", "KEYS", "ARGV", "cjson", "struct", "bit", "cmsgpack" }
files["limiter/core/lua"] = { read_globals = { "algorithms", "assessing", "appointments", "joint", "look_at_share", "charge_share", "look_at_slots", "charge_slot", "dividing", "values" } } -- in front
max_line_length = 125
ignore = { "311" } -- a first value that every branch replaces
files["limiter/core/lua/values.lua"] = { globals = { "KEYS", "ARGV" } } -- it hands decide.lua its own
