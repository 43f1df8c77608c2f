import { svelte } from '@sveltejs/vite-plugin-svelte'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

const service = process.env.SERVICE ?? 'http://localhost:8000'

export default defineConfig({
  plugins: [vue(), svelte()],
  server: {
    proxy: {
      '/stream': service,
      '/publish': service,
    },
  },
  build: {
    rollupOptions: { input: ['react', 'query', 'vue', 'svelte', 'plain', 'state'].map((page) => `${page}.html`) },
  },
})
