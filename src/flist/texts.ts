/** The messages of file-list building, in C rsync's wording (1-session.md 6.3); names stay bytes. */

/** `"/<path>" (in <module>)`: a path as the client knows it; without the module where its name is empty. */
export function quotedPath(modulePath: Buffer, moduleName: string): Buffer {
  const end = moduleName === '' ? '"' : `" (in ${moduleName})`;
  return Buffer.concat([Buffer.from('"/'), modulePath, Buffer.from(end)]);
}

/** Text from parts, ended by a newline. */
export function line(...parts: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat([
    ...parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)),
    Buffer.from('\n'),
  ]);
}

/** `rsync: [sender] <call> "<path>" (in <module>) failed: <reason>`. */
export function failedText(call: string, path: Buffer, moduleName: string, reason: string): Buffer {
  return line(`rsync: [sender] ${call} `, quotedPath(path, moduleName), ` failed: ${reason}`);
}

/** The same for attributes of a name found in a directory, which rsync words as a call. */
export function unexaminedText(path: Buffer, moduleName: string, reason: string): Buffer {
  return line('rsync: [sender] readlink_stat(', quotedPath(path, moduleName), `) failed: ${reason}`);
}

/** `file has vanished: "<path>" (in <module>)`. */
export function vanishedText(path: Buffer, moduleName: string): Buffer {
  return line('file has vanished: ', quotedPath(path, moduleName));
}
