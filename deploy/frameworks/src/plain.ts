import { openStream } from './eventstream.js'

/** Follows a stream in a list, until the function that it returns is called. */
export function follow(url: string, list: HTMLElement): () => void {
  const append = (text: string) => list.append(Object.assign(document.createElement('li'), { textContent: text }))
  const stream = openStream(url, {
    onEvent: ({ name, data }) => append(name === 'gap' ? 'Some lines are missing here.' : data),
    onState: (state) => { list.dataset.state = state },
  })
  return () => stream.close()
}
