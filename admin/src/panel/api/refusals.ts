// Refusals: what a mutation answers instead of doing it, sorted to the fields that caused them.
import { useState } from "react";
import type { RefusalFragment } from "../../gql/graphql";

export type Refusal = RefusalFragment;

/** What was refused of a form with these fields. */
export function useRefusals<V extends object>(values: V) {
  const [refused, setRefused] = useState<{ refusals: readonly Refusal[]; values: V } | null>(null);
  const refusals = refused?.refusals ?? [];
  return {
    /** The refusals about a field, in the API's own words, until it or one that it depends on has another value. */
    about: (field: keyof V, ...others: (keyof V)[]): string | undefined => {
      if ([field, ...others].some((each) => values[each] !== refused?.values[each])) return undefined;
      const found = refusals.filter((refusal) => refusal.path?.[0] === field);
      return found.length ? found.map((refusal) => refusal.message).join(" ") : undefined;
    },
    /** The refusals about none of the fields: they belong above the form. */
    beside: refusals.filter(({ path }) => !path?.[0] || !(path[0] in values)),
    /** What the API answered to the values as they were when they were sent. */
    answered: (refusals: readonly Refusal[]) => setRefused({ refusals, values }),
  };
}

export function conflict(refusals: readonly Refusal[]) {
  return refusals.find((refusal) => refusal.__typename === "VersionConflict");
}
