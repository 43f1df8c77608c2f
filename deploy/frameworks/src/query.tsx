import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import type { Item } from './items.js'
import { useInvalidation } from './useInvalidation.js'

function Items() {
  useInvalidation('/changes')
  const { data = [] } = useQuery({
    queryKey: ['items'],
    queryFn: async ({ signal }): Promise<Item[]> => (await fetch('/items', { signal })).json(),
    staleTime: Infinity, // the stream says when it is stale
  })
  return <ol>{data.map((item) => <li key={item.id}>{item.text}</li>)}</ol>
}

createRoot(document.querySelector('main')!).render(
  <StrictMode><QueryClientProvider client={new QueryClient()}><Items /></QueryClientProvider></StrictMode>,
)
