/** What is loaded when somebody needs it first, and once: a start, and a daemon that nobody visits, do without. */

/** @returns asks `load` at its first call, and gives the same promise at each: Node's loader takes its time also for what it has. */
export function onDemand<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | null = null;
  return () => {
    loading ??= load();
    return loading;
  };
}
