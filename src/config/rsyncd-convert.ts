/** Settings of an rsyncd.conf → sections of our configuration and one verdict per line; rsyncd-load.ts and --convert-config use it. */
import { ConfigError } from '../errors.ts';
import { formatListenAddress, parseHost, RSYNC_PORT } from './listen-address.ts';
import type { ConfEntry, ConfModule, ConfPlace, RsyncdConf, Setting } from './rsyncd-conf.ts';
import type { Identity, Outcome, ParamRow, TomlValue, VerdictLetter } from './rsyncd-param.ts';
import { RSYNCD_PARAMS } from './rsyncd-params.ts';

/** What becomes of one line. */
export interface Verdict {
  readonly place: ConfPlace;
  /** The parameter, module or directive. */
  readonly label: string;
  readonly letter: VerdictLetter;
  readonly text: string;
}

/** A [[module]] or [[listener]] of our configuration. */
export interface ConvertedSection {
  readonly keys: Readonly<Record<string, TomlValue>>;
  /** Where each key was set; the key '' is the section itself. */
  readonly places: ReadonlyMap<string, ConfPlace & { readonly label: string }>;
  /** A line that it needs was refused: it must not be served. */
  readonly isRefused: boolean;
}

export interface Conversion {
  readonly global: ConvertedSection;
  readonly listener: ConvertedSection;
  /** Without those that are switched off. */
  readonly modules: readonly ConvertedSection[];
  /** In reading order. */
  readonly verdicts: readonly Verdict[];
}

const SEVERITY: Readonly<Record<VerdictLetter, number>> = { I: 0, D: 1, W: 2, R: 3 };

/** An environment variable in a value. */
const VARIABLE = /%[A-Za-z_][A-Za-z0-9_]*%/;

function judge({ row, value }: Setting, identity: Identity): Outcome {
  if (row.ignoresValue !== true && VARIABLE.test(value)) {
    return { letter: 'R', text: 'environment variables are not expanded: write the value itself' };
  }
  if (value === '' && row.kind === 'text') {
    return { letter: row.ignoresValue ? 'W' : 'I', text: 'empty: as if it were not set' };
  }
  try {
    return row.convert(value, identity);
  } catch (error) {
    if (error instanceof ConfigError) {
      return { letter: 'R', text: error.message };
    }
    throw error;
  }
}

const MODULE_ROWS = RSYNCD_PARAMS.filter((row) => row.scope === 'module');
const GLOBAL_ROWS = RSYNCD_PARAMS.filter((row) => row.scope === 'global');

/** A section while its settings are gathered. */
class Draft {
  readonly keys: Record<string, TomlValue> = {};
  readonly places = new Map<string, ConfPlace & { label: string }>();
  isRefused = false;
  isLeftOut = false;
  readonly #name: string;

  constructor(name: string, place: ConfPlace | null) {
    this.#name = name;
    if (place !== null) {
      this.places.set('', { ...place, label: name });
    }
  }

  add(setting: Setting, outcome: Outcome): void {
    this.isRefused ||= outcome.letter === 'R';
    this.isLeftOut ||= outcome.leavesOut === true;
    for (const [key, value] of Object.entries(outcome.keys ?? {})) {
      this.keys[key] = value;
      this.places.set(key, { ...setting.place, label: `${this.#name} ${setting.row.name}`.trimStart() });
    }
  }
}

class Converter {
  readonly #conf: RsyncdConf;
  readonly #identity: Identity;
  /** Outcomes of settings that count somewhere; one value may serve many modules. */
  readonly #outcomes = new Map<Setting, Outcome>();
  /** Remarks that depend on several settings. */
  readonly #remarks = new Map<Setting, Outcome[]>();
  /** What is wrong with a module as a whole, by the place of its header. */
  readonly #moduleProblems = new Map<ConfPlace, string>();

