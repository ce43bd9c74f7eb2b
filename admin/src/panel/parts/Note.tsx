// A sentence in a box: what went wrong, what somebody should know.
import type { ReactNode } from "react";
import { Icon } from "./Icon";

const ICONS = { bad: "octagon", warn: "triangle", info: "question", good: "check" } as const;

export function Note({ tone, children, acts }: { tone: keyof typeof ICONS; children: ReactNode; acts?: ReactNode }) {
  return (
    <div className={`note ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={ICONS[tone]} />
      <div className="said">{children}</div>
      {acts && <div className="acts">{acts}</div>}
    </div>
  );
}
