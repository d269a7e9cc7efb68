/** A map of limited size that forgets what was not used for longest. */
export interface Cache<V> {
  /** The value of a key, made where it is not known. */
  get(key: string, make: () => V): V;
}

export function makeCache<V>(limit: number, forget: (value: V) => void = () => {}): Cache<V> {
  // a Map keeps the order of insertion: oldest first
  const known = new Map<string, V>();
  return {
    get: (key, make) => {
      const value = known.get(key) ?? make();
      known.delete(key);
      known.set(key, value);
      const [oldest] = known;
      if (known.size > limit && oldest) {
        known.delete(oldest[0]);
        forget(oldest[1]);
      }
      return value;
    },
  };
}
