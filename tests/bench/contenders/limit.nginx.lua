-- Asks the store whether a call passes, from nginx's access phase. Speaks RESP itself: no Lua Redis client is needed.

local host, port, digest = ngx.var.store_host, tonumber(ngx.var.store_port), ngx.var.digest
local key = 'nginx:' .. (ngx.var.http_x_tenant_id or '') .. ':' .. ngx.var.uri
local now = string.format('%.0f', ngx.now() * 1000000)

local function command(...)
  local parts = { '*' .. select('#', ...) .. '\r\n' }
  for i = 1, select('#', ...) do
    local value = tostring((select(i, ...)))
    parts[i + 1] = '$' .. #value .. '\r\n' .. value .. '\r\n'
  end
  return table.concat(parts)
end

local socket = ngx.socket.tcp()
socket:settimeouts(200, 250, 250)
local ok = socket:connect(host, port, { pool_size = 64 })
if not ok then return ngx.exit(503) end
socket:send(command('EVALSHA', digest, 1, key, ngx.var.quota, ngx.var.window_us, now))
local line = socket:receive('*l')
socket:setkeepalive(60000, 64)
local wait_us = line and tonumber(string.match(line, '^:(%d+)$'))
if not wait_us then return ngx.exit(503) end
if wait_us > 0 then
  ngx.status = 429
  ngx.header['Retry-After'] = math.ceil(wait_us / 1000000)
  ngx.header['Content-Type'] = 'application/json'
  ngx.print('{"error":"Rate limit exceeded"}')
  return ngx.exit(429)
end
