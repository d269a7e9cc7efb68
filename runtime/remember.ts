/** Makes a value once for each key. */

interface Memory<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

/** The value of a key, made if there is none. */
export function remember<K, V>(memory: Memory<K, V>, key: K, make: () => V): V {
  let value = memory.get(key);
  if (value === undefined) {
    value = make();
    memory.set(key, value);
  }
  return value;
}

/** The same for what may fail: a failure may pass, so the next one who asks tries again. */
export function rememberSuccess<K, V>(
  memory: Map<K, Promise<V>>,
  key: K,
  make: () => Promise<V>,
): Promise<V> {
  const value = remember(memory, key, make);
  value.catch(() => memory.delete(key));
  return value;
}
