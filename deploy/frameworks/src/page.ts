/** The stream that each page of the test follows; the query tells the test which page it is. */
export const url = `/stream/log?lines=1000${location.pathname.replace(/\W+(\w+)\.html$/, '&page=$1')}`
