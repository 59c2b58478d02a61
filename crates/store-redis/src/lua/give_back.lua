-- `Rule::give_back`. ARGV after the rule's six: taken_until, and 1 where what was tried was right
local taken_until, right = tonumber(ARGV[7]), ARGV[8] == '1'
local count, ends_at, lapses_at = load()
if not count then
  return 0
end
if rule == 'B' and right then
  redis.call('DEL', key)
elseif rule == 'W' and ends_at ~= taken_until then
  return 0
elseif count <= 1 then
  redis.call('DEL', key)
else
  if rule == 'B' and ends_at == taken_until then
    ends_at = math.min(ends_at, now)
  end
  store(count - 1, ends_at, lapses_at)
end
return 0
