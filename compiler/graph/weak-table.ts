/** A table of values that nothing else may need any more: those are forgotten. */
export interface WeakTable<T extends object> {
  readonly get: (key: string) => T | undefined;
  readonly set: (key: string, value: T) => void;
}

export function createWeakTable<T extends object>(): WeakTable<T> {
  const values = new Map<string, WeakRef<T>>();
  const gone = new FinalizationRegistry<string>((key) => {
    if (values.get(key)?.deref() === undefined) values.delete(key);
  });
  return {
    get: (key) => values.get(key)?.deref(),
    set(key, value) {
      values.set(key, new WeakRef(value));
      gone.register(value, key);
    },
  };
}
