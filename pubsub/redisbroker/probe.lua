-- Finds out whether events can be stored, without storing one: it writes a key that
-- expires. KEYS[2] is that key. If the stream itself fills the memory, it is trimmed.

local reply = redis.pcall('SET', KEYS[2], '', 'PX', 60000)
if reply.err and string.find(reply.err, '^OOM') then
  local _, _, upTo = newest()
  pcall(trim, upTo)
end
return reply
