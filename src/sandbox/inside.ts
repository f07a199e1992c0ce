/** Where one path lies in another, by their texts alone; minimal-root.ts and self-test.ts ask. */

/** Whether `path` is `directory` or lies in it; both absolute, with or without a slash at the end. */
export function isInside(path: string, directory: string): boolean {
  return `${path}/`.startsWith(`${directory.replace(/\/$/, '')}/`);
}