  constructor(conf: RsyncdConf, identity: Identity) {
    this.#conf = conf;
    this.#identity = identity;
  }

  run(): Conversion {
    const global = this.#convertGlobals();
    const listener = splitListener(global);
    const modules = this.#conf.modules.map((module) => this.#convertModule(module));
    const isBroken = this.#conf.entries.some((entry) => entry.kind === 'problem');
    // SECURITY: a line that cannot be read may have been a restriction of any module.
    const refuseAll = (draft: Draft): ConvertedSection => ({
      ...asSection(draft),
      isRefused: draft.isRefused || isBroken,
    });
    return {
      global: refuseAll(global),
      listener: refuseAll(listener),
      modules: modules.filter((draft) => !draft.isLeftOut).map(refuseAll),
      verdicts: this.#conf.entries.map((entry) => this.#verdictOf(entry)),
    };
  }

  #outcomeOf(setting: Setting): Outcome {
    const outcome = this.#outcomes.get(setting) ?? judge(setting, this.#identity);
    this.#outcomes.set(setting, outcome);
    return outcome;
  }

  #remark(setting: Setting, letter: VerdictLetter, text: string): void {
    const remarks = this.#remarks.get(setting) ?? [];
    if (!remarks.some((remark) => remark.text === text)) {
      this.#remarks.set(setting, [...remarks, { letter, text }]);
    }
  }

  #convertGlobals(): Draft {
    const { globals } = this.#conf;
    const draft = new Draft('', null);
    this.#addRows(draft, GLOBAL_ROWS, (row) => globals.get(row.name));
    const [proxy, hosts] = [globals.get('proxy protocol'), globals.get('proxy protocol hosts')];
    if (draft.keys.proxy_protocol !== true && hosts !== undefined && draft.keys.proxy_trusted !== undefined) {
      delete draft.keys.proxy_trusted;
      this.#remark(hosts, 'W', 'not used: proxy protocol is off');
    }
    if (proxy !== undefined && draft.keys.proxy_protocol === true && draft.keys.proxy_trusted === undefined) {
      // SECURITY: without a list every client could choose the address that access lists see (CVE-2026-53791).
      draft.isRefused = true;
      this.#remark(proxy, 'R', 'needs proxy protocol hosts: the addresses of the proxies');
    }
    return draft;
  }

  #convertModule(module: ConfModule): Draft {
    const draft = new Draft(`[${module.name}]`, module.place);
    draft.keys.name = module.name;
    const find = (row: ParamRow) => effective(this.#conf, module, row);
    this.#addRows(draft, MODULE_ROWS, find);
    const settingOf = (name: string) => find(MODULE_ROWS.find((row) => row.name === name)!);
    if (draft.isLeftOut) {
      return draft;
    }
    this.#finishLogin(draft, settingOf('auth users'), settingOf('secrets file'));
    this.#finishLinks(draft, settingOf('use chroot'), settingOf('path'));
    if ((settingOf('path')?.value ?? '') === '') {
      draft.isRefused = true;
      this.#moduleProblems.set(module.place, 'has no path');
    }
    return draft;
  }

  #addRows(draft: Draft, rows: readonly ParamRow[], find: (row: ParamRow) => Setting | undefined): void {
    for (const row of rows) {
      const setting = find(row);
      if (setting !== undefined) {
        draft.add(setting, this.#outcomeOf(setting));
      }
    }
  }

  #finishLogin(draft: Draft, users: Setting | undefined, secrets: Setting | undefined): void {
    if (draft.keys.auth_users === undefined) {
      if (secrets !== undefined && draft.keys.secrets_file !== undefined) {
        delete draft.keys.secrets_file;
        this.#remark(secrets, 'D', 'used by modules with auth users');
      }
      return;
    }
    if (draft.keys.secrets_file === undefined && users !== undefined) {
      draft.isRefused = true;
      this.#remark(users, 'R', 'needs a secrets file: nobody can log in without');
    }
    if (draft.keys.auth_digest === undefined && users !== undefined) {
      this.#remark(users, 'W', 'logins need sha256 or stronger; auth digest = md5 admits clients before rsync 3.2');
    }
  }

  /** rsync restores munged links by default wherever it does not chroot right into the module. */
  #finishLinks(draft: Draft, chroot: Setting | undefined, path: Setting | undefined): void {
    const isInner = path?.value.includes('/./') === true;
    const isOff = chroot !== undefined && /^(no|false|0)$/i.test(chroot.value);
    if (draft.keys.munge_symlinks !== undefined || !(isInner || isOff)) {
      return;
    }
    draft.keys.munge_symlinks = true;
    this.#remark(isOff ? chroot : path!, 'D', 'munge_symlinks, which rsync turns on here unless munge symlinks is set');
  }

  #verdictOf(entry: ConfEntry): Verdict {
    switch (entry.kind) {
      case 'problem':
        return { place: entry.place, label: entry.label, letter: 'R', text: entry.problem };
      case 'structure': {
        const { place, label } = entry;
        const problem = this.#moduleProblems.get(place);
        return { place, label, letter: problem === undefined ? 'I' : 'R', text: problem ?? structureText(label) };
      }
      case 'setting':
        return this.#settingVerdict(entry.setting);
    }
  }

  #settingVerdict(setting: Setting): Verdict {
    const { place, row } = setting;
    const outcome = this.#outcomes.get(setting);
    if (outcome === undefined) {
      const text = 'not used: a later line or each module sets it, or it stands in a file of its own';
      return { place, label: row.name, letter: 'W', text };
    }
    const parts = [outcome, ...(this.#remarks.get(setting) ?? [])];
    const letter = parts.reduce<VerdictLetter>(
      (worst, part) => (SEVERITY[part.letter] > SEVERITY[worst] ? part.letter : worst),
      'I',
    );
    return { place, label: row.name, letter, text: parts.map((part) => part.text).join('; ') };
  }
}

