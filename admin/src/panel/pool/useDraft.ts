// What a person types over something others may edit meanwhile. Nothing typed is lost, and nothing of theirs either.
import { useEffect, useState } from "react";

export interface Version<V> {
  version: number;
  values: V;
}

export interface Draft<V> {
  values: V;
  set: (change: Partial<V>) => void;
  dirty: boolean;
  /** The version an edit is based on: `expectedVersion`. */
  version: number;
  /** What only oneself changed. */
  changed: Partial<V>;
  /** What somebody else made of the fields that one changed oneself; null when the two don't meet. */
  theirs: Partial<V> | null;
  /** An edit of somebody else was taken over into fields that one had not touched. */
  adopted: boolean;
  keepMine: () => void;
  takeTheirs: () => void;
  reset: () => void;
  /** One's own edit was accepted, and this is what it made. */
  accepted: (version: Version<V>) => void;
}

export function useDraft<V extends object>(current: Version<V>, saving: boolean): Draft<V> {
  const [base, setBase] = useState(current);
  const [values, setValues] = useState(current.values);
  const [adopted, setAdopted] = useState(false);
  const foreign = !saving && current.version > base.version;
  const mine = differing(values, base.values);
  const others = foreign ? differing(current.values, base.values) : {};
  const clash = Object.keys(differing(values, others)).filter((key) => key in mine && key in others) as (keyof V)[];
  const theirs = Object.fromEntries(clash.map((key) => [key, current.values[key]])) as Partial<V>;

  useEffect(() => {
    if (!foreign) return;
    setValues({ ...current.values, ...mine });
    if (clash.length) return;
    setBase(current);
    // Members that come or go count as an edit, too, but change nothing in a form.
    if (Object.keys(others).length) setAdopted(true);
  }, [foreign, current.version, clash.length]);

  return {
    values,
    set: (change) => {
      setAdopted(false);
      setValues((before) => ({ ...before, ...change }));
    },
    dirty: Object.keys(mine).length > 0,
    version: base.version,
    changed: mine,
    theirs: clash.length ? theirs : null,
    adopted,
    keepMine: () => setBase(current),
    takeTheirs: () => {
      setBase(current);
      setValues({ ...values, ...theirs });
    },
    reset: () => setValues(base.values),
    accepted: (version) => {
      setAdopted(false);
      setBase(version);
      setValues(version.values);
    },
  };
}

/** The fields of one that are not as they are in the other. */
function differing<V extends object>(one: V, other: Partial<V>): Partial<V> {
  return Object.fromEntries(
    Object.entries(one).filter(([key, value]) => value !== other[key as keyof V]),
  ) as Partial<V>;
}
