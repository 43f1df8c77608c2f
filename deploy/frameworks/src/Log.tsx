import { useState } from 'react'
import { useEventStream } from './useEventStream.js'

export function Log({ url }: { url: string }) {
  const [lines, setLines] = useState<string[]>([])
  const state = useEventStream(url, ({ name, data }) => {
    const line = name === 'gap' ? 'Some lines are missing here.' : data
    setLines((before) => [...before, line].slice(-1000))
  })
  return <ol data-state={state}>{lines.map((line, i) => <li key={i}>{line}</li>)}</ol>
}
