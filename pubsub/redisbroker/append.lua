-- Appends an event and returns its id. ARGV[3] and ARGV[4] are an id, ms and sequence,
-- that the new id must be above: a Redis that has lost events, and whose clock is behind,
-- would otherwise give out ids that its clients have passed. Then channel, name, data.

local afterMs, afterSequence = tonumber(ARGV[3]), tonumber(ARGV[4])
local ms, sequence, before, others = newest()
if afterMs > ms or afterMs == ms and afterSequence > sequence then
  ms, sequence = afterMs, afterSequence
end
local after = before + size(#ARGV[5] + #ARGV[6] + #ARGV[7])
local reply = add(ms, sequence, after, ARGV[5], ARGV[6], ARGV[7])
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
