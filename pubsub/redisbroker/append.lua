-- Appends an event and returns its id. ARGV[5] to ARGV[7] are its channel, name and data.

local before, others = measureAll()
local after = before + size(#ARGV[5] + #ARGV[6] + #ARGV[7])
local reply = add(after, ARGV[5], ARGV[6], ARGV[7])
if type(reply) == 'table' then
  if string.find(reply.err, '^OOM') then -- it may be this stream that fills the memory
    redis.pcall('XTRIM', key, 'MAXLEN', maxEvents)
    pcall(trim, before)
  end
  return reply
end

-- Exact trimming each time would read the oldest entry each time. Instead the limits
-- may be exceeded by a thirtieth.
local step = math.min(maxBytes / 32, 1048576)
if math.floor(after / step) > math.floor((before - others) / step) or redis.call('XLEN', key) > maxEvents + maxEvents / 32 then
  pcall(trim, after) -- the event is stored, so nothing may fail any more
end
return reply
