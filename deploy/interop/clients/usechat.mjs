// What a page with useChat does, in Node: usechat.mjs BASE prints what it has seen.
import { AbstractChat } from 'ai'
import { jobTransport } from './chat-transport.mjs'

const base = process.argv[2]

// A network that breaks each stream after 3,000 bytes.
const { fetch } = globalThis
let connections = 0
globalThis.fetch = async (url, options) => {
  const response = await fetch(url, options)
  if (!response.headers.get('Content-Type')?.startsWith('text/event-stream') || options.method === 'HEAD') return response
  connections++
  let left = 3000
  const cut = new TransformStream({
    transform(bytes, out) {
      left -= bytes.length
      if (left < 0) return out.error(new TypeError('the network has changed'))
      out.enqueue(bytes)
    },
  })
  return Object.defineProperty(new Response(response.body.pipeThrough(cut), response), 'url', { value: response.url })
}

class Chat extends AbstractChat {
  constructor(id, messages = []) {
    super({ id, transport: jobTransport(base), state: {
      status: 'ready', error: undefined, messages, snapshot: structuredClone,
      pushMessage(m) { this.messages.push(m) },
      popMessage() { this.messages.pop() },
      replaceMessage(i, m) { this.messages[i] = m },
    } })
  }

  /** @returns what is on the screen */
  seen() {
    return { status: this.status, error: this.error?.message, messages: this.messages.map(({ role, parts }) => ({
      role, text: parts.map((part) => part.text ?? '').join('') })) }
  }
}

const chat = new Chat('chat-1')
const first = chat.sendMessage({ text: 'Why?' })
await new Promise((resolve) => setTimeout(resolve, 1000)) // the answer takes three seconds at least
const reloaded = new Chat('chat-1', chat.messages.slice(0, 1).map((m) => structuredClone(m)))
await Promise.all([first, reloaded.resumeStream()])
await chat.sendMessage({ text: 'And a WebSocket?' })

const stopped = new Chat('chat-2')
const answer = stopped.sendMessage({ text: 'Why?' })
await new Promise((resolve) => setTimeout(resolve, 500))
await stopped.stop()
await answer

const refused = new Chat('chat-3')
await refused.sendMessage({ text: '' })
const unknown = new Chat('chat-4')
await unknown.resumeStream()
console.log(JSON.stringify({ connections, chat: chat.seen(), reloaded: reloaded.seen(), stopped: stopped.seen(), refused: refused.seen(), unknown: unknown.seen() }))
process.exit()
