self.addEventListener('fetch', (event) => {
  if (event.request.headers.get('Accept')?.includes('text/event-stream')) return // the browser does it
  event.respondWith(fetch(event.request))
})
