import { defineConfig } from 'vitest/config';

/** Tests that boot a system or start containers; they need root, Debian, and minutes. */
export default defineConfig({
  cacheDir: '../node_modules/.vite',
  test: {
    root: import.meta.dirname,
    // CI shares its machine: what a client that was starved of CPU has failed is tried again, and the report says so.
    retry: process.env.CI === 'true' ? 2 : 0,
    include: ['system/**/*.test.ts'],
    globalSetup: ['system/build.ts'],
    testTimeout: 240_000,
    hookTimeout: 1_500_000,
    fileParallelism: false,
  },
});
