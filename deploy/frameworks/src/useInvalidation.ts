import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { openStream } from './eventstream.js'

/** Asks the queries again that an event names in {"changed":["items"]}, and all of them if events were lost. */
export function useInvalidation(url: string) {
  const client = useQueryClient()
  useEffect(() => {
    async function askAgain(queryKey: string[]) {
      await client.cancelQueries({ queryKey }) // an answer that is under way may be older than the event
      await client.invalidateQueries({ queryKey })
    }
    let first = true
    const stream = openStream(url, {
      onEvent: ({ name, data }) => askAgain(name === 'gap' ? [] : JSON.parse(data).changed),
      onState(state) {
        if (state === 'open' && first) void askAgain([]) // no event reports what changed before
        if (state === 'open') first = false
      },
    })
    return () => stream.close()
  }, [client, url])
}
