import { defineConfig } from 'vitest/config';

/** Tests that boot a system or start containers; they need root, Debian, and minutes. */
export default defineConfig({
  cacheDir: '../node_modules/.vite',
  test: {
    root: import.meta.dirname,
    include: ['system/**/*.test.ts'],
    globalSetup: ['system/build.ts'],
    testTimeout: 240_000,
    hookTimeout: 1_500_000,
    fileParallelism: false,
  },
});
