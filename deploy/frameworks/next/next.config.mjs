const service = process.env.SERVICE ?? 'http://localhost:8000'

export default {
  rewrites: async () => [{ source: '/stream/:path*', destination: `${service}/stream/:path*` }],
}