function structureText(label: string): string {
  if (label.startsWith('&')) {
    return 'read';
  }
  return label.toLowerCase() === '[global]' ? 'defaults for the modules that follow' : '[[module]]';
}

/** The setting that counts for a module: its own, the default where it began or, for texts, the one at the end. */
function effective(conf: RsyncdConf, module: ConfModule, row: ParamRow): Setting | undefined {
  const found = module.own.get(row.name) ?? module.inherited.get(row.name);
  // SECURITY: rsync looks texts up late: `hosts allow` in a [global] behind a module restricts that module, too.
  return found ?? (row.kind === 'text' ? conf.globals.get(row.name) : undefined);
}

/** Moves what belongs to the listener out of the global section. */
function splitListener(global: Draft): Draft {
  const { address, port } = global.keys;
  const listener = new Draft('', null);
  listener.isRefused = global.isRefused;
  const host = typeof address === 'string' ? address : parseHost('');
  listener.keys.rsyncd = formatListenAddress({ host, port: typeof port === 'bigint' ? Number(port) : RSYNC_PORT });
  const at = global.places.get('address') ?? global.places.get('port');
  if (at !== undefined) {
    listener.places.set('rsyncd', at);
  }
  for (const key of ['proxy_protocol', 'proxy_trusted']) {
    if (global.keys[key] !== undefined) {
      listener.keys[key] = global.keys[key];
      listener.places.set(key, global.places.get(key)!);
    }
  }
  for (const key of ['address', 'port', 'proxy_protocol', 'proxy_trusted']) {
    delete global.keys[key];
  }
  return listener;
}

function asSection({ keys, places, isRefused }: Draft): ConvertedSection {
  return { keys, places, isRefused };
}

/** Converts a configuration; never throws for what its lines say. */
export function convertRsyncdConf(conf: RsyncdConf, identity: Identity): Conversion {
  return new Converter(conf, identity).run();
}
