// Refusals: what a mutation answers instead of doing it, sorted to the fields that caused them.
import type { RefusalFragment } from "../../gql/graphql";

export type Refusal = RefusalFragment;

/** The refusals about a field, in the API's own words. */
export function about(refusals: readonly Refusal[], field: string): string | undefined {
  const found = refusals.filter((refusal) => refusal.path?.[0] === field);
  return found.length ? found.map((refusal) => refusal.message).join(" ") : undefined;
}

/** The refusals about none of these fields: they belong above the form. */
export function beside(refusals: readonly Refusal[], fields: readonly string[]): Refusal[] {
  return refusals.filter((refusal) => !refusal.path?.[0] || !fields.includes(refusal.path[0]));
}

export function conflict(refusals: readonly Refusal[]) {
  return refusals.find((refusal) => refusal.__typename === "VersionConflict");
}
