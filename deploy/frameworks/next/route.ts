// app/events/route.ts
const service = process.env.SERVICE ?? 'http://localhost:8000'

export const dynamic = 'force-dynamic' // a stream is never built in advance

export async function GET(request: Request): Promise<Response> {
  const headers = new Headers({ Accept: 'text/event-stream' })
  const lastEventId = request.headers.get('Last-Event-ID')
  if (lastEventId) headers.set('Last-Event-ID', lastEventId)
  const { search } = new URL(request.url)
  const upstream = await fetch(`${service}/stream/channel${search}`, {
    headers,
    cache: 'no-store',
    signal: request.signal, // ends with the client's connection
  })
  return new Response(upstream.body, { status: upstream.status, headers: upstream.headers })
}
