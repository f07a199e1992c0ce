/** Name, version and architecture of what is built, as packages and images spell them. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from './bundle.ts';

const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };

export const NAME = 'gokr-rsyncd';
export const VERSION: string = version;

/** Debian's name of the architecture that this Node is for. */
export const DEBIAN_ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;
