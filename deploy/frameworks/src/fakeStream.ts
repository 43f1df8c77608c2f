/** A stream whose bytes the test sends: give its fetch to openStream, or put it in place of the global one. */
export function fakeStream() {
  let controller!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({ start: (given) => { controller = given } })
  return {
    fetch: async () => new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }),
    send: (text: string) => controller.enqueue(new TextEncoder().encode(text)),
    end: () => controller.close(),
  }
}
