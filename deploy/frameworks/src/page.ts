/** The stream that each page of the test follows; a query is handed on. */
export const url = `/stream/log?lines=1000${location.search.replace('?', '&')}`
