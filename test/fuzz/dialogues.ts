/** Dialogues of whole sessions for the fuzzers: valid inputs, and what stays as it is around the part that is changed. */

import {
  allDone,
  argumentList,
  data,
  enter,
  filterRecord,
  frame,
  greeting,
  ItemWriter,
  int32,
  NO_MORE_FILTERS,
  pullArguments,
  sumHead,
  TRANSFER,
  vstring,
  WHOLE_FILE,
} from '../session/support/wire.ts';

/** One part of a session, over the module `pub`. */
export interface Dialogue {
  readonly name: string;
  /** Valid inputs. */
  readonly seeds: readonly Buffer[];
  /** Everything that a client sends, with `input` as that part. */
  readonly around: (input: Buffer) => Buffer;
}

const PROTOCOLS = [27, 29, 30, 31, 32];

const dialogue = (name: string, seeds: readonly Buffer[], around: Dialogue['around']): Dialogue => ({
  ...{ name, seeds, around },
});

/** Every part of a session that a client speaks. */
export function sessionDialogues(): Dialogue[] {
  const upToList = Buffer.concat([enter('pub'), pullArguments(), data(31, NO_MORE_FILTERS)]);
  const items = (): ItemWriter => new ItemWriter();
  const args = ['--server', '--sender', '-logDtprRHSze.iLsfxCIvu', '--files-from=-', '--from0', '.', 'pub/'];
  return [
    dialogue(
      'greeting',
      [enter('pub'), Buffer.from('@RSYNCD: 31.0\n#early_input=3\nabc#list\n'), greeting(32)],
      (input) => input,
    ),
    dialogue(
      'arguments',
      [
        pullArguments(),
        argumentList(args),
        argumentList(['--server', '--sender', '-s']),
        pullArguments(['-c', '-z', '--exclude=*.o']),
      ],
      (input) => Buffer.concat([enter('pub'), input]),
    ),
    dialogue('negotiation', [vstring('md5 xxh64'), vstring('sha1')], (input) =>
      Buffer.concat([enter('pub'), argumentList(['--server', '--sender', '-re.LsfxCIvu', '.', 'pub/']), input]),
    ),
    dialogue(
      'filters',
      [
        Buffer.concat([filterRecord('- *.o'), filterRecord('+ /dir/**'), filterRecord(': .rules'), NO_MORE_FILTERS]),
        Buffer.concat([filterRecord('. rules'), filterRecord('!'), filterRecord('-! [a-z]*'), NO_MORE_FILTERS]),
      ],
      (input) => Buffer.concat([enter('pub'), pullArguments(['-C']), data(31, input), data(31, allDone())]),
    ),
    dialogue('filters-old', [Buffer.concat([filterRecord('- a'), filterRecord('+ b*'), NO_MORE_FILTERS])], (input) =>
      Buffer.concat([enter('pub', 28), pullArguments([], 28), input, allDone(28)]),
    ),
    dialogue('files-from', [Buffer.from('file\0dir/nested\0./a/../b\0\0'), Buffer.from('dir/./nested\0\0')], (input) =>
      Buffer.concat([
        enter('pub'),
        pullArguments(['-R', '--files-from=-', '--from0']),
        data(31, NO_MORE_FILTERS),
        data(31, input),
        data(31, allDone()),
      ]),
    ),
    dialogue(
      'requests',
      [
        Buffer.concat([items().item(1, TRANSFER, WHOLE_FILE), allDone()]),
        Buffer.concat([items().item(1, TRANSFER, sumHead(2, 700, 16, 100), Buffer.alloc(40, 7)), allDone()]),
        Buffer.concat([items().item(3, 0x1000, vstring('name')), items().deletionStats(), Buffer.alloc(5), allDone()]),
        Buffer.concat([items().item(2, TRANSFER | 0x0800, Buffer.of(1), WHOLE_FILE), allDone()]),
      ],
      (input) => Buffer.concat([upToList, data(31, input)]),
    ),
    dialogue('frames', [data(31, allDone()), frame(42), frame(86, int32(1)), frame(0)], (input) =>
      Buffer.concat([upToList, input]),
    ),
    ...PROTOCOLS.map((protocol) =>
      dialogue(
        `session-${protocol}`,
        [
          Buffer.concat([
            enter('pub', protocol),
            pullArguments([], protocol),
            data(protocol, NO_MORE_FILTERS),
            data(protocol, new ItemWriter(protocol).item(1, TRANSFER, WHOLE_FILE), allDone(protocol)),
          ]),
        ],
        (input) => input,
      ),
    ),
  ];
}
