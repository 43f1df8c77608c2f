import { useEffect, useEffectEvent, useState } from 'react'
import { openStream, type State, type StreamEvent } from './eventstream.js'

/** Follows a stream while the component is mounted, and returns the stream's state. */
export function useEventStream(url: string, onEvent: (event: StreamEvent) => void): State {
  const [state, setState] = useState<State>('connecting')
  const handle = useEffectEvent(onEvent) // always the newest one, without a new connection
  useEffect(() => {
    const stream = openStream(url, { onEvent: (event) => handle(event), onState: setState })
    return () => stream.close()
  }, [url])
  return state
}
