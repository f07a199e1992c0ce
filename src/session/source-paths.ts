import type { ListContext } from '../flist/context.ts';
import type { ServerOptions } from '../options/server-options.ts';
export async function sourcePaths(_c: ListContext, options: ServerOptions, name: string): Promise<Buffer[]> {
  return options.paths.map((p) => { const t = p.toString('latin1'); return Buffer.from(t === name ? '' : t.startsWith(`${name}/`) ? t.slice(name.length + 1) : t, 'latin1'); });
}
