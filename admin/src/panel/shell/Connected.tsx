// How old what is shown is: hardly a word while it is live.
import { useEffect, useState } from "react";
import { type Standing, useStanding } from "../api/connection";
import type { Tenant, Viewer } from "../api/tenant";
import { announce } from "../announcing";
import { readOnly } from "../arranging";
import { Act } from "../parts/Act";
import { Icon } from "../parts/Icon";
import { clockTime } from "../parts/Time";

// A cut shorter than this is mended before anybody has read about it.
const PATIENCE = 700;

/** A quiet word in the head of the page; while the connection is cut, a bar at its foot, over nothing that moves. */
export function Connected({ tenant, failed }: { tenant: Tenant; failed: boolean }) {
  const standing = useStanding(tenant.connection);
  const cut = useSettled(standing.phase === "reconnecting" || failed);
  const age = standing.heardAt ? `showing data of ${clockTime(standing.heardAt)}` : "nothing was loaded yet";

  useEffect(() => {
    if (!cut) return;
    announce(`Connection lost, ${age}.`);
    return () => announce("Connected again.");
    // Said once for each cut, whatever time it says.
  }, [cut]);

  if (cut) {
    return (
      <section className="cut" aria-label="Connection">
        <Icon name="crossed" />
        <strong>Reconnecting…</strong>
        <span>{age},</span>
        <NextTry standing={standing} />
        <Act onAct={tenant.socket.hurry}>Try now</Act>
      </section>
    );
  }
  // A page on which nothing can change, like that of an unknown pool, opens no connection.
  if (standing.phase !== "live") return null;
  return (
    <span className="live" title="What you see moves by itself.">
      <Icon name="dot" />
      Live
    </span>
  );
}

export function ReadOnly({ viewer }: { viewer: Viewer }) {
  const reason = readOnly(viewer);
  if (!reason) return null;
  return (
    <section className="read-only" aria-label="What you may do">
      <strong>Read-only.</strong> {reason} Ask whoever gives out access for <code>octo_api</code>.
    </section>
  );
}

function NextTry({ standing: { retryAt } }: { standing: Standing }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 1_000);
    return () => clearInterval(timer);
  }, []);
  if (!retryAt) return <span className="numbers">trying</span>;
  return <span className="numbers">next try in {Math.max(1, Math.ceil((retryAt - Date.now()) / 1_000))} s</span>;
}

/** True once it has been true for a while; false at once. */
function useSettled(now: boolean): boolean {
  const [settled, setSettled] = useState(false);
  useEffect(() => {
    if (!now) return setSettled(false);
    const timer = setTimeout(() => setSettled(true), PATIENCE);
    return () => clearTimeout(timer);
  }, [now]);
  return settled;
}
