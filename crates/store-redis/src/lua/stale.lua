-- The facts of a session changed in the database: they must be read again, also by whoever is just reading.
local key = KEYS[1]
local value = redis.call('GET', key)
local kind = value and value:byte(1)
if kind == LIVE then
  redis.call('SET', key, 'F' .. NONE .. value:sub(2), 'KEEPTTL')
elseif kind == FILL then
  redis.call('SET', key, 'F' .. NONE .. value:sub(18), 'KEEPTTL')
end
return 0
