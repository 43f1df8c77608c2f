import { openStream } from '../../../web/eventstream.js'

/** A transport for useChat: an answer is a job with the chat's id. */
export function jobTransport(base = '') {
  const location = (id) => `${base}/stream/progress?id=${id}`
  const textOf = ({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
  const read = (id, url, request) => new ReadableStream({
    start(out) {
      let problem = { title: 'the answer is not complete' }
      out.enqueue({ type: 'start' })
      out.enqueue({ type: 'text-start', id })
      openStream(url, {
        ...request,
        until: 'done',
        onEvent({ name, data }) {
          const event = JSON.parse(data)
          if (name === 'token') out.enqueue({ type: 'text-delta', id, delta: event.text })
          if (name === 'done') problem = event.error && { title: event.error }
        },
        onProblem: (p) => { problem = p },
        onState(state) {
          if (state !== 'closed') return
          out.enqueue({ type: 'text-end', id })
          out.enqueue(problem ? { type: 'error', errorText: problem.detail ?? problem.title } : { type: 'finish' })
          out.close()
        },
      })
    },
  })
  return {
    resumeStreamIsReplay: true, // it begins with the first piece
    async sendMessages({ chatId, messages, abortSignal }) {
      abortSignal?.addEventListener('abort', () => fetch(`${base}/jobs/${chatId}`, { method: 'DELETE' }))
      const sent = messages.map((m) => ({ role: m.role, content: textOf(m) }))
      const body = JSON.stringify({ kind: 'answer', id: chatId, messages: sent })
      const headers = { 'Content-Type': 'application/json' }
      return read(chatId, `${base}/jobs`, { method: 'POST', headers, body, signal: abortSignal })
    },
    async reconnectToStream({ chatId, abortSignal }) { // HEAD starts nothing
      const { headers } = await fetch(location(chatId), { method: 'HEAD' })
      return headers.get('Last-Event-ID') ? read(chatId, location(chatId), { signal: abortSignal }) : null
    },
  }
}
