import { report, url } from './report.mjs'

// It is written for pages: these are what it needs of one.
globalThis.window = globalThis
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} }
const { fetchEventSource } = await import('@microsoft/fetch-event-source')
fetchEventSource(url, { openWhenHidden: true, onmessage: ({ id, data }) => report(id, data), onerror: () => 50, onclose() { throw new Error('again') } })
