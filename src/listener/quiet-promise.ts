/** Promises of a transport that nobody may be waiting for any more. */

const noop = (): void => {};

/** `promise` itself. A session that ended for another reason leaves its last wait behind; that is no unhandled rejection. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(noop);
  return promise;
}
